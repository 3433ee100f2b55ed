//! The command line: one command per file, each a straight line of load, call, save, view.
//!
//! This module alone prints, picks exit codes and reads user files. It must not decide anything
//! about a migration: that is `models`.

mod backtest;
mod channel;
mod check;
mod confirmed;
mod connection;
mod control;
mod error;
mod execute;
mod files;
mod host;
mod journal;
mod lab;
mod limits;
mod measure;
mod plan;
mod policy;
mod rehearse;
mod runbook;
mod runtime;
mod say;
mod schema;
mod state;
mod status;
mod sync;
mod trial;
mod ui;
mod verify;
mod wishes;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use connection::ConnectionArgs;
pub use error::{CliError, Exit, Kind};
pub use state::StateArgs;
pub use ui::Ui;

/// Moves a database on EBS volumes to another region or account with minutes of downtime.
///
/// Measures the write rate and the snapshot deltas, forecasts how a chain of incremental snapshots
/// converges, plans the rounds, executes them and cuts over, or says why it cannot.
#[derive(Debug, Parser)]
#[command(name = "snapmigrate", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    /// Show the result as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed, also a mismatch
  2  usage: arguments or a file that cannot be read as what it should be
  3  the plan is infeasible, or a check refuses it
  4  stopped safely, the source serves
  5  waiting for the operator";

#[derive(Debug, Subcommand)]
enum Command {
    Measure(Box<measure::Args>),
    Plan(Box<plan::Args>),
    Check(Box<check::Args>),
    Runbook(runbook::Args),
    Rehearse(rehearse::Args),
    Status(status::Args),
    Journal(journal::Args),
    Execute(Box<execute::Args>),
    Try(Box<trial::Args>),
    Postpone(control::PostponeArgs),
    Cutover(control::CutoverArgs),
    Abort(control::AbortArgs),
    Limits(limits::Args),
    Revert(Box<confirmed::RevertArgs>),
    Finalize(Box<confirmed::FinalizeArgs>),
    Host(Box<host::Args>),
    Policy(policy::Args),
    Backtest(Box<backtest::Args>),
    Schema(schema::Args),
    Verify(Box<verify::Args>),
    Sync(Box<sync::Args>),
    Lab(lab::Args),
}

impl Command {
    fn run(self, ui: &Ui) -> Result<Exit, CliError> {
        match self {
            Self::Measure(args) => measure::run(&args, ui),
            Self::Plan(args) => plan::run(&args, ui),
            Self::Check(args) => check::run(&args, ui),
            Self::Status(args) => status::run(&args, ui),
            Self::Journal(args) => journal::run(&args, ui),
            Self::Rehearse(args) => rehearse::run(&args, ui),
            Self::Runbook(args) => runbook::run(&args, ui),
            Self::Host(args) => host::run(&args, ui),
            Self::Policy(args) => policy::run(&args, ui),
            Self::Try(args) => trial::run(&args, ui),
            Self::Execute(args) => execute::run(&args, ui),
            Self::Postpone(args) => control::postpone(&args, ui),
            Self::Cutover(args) => control::cutover(&args, ui),
            Self::Limits(args) => limits::run(&args, ui),
            Self::Abort(args) => control::abort(&args, ui),
            Self::Revert(args) => confirmed::revert(&args, ui),
            Self::Finalize(args) => confirmed::finalize(&args, ui),
            Self::Backtest(args) => backtest::run(&args, ui),
            Self::Schema(args) => schema::run(&args, ui),
            Self::Verify(args) => verify::run(&args, ui),
            Self::Sync(args) => sync::run(&args, ui),
            Self::Lab(args) => lab::run(&args, ui),
        }
    }
}

/// Runs the tool with the arguments of the process, program name first.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return ui::usage(&error),
    };
    let ui = Ui::new(cli.json);
    match cli.command.run(&ui) {
        Ok(exit) => exit.code(),
        Err(error) => ui.failure(&error),
    }
}
