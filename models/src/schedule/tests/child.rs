//! Plans that go on from what really happened.

use super::*;
use crate::progress::Progress;
use crate::schedule::make_child;
use crate::step::{
    Action, CompletedSnapshot, Event, FailureClass, MadeSnapshot, StepResult, VolumeDelta,
};

fn parent() -> Plan {
    planned(&with_deltas(profile(1, 100, 0.3), 4), &policy(14_400.0))
}

/// The plan's first `rounds` links, each an hour long and in the target.
struct Past {
    progress: Progress,
    at: Timestamp,
}

impl Past {
    fn of(plan: &Plan, rounds: u32) -> Self {
        let mut past = Self {
            progress: Progress::default(),
            at: plan.made_at,
        };
        past.step(Action::Preflight, StepResult::Done);
        (0..rounds).for_each(|round| past.round(round));
        past
    }

    fn apply(&mut self, event: &Event) {
        self.at += span(60.0);
        self.progress.apply(self.at, event).unwrap();
    }

    fn started(&mut self, action: &Action) {
        let reason = String::new();
        self.apply(&Event::Decided {
            action: action.clone(),
            reason,
        });
        let attempt = self.progress.attempts_of(action) + 1;
        self.apply(&Event::Started {
            action: action.clone(),
            attempt,
        });
    }

    fn step(&mut self, action: Action, result: StepResult) {
        self.started(&action);
        self.apply(&Event::Finished { action, result });
    }

    fn round(&mut self, round: u32) {
        let began = self.at;
        self.step(Action::Snapshot { round }, made("snap", round, began));
        self.at += span(1800.0);
        self.step(
            Action::AwaitSnapshots { round },
            done("snap", round, (began, self.at)),
        );
        if round > 0 {
            let delta = VolumeDelta {
                volume: "vol-0001".parse().unwrap(),
                changed_blocks: 2000,
                runs: BlockSet::of(vec![(0, 2000)]),
            };
            let deltas = StepResult::Deltas {
                deltas: vec![delta],
                writes: Vec::new(),
            };
            self.step(Action::MeasureDelta { round }, deltas);
        }
        let copied = self.at;
        self.step(Action::Copy { round }, made("snap-c", round, copied));
        self.at += span(1800.0);
        self.step(
            Action::AwaitCopies { round },
            done("snap-c", round, (copied, self.at)),
        );
    }
}

fn id(name: &str, round: u32) -> crate::ids::SnapshotId {
    let name = name.replace("snap-c", "snap-0c");
    let name = if name == "snap" {
        "snap-0".to_owned()
    } else {
        name
    };
    format!("{name}{round}").parse().unwrap()
}

fn made(name: &str, round: u32, at: Timestamp) -> StepResult {
    StepResult::Started {
        snapshots: vec![MadeSnapshot {
            volume: "vol-0001".parse().unwrap(),
            snapshot: id(name, round),
            started_at: at,
        }],
    }
}

fn done(name: &str, round: u32, (from, to): (Timestamp, Timestamp)) -> StepResult {
    StepResult::Completed {
        snapshots: vec![CompletedSnapshot {
            volume: "vol-0001".parse().unwrap(),
            snapshot: id(name, round),
            started_at: from,
            completed_at: to,
            full_bytes: None,
        }],
    }
}

#[test]
fn a_child_goes_on_from_the_rounds_that_stand() {
    let parent = parent();
    let past = Past::of(&parent, 3);
    let child = make_child(&parent, &past.progress, past.at, 1, None).unwrap();
    assert_eq!(child.parent.as_ref(), Some(&parent.digest));
    assert_eq!(
        (&child.policy, child.digest.clone()),
        (&parent.policy, child.computed_digest())
    );
    let indexes: Vec<u32> = child.rounds.iter().map(|round| round.index).collect();
    let expected: Vec<u32> = (0..).take(child.rounds.len()).collect();
    assert_eq!(indexes, expected);
    assert_eq!(
        child.rounds[1].delta_bytes.p50,
        2000.0 * 524_288.0,
        "as it was measured"
    );
    assert!(
        child.rounds[3..].iter().all(|round| round.start >= past.at),
        "{:?}",
        child.rounds
    );
    assert_eq!(child.rounds.last().unwrap().kind, RoundKind::Final);
    assert!(
        child.rationale[0].contains("3 of its rounds are in the target"),
        "{}",
        child.rationale[0]
    );
    let found = check(
        &child,
        &with_deltas(profile(1, 100, 0.3), 4).inventory,
        past.at,
    );
    assert!(!found.refused(), "{found:?}");
}

#[test]
fn slow_rounds_make_the_child_expect_slow_ones() {
    let parent = parent();
    let past = Past::of(&parent, 4);
    let child = make_child(&parent, &past.progress, past.at, 1, None).unwrap();
    let last = |plan: &Plan| plan.rounds.last().unwrap().snapshot_seconds.p50;
    assert!(
        last(&child) > last(&parent),
        "half an hour each: {} {}",
        last(&child),
        last(&parent)
    );
}

#[test]
fn where_a_step_may_have_made_something_no_child_takes_over() {
    let parent = parent();
    let mut past = Past::of(&parent, 2);
    let action = Action::Snapshot { round: 2 };
    past.started(&action);
    let open = make_child(&parent, &past.progress, past.at, 1, None).unwrap_err();
    assert!(
        open.to_string().contains("is not finished") && open.is_infeasible(),
        "{open}"
    );
    let (class, message) = (FailureClass::Unknown, "the answer was lost".to_owned());
    past.apply(&Event::Failed {
        action,
        class,
        message,
    });
    assert!(make_child(&parent, &past.progress, past.at, 1, None).is_err());
    let plan = Box::new(parent);
    assert!(
        past.progress
            .check(&Event::Adopted { plan, reason: None })
            .is_err()
    );
}

#[test]
fn before_anything_was_begun_a_child_is_the_plan_of_now() {
    let parent = parent();
    let later = parent.made_at + span(7200.0);
    let child = make_child(&parent, &Progress::default(), later, 1, None).unwrap();
    assert_eq!(child.rounds[0].start, later);
    assert_eq!(child.rounds[0].kind, RoundKind::Base);
}

#[test]
fn a_child_keeps_to_the_night_that_is_named() {
    let parent = parent();
    let past = Past::of(&parent, 3);
    let child = |by| make_child(&parent, &past.progress, past.at, 1, Some(by));
    let free = make_child(&parent, &past.progress, past.at, 1, None).unwrap();
    let by = free.window.start - span(3600.0);
    assert!(by > past.at, "there is room before its window");
    let kept = child(by).unwrap();
    assert!(kept.window.end <= by && kept.bounds.latest_fence <= by);
    assert_eq!(kept.policy, parent.policy, "the policy is the operator's");
    assert!(child(past.at - span(1.0)).is_err(), "it has passed");
}
