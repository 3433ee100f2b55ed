//! `status`: where a migration stands, told by its executor or read from its journal.

use std::path::{Path, PathBuf};

use snapmigrate_models::control::{Answer, Request, Word};
use snapmigrate_models::status::{self, Status};

use super::{CliError, Exit, Ui, files};
use crate::clock::Clock;
use crate::execute::{flag, speak};
use crate::view;

/// Show where a migration stands: who serves, what runs, what is waited for.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads only. While `execute` runs it answers itself, and says so.

Examples:
  snapmigrate status orders.journal.sqlite
  snapmigrate status orders.journal.sqlite --json"
)]
pub struct Args {
    /// Journal of the migration.
    journal: PathBuf,
}

/// Reads and shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let status = match live(&args.journal, ui) {
        Some(status) => status,
        None => recorded(&args.journal)?,
    };
    ui.show(&status, view::status)?;
    Ok(Exit::Done)
}

/// As the running executor tells it.
fn live(journal: &Path, ui: &Ui) -> Option<Status> {
    match speak(journal, &Request::new(Word::Status, None)) {
        Ok(Some(Answer::Status(status))) => return Some(*status),
        Ok(Some(Answer::Refused { reason })) => ui.note(&format!("the executor: {reason}")),
        Ok(_) => {}
        Err(error) => ui.note(&error.to_string()),
    }
    None
}

/// As the journal tells it; the flag file is looked at by whoever executes next.
fn recorded(journal: &Path) -> Result<Status, CliError> {
    let recorded = files::journal(journal)?;
    let mut status = status::status(&recorded.plan, &recorded.progress, Clock::System.now());
    status.postponed |= flag(journal).exists();
    Ok(status)
}
