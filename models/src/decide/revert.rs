//! The way back after the activation: the cutover with its sides swapped, as long as the migration is not final.
//!
//! The target is fenced under a lease, what it took is weighed, its fence is made permanent, and only then the
//! source serves. Before that commit every trouble leads back to a serving target; after it only forward.

use super::gate::next_epoch;
use super::retry::Retry;
use super::words::{delta, instant, seconds_between, span};
use super::{Next, View};
use crate::progress::{Revert, RevertState, TargetClosed};
use crate::report::RunOutcome;
use crate::step::{Action, TargetPosition};
use crate::units::Timestamp;

/// Lease that must be left for the target's commit and its answer.
const RESERVE_SECONDS: f64 = 30.0;

/// Attempts after one word of the operator: a lease that ended or a reboot leaves the target serving.
const MOST_ATTEMPTS: u32 = 3;

/// Pause between calls to a target's host that is out of reach while its lease runs.
const UNFENCE_PAUSE_SECONDS: f64 = 20.0;

/// What to do about a revert; nothing when none is ordered or under way.
pub(super) fn way_back(view: View<'_>) -> Option<Next> {
    let ordered = view.progress.orders.revert;
    let Some(revert) = &view.progress.revert else {
        return ordered.then(|| begin(view));
    };
    match revert.state {
        RevertState::Reopened => Some(done(view, revert)),
        RevertState::Closed => Some(reopen(view, revert)),
        RevertState::Released => ordered.then(|| begin(view)),
        RevertState::Asked | RevertState::Leased => Some(behind_fence(view, revert)),
    }
}

/// What to do about a revert when the commit stands and the target was never seen to serve: nothing may start there
/// any more, which only a stopped instance without its volumes shows. Nothing when none is ordered or under way.
pub(super) fn without_activation(view: View<'_>) -> Option<Next> {
    let state = view
        .progress
        .revert
        .as_ref()
        .map(|revert| (revert, revert.state));
    match state {
        Some((revert, RevertState::Reopened)) => Some(done(view, revert)),
        Some((revert, RevertState::Closed)) => Some(reopen(view, revert)),
        _ if view.progress.committed() && view.progress.orders.revert => {
            Some(silent(view, isolating(view), "it was never seen to serve"))
        }
        _ => None,
    }
}

/// The target serves: where does it stand, and may it be fenced?
fn begin(view: View<'_>) -> Next {
    let progress = view.progress;
    if progress.revert_attempts >= MOST_ATTEMPTS {
        return tried_often(view);
    }
    let Some(check) = &progress.revert_check else {
        return look(view);
    };
    let Some(position) = &check.target else {
        let trouble = check.trouble.as_deref().unwrap_or("no answer");
        return silent(view, isolating(view), trouble);
    };
    if !progress.target_writes_settled(position) {
        return unsettled(view, position);
    }
    let epoch = next_epoch(view);
    let lease = span(view.plan.policy.lease_seconds);
    let reason = format!(
        "the operator said revert; the target is at {}{}; it is fenced for at most {lease}",
        place(position),
        taken(view, position)
    );
    view.act(Action::FenceTarget { epoch }, reason)
}

fn look(view: View<'_>) -> Next {
    let attempt = view.progress.revert_checks + 1;
    let action = Action::CheckRevert { attempt };
    match view.retry_fenced(&action) {
        Retry::Later(next) => next,
        Retry::Now => view.act(
            action,
            "the operator said revert: where do both hosts stand?",
        ),
        Retry::GivenUp(failing) => Next::AwaitOperator {
            reason: format!(
                "the revert cannot begin, the target serves and nothing was changed: {}; mend that and run the \
                 same command again",
                failing.message
            ),
        },
    }
}

fn tried_often(view: View<'_>) -> Next {
    let why = view
        .progress
        .revert
        .as_ref()
        .and_then(|r| r.called_off.clone());
    Next::AwaitOperator {
        reason: format!(
            "the revert was begun {MOST_ATTEMPTS} times and did not come to its commit; the target serves: {}; \
             run the same command to try again, or abort calls it off",
            why.unwrap_or_else(|| "its lease ended".to_owned())
        ),
    }
}

/// The operator has to say that the target's writes are given up.
fn unsettled(view: View<'_>, position: &TargetPosition) -> Next {
    let before = view.progress.activated.as_ref().map(|a| a.position());
    Next::AwaitOperator {
        reason: format!(
            "the target serves and took writes that the source does not have: it was activated at {} and is at {}{}. \
             Save what you need of them, then say revert with --discard-target-writes: they stay on the target's \
             volumes and are missing on the source; abort calls the revert off",
            before.unwrap_or_default(),
            place(position),
            taken(view, position)
        ),
    }
}

fn place(position: &TargetPosition) -> String {
    format!("{} on timeline {}", position.lsn, position.timeline)
}

fn taken(view: View<'_>, position: &TargetPosition) -> String {
    match view.progress.target_transactions(position) {
        Some(1) => " (1 transaction since)".to_owned(),
        Some(count) => format!(" ({count} transactions since)"),
        None => " (an unknown number of transactions since)".to_owned(),
    }
}

/// The number of an isolation that was tried before, or a new one.
fn isolating(view: View<'_>) -> u64 {
    let last = view.progress.revert.as_ref().map(|revert| revert.epoch);
    let tried = view
        .progress
        .failing
        .values()
        .filter_map(|f| match f.action {
            Action::IsolateTarget { epoch } if Some(epoch) > last => Some(epoch),
            _ => None,
        });
    tried.max().unwrap_or_else(|| next_epoch(view))
}

/// A target whose host does not answer can only be taken its volumes.
fn silent(view: View<'_>, epoch: u64, trouble: &str) -> Next {
    let instance = view.plan.target.instance.as_ref();
    let instance = instance.map_or("of the target", |id| id.as_str());
    let given_up = view.progress.orders.discard_target_writes || view.progress.never_activated();
    if !given_up && !view.progress.revert_in_doubt() {
        return Next::AwaitOperator {
            reason: format!(
                "the target's host does not answer ({trouble}), so nobody can tell what the target took since its \
                 activation. Make it reachable and run the same command again; or say revert with \
                 --discard-target-writes and stop instance {instance}: once that is seen, its volumes are taken \
                 from it and the source serves"
            ),
        };
    }
    let action = Action::IsolateTarget { epoch };
    match view.retry_fenced(&action) {
        Retry::Now => view.act(
            action,
            format!(
                "the target's host does not answer ({trouble}): is instance {instance} stopped?"
            ),
        ),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) => Next::AwaitOperator {
            reason: format!(
                "the target's host does not answer ({trouble}) and it is not known that it cannot serve: {}. \
                 Make the host reachable, or stop instance {instance}; then run the same command again",
                failing.message
            ),
        },
    }
}

fn behind_fence(view: View<'_>, revert: &Revert) -> Next {
    let commit = Action::CommitTarget {
        epoch: revert.epoch,
    };
    if view.progress.revert_in_doubt() {
        return in_doubt(view, revert, commit);
    }
    if let Some(reason) = &revert.called_off {
        return unfence(view, revert, reason);
    }
    if !view.progress.orders.revert {
        return unfence(view, revert, "the operator called the revert off");
    }
    let left = seconds_between(view.now, lease_ends_at(view, revert));
    if left < RESERVE_SECONDS {
        let reason = format!(
            "the target's lease leaves {}, too little to commit",
            span(left)
        );
        return unfence(view, revert, &reason);
    }
    let Some(position) = &revert.position else {
        let again = "the answer to the target's fence is missing; asking again is harmless";
        let fence = Action::FenceTarget {
            epoch: revert.epoch,
        };
        return forward(view, revert, fence, again.to_owned());
    };
    if !view.progress.target_writes_settled(position) {
        let reason = format!(
            "the target took writes until it was fenced at {}{}, and nobody gave them up",
            place(position),
            taken(view, position)
        );
        return unfence(view, revert, &reason);
    }
    let reason = format!(
        "the target accepts no commit, its last position is {}{}: point of no return of the revert",
        place(position),
        taken(view, position)
    );
    forward(view, revert, commit, reason)
}

fn lease_ends_at(view: View<'_>, revert: &Revert) -> Timestamp {
    revert.asked_at + delta(view.plan.policy.lease_seconds)
}

/// Tries a step; what fails for good leads back to a serving target.
fn forward(view: View<'_>, revert: &Revert, action: Action, reason: String) -> Next {
    match view.retry_fenced(&action) {
        Retry::Now => view.act(action, reason),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) => {
            let reason = format!("{} failed: {}", action.step_id(), failing.message);
            unfence(view, revert, &reason)
        }
    }
}

/// Asks until the target's host answers; when the lease is over it has let go by itself, or it is isolated.
fn unfence(view: View<'_>, revert: &Revert, reason: &str) -> Next {
    let epoch = revert.epoch;
    let action = Action::UnfenceTarget { epoch };
    let ends = lease_ends_at(view, revert);
    match view.retry_fenced(&action) {
        Retry::Now => view.act(action, format!("{reason}; the target serves again")),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) if view.now < ends => {
            let at = failing.at + delta(UNFENCE_PAUSE_SECONDS);
            if at <= view.now {
                return view.act(action, reason);
            }
            let reason = format!(
                "the target's host is out of reach ({}); by itself it lets go at {}",
                failing.message,
                instant(ends)
            );
            Next::WaitUntil { at, reason }
        }
        Retry::GivenUp(failing) if view.progress.orders.revert => {
            let trouble = format!(
                "{}; its lease has ended and it serves by itself",
                failing.message
            );
            silent(view, epoch, &trouble)
        }
        Retry::GivenUp(failing) => Next::AwaitOperator {
            reason: format!(
                "the target's host did not confirm that it serves again: {}; its lease ended at {}, after which \
                 it lets go by itself; look at the host and run the same command again",
                failing.message,
                instant(ends)
            ),
        },
    }
}

fn in_doubt(view: View<'_>, revert: &Revert, commit: Action) -> Next {
    match view.retry_fenced(&commit) {
        Retry::Now => view.act(
            commit,
            "the answer to the target's commit is missing: its host knows, ask again",
        ),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) => {
            let trouble = format!(
                "in doubt: the answer to its commit is missing and neither side serves until it is known; {}",
                failing.message
            );
            silent(view, revert.epoch, &trouble)
        }
    }
}

fn reopen(view: View<'_>, revert: &Revert) -> Next {
    let action = Action::ReopenSource {
        epoch: revert.epoch,
    };
    let how = match &revert.closed {
        Some((at, TargetClosed::Isolated { state })) => format!(
            "the target's instance is {state} and its volumes are taken from it, seen at {}",
            instant(*at)
        ),
        _ => "the target's fence is permanent".to_owned(),
    };
    match view.retry_fenced(&action) {
        Retry::Now => view.act(action, format!("{how}: only the source may serve now")),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) => Next::AwaitOperator {
            reason: format!(
                "{how} and the source does not serve yet: {}; mend the source host and run the same command again",
                failing.message
            ),
        },
    }
}

fn done(view: View<'_>, revert: &Revert) -> Next {
    let since = revert.reopened.as_ref().map(|r| r.first_source_write);
    let reason = match (since, revert.fenced, &revert.position) {
        (Some(since), Some((_, last)), Some(position)) => format!(
            "the source serves again since {}, {} after the target's last commit; what the target took up to {}{} is \
             on its volumes only",
            instant(since),
            span(seconds_between(last, since)),
            place(position),
            taken(view, position)
        ),
        _ => "the source serves again; what the target took is on its volumes only".to_owned(),
    };
    Next::Stop {
        outcome: RunOutcome::Reverted,
        reason,
    }
}

#[cfg(test)]
mod tests;
