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
  snapmigrate abort plan.journal.sqlite
  snapmigrate finalize plan.journal.sqlite"
)]
pub struct Args {
    /// Journal of the migration.
    journal: PathBuf,
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
            ui.note(if verb == Verb::Finalize {
                "journaled: the migration is final"
            } else {
                "journaled; nobody executes now, `execute` goes on with it"
            });
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

/// `revert` is no command yet: says so, with the way back by hand.
pub fn revert(args: &Args) -> Result<Exit, CliError> {
    files::journal(&args.journal)?;
    Err(CliError::usage("there is no revert yet").hint(
        "before the commit: snapmigrate abort JOURNAL; after it, the way back is by hand: \
         snapmigrate runbook PLAN, section \"The way back\"",
    ))
}

fn admissible(recorded: &Recorded, verb: Verb) -> Result<(), CliError> {
    let refused = |reason: &str| Err(CliError::new(Kind::Refused, reason));
    let compared = recorded.progress.verification.as_ref();
    if verb == Verb::Finalize && compared.is_none_or(|found| found.mismatches > 0) {
        return refused(
            "not final: the comparison of the final snapshots has not ended without a mismatch",
        );
    }
    let event = Event::Operator { verb };
    recorded
        .progress
        .check(&event)
        .map_err(|error| CliError::new(Kind::Refused, "that cannot be done now").caused_by(error))
}
