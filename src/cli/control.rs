//! The control verbs: what an operator says, to a running executor through the file beside its
//! journal, or into the journal itself while nobody executes.

use std::path::PathBuf;

use snapmigrate_models::step::{Event, Verb};

use super::{CliError, Exit, Kind, Ui, files};
use crate::clock::Clock;
use crate::execute::request;
use crate::journal::{Journal, JournalError, Recorded};

/// The journal of the migration that is spoken to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A running executor hears it within seconds; otherwise it is journaled at once \
and heard when `execute` is started again.

Examples:
  snapmigrate postpone plan.journal.sqlite
  snapmigrate cutover plan.journal.sqlite
  snapmigrate abort plan.journal.sqlite"
)]
pub struct Args {
    /// Journal of the migration.
    journal: PathBuf,
}

/// The same for `abort`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate abort plan.journal.sqlite
  snapmigrate abort plan.journal.sqlite --delete-snapshots")]
pub struct AbortArgs {
    /// Journal of the migration.
    journal: PathBuf,
    /// Delete the chain's snapshots and copies once the source serves; without it they stay for the next attempt.
    #[arg(long)]
    delete_snapshots: bool,
}

/// Says `abort`; the snapshots may go afterwards when that was said, too.
pub fn abort(args: &AbortArgs, ui: &Ui) -> Result<Exit, CliError> {
    let journal = Args {
        journal: args.journal.clone(),
    };
    if args.delete_snapshots {
        let recorded = files::journal(&args.journal)?;
        admissible(&recorded, Verb::Abort)?;
        run(&journal, Verb::DeleteSnapshots, ui)?;
    }
    run(&journal, Verb::Abort, ui)
}

/// Says `verb`, unless it could not mean anything now.
pub fn run(args: &Args, verb: Verb, ui: &Ui) -> Result<Exit, CliError> {
    let recorded = files::journal(&args.journal)?;
    admissible(&recorded, verb)?;
    let failed = |error: JournalError| CliError::failed("it was not said").caused_by(error);
    match Journal::open(&args.journal, &recorded.plan) {
        Ok(mut journal) => {
            let event = Event::Operator { verb };
            journal
                .append(Clock::System.now(), &event)
                .map_err(failed)?;
            ui.note("journaled; nobody executes now, `execute` goes on with it");
        }
        Err(JournalError::Locked { .. }) => {
            request(&args.journal, verb)
                .map_err(|error| CliError::failed("it was not said").caused_by(error))?;
            ui.note("said; the executor hears it within seconds");
        }
        Err(error) => return Err(failed(error)),
    }
    Ok(Exit::Done)
}

fn admissible(recorded: &Recorded, verb: Verb) -> Result<(), CliError> {
    let event = Event::Operator { verb };
    recorded
        .progress
        .check(&event)
        .map_err(|error| CliError::new(Kind::Refused, "that cannot be done now").caused_by(error))
}
