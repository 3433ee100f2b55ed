//! `journal export`: a journal as JSON lines.

use std::path::PathBuf;

use super::{CliError, Exit, Ui, files};

/// Work with journals.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: JournalVerb,
}

#[derive(Debug, clap::Subcommand)]
enum JournalVerb {
    Export(Export),
}

/// Write a journal as JSON lines: a header, then one line per entry, each with its checksum.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate journal export orders.journal.sqlite > orders.jsonl
  snapmigrate journal export orders.journal.sqlite -o orders.jsonl")]
struct Export {
    /// Journal of the migration.
    journal: PathBuf,
    /// File to write instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Exports.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let JournalVerb::Export(export) = &args.verb;
    let lines = files::journal(&export.journal)?.export();
    match &export.output {
        Some(path) => files::save(path, &lines)?,
        None => ui.text(&lines)?,
    }
    Ok(Exit::Done)
}
