//! `rehearse --faults`, `--kill-points` and `--kill-point`: rehearsals in which everything goes wrong that may.

use std::num::NonZero;

use snapmigrate_lab::Scenario;
use snapmigrate_models::faults::{FaultCampaign, FaultRun};
use snapmigrate_models::plan::Plan;

use super::Args;
use crate::cli::{CliError, Exit, Ui};
use crate::journal::{Journal, JournalError};
use crate::rehearse::{Chosen, Field, fault_campaign, kill_campaign, kill_once as die_once};
use crate::view;

/// Runs between two words on how far a campaign is.
const ANNOUNCED_RUNS: usize = 100;

/// A fault campaign; fails when a promise was broken.
pub(super) fn disturb_many(
    args: &Args,
    scenarios: &[Scenario],
    runs: u32,
    ui: &Ui,
) -> Result<Exit, CliError> {
    let first = args.seed.unwrap_or(scenarios[0].seed);
    let seeds: Vec<u64> = (0..runs)
        .map(|run| first.wrapping_add(run.into()))
        .collect();
    if args.journal.is_some() && runs > 1 {
        let message = "--journal keeps the journal of one run";
        return Err(CliError::usage(message).hint("with --faults 1 --seed N"));
    }
    let announce = |done: usize| {
        if !args.quiet && (done.is_multiple_of(ANNOUNCED_RUNS) || done == seeds.len()) {
            ui.note(&format!("{done} of {runs} runs"));
        }
    };
    let journal = |plan: &Plan| journal(args, plan);
    let disturbed =
        fault_campaign(field(args, scenarios), &seeds, journal, announce).map_err(could_not_run)?;
    judge(scenarios, first, &disturbed, ui)
}

/// A death at every place; fails when a promise was broken.
pub(super) fn kill_everywhere(
    args: &Args,
    scenarios: &[Scenario],
    ui: &Ui,
) -> Result<Exit, CliError> {
    let announce = |done: usize| {
        if !args.quiet && done.is_multiple_of(ANNOUNCED_RUNS) {
            ui.note(&format!("{done} kill points"));
        }
    };
    let killed =
        kill_campaign(field(args, scenarios), &Chosen::All, announce).map_err(could_not_run)?;
    judge(scenarios, scenarios[0].seed, &killed, ui)
}

/// One death, its journal and the judgement.
pub(super) fn kill_once(
    args: &Args,
    scenario: &Scenario,
    place: &str,
    ui: &Ui,
) -> Result<Exit, CliError> {
    let journal = |plan: &Plan| journal(args, plan);
    let killed = die_once(scenario, args.revert, place, journal).map_err(could_not_run)?;
    let Some((run, journal)) = killed else {
        let message = format!("the executor cannot die at {place}: there is no such place");
        return Err(CliError::usage(message).hint("--kill-points runs all and counts them"));
    };
    let quiet = args.quiet || ui.is_json();
    for entry in journal.recorded().entries.iter().filter(|_| !quiet) {
        if let Some(line) = view::line(entry.at, &entry.event) {
            ui.text(&line)?;
        }
    }
    judge(std::slice::from_ref(scenario), scenario.seed, &[run], ui)
}

fn field<'a>(args: &Args, scenarios: &'a [Scenario]) -> Field<'a> {
    Field {
        scenarios,
        revert: args.revert,
        threads: std::thread::available_parallelism().map_or(1, NonZero::get),
    }
}

fn journal(args: &Args, plan: &Plan) -> Result<Journal, JournalError> {
    match &args.journal {
        Some(path) => Journal::open(path, plan),
        None => Journal::in_memory(plan),
    }
}

fn could_not_run(error: crate::rehearse::RehearseError) -> CliError {
    CliError::failed("the campaign could not run").caused_by(error)
}

fn judge(scenarios: &[Scenario], first: u64, runs: &[FaultRun], ui: &Ui) -> Result<Exit, CliError> {
    let names: Vec<&str> = scenarios
        .iter()
        .map(|scenario| scenario.name.as_str())
        .collect();
    let campaign = FaultCampaign::of(&names, first, runs);
    ui.show(&campaign, view::faults)?;
    Ok(if campaign.violations.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}
