//! The words that cannot be taken back, and the ones that stop clients: `revert` and `finalize`. Each needs the
//! migration's name, and carries itself out when nobody executes.

use std::path::PathBuf;

use snapmigrate_models::control::Word;

use super::host::leave_hosts;
use super::say::{Confirmation, Told, say};
use super::{CliError, ConnectionArgs, Exit, StateArgs, Ui, execute, files, runtime};
use crate::journal::Journal;

/// The migration, confirmed by its name, and how to reach both sides.
#[derive(Debug, clap::Args)]
struct Confirmed {
    /// Journal of the migration.
    journal: PathBuf,
    #[command(flatten)]
    confirmation: Confirmation,
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
    let (word, what) = if args.discard_target_writes {
        let what =
            "The target is stopped, the source serves, and what the target took is missing there.";
        (Word::RevertDiscarding, what)
    } else {
        let what = "The target is stopped and the source serves, unless the target took writes.";
        (Word::Revert, what)
    };
    let exit = args.of.say(&[word], what, ui)?;
    // The source serves: here that is what was asked for.
    Ok(if exit == Exit::Stopped {
        Exit::Done
    } else {
        exit
    })
}

/// Says it and cleans up.
pub fn finalize(args: &FinalizeArgs, ui: &Ui) -> Result<Exit, CliError> {
    let mut words = vec![Word::Finalize];
    if args.delete_snapshots {
        words.push(Word::DeleteSnapshots);
    }
    args.of
        .say(&words, "The way back to the source is given up.", ui)
}

impl Confirmed {
    fn say(&self, words: &[Word], what: &str, ui: &Ui) -> Result<Exit, CliError> {
        let recorded = files::journal(&self.journal)?;
        let name = self.confirmation.of(&recorded.plan.name, what, ui)?;
        match say(&self.journal, &recorded, words, Some(&name))? {
            Told::Journal(journal) => self.carry_out(*journal, words, ui),
            Told::Executor => {
                ui.note("said; the executor goes by it");
                Ok(Exit::Done)
            }
        }
    }

    /// Final without anything to delete needs no account.
    fn carry_out(&self, journal: Journal, words: &[Word], ui: &Ui) -> Result<Exit, CliError> {
        let plan = journal.recorded().plan.clone();
        if words == [Word::Finalize] && journal.progress().closed.is_some() {
            ui.note("journaled: the migration is final, the way back is given up");
            runtime::network(leave_hosts(&plan, &self.connection, ui))?;
            return Ok(Exit::Done);
        }
        let args = execute::Args::going_on(&self.journal, &self.connection, &self.state);
        let args = execute::Args {
            cutover: true,
            output: self.output.clone(),
            ..args
        };
        execute::carry_on(&args, &plan, &self.journal, Some(journal), ui)
    }
}
