//! A campaign: one scenario rehearsed seed after seed, each in a world of its own, to see how often the
//! forecast holds.
//!
//! Every run is measured and planned as the scenario's operator wishes, and carried out without a
//! limit on the downtime: a cutover that a limit would stop still tells whether the verdict was
//! right. Runs share nothing, so their number of threads changes nothing but the time it takes.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use snapmigrate_lab::Scenario;
use snapmigrate_models::campaign::CampaignRun;
use snapmigrate_models::decide::Goal;
use snapmigrate_models::policy::Policy;
use snapmigrate_models::report::{Report, build};
use snapmigrate_models::schedule::make_plan;

use super::run::carry_out;
use super::{RehearseError, Stage};
use crate::journal::Journal;

/// A limit no cutover reaches: a month.
const NO_LIMIT_SECONDS: f64 = 30.0 * 86_400.0;

/// Rehearses a scenario with `seeds`, on so many threads; `finished` is told how many runs are done.
/// The result is in the order of the seeds, whatever the number of threads.
pub fn campaign(
    scenario: &Path,
    seeds: &[u64],
    threads: usize,
    mut finished: impl FnMut(usize),
) -> Vec<CampaignRun> {
    let next = AtomicUsize::new(0);
    let (done, runs) = mpsc::channel();
    let mut ordered: Vec<Option<CampaignRun>> = vec![None; seeds.len()];
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, seeds.len().max(1)) {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                while let Some((index, seed)) = taken(next, seeds) {
                    // Nobody listens only when the campaign itself is over.
                    if done.send((index, one(scenario, seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for (count, (index, run)) in runs.iter().enumerate() {
            ordered[index] = Some(run);
            finished(count + 1);
        }
    });
    ordered.into_iter().flatten().collect()
}

fn taken(next: &AtomicUsize, seeds: &[u64]) -> Option<(usize, u64)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    seeds.get(index).map(|seed| (index, *seed))
}

/// One run; what keeps it from a report is part of the result.
fn one(scenario: &Path, seed: u64) -> CampaignRun {
    let mut run = CampaignRun::of_seed(seed);
    let told = Scenario::load_with(scenario, Some(seed))
        .map_err(|error| chain(&error))
        .and_then(|scenario| {
            paused()
                .map_err(|error| chain(&error))?
                .block_on(rehearsed(&scenario, seed, &mut run))
                .map_err(|error| chain(&error))
        });
    match told {
        Ok(report) => run.reported(&report),
        Err(message) => run.without_report(message),
    }
    run
}

async fn rehearsed(
    scenario: &Scenario,
    seed: u64,
    run: &mut CampaignRun,
) -> Result<Report, RehearseError> {
    let stage = Stage::set(scenario, seed).await?;
    let profile = stage.measure(scenario).await?;
    let now = stage.clock.now();
    run.planned(&make_plan(&profile, &stage.policy, now, seed)?, &profile);
    let plan = make_plan(&profile, &limitless(&stage.policy), now, seed)?;
    let mut journal = Journal::in_memory(&plan)?;
    let goal = Goal { cutover: true };
    carry_out(stage, scenario, goal, &mut journal, &mut |_, _| {}).await?;
    run.passed(journal.progress());
    Ok(build(&plan, journal.progress()))
}

/// The same wishes, but for what would stop a cutover that takes long.
fn limitless(policy: &Policy) -> Policy {
    Policy {
        max_write_downtime_seconds: NO_LIMIT_SECONDS,
        lease_seconds: NO_LIMIT_SECONDS,
        latest_finish: None,
        budget_usd: None,
        ..policy.clone()
    }
}

fn paused() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    std::iter::once(error.to_string())
        .chain(causes.map(ToString::to_string))
        .collect::<Vec<String>>()
        .join(": ")
}
