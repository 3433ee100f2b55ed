//! `runbook`: a plan as Markdown for the person who carries it out.

use std::path::PathBuf;

use super::{CliError, Exit, Ui, files};
use crate::view;

/// Write the runbook of a plan: what happens when, what to paste, what to do when a step fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate runbook plan.json > runbook.md
  snapmigrate runbook plan.json -o runbook.md")]
pub struct Args {
    /// Plan to write it for.
    plan: PathBuf,
    /// File to write instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let plan = files::plan(&args.plan)?;
    let runbook = view::runbook(&plan, &args.plan.display().to_string());
    match &args.output {
        Some(path) => files::save(path, &runbook.markdown())?,
        None => ui.show(&runbook, view::Runbook::markdown)?,
    }
    Ok(Exit::Done)
}
