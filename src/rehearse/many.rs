//! Many runs on several threads, in their own order whatever the number of threads.
//!
//! It must not know what a run is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use snapmigrate_lab::Scenario;
use snapmigrate_models::faults::FaultRun;
use snapmigrate_models::plan::Plan;

use super::RehearseError;
use super::faults::{campaign_plan, disturbed, killed};
use crate::journal::{Journal, JournalError};

/// Carries out one plan under every seed, disturbed by it, and back after the cutover if so wished, on so many threads; `finished` is told how many runs are
/// done, `journal` makes the journal of each.
///
/// # Errors
/// [`RehearseError`] when the scenario cannot be planned, or a lab cannot be built.
pub fn fault_campaign(
    scenario: &Scenario,
    (seeds, revert): (&[u64], bool),
    threads: usize,
    journal: impl Fn(&Plan) -> Result<Journal, JournalError> + Sync,
    finished: impl FnMut(usize),
) -> Result<Vec<FaultRun>, RehearseError> {
    let plan = paused()?.block_on(campaign_plan(scenario))?;
    let one = |seed: &u64| one(scenario, journal(&plan)?, *seed, revert);
    over(seeds, threads, one, finished).into_iter().collect()
}

/// Carries out one plan once for every place at which the executor can die: each call to a service or a host, before
/// it is sent and after its effect, and each entry of the journal.
///
/// # Errors
/// As [`fault_campaign`].
pub fn kill_campaign(
    scenario: &Scenario,
    revert: bool,
    threads: usize,
    finished: impl FnMut(usize, usize),
) -> Result<Vec<FaultRun>, RehearseError> {
    let plan = paused()?.block_on(campaign_plan(scenario))?;
    let die = |point| -> Result<_, RehearseError> {
        let mut journal = Journal::in_memory(&plan)?;
        paused()?.block_on(killed(scenario, &mut journal, point, revert))
    };
    let (_, places) = die(None)?;
    let mut finished = finished;
    let told = |done| finished(done, places.len());
    let runs = over(&places, threads, |point| die(Some(*point)), told);
    runs.into_iter().map(|run| Ok(run?.0)).collect()
}

fn one(
    scenario: &Scenario,
    mut journal: Journal,
    seed: u64,
    revert: bool,
) -> Result<FaultRun, RehearseError> {
    paused()?.block_on(disturbed(scenario, &mut journal, seed, revert))
}

/// What `run` says of each item, in the order of the items.
pub(super) fn over<I: Sync, T: Send>(
    items: &[I],
    threads: usize,
    run: impl Fn(&I) -> T + Sync,
    mut finished: impl FnMut(usize),
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let (done, runs) = mpsc::channel();
    let mut ordered: Vec<Option<T>> = items.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            let (done, next, run) = (done.clone(), &next, &run);
            scope.spawn(move || {
                while let Some((index, item)) = taken(next, items) {
                    // Nobody listens only when the campaign itself is over.
                    if done.send((index, run(item))).is_err() {
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

fn taken<'a, I>(next: &AtomicUsize, items: &'a [I]) -> Option<(usize, &'a I)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    items.get(index).map(|item| (index, item))
}

/// A runtime on a clock that jumps from event to event.
pub(super) fn paused() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
}
