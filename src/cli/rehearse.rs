//! `rehearse`: a whole migration on the embedded lab, in seconds.

use std::num::NonZero;
use std::path::PathBuf;

use snapmigrate_lab::Scenario;
use snapmigrate_models::campaign::Campaign;
use snapmigrate_models::decide::Goal;
use snapmigrate_models::faults::FaultCampaign;
use snapmigrate_models::report::RunOutcome;

use super::error::Kind;
use super::{CliError, Exit, Ui, check, runtime};
use crate::execute::Ended;
use crate::journal::Journal;
use crate::rehearse::{Rehearsed, Wish, campaign, fault_campaign, kill_campaign, rehearse};
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
  snapmigrate rehearse fixtures/scenarios/tiny.toml --faults 1000
  snapmigrate rehearse fixtures/scenarios/tiny.toml --faults 1 --seed 417   # that one run again
  snapmigrate rehearse fixtures/scenarios/tiny.toml --kill-points
  snapmigrate rehearse fixtures/scenarios/tiny.toml --revert
  snapmigrate rehearse fixtures/scenarios/tiny.toml --revert --kill-points")]
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
    /// Rehearse this often, four runs in each world from the seed on, on all cores, and count how often the
    /// forecasts held.
    /// The verdict is that of the scenario's policy; the runs are carried out without its limits, so that
    /// the truth is known where it refuses.
    #[arg(long, value_name = "N", conflicts_with_all = ["journal", "no_cutover"],
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: Option<u32>,
    /// Carry out the scenario's plan this many times, from the first seed on, on all cores, while requests and
    /// answers are lost, operations fail or hang and the executor is killed, and let an observer judge each end.
    #[arg(long, value_name = "N", conflicts_with_all = ["no_cutover", "runs"],
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    faults: Option<u32>,
    /// Carry out the scenario's plan once for every place at which the executor can die: each call, before it is
    /// sent and after its effect, and each entry of the journal.
    #[arg(long, conflicts_with_all = ["journal", "no_cutover", "runs", "faults"])]
    kill_points: bool,
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
    // A fault campaign's seeds are those of its trouble: its plan must be the same whichever it begins with.
    let drawn = args.seed.filter(|_| args.faults.is_none());
    let scenario = Scenario::load_with(&args.scenario, drawn)
        .map_err(|error| CliError::usage("cannot use the scenario").caused_by(error))?;
    if let Some(path) = args.journal.as_ref().filter(|path| path.exists()) {
        let message = format!(
            "{} exists: a rehearsal begins its own journal",
            path.display()
        );
        return Err(CliError::usage(message));
    }
    let seed = scenario.seed;
    if let Some(runs) = args.runs {
        return rehearse_many(args, &scenario, runs, ui);
    }
    if args.kill_points {
        return kill_everywhere(args, &scenario, ui);
    }
    if let Some(runs) = args.faults {
        return disturb_many(args, &scenario, runs, ui);
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
    let rehearsed = runtime::rehearsal(rehearse(&scenario, seed, wish, journal, &mut announce))?
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
/// The same for disturbed ones, which are shorter.
const DISTURBED_RUNS: usize = 100;

/// A campaign; fails when a run did not come to a report, whatever the forecasts were worth.
fn rehearse_many(args: &Args, scenario: &Scenario, runs: u32, ui: &Ui) -> Result<Exit, CliError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let wanted = usize::try_from(runs).unwrap_or(usize::MAX);
    let announce = |done: usize| {
        if !args.quiet && (done.is_multiple_of(ANNOUNCED_RUNS) || done == wanted) {
            ui.note(&format!("{done} of {runs} runs"));
        }
    };
    let rehearsed = campaign(&args.scenario, (scenario.seed, wanted), threads, announce);
    let campaign = Campaign::of(&scenario.name, rehearsed);
    ui.show(&campaign, view::campaign)?;
    if campaign.summary.cut_over == campaign.summary.runs {
        return Ok(Exit::Done);
    }
    Ok(Exit::Failed)
}

/// A fault campaign; fails when a promise was broken.
fn disturb_many(args: &Args, scenario: &Scenario, runs: u32, ui: &Ui) -> Result<Exit, CliError> {
    let first = args.seed.unwrap_or(scenario.seed);
    let seeds: Vec<u64> = (0..runs)
        .map(|run| first.wrapping_add(run.into()))
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let announce = |done: usize| {
        if !args.quiet && (done.is_multiple_of(DISTURBED_RUNS) || done == seeds.len()) {
            ui.note(&format!("{done} of {runs} runs"));
        }
    };
    if args.journal.is_some() && runs > 1 {
        let message = "--journal keeps the journal of one run";
        return Err(CliError::usage(message).hint("with --faults 1 --seed N"));
    }
    let journal = |plan: &_| match &args.journal {
        Some(path) => Journal::open(path, plan),
        None => Journal::in_memory(plan),
    };
    let disturbed = fault_campaign(scenario, (&seeds, args.revert), threads, journal, announce)
        .map_err(|error| CliError::failed("the campaign could not run").caused_by(error))?;
    judge(&FaultCampaign::of(&scenario.name, first, &disturbed), ui)
}

/// A death at every place; fails when a promise was broken.
fn kill_everywhere(args: &Args, scenario: &Scenario, ui: &Ui) -> Result<Exit, CliError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let announce = |done: usize, of: usize| {
        if !args.quiet && (done.is_multiple_of(DISTURBED_RUNS) || done == of) {
            ui.note(&format!("{done} of {of} kill points"));
        }
    };
    let killed = kill_campaign(scenario, args.revert, threads, announce)
        .map_err(|error| CliError::failed("the campaign could not run").caused_by(error))?;
    judge(
        &FaultCampaign::of(&scenario.name, scenario.seed, &killed),
        ui,
    )
}

fn judge(campaign: &FaultCampaign, ui: &Ui) -> Result<Exit, CliError> {
    ui.show(campaign, view::faults)?;
    Ok(if campaign.violations.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
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
