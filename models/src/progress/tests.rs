//! The fold refuses what cannot follow, and every prefix is a state of its own.

use chrono::TimeDelta;

use super::Progress;
use crate::report::RunOutcome;
use crate::step::{Action, Event, StepResult};
use crate::story::Story;

const WHOLE: &str = "preflight round0 +3600 round1 +10800 gate check fence f2 a2 h2 c2 d2 w2 vol att up \
                     prove commit act cmp clean";

fn refused(text: &str, token: &str) -> String {
    let mut story = Story::of(text);
    let before = story.progress.clone();
    let error = story.tell(token).expect_err("it must be refused");
    assert_eq!(
        story.progress.rounds, before.rounds,
        "a refused step changes nothing"
    );
    error.to_string()
}

#[test]
fn a_whole_migration_is_legal() {
    let mut story = Story::of(WHOLE);
    let end = Event::Closed {
        outcome: RunOutcome::CutOver,
        reason: "done".into(),
    };
    assert!(story.say(end.clone()).is_ok());
    assert!(story.say(end).is_err(), "closed is closed");
    assert!(story.tell("op:resume").is_err());
}

#[test]
fn illegal_sequences_are_refused_with_their_reason() {
    let before_final = "preflight round0 +3600 round1 +10800 gate check fence f2 a2 h2 c2 d2 w2";
    let table = [
        ("", "s0", "the preflight has not passed"),
        ("preflight", "s1", "rounds follow each other"),
        ("preflight s0", "s1", "not completed"),
        ("preflight", "a0", "no snapshots"),
        ("preflight s0", "c0", "not completed"),
        ("preflight round0 gate", "fence", "no checkpoint"),
        ("preflight round0", "fence", "did not open"),
        (
            "preflight round0 gate check fence",
            "s1",
            "only a final snapshot",
        ),
        ("preflight round0", "f1", "not fenced"),
        ("preflight round0 gate check fence", "vol", "no final round"),
        (before_final, "commit", "has not proved"),
        (before_final, "act", "two writers"),
        (before_final, "cmp", "does not serve"),
        ("preflight round0", "unf", "nothing was fenced"),
        ("preflight round0 gate check fence unf", "f1", "not fenced"),
        ("preflight s0?", "s0", "no answer yet"),
    ];
    for (text, token, why) in table {
        let error = refused(text, token);
        assert!(error.contains(why), "{token} after {text:?}: {error}");
    }
}

#[test]
fn what_sharing_took_is_told_by_one_clock() {
    let mut story = Story::of("preflight s0 a0?");
    let action = story.action("a0");
    let mut result = story.result(&action);
    let StepResult::Completed { snapshots } = &mut result else {
        panic!("a set is completed");
    };
    for snapshot in snapshots {
        snapshot.started_at -= TimeDelta::hours(3);
        snapshot.completed_at -= TimeDelta::hours(3);
    }
    story
        .say(Event::Finished { action, result })
        .expect("a set");
    for step in ["d0", "h0"] {
        story.tell(step).expect(step);
    }
    let took = story.progress.rounds[&0].transfer_seconds();
    assert!(took.is_some_and(|seconds| seconds < 60.0), "{took:?}");
}

#[test]
fn a_lost_answer_is_remembered_until_the_step_succeeds() {
    let lost = |text: &str| {
        let failing = Story::of(text).progress.failing;
        failing.get("r00.copy").map(|failing| failing.answer_lost)
    };
    assert_eq!(lost("preflight s0 a0 c0!t"), Some(false));
    assert_eq!(lost("preflight s0 a0 c0!u"), Some(true));
    assert_eq!(
        lost("preflight s0 a0 c0!u c0!t"),
        Some(true),
        "a failed lookup hides nothing"
    );
    assert_eq!(lost("preflight s0 a0 c0!u c0"), None);
    assert_eq!(
        lost("preflight s0 a0 c0!c c0!t"),
        Some(true),
        "what was made before the credentials ended is in no journal"
    );
}

#[test]
fn answers_need_their_question() {
    let mut story = Story::of("preflight");
    let action = Action::Snapshot { round: 0 };
    let result = StepResult::Done;
    assert!(
        story
            .say(Event::Finished {
                action: action.clone(),
                result
            })
            .is_err()
    );
    assert!(
        story
            .say(Event::Started {
                action: action.clone(),
                attempt: 1
            })
            .is_err()
    );
    story
        .say(Event::Decided {
            action: action.clone(),
            reason: "r".into(),
        })
        .expect("legal");
    assert!(
        story
            .say(Event::Started {
                action: action.clone(),
                attempt: 2
            })
            .is_err()
    );
    story
        .say(Event::Started {
            action: action.clone(),
            attempt: 1,
        })
        .expect("legal");
    assert!(
        story
            .say(Event::Finished {
                action,
                result: StepResult::Done
            })
            .is_err()
    );
}

#[test]
fn a_proof_of_another_database_is_refused() {
    let mut story = Story::of(WHOLE.split(" prove").next().expect("a prefix"));
    story
        .say(Event::Decided {
            action: Action::Prove,
            reason: "r".into(),
        })
        .expect("legal");
    story
        .say(Event::Started {
            action: Action::Prove,
            attempt: 1,
        })
        .expect("legal");
    let result = StepResult::Proved {
        replay_lsn: "0/18".into(),
        system_identifier: "43".into(),
        timeline: 1,
    };
    let error = story.say(Event::Finished {
        action: Action::Prove,
        result,
    });
    assert!(error.is_err_and(|e| e.to_string().contains("another database")));
}

#[test]
fn aborted_means_that_the_source_serves() {
    let closed = |text: &str, outcome| {
        Story::of(text)
            .say(Event::Closed {
                outcome,
                reason: "r".into(),
            })
            .is_ok()
    };
    let fenced = "preflight round0 gate check fence";
    assert!(closed("preflight round0", RunOutcome::Aborted));
    assert!(!closed(fenced, RunOutcome::Aborted));
    assert!(!closed(fenced, RunOutcome::Failed));
    assert!(closed(&format!("{fenced} unf"), RunOutcome::Aborted));
    assert!(!closed("preflight round0", RunOutcome::CutOver));
}

#[test]
fn every_prefix_folds_to_the_state_it_had_live() {
    let story = Story::of(WHOLE);
    let mut live = Progress::default();
    for (count, (at, event)) in story.entries.iter().enumerate() {
        let prefix = story
            .entries
            .iter()
            .take(count)
            .map(|(at, event)| (*at, event));
        assert_eq!(
            Progress::fold(prefix),
            Ok(live.clone()),
            "after {count} entries"
        );
        live.apply(*at, event).expect("a legal story");
    }
    assert_eq!(live, story.progress);
}

#[test]
fn a_copied_chain_is_taken_up_again_and_a_cut_over_one_is_not() {
    let mut story = Story::of("preflight round0");
    let copied = Event::Closed {
        outcome: RunOutcome::Copied,
        reason: "r".into(),
    };
    story.say(copied).expect("legal");
    assert!(story.tell("gate").is_err());
    story.tell("op:resume").expect("it is reopened");
    story.tell("gate").expect("and goes on");
}
