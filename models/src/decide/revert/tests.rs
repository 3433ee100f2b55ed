//! A table: what happened, and what comes next on the way back after the activation.

use super::super::{Goal, Next, Outlook, decide_with};
use crate::evidence::Evidence;
use crate::report::RunOutcome;
use crate::status::{Serving, status};
use crate::step::Event;
use crate::story::{Story, forecast, plan};

const ACTIVE: &str = "preflight round0 +3600 round1 +10800 gate check fence f2 a2 h2 c2 d2 w2 vol att up \
                      prove commit act";

fn after(text: &str) -> Story {
    Story::of(&format!("{ACTIVE} {text}"))
}

fn next(story: &Story) -> Next {
    let outlook = Outlook {
        cutover: &|_: &Evidence, _| forecast(900.0),
        round_seconds: &|_: &Evidence, _| 900.0,
        child: &|_| Err("there is none".to_owned()),
    };
    let goal = Goal { cutover: true };
    decide_with(&plan(), &story.progress, goal, story.now, outlook)
}

fn told(text: &str) -> String {
    let story = after(text);
    match next(&story) {
        Next::Act { action, .. } => action.step_id().split('.').next().unwrap_or("").to_owned(),
        Next::WaitUntil { .. } => "wait".into(),
        Next::Adopt { reason, .. } => format!("adopt: {reason}"),
        Next::AwaitOperator { reason } => format!("operator: {reason}"),
        Next::Stop { outcome, .. } => format!("{outcome:?}").to_lowercase(),
    }
}

#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        let found = told(text);
        assert!(found.contains(expected), "after {text:?}: {found}");
    }
}

#[test]
fn the_cutover_goes_back_with_its_sides_swapped() {
    check(&[
        ("", "compare"),
        ("op:revert", "check-revert"),
        ("cmp op:revert", "check-revert"),
        ("op:revert look", "fence-target"),
        ("op:revert look ft", "commit-target"),
        ("op:revert look ft ct", "reopen-source"),
        ("op:revert look ft ct reopen", "reverted"),
    ]);
}

#[test]
fn writes_of_the_target_are_named_and_kept_until_the_operator_gives_them_up() {
    check(&[
        (
            "op:revert wrote look",
            "operator: the target serves and took writes",
        ),
        (
            "op:revert wrote look",
            "0/20 on timeline 2 and is at 0/30 on timeline 2 (3 transactions since)",
        ),
        ("op:revert_discarding wrote look", "fence-target"),
        ("op:revert wrote look op:revert_discarding", "check-revert"),
        ("op:revert look wrote ft", "unfence-target"),
        ("op:revert look wrote ft uft", "check-revert"),
        (
            "op:revert look wrote ft uft look",
            "operator: the target serves and took writes",
        ),
        ("op:revert_discarding look wrote ft", "commit-target"),
    ]);
}

#[test]
fn trouble_before_the_commit_leads_back_to_a_serving_target() {
    check(&[
        (
            "op:revert look!p",
            "operator: the revert cannot begin, the target serves",
        ),
        ("op:revert look!t", "wait"),
        ("op:revert look ft!u +5", "fence-target"),
        ("op:revert look ft!p", "unfence-target"),
        ("op:revert look ft!p uft", "check-revert"),
        ("op:revert look ft +100000", "unfence-target"),
        ("op:revert look ft ct!p", "unfence-target"),
        ("op:revert look ft op:abort", "unfence-target"),
        ("op:revert look ft op:abort uft", "compare"),
        ("op:revert op:abort", "compare"),
        (
            "op:revert look ft uft look ft uft look ft uft",
            "operator: the revert was begun 3 times",
        ),
        (
            "op:revert look ft uft look ft uft look ft uft op:resume",
            "check-revert",
        ),
    ]);
}

#[test]
fn a_lost_commit_is_in_doubt_until_the_host_says_or_the_instance_is_stopped() {
    check(&[
        ("op:revert look ft ct!u +5", "commit-target"),
        ("op:revert look ft ct!u +100000", "commit-target"),
        ("op:revert look ft ct!u op:abort +5", "commit-target"),
        ("op:revert look ft ct!u ct!p", "unfence-target"),
        ("op:revert look ft ct!u ct", "reopen-source"),
    ]);
    let lost = "ct!u ".repeat(10);
    let doubt = format!("op:revert look ft {lost}");
    check(&[
        (&doubt, "isolate-target"),
        (
            &format!("{doubt} iso!p"),
            "operator: the target's host does not answer (in doubt",
        ),
        (&format!("{doubt} iso"), "reopen-source"),
    ]);
    let serving = |text: &str| {
        let story = after(text);
        status(&plan(), &story.progress, story.now).serving
    };
    assert_eq!(serving(&doubt), Serving::InDoubt);
    assert_eq!(serving("op:revert look ft ct"), Serving::Nobody);
    assert_eq!(serving("op:revert look ft uft"), Serving::Target);
    assert_eq!(serving("op:revert look ft ct reopen"), Serving::Source);
}

#[test]
fn a_silent_target_must_be_seen_stopped() {
    let gone = "op:revert_discarding silent look";
    let stuck = format!(
        "op:revert_discarding look ft +100000 {}",
        "uft!u ".repeat(10)
    );
    check(&[
        (
            "op:revert silent look",
            "operator: the target's host does not answer (gone)",
        ),
        (gone, "isolate-target"),
        (&format!("{gone} iso!p"), "stop instance i-02"),
        (&format!("{gone} iso!p op:resume"), "check-revert"),
        (&format!("{gone} iso!p op:resume look"), "isolate-target"),
        (&format!("{gone} iso"), "reopen-source"),
        (&stuck, "isolate-target"),
        (&format!("{stuck} iso reopen"), "reverted"),
    ]);
}

#[test]
fn the_source_is_let_go_only_after_the_target_is_closed() {
    let refused = |text: &str, token: &str| {
        let told = after(text).tell(token);
        told.expect_err("it must be refused").to_string()
    };
    let table = [
        ("", "look", "nobody ordered a revert"),
        ("op:revert", "ft", "was not asked where it stands"),
        ("op:revert wrote look", "ft", "took writes"),
        ("op:revert look ft", "reopen", "second writer"),
        ("op:revert look ft uft", "reopen", "second writer"),
        ("op:revert look ft ct!u", "reopen", "second writer"),
        ("op:revert look ft ct!u", "uft", "may be permanent"),
        ("op:revert look wrote ft", "ct", "took writes"),
        ("op:revert look ft uft", "ct", "is not fenced"),
        ("op:revert look", "iso", "nobody gave it up"),
        ("op:revert_discarding look", "iso", "answers"),
        ("op:revert look ft ct reopen", "act", "serves again"),
        ("op:revert look ft ct reopen", "del", "serves again"),
        ("op:revert look ft ct", "act", "two writers"),
        ("cmp op:finalize", "op:revert", "declared final"),
        (
            "op:revert look ft ct reopen",
            "op:revert",
            "serves again already",
        ),
        ("op:revert cmp", "op:finalize", "a revert was ordered"),
        ("", "op:finalize", "has not shown"),
    ];
    for (text, token, why) in table {
        let error = refused(text, token);
        assert!(error.contains(why), "{token} after {text:?}: {error}");
    }
}

#[test]
fn a_migration_that_was_closed_is_opened_by_the_word_alone() {
    for outcome in [RunOutcome::CutOver, RunOutcome::Failed] {
        let mut story = after("cmp");
        let reason = "done".to_owned();
        story
            .say(Event::Closed { outcome, reason })
            .expect("it ends");
        story.tell("op:revert").expect("it may go back");
        assert!(matches!(next(&story), Next::Act { .. }));
    }
    let mut story = Story::of("preflight round0 +3600 round1");
    assert!(
        story.tell("op:revert").is_err(),
        "abort is the way back before"
    );
}

#[test]
fn a_target_that_was_never_activated_is_given_up_once_its_instance_is_stopped() {
    let told = |text: &str| {
        let before = ACTIVE.strip_suffix(" act").expect("the last step");
        let next = next(&Story::of(&format!("{before} {text}")));
        match next {
            Next::Act { action, .. } => action.step_id(),
            other => format!("{other:?}"),
        }
    };
    let failed = "act!p";
    let cases = [
        ("", "activate"),
        (failed, "stop instance"),
        (failed, "--discard-target-writes"),
        ("op:revert", "isolate-target"),
        ("act!p op:revert", "nobody can tell what the target took"),
        ("act!p op:revert_discarding", "isolate-target"),
        ("act!p op:revert_discarding iso", "reopen-source"),
        ("act!p op:revert_discarding iso reopen", "Reverted"),
        ("act!p op:revert_discarding op:abort", "stop instance"),
        ("act!p op:revert_discarding op:abort op:resume", "activate"),
    ];
    for (text, expected) in cases {
        let found = told(text);
        assert!(found.contains(expected), "after {text:?}: {found}");
    }
}
