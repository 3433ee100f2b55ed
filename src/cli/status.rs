//! `status`: where a migration stands, read from its journal.

use std::path::PathBuf;

use snapmigrate_models::status;

use super::{CliError, Exit, Ui, files};
use crate::clock::Clock;
use crate::view;

/// Show where a migration stands: who serves, what runs, what is waited for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Reads only; also while `execute` runs.

Examples:
  snapmigrate status orders.journal.sqlite
  snapmigrate status orders.journal.sqlite --json")]
pub struct Args {
    /// Journal of the migration.
    journal: PathBuf,
}

/// Reads and shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let recorded = files::journal(&args.journal)?;
    let status = status::status(&recorded.plan, &recorded.progress, Clock::System.now());
    ui.show(&status, view::status)?;
    Ok(Exit::Done)
}
