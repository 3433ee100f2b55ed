//! The way back: target down, source serving, restored volumes gone. Never after the commit.

use super::cutover::lease_ends_at;
use super::retry::Retry;
use super::words::{delta, instant, seconds_between, span};
use super::{Next, View};
use crate::progress::{Fence, FenceState};
use crate::report::RunOutcome;
use crate::step::{Action, FailureClass};

/// Failures of a step that must not hold up the source.
const PATIENCE: u32 = 3;

/// Pause between calls to a source host that is out of reach while its lease runs.
const UNFENCE_PAUSE_SECONDS: f64 = 20.0;

pub(super) fn go_back(view: View<'_>, fence: &Fence, reason: &str) -> Next {
    let progress = view.progress;
    let undone = |action: &Action| progress.undone.contains(&action.step_id());
    let unfenced = fence.state == FenceState::Released;
    let take_down = progress.tried(&Action::BringUp) && !undone(&Action::TakeDown);
    if take_down
        && (unfenced || patient(view, &Action::TakeDown))
        && !hopeless(view, &Action::TakeDown)
    {
        return pause_or(view, Action::TakeDown, reason);
    }
    if !unfenced {
        return unfence(view, fence, reason);
    }
    let made = progress.tried(&Action::CreateVolumes) || progress.tried(&Action::PrepareVolumes);
    let made = made && !undone(&Action::DeleteVolumes);
    if made && progress.leaves_bases() && !progress.orders.delete_snapshots {
        let stay = "nothing has mounted the prepared volumes: they stay as they are, and a next plan of this migration \
                    begins with what they hold";
        return ended(view, reason, &format!("; {stay}"));
    }
    if made && !hopeless(view, &Action::DeleteVolumes) {
        return pause_or(view, Action::DeleteVolumes, reason);
    }
    let left = if made {
        "; the restored volumes could not be deleted"
    } else {
        ""
    };
    ended(view, reason, left)
}

/// The source serves: what the freezes left that do not count goes, at leisure.
fn ended(view: View<'_>, reason: &str, left: &str) -> Next {
    let served = format!("{reason}; the source serves again{left}");
    if view.progress.doubted_freezes().is_empty() {
        return aborted(served);
    }
    match view.retry_unhurried(&Action::DiscardFreezes) {
        Retry::Now => view.act(Action::DiscardFreezes, served),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) => aborted(format!(
            "{served}; snapshots of a freeze that does not count could not be deleted: {}",
            failing.message
        )),
    }
}

const fn aborted(reason: String) -> Next {
    Next::Stop {
        outcome: RunOutcome::Aborted,
        reason,
    }
}

fn patient(view: View<'_>, action: &Action) -> bool {
    view.progress
        .failing
        .get(&action.step_id())
        .is_none_or(|failing| failing.count < PATIENCE)
}

fn hopeless(view: View<'_>, action: &Action) -> bool {
    matches!(view.retry_fenced(action), Retry::GivenUp(_))
}

fn pause_or(view: View<'_>, action: Action, reason: &str) -> Next {
    match view.retry_fenced(&action) {
        Retry::Later(next) => next,
        Retry::Now | Retry::GivenUp(_) => view.act(action, reason),
    }
}

/// Asks until the host answers; when the lease is over the host has let go by itself.
fn unfence(view: View<'_>, fence: &Fence, reason: &str) -> Next {
    let action = Action::Unfence { epoch: fence.epoch };
    let ends = lease_ends_at(view, fence);
    let over = seconds_between(ends, view.now);
    match view.retry_fenced(&action) {
        Retry::Now => view.act(action, reason),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) if passing(failing.class) && over < 0.0 => {
            let at = failing.at + delta(UNFENCE_PAUSE_SECONDS);
            if at <= view.now {
                return view.act(action, reason);
            }
            let reason = format!(
                "the source host is out of reach ({}); by itself it lets go at {}",
                failing.message,
                instant(ends)
            );
            Next::WaitUntil { at, reason }
        }
        Retry::GivenUp(failing) => Next::AwaitOperator {
            reason: format!(
                "the source host did not confirm that it serves again: {}; its lease ended {} ago, after \
                 which it lets go by itself; look at the host and run the same command again",
                failing.message,
                span(over)
            ),
        },
    }
}

const fn passing(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::Transient | FailureClass::Unknown | FailureClass::Credentials
    )
}
