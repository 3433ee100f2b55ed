//! The control verbs: what an operator says about the cutover, to a running executor over its socket, or into the
//! journal itself while nobody executes.

use std::path::{Path, PathBuf};

use snapmigrate_models::control::Word;

use super::say::{Confirmation, Told, say};
use super::{CliError, Exit, Ui, files};
use crate::execute::flag;

/// Hold the cutover; rounds go on.
///
/// A file of the journal's name with `.postpone` behind it does the same for as long as it exists: `touch` is enough.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A running executor answers when it is in the journal; otherwise it is journaled at once \
and heard when `execute` is started again.

Examples:
  snapmigrate postpone plan.journal.sqlite
  snapmigrate postpone plan.journal.sqlite --release     # back to the plan's window
  touch plan.journal.sqlite.postpone                     # the same without the tool; rm releases it"
)]
pub struct PostponeArgs {
    /// Journal of the migration.
    journal: PathBuf,
    /// Hold it no longer: it waits for its window as before.
    #[arg(long)]
    release: bool,
}

/// Cut over as soon as the bounds allow, without waiting for the window.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate cutover plan.journal.sqlite --confirm orders")]
pub struct CutoverArgs {
    /// Journal of the migration.
    journal: PathBuf,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// Stop, and leave the source serving.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate abort plan.journal.sqlite
  snapmigrate abort plan.journal.sqlite --delete-snapshots --confirm orders")]
pub struct AbortArgs {
    /// Journal of the migration.
    journal: PathBuf,
    /// Delete the chain's snapshots and copies once the source serves; without it they stay for the next attempt.
    #[arg(long)]
    delete_snapshots: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// Says `postpone`, or that it is over.
pub fn postpone(args: &PostponeArgs, ui: &Ui) -> Result<Exit, CliError> {
    let flag = flag(&args.journal);
    if args.release && flag.exists() {
        let text = format!("{} holds the cutover", flag.display());
        return Err(CliError::usage(text).hint("remove it: that releases the cutover"));
    }
    let word = match args.release {
        true => Word::Release,
        false => Word::Postpone,
    };
    said(&args.journal, &[word], None, ui)
}

/// Says `cutover`: clients are stopped soon, so the migration must be named.
pub fn cutover(args: &CutoverArgs, ui: &Ui) -> Result<Exit, CliError> {
    let recorded = files::journal(&args.journal)?;
    let what = "The database is fenced as soon as the bounds allow, outside its window, too.";
    let name = args.confirmation.of(&recorded.plan.name, what, ui)?;
    said(&args.journal, &[Word::Cutover], Some(&name), ui)
}

/// Says `abort`; the snapshots may go afterwards when that was said, too.
pub fn abort(args: &AbortArgs, ui: &Ui) -> Result<Exit, CliError> {
    if !args.delete_snapshots {
        return said(&args.journal, &[Word::Abort], None, ui);
    }
    let recorded = files::journal(&args.journal)?;
    let what =
        "The chain's snapshots and copies are deleted: another attempt begins with a full base.";
    let name = args.confirmation.of(&recorded.plan.name, what, ui)?;
    let words = [Word::DeleteSnapshots, Word::Abort];
    said(&args.journal, &words, Some(&name), ui)
}

fn said(journal: &Path, words: &[Word], confirm: Option<&str>, ui: &Ui) -> Result<Exit, CliError> {
    let recorded = files::journal(journal)?;
    ui.note(match say(journal, &recorded, words, confirm)? {
        Told::Executor => "said; the executor goes by it",
        Told::Journal(_) => "journaled; nobody executes now, `execute` goes on with it",
    });
    Ok(Exit::Done)
}
