//! A fault campaign: one plan carried out again and again while everything goes wrong that may, by seed.
//!
//! Each run has a lab of its own with faults of its own, a meddler on every way, and an observer at its end. The
//! executor is killed and taken up again; when the trouble is over somebody starts it until it comes to an end.

mod meddler;
mod observer;
#[cfg(test)]
mod tests;
mod wires;

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use snapmigrate_lab::scenario::FaultSpec;
use snapmigrate_lab::{Lab, Scenario};
use snapmigrate_models::check::check;
use snapmigrate_models::decide::Goal;
use snapmigrate_models::faults::FaultRun;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::schedule::make_plan;
use snapmigrate_models::step::Event;

use super::campaign::chain;
use super::{RehearseError, Stage, run};
use crate::cloud::Wire;
use crate::execute::{Control, Ended, Hooks, Run, Sides, execute};
use crate::journal::Journal;
use crate::quiesce::channel::Channel;
use meddler::{KillPoint, Meddler};
use observer::Promise;

/// Starts of the executor after which nothing more goes wrong.
const TROUBLED_LIVES: u32 = 8;
/// Starts after which it is left as it is.
const MOST_LIVES: u32 = 14;
/// After the last lease has ended, until the observer looks.
const MARGIN_SECONDS: f64 = 60.0;

/// The plan of a campaign, made in a world where nothing goes wrong.
///
/// # Errors
/// [`RehearseError`] when nothing can be planned; [`RehearseError::Refused`] when the check refuses the plan.
pub async fn campaign_plan(scenario: &Scenario) -> Result<Plan, RehearseError> {
    let stage = Stage::set(scenario, scenario.seed).await?;
    let profile = stage.measure(scenario).await?;
    let now = stage.clock.now();
    let plan = make_plan(&profile, &stage.policy, now, scenario.seed)?;
    if check(&plan, &profile.inventory, now).refused() {
        return Err(RehearseError::Refused);
    }
    Ok(plan)
}

/// Carries out the journal's plan in the world of `seed`, disturbed by it. Must be called inside a runtime with
/// paused time.
///
/// # Errors
/// [`RehearseError`] when the lab cannot be built; what the executor does wrong is in the run.
pub async fn disturbed(
    scenario: &Scenario,
    journal: &mut Journal,
    seed: u64,
    revert: bool,
) -> Result<FaultRun, RehearseError> {
    let meddler = Meddler::new(seed);
    let ways = Ways {
        services: &|lab| wires::services(lab, &meddler),
        host: &|lab, instance| wires::host(lab, instance, &meddler),
        revert,
    };
    judged(&troubled(scenario, seed), seed, journal, &meddler, &ways).await
}

/// Carries out the journal's plan in the scenario's world, where nothing goes wrong but one death; the run, and every
/// place at which it could have died.
///
/// # Errors
/// As [`disturbed`].
pub async fn killed(
    scenario: &Scenario,
    journal: &mut Journal,
    point: Option<KillPoint>,
    revert: bool,
) -> Result<(FaultRun, Vec<KillPoint>), RehearseError> {
    let meddler = Meddler::killing(point);
    let ways = Ways {
        services: &|lab| wires::services(lab, &meddler),
        host: &|lab, instance| wires::host(lab, instance, &meddler),
        revert,
    };
    let run = judged(scenario, scenario.seed, journal, &meddler, &ways).await?;
    Ok((run, meddler.places()))
}

/// The ways from an executor to its world, and whether its operator goes back after the cutover.
struct Ways<'a> {
    services: &'a dyn Fn(&Lab) -> Wire,
    host: &'a dyn Fn(&Lab, &str) -> Channel,
    revert: bool,
}

/// Carries out the journal's plan over these ways, and lets the observer judge its end.
async fn judged(
    scenario: &Scenario,
    seed: u64,
    journal: &mut Journal,
    meddler: &Meddler,
    ways: &Ways<'_>,
) -> Result<FaultRun, RehearseError> {
    let plan = journal.recorded().plan.clone();
    let stage = Stage::over(scenario, seed, ways.services).await?;
    let before = stage.lab.observe().map_err(RehearseError::Observing)?;
    stage.clock.sleep_until(plan.made_at).await;
    let sides = sides(&stage, scenario, ways);
    let outcome = live(&stage, &sides, journal, meddler, ways.revert).await;
    let lease_seconds = plan.policy.lease_seconds + plan.policy.freeze_limit_seconds;
    let rest = Duration::from_secs_f64(lease_seconds + MARGIN_SECONDS);
    stage.clock.sleep(rest).await;
    let seen = stage.lab.observe().map_err(RehearseError::Observing)?;
    let promise = Promise {
        source: &scenario.source.instance,
        target: &scenario.target.instance,
        freeze_limit_seconds: plan.policy.freeze_limit_seconds,
        before: &before,
        journal: &journal.recorded().export(),
        outcome: outcome.as_deref().unwrap_or("failed"),
        target_is_said_to_serve: journal.progress().target_serves(),
    };
    let mut broken = observer::broken(&stage.lab, &seen, &promise);
    let gave_up = outcome.as_ref().err();
    broken.extend(gave_up.map(|error| format!("the executor gave up: {}", chain(error))));
    Ok(FaultRun {
        seed,
        faults_injected: meddler.faults() + seen.faults_struck,
        kill_points: meddler.kill_points(),
        outcome: promise.outcome.to_owned(),
        broken,
    })
}

/// Starts the executor until it has come to an end; how that is called.
async fn live(
    stage: &Stage,
    sides: &Sides,
    journal: &mut Journal,
    meddler: &Meddler,
    revert: bool,
) -> Result<String, RehearseError> {
    for life in 1..=MOST_LIVES {
        if life > TROUBLED_LIVES {
            meddler.calm_down();
        }
        let mut watcher = |entry: &crate::journal::Entry, _: &_| meddler.entry(&what(&entry.event));
        let run = Run {
            clock: stage.clock,
            claimant: run::rehearsing(),
            goal: Goal { cutover: true },
            control: Control::none(),
            watcher: &mut watcher,
        };
        let ended = tokio::select! {
            biased;
            () = meddler.death() => None,
            ended = execute(sides, journal, run) => Some(ended?),
        };
        if let Some(ended) = &ended
            && revert
            && run::go_back(journal, ended, stage.clock).await?
        {
            continue;
        }
        if let Some(Ended::Closed { outcome, .. }) = ended {
            return Ok(word(&outcome));
        }
        stage
            .clock
            .sleep(Duration::from_secs_f64(meddler.pause_seconds()))
            .await;
    }
    Ok("waiting".to_owned())
}

/// An entry in words short enough for a kill point.
fn what(event: &Event) -> String {
    match event {
        Event::Decided { action, .. } => format!("decided {}", action.step_id()),
        Event::Started { action, .. } => format!("started {}", action.step_id()),
        Event::Finished { action, .. } => format!("finished {}", action.step_id()),
        Event::Failed { action, .. } => format!("failed {}", action.step_id()),
        Event::Waiting { .. } => "waiting".to_owned(),
        Event::Awaiting { .. } => "awaiting the operator".to_owned(),
        Event::Operator { .. } => "the operator's word".to_owned(),
        Event::Limited { .. } => "other limits".to_owned(),
        Event::Adopted { .. } => "a child plan".to_owned(),
        Event::Closed { .. } => "closed".to_owned(),
    }
}

fn word(outcome: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(outcome).unwrap_or_default();
    value.as_str().unwrap_or("unknown").to_owned()
}

fn sides(stage: &Stage, scenario: &Scenario, ways: &Ways<'_>) -> Sides {
    let host = |instance: &str| Some((ways.host)(&stage.lab, instance));
    Sides {
        source: stage.source.clone(),
        target: stage.target.clone(),
        source_host: host(&scenario.source.instance),
        target_host: host(&scenario.target.instance),
        comparison: run::audit(&stage.lab),
        hooks: Hooks::Named,
    }
}

/// The scenario with faults of the service drawn by the seed, beside those it has.
fn troubled(scenario: &Scenario, seed: u64) -> Scenario {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7365_7276_6963_6521);
    let mut often = |most_per_mille: f64| {
        let strikes: bool = rng.random();
        if strikes {
            rng.random::<f64>() * most_per_mille
        } else {
            0.0
        }
    };
    let drawn = FaultSpec {
        throttle: often(30.0),
        server_error: often(20.0),
        lost_answer: often(20.0),
        snapshot_error: often(60.0),
        copy_error: often(60.0),
        stale_describe: often(50.0),
        slow: often(60.0),
    };
    Scenario {
        faults: drawn,
        ..scenario.clone()
    }
}
