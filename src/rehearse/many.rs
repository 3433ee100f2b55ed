//! Many runs on several threads, in their own order whatever the number of threads.
//!
//! It must not know what a run is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use snapmigrate_lab::Scenario;
use snapmigrate_models::faults::FaultRun;
use snapmigrate_models::plan::Plan;

use super::RehearseError;
use super::faults::{campaign_plan, disturbed};
use crate::journal::{Journal, JournalError};

/// Plans of each scenario that a fault campaign carries out, by the seed of the run.
const PLANS: u64 = 4;

/// What campaigns are made over.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The scenarios; of several, the seed of a run says which one is its own.
    pub scenarios: &'a [Scenario],
    /// The operator goes back after the cutover.
    pub revert: bool,
    /// Threads.
    pub threads: usize,
}

/// Carries out a plan under every seed, disturbed by it; `finished` is told how many runs are done, `journal` makes
/// the journal of each.
///
/// # Errors
/// [`RehearseError`] when a scenario cannot be planned, or a lab cannot be built.
pub fn fault_campaign(
    field: Field<'_>,
    seeds: &[u64],
    journal: impl Fn(&Plan) -> Result<Journal, JournalError> + Sync,
    finished: impl FnMut(usize),
) -> Result<Vec<FaultRun>, RehearseError> {
    let plans = plans(field, seeds)?;
    let one = |seed: &u64| {
        let (index, variant) = field.drawn(*seed);
        let mut journal = journal(&plans[&(index, variant)])?;
        let scenario = &field.scenarios[index];
        paused()?.block_on(disturbed(scenario, &mut journal, *seed, field.revert))
    };
    over(seeds, field.threads, one, finished)
        .into_iter()
        .collect()
}

impl Field<'_> {
    /// The scenario of a run and which of its plans is carried out. It does not depend on the other scenarios'
    /// number which plan that is, so that a run can be shown alone.
    fn drawn(self, seed: u64) -> (usize, u64) {
        let count = u64::try_from(self.scenarios.len().max(1)).unwrap_or(1);
        let index = usize::try_from(seed % count).unwrap_or(0);
        (index, (seed / 16) % PLANS)
    }
}

/// The plans that these seeds ask for; the scenario's own stands in for one that cannot be made.
fn plans(field: Field<'_>, seeds: &[u64]) -> Result<BTreeMap<(usize, u64), Plan>, RehearseError> {
    let mut wanted: Vec<(usize, u64)> = seeds.iter().map(|seed| field.drawn(*seed)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let planned = |(index, variant): &(usize, u64)| -> Result<Plan, RehearseError> {
        let scenario = &field.scenarios[*index];
        let seed = scenario.seed.wrapping_add(*variant);
        match paused()?.block_on(campaign_plan(scenario, seed)) {
            Err(_) if *variant > 0 => paused()?.block_on(campaign_plan(scenario, scenario.seed)),
            plan => plan,
        }
    };
    let plans = over(&wanted, field.threads, planned, |_| ());
    wanted
        .iter()
        .copied()
        .zip(plans)
        .map(|(key, plan)| Ok((key, plan?)))
        .collect()
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
