//! One rehearsal from the first measurement to the report.

use std::sync::Arc;
use std::time::Duration;

use snapmigrate_lab::{Lab, Scenario};
use snapmigrate_models::check::{Findings, check};
use snapmigrate_models::decide::Goal;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::profile::Profile;
use snapmigrate_models::progress::Progress;
use snapmigrate_models::report::{Report, RunOutcome};
use snapmigrate_models::schedule::make_plan;
use snapmigrate_models::step::{Event, Verb, VolumeDelta, VolumePair};

use super::{RehearseError, Stage};
use crate::clock::Clock;
use crate::execute::{Audited, Claimant, Comparison, Control, Ended, Hooks, Run, Sides, execute};
use crate::journal::{Entry, Journal};
use crate::quiesce::channel::{Channel, Simulated};

/// What a rehearsal produced, stage by stage.
#[derive(Debug)]
pub struct Rehearsed {
    /// What was measured.
    pub profile: Profile,
    /// What was planned.
    pub plan: Plan,
    /// What the check found.
    pub findings: Findings,
    /// How the execution ended; absent when the check refused the plan.
    pub ended: Option<Ended>,
    /// Predicted against actual.
    pub report: Report,
}

/// After the cutover, until a rehearsal's operator wants to go back: the target has taken writes by then.
const SECOND_THOUGHTS: Duration = Duration::from_secs(600);

/// How far a rehearsal goes.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Of the executor.
    pub goal: Goal,
    /// The operator goes back to the source after the cutover.
    pub revert: bool,
}

/// Told each entry after it is durable.
pub type Watcher<'a> = &'a mut dyn FnMut(&Entry, &Progress);

/// Measures, plans, checks, executes as wished and verifies on the scenario's lab. `journal` makes the
/// journal of the plan. Must be called inside a runtime with paused time.
///
/// # Errors
/// [`RehearseError`] when it cannot run to a report.
pub async fn rehearse(
    scenario: &Scenario,
    seed: u64,
    wish: Wish,
    journal: impl FnOnce(&Plan) -> Result<Journal, crate::journal::JournalError>,
    watcher: Watcher<'_>,
) -> Result<Rehearsed, RehearseError> {
    let stage = Stage::set(scenario, seed).await?;
    let profile = stage.measure(scenario).await?;
    let now = stage.clock.now();
    let plan = make_plan(&profile, &stage.policy, now, seed)?;
    let findings = check(&plan, &profile.inventory, now);
    let mut journal = journal(&plan)?;
    let ended = if findings.refused() {
        None
    } else {
        Some(carry_out(stage, scenario, wish, &mut journal, watcher).await?)
    };
    let report = journal.recorded().report();
    Ok(Rehearsed {
        profile,
        plan,
        findings,
        ended,
        report,
    })
}

pub(super) async fn carry_out(
    stage: Stage,
    scenario: &Scenario,
    wish: Wish,
    journal: &mut Journal,
    watcher: Watcher<'_>,
) -> Result<Ended, RehearseError> {
    let clock = stage.clock;
    let sides = sides(stage, scenario);
    loop {
        let run = Run {
            clock,
            claimant: rehearsing(),
            goal: wish.goal,
            control: Control::none(),
            notice: &|_| {},
            watcher,
        };
        let ended = execute(&sides, journal, run).await?;
        if !wish.revert || !go_back(journal, &ended, clock).await? {
            return Ok(ended);
        }
    }
}

fn sides(stage: Stage, scenario: &Scenario) -> Sides {
    Sides {
        source: stage.source,
        target: stage.target,
        source_host: Some(host(&stage.lab, &scenario.source.instance)),
        target_host: Some(host(&stage.lab, &scenario.target.instance)),
        comparison: audit(&stage.lab),
        hooks: Hooks::Named,
    }
}

/// What a rehearsal's operator says when a run has ended: to go back, and then that the target's writes are given up.
/// False when there is nothing to say any more.
pub(super) async fn go_back(
    journal: &mut Journal,
    ended: &Ended,
    clock: Clock,
) -> Result<bool, RehearseError> {
    let orders = journal.progress().orders;
    let verb = match ended {
        Ended::Closed {
            outcome: RunOutcome::CutOver,
            ..
        } => {
            clock.sleep(SECOND_THOUGHTS).await;
            Verb::Revert
        }
        Ended::AwaitingOperator { .. } if orders.revert && !orders.discard_target_writes => {
            Verb::RevertDiscarding
        }
        _ => return Ok(false),
    };
    journal.append(clock.now(), &Event::Operator { verb })?;
    Ok(true)
}

/// In a rehearsal there is one machine and one journal.
pub(super) fn rehearsing() -> Claimant {
    let name = || "rehearsal".to_owned();
    Claimant {
        host: name(),
        machine: name(),
        journal: name(),
    }
}

fn host(lab: &Lab, instance: &str) -> Channel {
    let (lab, instance) = (lab.clone(), instance.to_owned());
    let simulated: Simulated = Arc::new(move |request| {
        let (lab, instance) = (lab.clone(), instance.clone());
        Box::pin(async move { lab.host(&instance, request).await })
    });
    Channel::in_process(simulated)
}

/// Traced volumes hold no bytes: the lab compares the writer's log with what the target holds.
pub(super) fn audit(lab: &Lab) -> Comparison {
    let lab = lab.clone();
    Comparison::Audit(Box::new(move |pairs: &[VolumePair], _: &[VolumeDelta]| {
        let pairs: Vec<(String, String)> = pairs
            .iter()
            .map(|pair| (pair.source.to_string(), pair.target.to_string()))
            .collect();
        let audit = lab.audit(&pairs).map_err(|error| error.to_string())?;
        Ok(Audited {
            blocks_compared: audit.blocks_compared,
            mismatches: audit.mismatches,
            digest: audit.digest,
        })
    }))
}

#[cfg(test)]
mod again;
#[cfg(test)]
mod tests {
    use std::path::Path;

    use snapmigrate_models::report::RunOutcome;
    use snapmigrate_models::schedule::make_child;

    use super::*;

    const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios/tiny.toml");

    /// The chain under the parent, the cutover under its child, one journal.
    #[tokio::test(start_paused = true)]
    async fn a_child_plan_goes_on_in_its_parents_journal() {
        let scenario = Scenario::load(Path::new(SCENARIO)).expect("a scenario");
        let stage = Stage::set(&scenario, 1).await.expect("a stage");
        let profile = stage.measure(&scenario).await.expect("a profile");
        let clock = stage.clock;
        let parent = make_plan(&profile, &stage.policy, clock.now(), 1).expect("a plan");
        let mut journal = Journal::in_memory(&parent).expect("a journal");
        let sides = sides(stage, &scenario);
        let mut outcomes = Vec::new();
        for cutover in [false, true] {
            if cutover {
                let child = make_child(&parent, journal.progress(), clock.now(), 1, None);
                let child = child.expect("the chain stands");
                let standing = journal.progress().rounds.len();
                assert!(
                    child.rounds.len() > standing,
                    "the final one is still to come"
                );
                journal
                    .adopt(&child, clock.now(), None)
                    .expect("before the fence");
                assert_eq!(journal.recorded().plan.digest, child.digest);
                assert_eq!(journal.recorded().first.digest, parent.digest);
            }
            let run = Run {
                clock,
                claimant: rehearsing(),
                goal: Goal { cutover },
                control: Control::none(),
                notice: &|_| {},
                watcher: &mut |_, _| {},
            };
            let ended = execute(&sides, &mut journal, run)
                .await
                .expect("it runs to an end");
            if let Ended::Closed { outcome, .. } = ended {
                outcomes.push(outcome);
            }
        }
        assert_eq!(outcomes, [RunOutcome::Copied, RunOutcome::CutOver]);
        let report = journal.recorded().report();
        assert_eq!(report.plan_digest, parent.digest);
        assert_eq!(report.adopted_plans, journal.recorded().plans[1..]);
        assert_eq!(report.adopted_plans.len(), 1, "the child");
        assert!(
            report
                .verification
                .is_some_and(|found| found.mismatches == 0)
        );
        let after = make_child(&parent, journal.progress(), clock.now(), 1, None);
        assert!(after.is_err(), "behind the fence a plan stays");
    }
}
