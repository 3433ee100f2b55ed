//! Tests only: snapshots that are archived by others or never complete, and a wall clock that is set back.

use std::time::Duration;

use chrono::TimeDelta;
use snapmigrate_lab::scenario::FaultSpec;
use snapmigrate_models::step::{Action, Event, FailureClass};

use super::{Play, fenced, finished, scenario};
use crate::clock::{Step, Steps};
use crate::cloud::Wire;
use crate::execute::Ended;
use crate::quiesce::protocol::Status;

#[tokio::test(start_paused = true)]
async fn an_archived_copy_is_noticed_before_it_costs_a_full_one_and_planned_with() {
    let mut play = Play::set("tiny.toml").await;
    let arrived = Action::AwaitCopies { round: 0 };
    assert_eq!(play.until(|event| finished(event, &arrived)).await, None);
    let round = play.journal.progress().round(0).expect("it was begun");
    let copy = round.copies[0].snapshot.to_string();
    play.stage.lab.archive(&copy).expect("it is completed");
    let ended = play.finish().await;
    play.assert_cut_over(ended.as_ref());
    assert_eq!(play.failed(FailureClass::Lineage), 1, "noticed once");
    assert_eq!(play.failed_saying("in tier archive"), 1);
    let child = play
        .children()
        .into_iter()
        .find(|(_, reason)| reason.contains("archive"));
    assert!(child.is_some(), "a child plan counts with it");
}

/// The first set stays pending for three days: another one would only queue behind it.
#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_stuck_is_waited_for() {
    let (play, ended) = stuck(|faults| faults.snapshot_stuck = 300.0, 3.0).await;
    assert_eq!(ended, None, "the base is in the target");
    assert_eq!(play.failed(FailureClass::Permanent), 0);
    let round = play.journal.progress().round(0).expect("it was begun");
    assert!(round.snapshot_seconds() > Some(2.5 * DAY_SECONDS));
}

/// A copy that is deleted is given up by the service, so that another takes its place at once.
#[tokio::test(start_paused = true)]
async fn a_copy_that_is_stuck_is_replaced() {
    let (play, ended) = stuck(|faults| faults.copy_stuck = 500.0, 0.25).await;
    assert_eq!(ended, None, "the base is in the target after all");
    assert!(play.failed_saying("it is stuck") > 0);
    let seen = play.stage.lab.observe().expect("an observation");
    let announced = play.journal.recorded().export();
    assert!(
        seen.snapshots
            .iter()
            .all(|made| announced.contains(&made.id))
    );
}

const DAY_SECONDS: f64 = 86_400.0;

/// The first world in which the base needs so many days and arrives, with what came of it until then.
async fn stuck(faults: impl Fn(&mut FaultSpec), days: f64) -> (Play, Option<Ended>) {
    let mut troubled = scenario("tiny.toml");
    faults(&mut troubled.faults);
    for seed in 1..=20 {
        troubled.seed = seed;
        let mut play = Play::of(troubled.clone(), |lab| Wire::to(lab.clone())).await;
        let begun = play.stage.clock.now();
        let arrived = Action::AwaitCopies { round: 0 };
        let ended = play.until(|event| finished(event, &arrived)).await;
        let took = (play.stage.clock.now() - begun).as_seconds_f64();
        if took > days * DAY_SECONDS && ended.is_none() {
            return (play, ended);
        }
    }
    panic!("nothing was stuck in twenty worlds");
}

/// What the service says of the time at which a snapshot was made is not compared with a clock that runs ahead.
#[tokio::test(start_paused = true)]
async fn a_new_snapshot_that_is_not_seen_yet_is_not_taken_for_a_lost_one() {
    let mut slow = scenario("tiny.toml");
    slow.service.consistency_delay_seconds.median = 90.0;
    let mut play = Play::of(slow, |lab| Wire::to(lab.clone())).await;
    play.set_clock(TimeDelta::hours(2));
    let completed = Action::AwaitSnapshots { round: 0 };
    assert_eq!(play.until(|event| finished(event, &completed)).await, None);
    assert_eq!(play.failed_saying("gone"), 0);
    let again = |event: &Event| {
        matches!(
            event,
            Event::Started {
                action: Action::Snapshot { .. },
                attempt: 2..
            }
        )
    };
    let entries = &play.journal.recorded().entries;
    assert!(
        !entries.iter().any(|entry| again(&entry.event)),
        "none in its place"
    );
}

/// An executor that is killed right behind its fence and started again after the wall clock was set back by hours asks
/// for no longer lease than the host still keeps.
#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_prolongs_no_lease() {
    let mut play = Play::set("tiny.toml").await;
    let asked = |event: &Event| {
        matches!(
            event,
            Event::Started {
                action: Action::Fence { .. },
                ..
            }
        )
    };
    let fence = play.until(asked).await;
    assert_eq!(fence, None);
    let host = source_host(&play);
    let lease_seconds = play.journal.recorded().plan.policy.lease_seconds;
    let epoch = play.journal.progress().epoch().expect("asked for");
    let fence = crate::quiesce::protocol::Fence {
        epoch,
        lease_seconds,
        expected: None,
    };
    // The killed executor's call arrives; then half of the lease goes by, and the clock is set back by more than that.
    host.call(fence).await.expect("it fences");
    let half = Duration::from_secs_f64(lease_seconds / 2.0);
    play.stage.clock.sleep(half).await;
    play.set_clock(-TimeDelta::hours(3));
    assert_eq!(play.until(fenced).await, None);
    let left = source_host(&play)
        .call(Status {})
        .await
        .expect("it answers")
        .lease_remaining_seconds;
    assert!(
        left.is_some_and(|left| left <= lease_seconds / 2.0),
        "{left:?}"
    );
}

fn source_host(play: &Play) -> &crate::quiesce::channel::Channel {
    play.sides.source_host.as_ref().expect("a host")
}

impl Play {
    fn set_clock(&mut self, by: TimeDelta) {
        let scenario = scenario("tiny.toml");
        let passed = self.stage.clock.now() - scenario.start;
        let after = passed.to_std().expect("it goes on");
        let mut steps = Steps::default();
        steps[0] = Some(Step { after, by });
        self.stage.clock = self.stage.clock.stepping(steps);
    }
}
