//! A table: what happened, and what comes next.

use super::{Goal, Next, Outlook, decide_with};
use crate::evidence::Evidence;
use crate::plan::{Forecast, Plan};
use crate::story::{Story, after, forecast, plan};
use crate::units::Timestamp;

const READY: &str = "preflight round0 +3600 round1";
const AT_GATE: &str = "preflight round0 +3600 round1 +10800";
const FENCED: &str = "preflight round0 +3600 round1 +10800 gate check fence";
const FINAL: &str = "preflight round0 +3600 round1 +10800 gate check fence f2 a2 h2 c2 d2 w2";
const PROVED: &str = "preflight round0 +3600 round1 +10800 gate check fence f2 a2 h2 c2 d2 w2 vol att up \
                      prove";

/// Another round never helps.
fn flat(_: &Evidence, _: Timestamp) -> Forecast {
    forecast(900.0)
}

/// The downtime grows with the age of the last round.
fn aging(evidence: &Evidence, at: Timestamp) -> Forecast {
    let age = evidence
        .last_round_at
        .map_or(1e6, |last| (at - last).as_seconds_f64());
    forecast(600.0 + age / 10.0)
}

/// As long as the last one.
fn as_before(evidence: &Evidence, _: Timestamp) -> f64 {
    let last = evidence.rounds.last();
    last.and_then(|round| Some(round.snapshot_seconds? + round.transfer_seconds?))
        .unwrap_or(900.0)
}

fn outlook<'a>(cutover: &'a super::Forecaster<'a>) -> Outlook<'a> {
    Outlook {
        cutover,
        round_seconds: &as_before,
        child: &|_| Err("there is none".to_owned()),
    }
}

fn next(plan: &Plan, story: &Story, how: &super::Forecaster<'_>) -> Next {
    decide_with(
        plan,
        &story.progress,
        Goal { cutover: true },
        story.now,
        outlook(how),
    )
}

fn short(next: &Next, now: Timestamp) -> String {
    match next {
        Next::Act { action, .. } => action.step_id(),
        Next::WaitUntil { at, .. } => format!("wait {}", (*at - now).num_seconds()),
        Next::Adopt { .. } => "adopt".into(),
        Next::AwaitOperator { .. } => "operator".into(),
        Next::Stop { outcome, .. } => format!("stop {outcome:?}").to_lowercase(),
    }
}

fn told(text: &str) -> String {
    let story = Story::of(text);
    short(&next(&plan(), &story, &flat), story.now)
}

#[test]
fn the_chain_goes_from_preflight_to_cut_over() {
    let table = [
        ("", "preflight"),
        ("preflight", "r00.snapshot"),
        ("preflight s0", "r00.await-snapshots"),
        ("preflight s0 a0", "r00.share"),
        ("preflight s0 a0 h0", "r00.copy"),
        ("preflight s0 a0 h0 c0", "r00.measure-delta"),
        ("preflight s0 a0 h0 c0 d0", "r00.await-copies"),
        ("preflight round0", "wait 3600"),
        ("preflight round0 +5000", "r01.flush"),
        ("preflight round0 +5000 b1", "r01.snapshot"),
        ("preflight round0 +5000 b1 +40", "r01.flush"),
        ("preflight round0 +5000 b1!t", "wait 5"),
        ("preflight round0 +5000 b1!p", "r01.snapshot"),
        (READY, "wait 10800"),
        (AT_GATE, "gate.1"),
    ];
    for (story, expected) in table {
        assert_eq!(told(story), expected, "after {story:?}");
    }
    let steps = [
        ("gate", "checkpoint.1"),
        ("check", "fence."),
        ("fence", "r02.freeze-snapshot.1"),
        ("f2", "r02.await-snapshots"),
        ("a2", "r02.share"),
        ("h2", "r02.copy"),
        ("c2", "r02.measure-delta"),
        ("d2", "r02.await-copies"),
        ("w2", "create-volumes"),
        ("vol", "attach-volumes"),
        ("att", "bring-up"),
        ("up", "prove"),
        ("prove", "commit.7"),
        ("commit", "activate.7"),
        ("act", "compare"),
        ("cmp", "cleanup"),
        ("clean", "stop cutover"),
    ];
    let mut text = AT_GATE.to_owned();
    for (token, expected) in steps {
        text = format!("{text} {token}");
        assert!(
            told(&text).starts_with(expected),
            "after {text:?}: {}",
            told(&text)
        );
    }
}

#[test]
fn failures_before_the_fence_leave_the_source_serving() {
    let heard_often = format!("preflight s0{}", " a0!o".repeat(30));
    let table = [
        ("preflight s0!t", "wait 5"),
        ("preflight s0!t s0!t s0!t", "wait 20"),
        ("preflight s0!t +5", "r00.snapshot"),
        ("preflight s0!u +5", "r00.snapshot"),
        ("preflight s0!c", "wait 5"),
        ("preflight s0!c op:resume", "r00.snapshot"),
        ("preflight s0!p", "stop failed"),
        ("preflight s0!i", "stop failed"),
        ("preflight s0!p op:resume", "r00.snapshot"),
        ("preflight s0 a0!p", "r00.snapshot"),
        ("preflight s0 a0!t", "wait 5"),
        ("preflight s0 a0!t a0!o", "wait 5"),
        ("preflight s0 a0!o", "r00.await-snapshots"),
        (&heard_often, "r00.await-snapshots"),
        ("preflight s0 a0 d0 h0 c0 w0!p", "r00.copy"),
        ("preflight s0 op:abort", "stop aborted"),
    ];
    for (story, expected) in table {
        assert_eq!(told(story), expected, "after {story:?}");
    }
}

#[test]
fn credentials_that_are_gone_for_hours_are_waited_for() {
    let hours = " s0!c +300".repeat(60);
    assert_eq!(told(&format!("preflight{hours}")), "r00.snapshot");
    assert_eq!(told(&format!("preflight{hours} s0!c")), "wait 300");
    let fenced = format!("{AT_GATE} gate check{}", " fence!c".repeat(10));
    assert_eq!(told(&fenced), "unfence.7", "no lease is spent on it");
}

#[test]
fn a_set_that_keeps_ending_in_error_is_given_up() {
    let again = " s0 a0!p";
    assert_eq!(
        told(&format!("preflight{}", again.repeat(3))),
        "r00.snapshot"
    );
    assert_eq!(
        told(&format!("preflight{}", again.repeat(4))),
        "stop failed"
    );
}

#[test]
fn between_fence_and_commit_everything_that_fails_for_good_goes_back() {
    let table = [
        (format!("{AT_GATE} gate check fence!u"), "wait 5"),
        (format!("{AT_GATE} gate check fence!u +5"), "fence.7"),
        (format!("{AT_GATE} gate check fence!p"), "unfence.7"),
        (format!("{FENCED} op:abort"), "unfence.7"),
        (format!("{FENCED} +7175"), "unfence.7"),
        (format!("{FENCED} f2!u +5"), "r02.freeze-snapshot.2"),
        (format!("{FENCED} f2!p"), "unfence.7"),
        (format!("{FENCED} f2!p unf"), "discard-freezes"),
        (format!("{FENCED} f2!u op:abort unf"), "discard-freezes"),
        (format!("{FENCED} f2!u op:abort unf undo!t"), "wait 5"),
        (format!("{FENCED} f2!p unf undo"), "stop aborted"),
        (format!("{FENCED} f2!p unf undo!p"), "stop aborted"),
        (format!("{FENCED} f2!u f2 op:abort unf"), "stop aborted"),
        (format!("{FENCED} f2 a2!p"), "r02.freeze-snapshot.2"),
        (format!("{FENCED} f2 +6800 a2!p"), "unfence.7"),
        (format!("{FINAL} vol!p"), "unfence.7"),
        (format!("{FINAL} vol!p unf"), "delete-volumes"),
        (format!("{FINAL} vol!p unf del"), "stop aborted"),
        (format!("{FINAL} vol att up!p"), "take-down"),
        (format!("{FINAL} vol att up!p down"), "unfence.7"),
        (format!("{FINAL} vol att up!p down unf"), "delete-volumes"),
        (
            format!("{FINAL} vol att up!p down!t down!t down!t"),
            "unfence.7",
        ),
        (format!("{PROVED} commit!p"), "take-down"),
    ];
    for (story, expected) in table {
        assert_eq!(told(&story), expected, "after {story:?}");
    }
}

#[test]
fn a_commit_without_an_answer_is_asked_again_and_never_undone() {
    let lost = format!("{PROVED} commit!u");
    assert_eq!(told(&lost), "wait 5");
    assert_eq!(told(&format!("{lost} +5")), "commit.7");
    assert_eq!(told(&format!("{lost} op:abort +7200")), "commit.7");
    assert_eq!(
        told(&format!("{PROVED}{}", " commit!t".repeat(10))),
        "operator"
    );
    let mut story = Story::of(&lost);
    assert!(story.tell("unf").is_err(), "the fence may be permanent");
}

#[test]
fn after_the_commit_only_forward() {
    let committed = format!("{PROVED} commit");
    assert_eq!(told(&format!("{committed} op:abort +9000")), "activate.7");
    assert_eq!(told(&format!("{committed} act!p")), "operator");
    assert_eq!(told(&format!("{committed} act!p op:resume")), "activate.7");
    assert_eq!(told(&format!("{committed} act cmp!p")), "operator");
    assert_eq!(told(&format!("{committed} act cmp clean!u +5")), "cleanup");
    assert_eq!(
        told(&format!("{committed} act cmp clean!p")),
        "stop cutover"
    );
    let mut story = Story::of(&committed);
    assert!(story.tell("unf").is_err(), "two writers");
}

#[test]
fn an_extra_round_is_taken_when_it_lowers_the_downtime() {
    // The window opens three hours after round 1: at its opening the last round is old.
    let ready = "preflight round0 +3600 s1 +300 a1 d1 h1 c1 +300 w1";
    let story = Story::of(ready);
    assert_eq!(
        short(&next(&plan(), &story, &aging), story.now),
        "wait 9420"
    );
    let story = Story::of(&format!("{ready} +9420"));
    assert_eq!(
        short(&next(&plan(), &story, &aging), story.now),
        "r02.flush"
    );
    let story = Story::of(&format!("{ready} +9420 b2"));
    assert_eq!(
        short(&next(&plan(), &story, &aging), story.now),
        "r02.snapshot"
    );
    let mut most = plan();
    most.bounds.max_rounds = 2;
    assert_eq!(short(&next(&most, &story, &aging), story.now), "wait 780");
}

#[test]
fn the_gate_waits_for_a_better_moment_and_then_gives_up() {
    let mut story = Story::of(AT_GATE);
    story.gate_seconds = 2000.0;
    story.tell("gate").expect("the gate may be reached");
    assert_eq!(short(&next(&plan(), &story, &flat), story.now), "wait 300");
    story.now = after(4 * 3600 + 300);
    assert_eq!(short(&next(&plan(), &story, &flat), story.now), "gate.2");
    story.now = after(6 * 3600);
    assert_eq!(short(&next(&plan(), &story, &flat), story.now), "operator");
    let mut alone = plan();
    alone.policy.replan = false;
    assert_eq!(
        short(&next(&alone, &story, &flat), story.now),
        "stop aborted"
    );
}

#[test]
fn an_old_passage_of_the_gate_does_not_count() {
    assert_eq!(told(&format!("{AT_GATE} gate +899")), "checkpoint.1");
    assert_eq!(told(&format!("{AT_GATE} gate +901")), "gate.2");
}

#[test]
fn the_operator_holds_and_hastens_the_cutover() {
    assert_eq!(told(&format!("{AT_GATE} op:postpone")), "wait 60");
    assert_eq!(told(&format!("{AT_GATE} op:postpone op:cutover")), "gate.1");
    assert_eq!(told(&format!("{READY} op:cutover")), "gate.1");
}

#[test]
fn without_a_cutover_the_chain_ends_in_the_target() {
    let story = Story::of(READY);
    let next = decide_with(
        &plan(),
        &story.progress,
        Goal { cutover: false },
        story.now,
        outlook(&flat),
    );
    assert_eq!(short(&next, story.now), "stop copied");
}

#[test]
fn a_plan_without_a_database_cannot_cut_over() {
    let mut plan = plan();
    plan.policy.database = None;
    let refused = super::admissible(&plan, Goal { cutover: true });
    assert!(refused.is_err_and(|reason| reason.contains("names no database")));
    assert_eq!(super::admissible(&plan, Goal { cutover: false }), Ok(()));
}

#[test]
fn the_share_path_copies_only_what_is_encrypted() {
    let mut plan = plan();
    plan.rounds
        .iter_mut()
        .for_each(|r| r.path = crate::policy::TransferPath::Share);
    let story = Story::of("preflight s0 a0 d0 h0");
    assert_eq!(short(&next(&plan, &story, &flat), story.now), "wait 3600");
    plan.volumes[0].kms_key = Some("key".into());
    assert_eq!(short(&next(&plan, &story, &flat), story.now), "r00.copy");
}

#[test]
fn every_reason_is_in_words() {
    for (story, words) in [
        ("preflight round0", "planned for"),
        (FENCED, "frozen for at most 30 s"),
        ("preflight s0!t", "failed 1 time(s), last: so"),
    ] {
        let told = Story::of(story);
        let reason = match next(&plan(), &told, &flat) {
            Next::Act { reason, .. }
            | Next::Adopt { reason, .. }
            | Next::WaitUntil { reason, .. }
            | Next::AwaitOperator { reason }
            | Next::Stop { reason, .. } => reason,
        };
        assert!(reason.contains(words), "{reason:?} after {story:?}");
    }
}
