//! A fault campaign: plans carried out again and again while everything goes wrong that may, by seed.
//!
//! Each run has a lab of its own with faults of its own, a meddler on every way, and an observer at its end. The
//! executor is killed and taken up again; when the trouble is over somebody starts it until it comes to an end.

mod forks;
mod meddler;
mod mood;
mod observer;
mod places;
#[cfg(test)]
mod tests;
mod wires;

use std::time::Duration;

use chrono::TimeDelta;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use snapmigrate_lab::scenario::FaultSpec;
use snapmigrate_lab::world::Observation;
use snapmigrate_lab::{Lab, Scenario};
use snapmigrate_models::check::check;
use snapmigrate_models::decide::Goal;
use snapmigrate_models::faults::FaultRun;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::schedule::make_plan;
use snapmigrate_models::step::Event;

use super::campaign::chain;
use super::{RehearseError, Stage, run};
use crate::clock::{Clock, Steps};
use crate::cloud::Wire;
use crate::execute::{Control, Ended, ExecuteError, Hooks, Run, Sides, execute};
use crate::journal::{Entry, Journal};
use crate::quiesce::channel::Channel;
pub use forks::{Choice, Fork, Forks};
use meddler::Meddler;
use observer::Promise;

/// Starts of the executor after which nothing more goes wrong.
const TROUBLED_LIVES: u32 = 8;
/// Starts after which it is left as it is.
const MOST_LIVES: u32 = 14;
/// An executor that ran for so long waits for something that does not come.
const LONGEST_LIFE: Duration = Duration::from_secs(14 * 86_400);
/// After the last lease has ended, until the observer looks: what is late has arrived by then.
const MARGIN_SECONDS: f64 = 300.0;
/// A wall clock may be set until so long after the window's opening.
const CLOCK_IS_SET_SECONDS: f64 = 7200.0;

/// The plan of a campaign's runs, made by this seed in a world where nothing goes wrong.
///
/// # Errors
/// [`RehearseError`] when nothing can be planned; [`RehearseError::Refused`] when the check refuses the plan.
pub async fn campaign_plan(scenario: &Scenario, seed: u64) -> Result<Plan, RehearseError> {
    let stage = Stage::set(scenario, seed).await?;
    let profile = stage.measure(scenario).await?;
    let now = stage.clock.now();
    let plan = make_plan(&profile, &stage.policy, now, seed)?;
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
    let steps = clock_steps(scenario, &journal.recorded().plan, seed);
    let ways = Ways {
        services: &|lab| wires::services(lab, &meddler),
        host: &|lab, instance| wires::host(lab, instance, &meddler),
        told: &|_| (),
        steps,
        revert,
    };
    judged(&troubled(scenario, seed), seed, journal, &meddler, &ways).await
}

/// Carries out the journal's plan in the scenario's world, where nothing goes wrong, and sends a fork for each chosen
/// place at which the executor could die.
///
/// # Errors
/// As [`disturbed`].
pub async fn branching(
    scenario: &Scenario,
    journal: &mut Journal,
    revert: bool,
    forks: &Forks,
) -> Result<FaultRun, RehearseError> {
    let meddler = Meddler::quiet(scenario.seed, None);
    let ways = Ways {
        services: &|lab| forks.services(lab),
        host: &|lab, instance| forks.host(lab, instance),
        told: &|entry| forks.entry(entry),
        steps: Steps::default(),
        revert,
    };
    judged(scenario, scenario.seed, journal, &meddler, &ways).await
}

/// Starts the executor anew where another one died, and lets the observer judge its end. Must be called inside a
/// runtime with paused time of its own.
///
/// # Errors
/// As [`disturbed`].
pub async fn resumed(
    scenario: &Scenario,
    journal: &mut Journal,
    fork: Fork,
    revert: bool,
) -> Result<FaultRun, RehearseError> {
    let meddler = Meddler::quiet(fork.place.number, Some(fork.place.name()));
    let ways = Ways {
        services: &|lab| wires::services(lab, &meddler),
        host: &|lab, instance| wires::host(lab, instance, &meddler),
        told: &|_| (),
        steps: Steps::default(),
        revert,
    };
    for (at, event) in &fork.entries {
        journal.append(*at, event)?;
    }
    let clock = Clock::paused(fork.still.at());
    let lab = fork.still.go_on(scenario.seed);
    let stage = Stage::of_lab(scenario, lab, clock, ways.services).await?;
    clock
        .sleep(Duration::from_secs_f64(meddler.pause_seconds()))
        .await;
    ended(&stage, (scenario, &fork.before), journal, &meddler, &ways).await
}

/// The ways from an executor to its world, who else is told its entries, how its wall clock is set, and whether its
/// operator goes back after the cutover.
struct Ways<'a> {
    services: &'a dyn Fn(&Lab) -> Wire,
    host: &'a dyn Fn(&Lab, &str) -> Channel,
    told: &'a dyn Fn(&Entry),
    steps: Steps,
    revert: bool,
}

/// Carries out the journal's plan over these ways from the scenario's start on, and lets the observer judge its end.
async fn judged(
    scenario: &Scenario,
    seed: u64,
    journal: &mut Journal,
    meddler: &Meddler,
    ways: &Ways<'_>,
) -> Result<FaultRun, RehearseError> {
    let mut stage = Stage::over(scenario, seed, ways.services).await?;
    stage.clock = stage.clock.stepping(ways.steps);
    let before = stage.lab.observe().map_err(RehearseError::Observing)?;
    let made_at = journal.recorded().plan.made_at;
    stage.clock.sleep_until(made_at).await;
    let mut run = ended(&stage, (scenario, &before), journal, meddler, ways).await?;
    run.seed = seed;
    Ok(run)
}

/// Carries out the journal's plan from where it stands, and lets the observer judge its end.
async fn ended(
    stage: &Stage,
    (scenario, before): (&Scenario, &Observation),
    journal: &mut Journal,
    meddler: &Meddler,
    ways: &Ways<'_>,
) -> Result<FaultRun, RehearseError> {
    let policy = journal.recorded().plan.policy.clone();
    let sides = sides(stage, scenario, ways);
    let outcome = live(stage, &sides, journal, meddler, ways).await;
    let lease_seconds = policy.lease_seconds + policy.freeze_limit_seconds;
    let rest = Duration::from_secs_f64(lease_seconds + MARGIN_SECONDS);
    stage.clock.sleep(rest).await;
    let seen = stage.lab.observe().map_err(RehearseError::Observing)?;
    let promise = Promise {
        source: &scenario.source.instance,
        target: &scenario.target.instance,
        freeze_limit_seconds: policy.freeze_limit_seconds,
        lease_seconds: policy.lease_seconds,
        before,
        announced: &journal.recorded().export(),
        journal: &on_disk(journal),
        outcome: outcome.as_deref().unwrap_or("failed"),
        target_is_said_to_serve: journal.progress().target_serves(),
    };
    let mut broken = observer::broken(&stage.lab, &seen, &promise);
    let gave_up = outcome.as_ref().err();
    broken.extend(gave_up.map(|error| format!("the executor gave up: {}", chain(error))));
    let set = ways.steps.iter().flatten().count();
    let last = journal.recorded().entries.last();
    Ok(FaultRun {
        scenario: scenario.name.clone(),
        seed: scenario.seed,
        faults_injected: meddler.faults() + seen.faults_struck + u64::try_from(set).unwrap_or(0),
        kill_points: meddler.kill_points(),
        outcome: promise.outcome.to_owned(),
        journal: last.map_or_else(String::new, |entry| entry.checksum.clone()),
        broken,
    })
}

/// The journal as the next executor would find it, or why it could not read it.
fn on_disk(journal: &Journal) -> String {
    let durable = journal.durable();
    durable.map_or_else(|error| error.to_string(), |recorded| recorded.export())
}

/// Starts the executor until it has come to an end; how that is called.
async fn live(
    stage: &Stage,
    sides: &Sides,
    journal: &mut Journal,
    meddler: &Meddler,
    ways: &Ways<'_>,
) -> Result<String, RehearseError> {
    for life in 1..=MOST_LIVES {
        if life > TROUBLED_LIVES {
            meddler.calm_down();
        }
        journal.take_up()?;
        journal.make_room(meddler.journal_pages())?;
        let lived = tokio::time::timeout(
            LONGEST_LIFE,
            one_life(stage, sides, journal, (meddler, ways.told)),
        );
        let Ok(ended) = lived.await else {
            return Ok("hanging".to_owned());
        };
        let ended = ended?;
        journal.make_room(None)?;
        if let Some(ended) = &ended
            && ways.revert
            && run::go_back(journal, ended, stage.clock).await?
        {
            // The operator's word is an entry that no executor announces.
            let word = journal.recorded().entries.last();
            word.into_iter().for_each(ways.told);
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

/// One start of the executor: how it ended, or nothing when it was killed or its journal took no more.
async fn one_life(
    stage: &Stage,
    sides: &Sides,
    journal: &mut Journal,
    (meddler, told): (&Meddler, &dyn Fn(&Entry)),
) -> Result<Option<Ended>, ExecuteError> {
    let mut watcher = |entry: &Entry, _: &_| {
        told(entry);
        meddler.entry(&what(&entry.event));
    };
    let run = Run {
        clock: stage.clock,
        claimant: run::rehearsing(),
        goal: Goal { cutover: true },
        control: Control::none(),
        notice: &|_| {},
        watcher: &mut watcher,
    };
    let ended = tokio::select! {
        biased;
        () = meddler.death() => return Ok(None),
        ended = execute(sides, journal, run) => ended,
    };
    match ended {
        Err(ExecuteError::Journal(error) | ExecuteError::Unwritten { source: error, .. })
            if error.is_full() =>
        {
            meddler.disk_was_full();
            Ok(None)
        }
        ended => ended.map(Some),
    }
}

/// The step that an entry begins.
fn begun(event: &Event) -> Option<String> {
    match event {
        Event::Started { action, .. } => Some(action.step_id()),
        _ => None,
    }
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
        snapshot_stuck: often(30.0),
        copy_stuck: often(30.0),
        stale_describe: often(50.0),
        missing_describe: often(20.0),
        slow: often(60.0),
        full_scan: often(60.0),
    };
    Scenario {
        faults: drawn,
        ..scenario.clone()
    }
}

/// How the executor's wall clock is set in the run of this seed, while the plan is carried out.
fn clock_steps(scenario: &Scenario, plan: &Plan, seed: u64) -> Steps {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7761_6c6c_636c_6f63);
    let begin: TimeDelta = plan.made_at - scenario.start;
    let within = (plan.window.start - plan.made_at).as_seconds_f64() + CLOCK_IS_SET_SECONDS;
    mood::clock_steps(&mut rng, begin.as_seconds_f64(), within)
}
