//! `rehearse`: a whole migration on the embedded lab, in seconds.

mod trouble;

use std::num::NonZero;
use std::path::PathBuf;

use snapmigrate_lab::Scenario;
use snapmigrate_models::campaign::Campaign;
use snapmigrate_models::decide::Goal;
use snapmigrate_models::report::RunOutcome;

use super::error::Kind;
use super::{CliError, Exit, Ui, check, runtime};
use crate::execute::Ended;
use crate::journal::Journal;
use crate::rehearse::{Rehearsed, Wish, campaign, rehearse};
use crate::view;

/// Rehearse a migration on the embedded lab: measure, plan, cut over, verify, compare with the forecast.
///
/// The lab simulates AWS below the wire and needs no account. Time is virtual: a migration of a
/// day takes seconds. The same seed gives the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate rehearse fixtures/scenarios/fourteen-hours.toml
  snapmigrate rehearse fixtures/scenarios/tiny.toml --seed 42 --json > report.json
  snapmigrate rehearse fixtures/scenarios/tiny.toml --journal rehearsal.journal
  snapmigrate rehearse fixtures/scenarios/calibration.toml --runs 200
  snapmigrate rehearse fixtures/scenarios/tiny*.toml fixtures/scenarios/direct.toml --faults 10000
  snapmigrate rehearse fixtures/scenarios/tiny.toml --faults 1 --seed 417   # that one run again
  snapmigrate rehearse fixtures/scenarios/tiny*.toml fixtures/scenarios/direct.toml --kill-points
  snapmigrate rehearse fixtures/scenarios/tiny.toml --kill-point 217        # that one death, and its journal
  snapmigrate rehearse fixtures/scenarios/tiny.toml --revert
  snapmigrate rehearse fixtures/scenarios/tiny.toml --revert --kill-points")]
pub struct Args {
    /// What the lab simulates: volumes, workload, service behaviour, policy. Several only with `--faults` and
    /// `--kill-points`.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// Seed of the lab and of the forecast [default: the scenario's].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep the journal in this file; it must not exist yet.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Stop when the chain is in the target, as `execute` without `--cutover` does.
    #[arg(long)]
    no_cutover: bool,
    /// Rehearse this often, four runs in each world from the seed on, on all cores, and count how often the
    /// forecasts held.
    /// The verdict is that of the scenario's policy; the runs are carried out without its limits, so that
    /// the truth is known where it refuses.
    #[arg(long, value_name = "N", conflicts_with_all = ["journal", "no_cutover"],
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: Option<u32>,
    /// Carry out the scenario's plans this many times, from the first seed on, on all cores, while requests and
    /// answers are lost, operations fail or hang, snapshots are deleted, clocks are set, disks fill up and the executor
    /// stands still or is killed, and let an observer judge each end. Of several scenarios each seed takes one.
    #[arg(long, value_name = "N", conflicts_with_all = ["no_cutover", "runs"],
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    faults: Option<u32>,
    /// Carry out the scenario's plan once for every place at which the executor can die: each call that changes
    /// something and each kind of question once in a step, before it is sent, after its effect and after its answer,
    /// and each entry of the journal.
    #[arg(long, conflicts_with_all = ["journal", "no_cutover", "runs", "faults"])]
    kill_points: bool,
    /// Only the death at this place, by the number or the name that `--kill-points` prints; shows its journal.
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["no_cutover", "runs", "faults", "kill_points"])]
    kill_point: Option<String>,
    /// Go back to the source after the cutover, as an operator with `revert` would, and give up what the target took
    /// meanwhile; also within `--faults` and `--kill-points`.
    #[arg(long, conflicts_with_all = ["no_cutover", "runs"])]
    revert: bool,
    /// Do not announce each step.
    #[arg(long, short)]
    quiet: bool,
}

/// Rehearses and shows plan, steps and report; with `--json` only the report.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    if let Some(path) = args.journal.as_ref().filter(|path| path.exists()) {
        let message = format!(
            "{} exists: a rehearsal begins its own journal",
            path.display()
        );
        return Err(CliError::usage(message));
    }
    let scenarios = scenarios(args)?;
    if args.kill_points {
        return trouble::kill_everywhere(args, &scenarios, ui);
    }
    if let Some(runs) = args.faults {
        return trouble::disturb_many(args, &scenarios, runs, ui);
    }
    let [scenario] = scenarios.as_slice() else {
        let message = "several scenarios are rehearsed only with --faults and --kill-points";
        return Err(CliError::usage(message));
    };
    if let Some(place) = &args.kill_point {
        return trouble::kill_once(args, scenario, place, ui);
    }
    let seed = scenario.seed;
    if let Some(runs) = args.runs {
        return rehearse_many(args, scenario, runs, ui);
    }
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
    let wish = Wish {
        goal: Goal {
            cutover: !args.no_cutover,
        },
        revert: args.revert,
    };
    let rehearsed = runtime::rehearsal(rehearse(scenario, seed, wish, journal, &mut announce))?
        .map_err(|error| CliError::failed("the rehearsal could not run").caused_by(error))?;
    let exit = show(&rehearsed, ui)?;
    let went_back = rehearsed.report.outcome == RunOutcome::Reverted;
    Ok(match exit {
        Exit::Stopped if args.revert && went_back => Exit::Done,
        Exit::Done if args.revert => Exit::Failed,
        exit => exit,
    })
}

/// Runs between two words on how far a campaign is.
const ANNOUNCED_RUNS: usize = 10;

/// The scenarios as they are to be drawn.
fn scenarios(args: &Args) -> Result<Vec<Scenario>, CliError> {
    // A fault campaign's seeds are those of its trouble: its plans must be the same whichever it begins with.
    let drawn = args.seed.filter(|_| args.faults.is_none());
    let load = |path: &PathBuf| {
        Scenario::load_with(path, drawn)
            .map_err(|error| CliError::usage("cannot use the scenario").caused_by(error))
    };
    args.scenarios.iter().map(load).collect()
}

/// A campaign; fails when a run did not come to a report, whatever the forecasts were worth.
fn rehearse_many(args: &Args, scenario: &Scenario, runs: u32, ui: &Ui) -> Result<Exit, CliError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let wanted = usize::try_from(runs).unwrap_or(usize::MAX);
    let announce = |done: usize| {
        if !args.quiet && (done.is_multiple_of(ANNOUNCED_RUNS) || done == wanted) {
            ui.note(&format!("{done} of {runs} runs"));
        }
    };
    let rehearsed = campaign(
        &args.scenarios[0],
        (scenario.seed, wanted),
        threads,
        announce,
    );
    let campaign = Campaign::of(&scenario.name, rehearsed);
    ui.show(&campaign, view::campaign)?;
    if campaign.summary.cut_over == campaign.summary.runs {
        return Ok(Exit::Done);
    }
    Ok(Exit::Failed)
}

fn show(rehearsed: &Rehearsed, ui: &Ui) -> Result<Exit, CliError> {
    if !ui.is_json() {
        ui.text(&view::plan(&rehearsed.plan))?;
        ui.text("")?;
    }
    if rehearsed.ended.is_some() && !rehearsed.findings.findings.is_empty() {
        ui.note(view::findings(&rehearsed.findings).trim_end());
    }
    ui.show(&rehearsed.report, view::report)?;
    match &rehearsed.ended {
        None => Err(check::refusal(&rehearsed.findings)),
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
