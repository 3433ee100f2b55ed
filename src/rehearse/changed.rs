//! Tests only: the world changes while a migration runs. Others delete what the chain builds on, credentials run out,
//! the operator moves limits, the journal's disk is full.

mod service;

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use snapmigrate_lab::{Lab, Scenario};
use snapmigrate_models::decide::Goal;
use snapmigrate_models::plan::{Plan, RoundKind};
use snapmigrate_models::policy::PolicyLimits;
use snapmigrate_models::progress::Progress;
use snapmigrate_models::report::RunOutcome;
use snapmigrate_models::schedule::make_plan;
use snapmigrate_models::step::{Action, Event, FailureClass};
use tokio::sync::Notify;

use super::{Stage, run};
use crate::cloud::{Cloud, Wire};
use crate::execute::{Control, Ended, ExecuteError, Hooks, Run, Sides, execute, limited};
use crate::journal::{Entry, Journal};
use crate::quiesce::channel::Channel;

/// A migration on a lab, as far as it got.
struct Play {
    stage: Stage,
    sides: Sides,
    journal: Journal,
    /// What was said before anything could be journaled.
    notices: RefCell<Vec<String>>,
}

fn scenario(name: &str) -> Scenario {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    Scenario::load(&scenarios.join(name)).expect("a scenario")
}

impl Play {
    async fn set(name: &str) -> Self {
        Self::over(name, |lab| Wire::to(lab.clone())).await
    }

    async fn over(name: &str, wire: impl FnOnce(&Lab) -> Wire) -> Self {
        Self::of(scenario(name), wire).await
    }

    async fn of(scenario: Scenario, wire: impl FnOnce(&Lab) -> Wire) -> Self {
        let stage = Stage::over(&scenario, scenario.seed, wire)
            .await
            .expect("a stage");
        let profile = stage.measure(&scenario).await.expect("a profile");
        let now = stage.clock.now();
        let plan = make_plan(&profile, &stage.policy, now, scenario.seed).expect("a plan");
        let host = |instance: &str| {
            let (lab, instance) = (stage.lab.clone(), instance.to_owned());
            Channel::in_process(Arc::new(move |request| {
                let (lab, instance) = (lab.clone(), instance.clone());
                Box::pin(async move { lab.host(&instance, request).await })
            }))
        };
        let sides = Sides {
            source: stage.source.clone(),
            target: stage.target.clone(),
            source_host: Some(host(&scenario.source.instance)),
            target_host: Some(host(&scenario.target.instance)),
            comparison: run::audit(&stage.lab),
            hooks: Hooks::Named,
        };
        Self {
            sides,
            journal: Journal::in_memory(&plan).expect("a journal"),
            notices: RefCell::default(),
            stage,
        }
    }

    /// Executes until the end, or until an event is durable; none then.
    async fn until(&mut self, is_then: impl Fn(&Event) -> bool) -> Option<Ended> {
        self.attempt(is_then)
            .await
            .map(|ended| ended.expect("it runs"))
    }

    async fn attempt(
        &mut self,
        is_then: impl Fn(&Event) -> bool,
    ) -> Option<Result<Ended, ExecuteError>> {
        let (reached, once) = (Notify::new(), Cell::new(false));
        let mut watcher = |entry: &Entry, _: &Progress| {
            if is_then(&entry.event) && !once.replace(true) {
                reached.notify_one();
            }
        };
        let run = Run {
            clock: self.stage.clock,
            claimant: run::rehearsing(),
            goal: Goal { cutover: true },
            control: Control::none(),
            notice: &|text| self.notices.borrow_mut().push(text.to_owned()),
            watcher: &mut watcher,
        };
        tokio::select! {
            biased;
            () = reached.notified() => None,
            ended = execute(&self.sides, &mut self.journal, run) => Some(ended),
        }
    }

    async fn finish(&mut self) -> Option<Ended> {
        self.until(|_| false).await
    }

    /// Deletes the snapshots of a round on one side, as somebody else would.
    async fn lose(&self, round: u32, copies: bool) {
        let round = self.journal.progress().round(round).expect("it was begun");
        let (cloud, lost): (&Cloud, _) = match copies {
            true => (&self.sides.target, &round.copies),
            false => (&self.sides.source, &round.snapshots),
        };
        for made in lost {
            cloud
                .delete_snapshot(&made.snapshot)
                .await
                .expect("deleted");
        }
    }

    fn failed_saying(&self, words: &str) -> usize {
        let entries = self.journal.recorded().entries.iter();
        let said = |event: &Event| matches!(event, Event::Failed { message, .. } if message.contains(words));
        entries.filter(|entry| said(&entry.event)).count()
    }

    fn children(&self) -> Vec<(&Plan, &str)> {
        let entries = self.journal.recorded().entries.iter();
        let children = entries.filter_map(|entry| match &entry.event {
            Event::Adopted { plan, reason } => Some((&**plan, reason.as_deref()?)),
            _ => None,
        });
        children.collect()
    }

    fn failed(&self, class: FailureClass) -> usize {
        let entries = self.journal.recorded().entries.iter();
        let failed =
            |event: &Event| matches!(event, Event::Failed { class: found, .. } if *found == class);
        entries.filter(|entry| failed(&entry.event)).count()
    }

    #[track_caller]
    fn assert_cut_over(&self, ended: Option<&Ended>) {
        let done = matches!(
            ended,
            Some(Ended::Closed {
                outcome: RunOutcome::CutOver,
                ..
            })
        );
        assert!(done, "{ended:?}");
        let found = self.journal.progress().verification.clone();
        assert_eq!(found.expect("compared").mismatches, 0);
    }
}

fn finished(event: &Event, wanted: &Action) -> bool {
    matches!(event, Event::Finished { action, .. } if action == wanted)
}

fn fenced(event: &Event) -> bool {
    let Event::Finished { action, .. } = event else {
        return false;
    };
    matches!(action, Action::Fence { .. })
}

#[tokio::test(start_paused = true)]
async fn a_lost_copy_is_noticed_before_it_costs_a_full_one_and_planned_with() {
    let mut play = Play::set("tiny.toml").await;
    let arrived = Action::AwaitCopies { round: 0 };
    assert_eq!(play.until(|event| finished(event, &arrived)).await, None);
    play.lose(0, true).await;
    let ended = play.finish().await;
    play.assert_cut_over(ended.as_ref());
    assert_eq!(play.failed(FailureClass::Lineage), 1, "noticed once");
    let children = play.children();
    let lost = |(_, reason): &&(&Plan, &str)| reason.contains("is gone");
    let (child, _) = children.iter().find(lost).expect("a child counts with it");
    let bases = child
        .rounds
        .iter()
        .filter(|round| round.kind == RoundKind::Base);
    assert_eq!(bases.count(), 2, "the lost one, and the one in its place");
    assert_eq!(child.chain_digest(), play.journal.recorded().first.digest);
}

#[tokio::test(start_paused = true)]
async fn a_delta_whose_base_is_lost_at_the_source_is_counted_from_what_stands() {
    let mut play = Play::set("tiny.toml").await;
    let arrived = Action::AwaitCopies { round: 0 };
    assert_eq!(play.until(|event| finished(event, &arrived)).await, None);
    play.lose(0, false).await;
    let ended = play.finish().await;
    play.assert_cut_over(ended.as_ref());
    assert_eq!(play.failed(FailureClass::Lineage), 0, "the copies stand");
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_deleted_before_it_was_copied_is_replaced() {
    let mut play = Play::set("tiny.toml").await;
    let completed = Action::AwaitSnapshots { round: 0 };
    assert_eq!(play.until(|event| finished(event, &completed)).await, None);
    play.lose(0, false).await;
    let ended = play.finish().await;
    play.assert_cut_over(ended.as_ref());
    assert_eq!(play.failed(FailureClass::Gone), 1);
    let progress = play.journal.progress();
    assert!(progress.round(0).is_some_and(|round| round.given_up));
}

#[tokio::test(start_paused = true)]
async fn a_base_that_prepared_volumes_hold_is_written_whole_again() {
    let mut play = Play::set("direct.toml").await;
    let written = Action::AwaitSync { round: 0 };
    assert_eq!(play.until(|event| finished(event, &written)).await, None);
    play.lose(0, false).await;
    let ended = play.finish().await;
    play.assert_cut_over(ended.as_ref());
    assert_eq!(play.failed(FailureClass::Lineage), 1);
}

#[tokio::test(start_paused = true)]
async fn moved_limits_lead_to_a_child_plan_that_keeps_them() {
    let mut play = Play::set("tiny.toml").await;
    let arrived = Action::AwaitCopies { round: 0 };
    assert_eq!(play.until(|event| finished(event, &arrived)).await, None);
    let new = PolicyLimits {
        max_write_downtime_seconds: Some(2400.0),
        ..PolicyLimits::default()
    };
    let moved = limited(&play.journal, new).expect("limits that can be");
    let now = play.stage.clock.now();
    // An executor that was killed has a step without an answer; limits wait until it is taken up.
    play.journal.append(now, &moved).expect("before the fence");
    let ended = play.finish().await;
    play.assert_cut_over(ended.as_ref());
    let kept: Vec<f64> = play
        .children()
        .iter()
        .map(|(child, _)| child.bounds.max_write_downtime_seconds)
        .collect();
    assert_eq!(kept, [2400.0]);
}

/// Answers of a service that knows the caller no longer, while `out` is up.
fn expired(lab: &Lab, out: &Arc<AtomicBool>) -> Wire {
    const SAID: &str = "<Response><Errors><Error><Code>RequestExpired</Code><Message>Request has expired.\
                        </Message></Error></Errors><RequestID>r</RequestID></Response>";
    let (lab, out) = (lab.clone(), Arc::clone(out));
    Wire::through(move |request| {
        let (lab, out) = (lab.clone(), Arc::clone(&out));
        Box::pin(async move {
            if !out.load(Ordering::SeqCst) {
                return Some(lab.http(request).await);
            }
            let answer = Response::builder()
                .status(400)
                .header("content-type", "text/xml");
            answer.body(Bytes::from_static(SAID.as_bytes())).ok()
        })
    })
}

#[tokio::test(start_paused = true)]
async fn hours_without_credentials_are_waited_for() {
    let out = Arc::new(AtomicBool::new(false));
    let mut play = Play::over("tiny.toml", |lab| expired(lab, &out)).await;
    let shared = Arc::clone(&out);
    let five_hours = async {
        tokio::time::sleep(Duration::from_secs(5 * 3600)).await;
        shared.store(false, Ordering::SeqCst);
        std::future::pending::<()>().await;
    };
    let taken = Action::Snapshot { round: 0 };
    let losing = |event: &Event| {
        if finished(event, &taken) {
            out.store(true, Ordering::SeqCst);
        }
        false
    };
    let ended = tokio::select! {
        ended = play.until(losing) => ended,
        () = five_hours => None,
    };
    play.assert_cut_over(ended.as_ref());
    assert!(
        play.failed(FailureClass::Credentials) > 10,
        "asked again and again"
    );
}

/// Who else runs is not known then: nothing is done, and it is said once what is waited for.
#[tokio::test(start_paused = true)]
async fn a_claim_that_cannot_be_asked_for_is_waited_for_and_says_so() {
    let out = Arc::new(AtomicBool::new(false));
    let mut play = Play::over("tiny.toml", |lab| expired(lab, &out)).await;
    out.store(true, Ordering::SeqCst);
    let shared = Arc::clone(&out);
    let half_an_hour = async {
        tokio::time::sleep(Duration::from_secs(1800)).await;
        shared.store(false, Ordering::SeqCst);
        std::future::pending::<()>().await;
    };
    let begun = |event: &Event| matches!(event, Event::Started { .. });
    let ended = tokio::select! {
        ended = play.until(begun) => ended,
        () = half_an_hour => None,
    };
    assert_eq!(ended, None, "it begins when it may");
    assert!(!play.journal.recorded().entries.is_empty());
    let notices = play.notices.borrow();
    let [notice] = notices.as_slice() else {
        panic!("said once: {notices:?}");
    };
    assert!(notice.starts_with("waiting for the claim"), "{notice}");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_behind_the_fence_leaves_a_serving_source() {
    let mut play = Play::set("tiny.toml").await;
    assert_eq!(play.until(fenced).await, None);
    // Not one more entry fits but the two with which a run is taken up again.
    play.journal.fill_after(2);
    let ended = play.attempt(|_| false).await.expect("it ends");
    let serves = matches!(
        ended,
        Err(ExecuteError::Unwritten {
            source_serves: true,
            ..
        })
    );
    assert!(serves, "{ended:?}");
    let seen = play.stage.lab.observe().expect("an observation");
    let source = &scenario("tiny.toml").source.instance;
    let host = seen.hosts.iter().find(|host| host.instance == *source);
    assert!(
        host.is_some_and(|host| host.serving && !host.fenced),
        "{seen:?}"
    );
    // With room again the same command finds out, and nothing is lost.
    play.journal.fill_after(u64::MAX);
    let ended = play.finish().await;
    let closed = matches!(&ended, Some(Ended::Closed { .. }));
    assert!(closed, "{ended:?}");
}
