//! A campaign: one scenario rehearsed in world after world, in each with several lucks, to see how often the
//! forecast holds.
//!
//! A world is what its scenario draws and how fast its services are; luck is what varies in it from run to run:
//! when what is written, and what each operation comes to. So the runs of a world tell its own quantiles.
//!
//! Every run is measured and planned as the scenario's operator wishes, and carried out without a
//! limit on the downtime: a cutover that a limit would stop still tells whether the verdict was
//! right. Runs share nothing, so their number of threads changes nothing but the time it takes.

use std::path::Path;

use snapmigrate_lab::Scenario;
use snapmigrate_models::campaign::CampaignRun;
use snapmigrate_models::decide::Goal;
use snapmigrate_models::policy::Policy;
use snapmigrate_models::report::Report;
use snapmigrate_models::schedule::make_plan;

use super::many::{over, paused};
use super::run::{Wish, carry_out};
use super::{RehearseError, Stage};
use crate::journal::Journal;

/// A limit no cutover reaches: a month.
const NO_LIMIT_SECONDS: f64 = 30.0 * 86_400.0;

/// Runs of one world.
const LUCKS: usize = 4;
/// Keeps the seeds of two lucks of one world apart from those of other worlds.
const LUCK_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A run's chance.
#[derive(Clone, Copy, Debug)]
struct Chance {
    world: u64,
    luck: u64,
}

impl Chance {
    /// The first luck of a world is its own seed: the run that `rehearse --seed` shows.
    fn of(first: u64, index: usize) -> Self {
        let (world, luck) = (index / LUCKS, index % LUCKS);
        let world = first.wrapping_add(world as u64);
        Self {
            world,
            luck: world.wrapping_add(LUCK_STEP.wrapping_mul(luck as u64)),
        }
    }
}

/// Rehearses a scenario `runs` times, in worlds from the seed `first` on, on so many threads; `finished` is told
/// how many runs are done. The result is in the order of worlds and lucks, whatever the number of threads.
pub fn campaign(
    scenario: &Path,
    (first, runs): (u64, usize),
    threads: usize,
    finished: impl FnMut(usize),
) -> Vec<CampaignRun> {
    let chances: Vec<Chance> = (0..runs).map(|index| Chance::of(first, index)).collect();
    over(&chances, threads, |chance| one(scenario, *chance), finished)
}

/// One run; what keeps it from a report is part of the result.
fn one(scenario: &Path, chance: Chance) -> CampaignRun {
    let mut run = CampaignRun::of_chance(chance.world, chance.luck);
    let told = Scenario::load_with(scenario, Some(chance.world))
        .map_err(|error| chain(&error))
        .and_then(|scenario| {
            paused()
                .map_err(|error| chain(&error))?
                .block_on(rehearsed(&scenario, chance.luck, &mut run))
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
    luck: u64,
    run: &mut CampaignRun,
) -> Result<Report, RehearseError> {
    let stage = Stage::set(scenario, luck).await?;
    let profile = stage.measure(scenario).await?;
    let now = stage.clock.now();
    run.planned(&make_plan(&profile, &stage.policy, now, luck)?, &profile);
    let plan = make_plan(&profile, &limitless(&stage.policy), now, luck)?;
    let mut journal = Journal::in_memory(&plan)?;
    let wish = Wish {
        goal: Goal { cutover: true },
        revert: false,
    };
    carry_out(stage, scenario, wish, &mut journal, &mut |_, _| {}).await?;
    let entries = &journal.recorded().entries;
    let events = entries.iter().map(|entry| (entry.at, &entry.event));
    run.passed(&plan, events);
    Ok(journal.recorded().report())
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

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    std::iter::once(error.to_string())
        .chain(causes.map(ToString::to_string))
        .collect::<Vec<String>>()
        .join(": ")
}
