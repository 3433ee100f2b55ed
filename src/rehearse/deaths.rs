//! A kill campaign: each scenario's plan is carried out once, and at every place where the executor can die a copy of
//! the world goes on with a new one.
//!
//! One thread makes the copies, the others carry them to their ends; few wait, because each is a world. It must not
//! know what a place is.

use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use snapmigrate_lab::Scenario;
use snapmigrate_models::faults::FaultRun;
use snapmigrate_models::plan::Plan;

use super::RehearseError;
use super::faults::{Choice, Fork, Forks, branching, campaign_plan, resumed};
use super::many::{Field, paused};
use crate::journal::{Journal, JournalError};

/// Which places are branched off from.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// Every place.
    All,
    /// Every so many, from an offset on.
    Every {
        /// Places from one to the next.
        stride: u64,
        /// Places before the first.
        offset: u64,
    },
    /// The one of this number or name.
    One(String),
}

type Killed = Result<FaultRun, RehearseError>;

/// Carries out each scenario's plan with a death at each chosen place, in the order of scenarios and places;
/// `finished` is told how many runs are done.
///
/// # Errors
/// [`RehearseError`] when a scenario cannot be planned, or a lab cannot be built.
pub fn kill_campaign(
    field: Field<'_>,
    chosen: &Chosen,
    mut finished: impl FnMut(usize),
) -> Result<Vec<FaultRun>, RehearseError> {
    let mut all = Vec::new();
    for scenario in field.scenarios {
        let done = all.len();
        let told = |more| finished(done + more);
        all.extend(every_death(scenario, field, chosen, told)?);
    }
    Ok(all)
}

/// Carries out a scenario's plan with a death at the place of this number or name; the run and its journal, or
/// nothing when there is no such place.
///
/// # Errors
/// As [`kill_campaign`].
pub fn kill_once(
    scenario: &Scenario,
    revert: bool,
    place: &str,
    journal: impl FnOnce(&Plan) -> Result<Journal, JournalError>,
) -> Result<Option<(FaultRun, Journal)>, RehearseError> {
    let plan = planned(scenario)?;
    let (taken, forks) = sync_channel(1);
    let choice = Chosen::One(place.to_owned()).choice();
    branched(scenario, &plan, revert, Forks::new(choice, taken))?;
    let Ok(fork) = forks.recv() else {
        return Ok(None);
    };
    let mut journal = journal(&plan)?;
    let run = paused()?.block_on(resumed(scenario, &mut journal, fork, revert))?;
    Ok(Some((run, journal)))
}

fn every_death(
    scenario: &Scenario,
    field: Field<'_>,
    chosen: &Chosen,
    mut finished: impl FnMut(usize),
) -> Result<Vec<FaultRun>, RehearseError> {
    let plan = planned(scenario)?;
    let threads = field.threads.max(1);
    let (taken, forks) = sync_channel(threads);
    let (done, runs) = channel();
    let forks = Mutex::new(forks);
    let mut killed: Vec<(u64, FaultRun)> = Vec::new();
    std::thread::scope(|scope| {
        let taking = Forks::new(chosen.choice(), taken);
        let (plan, forks) = (&plan, &forks);
        let branching = scope.spawn(move || branched(scenario, plan, field.revert, taking));
        for _ in 0..threads {
            let done = done.clone();
            scope.spawn(move || carry_on(scenario, (plan, field.revert), forks, done));
        }
        drop(done);
        for (number, run) in runs {
            killed.push((number, run?));
            finished(killed.len());
        }
        branching.join().unwrap_or(Ok(()))
    })?;
    killed.sort_by_key(|(number, _)| *number);
    Ok(killed.into_iter().map(|(_, run)| run).collect())
}

fn planned(scenario: &Scenario) -> Result<Plan, RehearseError> {
    paused()?.block_on(campaign_plan(scenario, scenario.seed))
}

fn branched(
    scenario: &Scenario,
    plan: &Plan,
    revert: bool,
    forks: Forks,
) -> Result<(), RehearseError> {
    let mut journal = Journal::in_memory(plan)?;
    let run = branching(scenario, &mut journal, revert, &forks);
    paused()?.block_on(run).map(|_| ())
}

/// Carries forks to their ends until there are no more.
fn carry_on(
    scenario: &Scenario,
    (plan, revert): (&Plan, bool),
    forks: &Mutex<Receiver<Fork>>,
    done: Sender<(u64, Killed)>,
) {
    let next = || forks.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let mut listened_to = true;
    while let Ok(fork) = next() {
        // What nobody waits for is still taken, so that whoever makes copies comes to an end.
        if listened_to {
            let number = fork.place.number;
            let run = carried(scenario, plan, fork, revert);
            listened_to = done.send((number, run)).is_ok();
        }
    }
}

fn carried(scenario: &Scenario, plan: &Plan, fork: Fork, revert: bool) -> Killed {
    let mut journal = Journal::in_memory(plan)?;
    paused()?.block_on(resumed(scenario, &mut journal, fork, revert))
}

impl Chosen {
    fn choice(&self) -> Choice {
        match self.clone() {
            Self::All => Arc::new(|_| true),
            Self::Every { stride, offset } => {
                let stride = stride.max(1);
                Arc::new(move |place| place.number % stride == offset % stride)
            }
            Self::One(wanted) => Arc::new(move |place| place.is_called(&wanted)),
        }
    }
}
