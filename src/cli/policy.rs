//! `policy`: the least-privilege IAM policies a plan needs, one per side.

use std::path::PathBuf;

use super::{CliError, Exit, Ui, files};
use crate::iam;

/// Print the least-privilege IAM policies for the source and target roles of a plan.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate policy plan.json > iam.json
  snapmigrate policy plan.json --side source > source-role.json")]
pub struct Args {
    /// Plan to write them for.
    plan: PathBuf,
    /// Only this side, as a bare policy document.
    #[arg(long, value_enum)]
    side: Option<Side>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Side {
    Source,
    Target,
    Reader,
}

pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let policies = iam::policies(&files::plan(&args.plan)?);
    match args.side {
        None => ui.json(&policies)?,
        Some(Side::Source) => ui.json(&policies.source)?,
        Some(Side::Target) => ui.json(&policies.target)?,
        Some(Side::Reader) => match &policies.reader {
            Some(reader) => ui.json(reader)?,
            None => {
                return Err(CliError::usage(
                    "the plan does not take path direct: nobody needs a reader",
                ));
            }
        },
    }
    Ok(Exit::Done)
}
