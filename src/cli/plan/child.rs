//! `plan --from JOURNAL`: a plan that goes on from what really happened.

use std::path::Path;

use snapmigrate_models::schedule::make_child;

use super::{Args, refusal, shown};
use crate::cli::wishes::Wishes;
use crate::cli::{CliError, Exit, Ui, files};
use crate::clock::Clock;

pub fn run(args: &Args, journal: &Path, ui: &Ui) -> Result<Exit, CliError> {
    if args.wishes != Wishes::default() {
        return Err(CliError::usage("a child plan keeps to its parent's policy")
            .hint("for another policy make a new plan, and a new journal with it"));
    }
    let recorded = files::journal(journal)?;
    let clock = Clock::System.now();
    let last = recorded.progress.last_event_at;
    let now = args
        .at
        .unwrap_or_else(|| last.map_or(clock, |last| clock.max(last)));
    let plan =
        make_child(&recorded.plan, &recorded.progress, now, args.seed, None).map_err(refusal)?;
    shown(args, &plan, ui)
}
