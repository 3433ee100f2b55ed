//! `rehearse`: a whole migration on the embedded lab, in seconds.

use std::path::PathBuf;

use snapmigrate_lab::Scenario;
use snapmigrate_models::decide::Goal;
use snapmigrate_models::report::RunOutcome;

use super::error::Kind;
use super::{CliError, Exit, Ui, runtime};
use crate::execute::Ended;
use crate::journal::Journal;
use crate::rehearse::{Rehearsed, rehearse};
use crate::view;

/// Rehearse a migration on the embedded lab: measure, plan, cut over, verify, compare with the forecast.
///
/// The lab simulates AWS below the wire and needs no account. Time is virtual: a migration of a
/// day takes seconds. The same seed gives the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate rehearse fixtures/scenarios/fourteen-hours.toml
  snapmigrate rehearse fixtures/scenarios/tiny.toml --seed 42 --json > report.json
  snapmigrate rehearse fixtures/scenarios/tiny.toml --journal rehearsal.journal")]
pub struct Args {
    /// What the lab simulates: volumes, workload, service behaviour, policy.
    scenario: PathBuf,
    /// Seed of the lab and of the forecast [default: the scenario's].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep the journal in this file; it must not exist yet.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Stop when the chain is in the target, as `execute` without `--cutover` does.
    #[arg(long)]
    no_cutover: bool,
    /// Do not announce each step.
    #[arg(long, short)]
    quiet: bool,
}

/// Rehearses and shows plan, steps and report; with `--json` only the report.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let scenario = Scenario::load(&args.scenario)
        .map_err(|error| CliError::usage("cannot use the scenario").caused_by(error))?;
    if let Some(path) = args.journal.as_ref().filter(|path| path.exists()) {
        let message = format!(
            "{} exists: a rehearsal begins its own journal",
            path.display()
        );
        return Err(CliError::usage(message));
    }
    let seed = args.seed.unwrap_or(scenario.seed);
    let quiet = args.quiet || ui.is_json();
    let mut announce = |entry: &crate::journal::Entry, _: &_| {
        if let Some(line) = view::line(entry.at, &entry.event).filter(|_| !quiet) {
            ui.note(&line);
        }
    };
    let journal = |plan: &_| match &args.journal {
        Some(path) => Journal::open(path, plan),
        None => Journal::in_memory(plan),
    };
    let goal = Goal {
        cutover: !args.no_cutover,
    };
    let rehearsed = runtime::rehearsal(rehearse(&scenario, seed, goal, journal, &mut announce))?
        .map_err(|error| CliError::failed("the rehearsal could not run").caused_by(error))?;
    show(&rehearsed, ui)
}

fn show(rehearsed: &Rehearsed, ui: &Ui) -> Result<Exit, CliError> {
    if !ui.is_json() {
        ui.text(&view::plan(&rehearsed.plan))?;
        ui.text("")?;
    }
    ui.show(&rehearsed.report, view::report)?;
    match &rehearsed.ended {
        None => Err(CliError::new(Kind::Refused, "the check refuses the plan")
            .hint(view::findings(&rehearsed.findings))),
        Some(Ended::Closed { outcome, .. }) => Ok(exit(*outcome, &rehearsed.report)),
        Some(Ended::AwaitingOperator { reason }) => {
            Err(CliError::new(Kind::Waiting, reason.clone()))
        }
        Some(Ended::Stopped { reason }) => Err(CliError::new(Kind::Stopped, reason.clone())),
    }
}

fn exit(outcome: RunOutcome, report: &snapmigrate_models::report::Report) -> Exit {
    let differs = report
        .verification
        .as_ref()
        .is_some_and(|found| found.mismatches > 0);
    match outcome {
        RunOutcome::CutOver | RunOutcome::Copied if !differs => Exit::Done,
        RunOutcome::Aborted | RunOutcome::Reverted => Exit::Stopped,
        _ => Exit::Failed,
    }
}
