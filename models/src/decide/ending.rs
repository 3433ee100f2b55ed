//! What happens last: the chain's snapshots go, where the operator allowed it.

use super::retry::Retry;
use super::{Next, View};
use crate::report::RunOutcome;
use crate::step::Action;

/// What comes next, unless it is an end before which the snapshots may go.
pub(super) fn with_deletion(view: View<'_>, next: Next) -> Next {
    let progress = view.progress;
    let begun = progress.tried(&Action::DeleteSnapshots) && progress.activated.is_none();
    if begun && progress.deleted {
        return aborted();
    }
    let allowed = progress.orders.delete_snapshots && !progress.deleted;
    if !allowed || !(begun || ends_for_good(view, &next)) {
        return next;
    }
    match view.retry_unhurried(&Action::DeleteSnapshots) {
        Retry::Now => view.act(
            Action::DeleteSnapshots,
            "the operator allowed to delete the chain's snapshots and copies",
        ),
        Retry::Later(later) => later,
        Retry::GivenUp(_) if begun => aborted(),
        Retry::GivenUp(_) => next,
    }
}

fn ends_for_good(view: View<'_>, next: &Next) -> bool {
    match next {
        Next::Stop { outcome, .. } => match outcome {
            RunOutcome::CutOver => view.progress.is_final(),
            RunOutcome::Aborted | RunOutcome::Reverted => true,
            RunOutcome::Copied | RunOutcome::Failed => false,
        },
        _ => false,
    }
}

fn aborted() -> Next {
    Next::Stop {
        outcome: RunOutcome::Aborted,
        reason: "aborted; the source serves, the chain's snapshots were to be deleted".to_owned(),
    }
}
