//! The words that cannot be taken back, and the ones that stop clients: `revert` and `finalize`. Each needs the
//! migration's name, and carries itself out when nobody executes.

use std::path::PathBuf;

use snapmigrate_models::step::{Event, Verb};

use super::error::Kind;
use super::host::leave_hosts;
use super::{CliError, ConnectionArgs, Exit, StateArgs, Ui, execute, files, runtime};
use crate::clock::Clock;
use crate::execute::request;
use crate::journal::{Journal, JournalError, Recorded};

/// The migration, confirmed by its name, and how to reach both sides.
#[derive(Debug, clap::Args)]
struct Confirmed {
    /// Journal of the migration.
    journal: PathBuf,
    /// Name of the migration, as `status` shows it.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// File to write the report to, as JSON.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    state: StateArgs,
}

/// Go back to the source after the cutover, as long as the migration is not final.
///
/// The cutover with its sides swapped: the target's database is stopped under a lease, its fence is made permanent,
/// and then the source's fence is let go and the source serves. What the target took since its activation is missing
/// on the source and stays on the target's volumes. A target whose host does not answer must have its instance
/// stopped: that is looked at, and its volumes are taken from it, before the source serves.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A running executor hears it within seconds; otherwise this command carries it out, and when it
dies the same command, or `execute`, goes on. `abort` calls it off until the target's fence is permanent.

Exit codes: 0 the source serves, 5 waiting for you: the target took writes, or an answer is missing.

Examples:
  snapmigrate revert orders.journal.sqlite --confirm orders
  snapmigrate revert orders.journal.sqlite --confirm orders --discard-target-writes"
)]
pub struct RevertArgs {
    #[command(flatten)]
    of: Confirmed,
    /// Give up on the source what the target took since its activation; without this a target that took writes
    /// goes on serving.
    #[arg(long)]
    discard_target_writes: bool,
}

/// Declare the migration final, after a comparison without a mismatch: gives up the way back, and takes away the
/// helpers that `host install` brought.
///
/// Deletes what later rounds made superfluous and keeps the last two snapshots of each volume with their copies,
/// unless told otherwise; never the source's volumes, and nothing that is not tagged and in the journal.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate finalize orders.journal.sqlite --confirm orders
  snapmigrate finalize orders.journal.sqlite --confirm orders --delete-snapshots")]
pub struct FinalizeArgs {
    #[command(flatten)]
    of: Confirmed,
    /// Delete the last snapshots and copies of the chain, too.
    #[arg(long)]
    delete_snapshots: bool,
}

/// Says it and goes back.
pub fn revert(args: &RevertArgs, ui: &Ui) -> Result<Exit, CliError> {
    let verb = if args.discard_target_writes {
        Verb::RevertDiscarding
    } else {
        Verb::Revert
    };
    let exit = args.of.say(&[verb], ui)?;
    // The source serves: here that is what was asked for.
    Ok(if exit == Exit::Stopped {
        Exit::Done
    } else {
        exit
    })
}

/// Says it and cleans up.
pub fn finalize(args: &FinalizeArgs, ui: &Ui) -> Result<Exit, CliError> {
    let mut verbs = vec![Verb::Finalize];
    if args.delete_snapshots {
        verbs.push(Verb::DeleteSnapshots);
    }
    args.of.say(&verbs, ui)
}

impl Confirmed {
    fn say(&self, verbs: &[Verb], ui: &Ui) -> Result<Exit, CliError> {
        let recorded = files::journal(&self.journal)?;
        self.check_name(&recorded)?;
        check(&recorded, verbs)?;
        let failed = |error: JournalError| CliError::failed("it was not said").caused_by(error);
        match Journal::open(&self.journal, &recorded.plan) {
            Ok(mut journal) => {
                for verb in verbs {
                    let event = Event::Operator { verb: *verb };
                    journal
                        .append(Clock::System.now(), &event)
                        .map_err(failed)?;
                }
                self.carry_out(journal, verbs, ui)
            }
            Err(JournalError::Locked { .. }) => {
                for verb in verbs {
                    request(&self.journal, *verb)
                        .map_err(|error| CliError::failed("it was not said").caused_by(error))?;
                }
                ui.note("said; the executor hears it within seconds");
                Ok(Exit::Done)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn check_name(&self, recorded: &Recorded) -> Result<(), CliError> {
        let name = &recorded.plan.name;
        if self.confirm.as_ref() == Some(name) {
            return Ok(());
        }
        let said = match &self.confirm {
            Some(other) => format!("--confirm says {other}, the journal is of {name}"),
            None => "the name of the migration must be given".to_owned(),
        };
        Err(CliError::usage(format!("{said}; nothing was changed"))
            .hint(format!("--confirm {name}, when that is the one you mean")))
    }

    /// Final without anything to delete needs no account.
    fn carry_out(&self, journal: Journal, verbs: &[Verb], ui: &Ui) -> Result<Exit, CliError> {
        let plan = journal.recorded().plan.clone();
        if verbs == [Verb::Finalize] && journal.progress().closed.is_some() {
            ui.note("journaled: the migration is final, the way back is given up");
            runtime::network(leave_hosts(&plan, &self.connection, ui))??;
            return Ok(Exit::Done);
        }
        let args = execute::Args {
            plan: PathBuf::new(),
            cutover: true,
            journal: Some(self.journal.clone()),
            take_over: false,
            output: self.output.clone(),
            connection: self.connection.clone(),
            state: self.state.clone(),
        };
        execute::carry_on(&args, &plan, &self.journal, Some(journal), ui)
    }
}

/// Each must be possible after the ones before it.
fn check(recorded: &Recorded, verbs: &[Verb]) -> Result<(), CliError> {
    let mut progress = recorded.progress.clone();
    for verb in verbs {
        progress
            .apply(Clock::System.now(), &Event::Operator { verb: *verb })
            .map_err(|error| {
                CliError::new(
                    Kind::Refused,
                    "that cannot be done now; nothing was changed",
                )
                .caused_by(error)
            })?;
    }
    Ok(())
}
