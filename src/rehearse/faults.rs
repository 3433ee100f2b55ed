//! A fault campaign: one plan carried out again and again while everything goes wrong that may, by seed.
//!
//! Each run has a lab of its own with faults of its own, a meddler on every way, and an observer at its end. The
//! executor is killed and taken up again; when the trouble is over somebody starts it until it comes to an end.

mod meddler;
mod observer;
mod wires;

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use snapmigrate_lab::Scenario;
use snapmigrate_lab::scenario::FaultSpec;
use snapmigrate_models::check::check;
use snapmigrate_models::decide::Goal;
use snapmigrate_models::faults::FaultRun;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::schedule::make_plan;

use super::{RehearseError, Stage, run};
use crate::execute::{Control, Ended, ExecuteError, Run, Sides, execute};
use crate::journal::Journal;
use meddler::Meddler;
use observer::Promise;

/// Starts of the executor after which nothing more goes wrong.
const TROUBLED_LIVES: u32 = 8;
/// Starts after which it is left as it is.
const MOST_LIVES: u32 = 14;

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

/// Carries out `plan` in the world of `seed`, disturbed by it. Must be called inside a runtime with paused time.
///
/// # Errors
/// [`RehearseError`] when the lab cannot be built; what the executor does wrong is in the run.
pub async fn disturbed(
    scenario: &Scenario,
    plan: &Plan,
    seed: u64,
) -> Result<FaultRun, RehearseError> {
    let meddler = Meddler::new(seed);
    let scenario = troubled(scenario, seed);
    let stage = Stage::over(&scenario, seed, |lab| wires::services(lab, &meddler)).await?;
    let before = stage.lab.observe().map_err(RehearseError::Observing)?;
    stage.clock.sleep_until(plan.issued_at).await;
    let mut journal = Journal::in_memory(plan)?;
    let sides = sides(&stage, &scenario, &meddler);
    let outcome = live(&stage, &sides, &mut journal, &meddler).await;
    let rest = plan.policy.lease_seconds + plan.policy.freeze_limit_seconds;
    stage.clock.sleep(Duration::from_secs_f64(rest + 60.0)).await;
    let seen = stage.lab.observe().map_err(RehearseError::Observing)?;
    let promise = Promise {
        source: &scenario.source.instance,
        target: &scenario.target.instance,
        freeze_limit_seconds: plan.policy.freeze_limit_seconds,
        before: &before,
        journal: &journal.recorded().export(),
        outcome: outcome.as_deref().unwrap_or("failed"),
    };
    let mut broken = observer::broken(&stage.lab, &seen, &promise);
    broken.extend(outcome.as_ref().err().map(|error| format!("the executor gave up: {error}")));
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
) -> Result<String, ExecuteError> {
    for life in 1..=MOST_LIVES {
        if life > TROUBLED_LIVES {
            meddler.calm_down();
        }
        let mut watcher = |entry: &crate::journal::Entry, _: &_| meddler.entry(entry.event.name());
        let run = Run {
            clock: stage.clock,
            goal: Goal { cutover: true },
            control: Control::none(),
            watcher: &mut watcher,
        };
        let ended = tokio::select! {
            biased;
            () = meddler.death() => None,
            ended = execute(sides, journal, run) => Some(ended?),
        };
        if let Some(Ended::Closed { outcome, .. }) = ended {
            return Ok(word(&outcome));
        }
        stage.clock.sleep(Duration::from_secs_f64(meddler.pause_seconds())).await;
    }
    Ok("waiting".to_owned())
}

fn word(outcome: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(outcome).unwrap_or_default();
    value.as_str().unwrap_or("unknown").to_owned()
}

fn sides(stage: &Stage, scenario: &Scenario, meddler: &Meddler) -> Sides {
    let host = |instance: &str| Some(wires::host(&stage.lab, instance, meddler));
    Sides {
        source: stage.source.clone(),
        target: stage.target.clone(),
        source_host: host(&scenario.source.instance),
        target_host: host(&scenario.target.instance),
        comparison: run::audit(&stage.lab),
    }
}

/// The scenario with faults of the service drawn by the seed, beside those it has.
fn troubled(scenario: &Scenario, seed: u64) -> Scenario {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7365_7276_6963_6521);
    let mut often = |most_per_mille: f64| {
        let strikes: bool = rng.random();
        if strikes { rng.random::<f64>() * most_per_mille } else { 0.0 }
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
    Scenario { faults: drawn, ..scenario.clone() }
}
