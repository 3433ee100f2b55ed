//! `try`: a restore on the real target, measured and removed, before anybody depends on it.

use std::path::{Path, PathBuf};

use snapmigrate_models::control::Word;
use snapmigrate_models::decide::{Goal, admissible};
use snapmigrate_models::plan::Plan;
use snapmigrate_models::policy::TransferPath;
use snapmigrate_models::step::{Action, Event, Verb};
use snapmigrate_models::trial::TrialReport;

use super::error::Kind;
use super::say::say;
use super::{CliError, ConnectionArgs, Exit, StateArgs, Ui, execute, runtime};
use crate::execute::Ended;
use crate::journal::{Journal, JournalError};
use crate::view;

/// Restore a round on the target, start its database isolated, measure, and remove all of it.
///
/// Takes the last round that is in the target; when none is, the chain is executed until one is. Nothing on the
/// source is fenced, no client is touched, and the started database is never promoted. What it took is in the
/// journal: the gate of this migration forecasts with it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A running executor hears it within seconds. Killed, the same command first removes what is left.

Exit codes: 0 tried and removed, 1 it could not be started or removed, 3 the plan has nothing to try,
4 stopped before, 5 waiting for the operator.

Examples:
  snapmigrate try plan.json --source-profile old --target-profile new
  snapmigrate try plan.json --json > try.json"
)]
pub struct Args {
    /// Plan of the migration.
    plan: PathBuf,
    /// Journal; begun when there is none [default: beside the plan, PLAN without .json plus
    /// .journal.sqlite].
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    state: StateArgs,
}

/// Tries, shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let plan = super::files::plan(&args.plan)?;
    suits(&plan)?;
    let path = args
        .journal
        .clone()
        .unwrap_or_else(|| execute::beside(&args.plan));
    ui.note(&format!("journal {}", path.display()));
    let begun = path
        .exists()
        .then(|| Journal::open(&path, &plan))
        .transpose();
    match begun {
        Ok(begun) => try_now(args, (&plan, &path), begun, ui),
        Err(JournalError::Locked { .. }) => {
            say(&path, &super::files::journal(&path)?, &[Word::Try], None)?;
            ui.note("said; the executor tries a restore when the next round is in the target");
            Ok(Exit::Done)
        }
        Err(error) => Err(execute::unusable(error)),
    }
}

/// Only what is restored from snapshots can be tried, and only where there is a host.
fn suits(plan: &Plan) -> Result<(), CliError> {
    let refused = |reason: String| CliError::new(Kind::Refused, reason);
    admissible(plan, Goal { cutover: true }).map_err(refused)?;
    if plan
        .rounds
        .iter()
        .any(|round| round.path == TransferPath::Direct)
    {
        return Err(refused(
            "on path direct nothing is restored from a snapshot: its volumes are written and read back before the \
             fence anyway"
                .to_owned(),
        ));
    }
    Ok(())
}

fn try_now(
    args: &Args,
    (plan, path): (&Plan, &Path),
    begun: Option<Journal>,
    ui: &Ui,
) -> Result<Exit, CliError> {
    let of = execute::Args::going_on(path, &args.connection, &args.state);
    let before = begun
        .as_ref()
        .map(|journal| journal.progress().trial.clone());
    let before = before.unwrap_or_default();
    let doing = execute::Doing {
        ui,
        order: Some(Verb::Try),
        is_enough: &|event| is_tried(event, before.number),
    };
    let (journal, ended) = runtime::network(execute::drive(&of, plan, path, begun, &doing))??;
    let progress = journal.progress();
    let report = TrialReport::of(plan, progress);
    match report.filter(|_| progress.trial.measured != before.measured) {
        Some(report) => {
            ui.show(&report, view::trial)?;
            Ok(Exit::Done)
        }
        None => Ok(untried(&ended, ui)),
    }
}

/// A trial after number `before` has ended, whether it measured or was only removed.
fn is_tried(event: &Event, before: u32) -> bool {
    let Event::Finished { action, .. } = event else {
        return false;
    };
    matches!(action, Action::TryRestore { trial, .. } if *trial > before)
}

fn untried(ended: &Ended, ui: &Ui) -> Exit {
    match ended {
        Ended::Closed { reason, .. } => {
            ui.note(&format!("no restore was tried: {reason}"));
            Exit::Failed
        }
        Ended::AwaitingOperator { reason } => {
            ui.note(&format!("waiting for the operator: {reason}"));
            Exit::Waiting
        }
        Ended::Stopped { reason } => {
            ui.note(&format!(
                "no restore came to its end: {reason}; the journal says why"
            ));
            Exit::Stopped
        }
    }
}
