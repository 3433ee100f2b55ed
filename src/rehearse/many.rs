//! Many seeds on several threads, in the order of the seeds whatever the number of threads.
//!
//! It must not know what a run is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use snapmigrate_lab::Scenario;
use snapmigrate_models::faults::FaultRun;
use snapmigrate_models::plan::Plan;

use super::RehearseError;
use super::faults::{campaign_plan, disturbed};
use crate::journal::{Journal, JournalError};

/// Carries out one plan under every seed, disturbed by it, on so many threads; `finished` is told how many runs are
/// done, `journal` makes the journal of each.
///
/// # Errors
/// [`RehearseError`] when the scenario cannot be planned, or a lab cannot be built.
pub fn fault_campaign(
    scenario: &Scenario,
    seeds: &[u64],
    threads: usize,
    journal: impl Fn(&Plan) -> Result<Journal, JournalError> + Sync,
    finished: impl FnMut(usize),
) -> Result<Vec<FaultRun>, RehearseError> {
    let plan = paused()?.block_on(campaign_plan(scenario))?;
    let one = |seed: u64| one(scenario, journal(&plan)?, seed);
    over(seeds, threads, one, finished).into_iter().collect()
}

fn one(scenario: &Scenario, mut journal: Journal, seed: u64) -> Result<FaultRun, RehearseError> {
    paused()?.block_on(disturbed(scenario, &mut journal, seed))
}

/// What `run` says for each seed, in the order of the seeds.
pub(super) fn over<T: Send>(
    seeds: &[u64],
    threads: usize,
    run: impl Fn(u64) -> T + Sync,
    mut finished: impl FnMut(usize),
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let (done, runs) = mpsc::channel();
    let mut ordered: Vec<Option<T>> = seeds.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, seeds.len().max(1)) {
            let (done, next, run) = (done.clone(), &next, &run);
            scope.spawn(move || {
                while let Some((index, seed)) = taken(next, seeds) {
                    // Nobody listens only when the campaign itself is over.
                    if done.send((index, run(seed))).is_err() {
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

/// A runtime on a clock that jumps from event to event.
pub(super) fn paused() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
}
