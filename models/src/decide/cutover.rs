//! Behind the fence: forward to the commit while the lease allows, otherwise back; after the commit
//! only forward.

use super::back::go_back;
use super::chain::MOST_DISCARDED;
use super::retry::Retry;
use super::words::{delta, instant, seconds_between, span};
use super::{Next, View};
use crate::progress::{Fence, FenceState};
use crate::report::RunOutcome;
use crate::step::{Action, FailureClass};
use crate::units::Timestamp;

/// Lease that must be left for another step: less would not reach a commit and its answer.
const RESERVE_SECONDS: f64 = 30.0;

/// Freezes behind one fence before the way back is taken.
const MOST_FREEZES: u32 = 5;

/// When the lease of a fence ends at the earliest: the host counts from our call, not from its end.
pub(super) fn lease_ends_at(view: View<'_>, fence: &Fence) -> Timestamp {
    fence.asked_at + delta(view.plan.policy.lease_seconds)
}

pub(super) fn behind_fence(view: View<'_>) -> Next {
    let Some(fence) = &view.progress.fence else {
        return Next::AwaitOperator {
            reason: "the progress has no fence".to_owned(),
        };
    };
    let commit = Action::Commit { epoch: fence.epoch };
    if view.progress.commit_in_doubt() {
        return in_doubt(view, commit);
    }
    if let Some(reason) = &view.progress.way_back {
        return go_back(view, fence, reason);
    }
    if view.progress.orders.abort {
        return go_back(view, fence, "the operator said abort");
    }
    let left = seconds_between(view.now, lease_ends_at(view, fence));
    if left < RESERVE_SECONDS {
        let reason = format!("the lease leaves {}, too little to commit", span(left));
        return go_back(view, fence, &reason);
    }
    if fence.state == FenceState::Asked {
        let reason = "the answer to the fence is missing; asking again is harmless";
        return forward(
            view,
            fence,
            Action::Fence { epoch: fence.epoch },
            reason.to_owned(),
        );
    }
    restore(view, fence, left)
}

/// Tries a step; what fails for good takes the way back.
fn forward(view: View<'_>, fence: &Fence, action: Action, reason: String) -> Next {
    match view.retry_fenced(&action) {
        Retry::Now => view.act(action, reason),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) => {
            let reason = format!("{} failed: {}", action.step_id(), failing.message);
            go_back(view, fence, &reason)
        }
    }
}

fn restore(view: View<'_>, fence: &Fence, left: f64) -> Next {
    let progress = view.progress;
    let lease = format!("{} of the lease left", span(left));
    let last = progress
        .final_round()
        .and_then(|index| Some((index, progress.round(index)?)));
    let Some((index, round)) = last.filter(|(_, round)| !round.snapshots.is_empty()) else {
        return freeze(view, fence, &lease);
    };
    if let Some((action, reason)) = view.ask_again(index) {
        return view.act(action, format!("{reason}; {lease}"));
    }
    match view.next_step_of(index, round) {
        Some(action @ Action::AwaitSnapshots { .. }) if lost(view, &action) => {
            refreeze(view, fence, left)
        }
        Some(action @ Action::AwaitCopies { .. })
            if lost(view, &action) && round.discarded_copies < MOST_DISCARDED =>
        {
            let reason = format!("a copy ended in error and is made anew; {lease}");
            forward(view, fence, Action::Copy { round: index }, reason)
        }
        Some(action) => {
            let reason = format!("{}; {lease}", view.step_reason(index, round, &action));
            forward(view, fence, action, reason)
        }
        None => bring_up(view, fence, &lease),
    }
}

fn lost(view: View<'_>, action: &Action) -> bool {
    let failing = view.progress.failing.get(&action.step_id());
    failing.is_some_and(|failing| failing.class == FailureClass::Permanent)
}

/// Freezes tried behind this fence, and the index of the final round.
fn freezes(view: View<'_>) -> (u32, u32) {
    let round = view
        .progress
        .final_round()
        .unwrap_or_else(|| view.progress.next_index());
    let mut tried = 0;
    while view.progress.tried(&Action::FreezeSnapshot {
        round,
        attempt: tried + 1,
    }) {
        tried += 1;
    }
    (round, tried)
}

fn freeze(view: View<'_>, fence: &Fence, lease: &str) -> Next {
    let (round, tried) = freezes(view);
    match view.retry_fenced(&Action::FreezeSnapshot {
        round,
        attempt: tried,
    }) {
        Retry::Now => {}
        Retry::Later(next) => return next,
        Retry::GivenUp(failing) => {
            return go_back(
                view,
                fence,
                &format!("no snapshot counts: {}", failing.message),
            );
        }
    }
    if tried >= MOST_FREEZES {
        return go_back(
            view,
            fence,
            &format!("no snapshot counts after {tried} freezes"),
        );
    }
    let limit = span(view.plan.policy.freeze_limit_seconds);
    let reason = format!("the source is fenced; frozen for at most {limit}; {lease}");
    view.act(
        Action::FreezeSnapshot {
            round,
            attempt: tried + 1,
        },
        reason,
    )
}

/// The final set ended in `error`: once more if the lease covers it, otherwise back.
fn refreeze(view: View<'_>, fence: &Fence, left: f64) -> Next {
    let needed = view.plan.rounds.last().map_or(0.0, |last| {
        last.snapshot_seconds.p90 + last.transfer_seconds.p90
    });
    if left < needed + RESERVE_SECONDS {
        let reason = format!(
            "the final set ended in error and another needs {}, the lease leaves {}",
            span(needed),
            span(left)
        );
        return go_back(view, fence, &reason);
    }
    freeze(
        view,
        fence,
        &format!(
            "the final set ended in error; {} of the lease left",
            span(left)
        ),
    )
}

fn bring_up(view: View<'_>, fence: &Fence, lease: &str) -> Next {
    let progress = view.progress;
    if let Some((action, why)) = view.keep_target() {
        return forward(view, fence, action, format!("{why}; {lease}"));
    }
    let (action, why) = match () {
        () if progress.restored.is_empty() => {
            (Action::CreateVolumes, "the final data is in the target")
        }
        () if !progress.attached => (Action::AttachVolumes, "the volumes are restored"),
        () if !progress.brought_up => (Action::BringUp, "the volumes are attached"),
        () if progress.proof.is_none() => (Action::Prove, "the target runs as an isolated standby"),
        () => {
            let why =
                "the target proved that it holds everything up to the fence: point of no return";
            (Action::Commit { epoch: fence.epoch }, why)
        }
    };
    forward(view, fence, action, format!("{why}; {lease}"))
}

fn in_doubt(view: View<'_>, commit: Action) -> Next {
    match view.retry_fenced(&commit) {
        Retry::Now => view.act(
            commit,
            "the answer to the commit is missing: the host knows, ask again",
        ),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) => Next::AwaitOperator {
            reason: format!(
                "in doubt: the answer to the commit is missing ({}) and neither side serves until it \
                 is known. Ways out: reach the source host and run the same command again (it asks \
                 the host and goes on, or back when the lease ended without a commit); or read the \
                 fence record on the source host: permanent means activate the target, otherwise the \
                 source serves again when its lease ends",
                failing.message
            ),
        },
    }
}

pub(super) fn activate(view: View<'_>) -> Next {
    let Some(epoch) = view.progress.epoch() else {
        return Next::AwaitOperator {
            reason: "a commit without a fence".to_owned(),
        };
    };
    let action = Action::Activate { epoch };
    match view.retry_fenced(&action) {
        Retry::Now => view.act(
            action,
            "the fence is permanent: only the target may serve now",
        ),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) => Next::AwaitOperator {
            reason: not_activated(view, &failing.message),
        },
    }
}

/// Neither side serves: what is the matter, and the two ways out.
fn not_activated(view: View<'_>, trouble: &str) -> String {
    let instance = view.plan.target.instance.as_ref();
    let instance = instance.map_or("of the target", |id| id.as_str());
    let name = &view.plan.name;
    format!(
        "the fence is permanent and the target does not serve yet: {trouble}. Neither side serves. Ways out: mend \
         the target host and run the same command again, which goes on; or stop instance {instance} \
         (aws ec2 stop-instances --instance-ids {instance}) and say revert JOURNAL --confirm {name} \
         --discard-target-writes: once the instance is seen stopped its volumes are taken from it, and the source \
         serves again"
    )
}

pub(super) fn after_activation(view: View<'_>) -> Next {
    let progress = view.progress;
    if let Some(next) = super::revert::way_back(view) {
        return next;
    }
    if let Some(count) = view.uncounted() {
        let reason = "the target serves; the changed blocks of the final round are counted";
        return owed(view, count, reason);
    }
    let Some(verification) = &progress.verification else {
        return owed(
            view,
            Action::Compare,
            "the target serves; the final snapshots are compared",
        );
    };
    if verification.mismatches > 0 {
        let reason = format!(
            "{} of {} blocks differ between the final snapshots of both sides: the target serves, \
             but do not finalize; the source is intact",
            verification.mismatches, verification.blocks_compared
        );
        return Next::Stop {
            outcome: RunOutcome::Failed,
            reason,
        };
    }
    if let Some(next) = clean_up(view) {
        return next;
    }
    Next::Stop {
        outcome: RunOutcome::CutOver,
        reason: done(view, verification.blocks_compared),
    }
}

/// What two completed successors made superfluous goes, and is left when it cannot.
fn clean_up(view: View<'_>) -> Option<Next> {
    let count = view.progress.superfluous().len();
    if view.progress.cleaned || count == 0 {
        return None;
    }
    match view.retry_fenced(&Action::Cleanup) {
        Retry::Now => {
            let reason = format!("{count} snapshots have two completed successors");
            Some(view.act(Action::Cleanup, reason))
        }
        Retry::Later(next) => Some(next),
        Retry::GivenUp(_) => None,
    }
}

fn owed(view: View<'_>, action: Action, reason: &str) -> Next {
    match view.retry_fenced(&action) {
        Retry::Now => view.act(action, reason),
        Retry::Later(next) => next,
        Retry::GivenUp(failing) => Next::AwaitOperator {
            reason: format!(
                "the target serves; {} is owed and failed: {}; run the same command again, do not \
                 finalize before",
                action.step_id(),
                failing.message
            ),
        },
    }
}

fn done(view: View<'_>, blocks: u64) -> String {
    let facts = view
        .progress
        .fence
        .as_ref()
        .and_then(|fence| fence.facts.as_ref());
    let (Some(facts), Some(activated)) = (facts, &view.progress.activated) else {
        return "the target serves".to_owned();
    };
    format!(
        "the target serves since {}, {} after the source's last commit; {blocks} blocks compared, all \
         equal",
        instant(activated.first_target_write),
        span(seconds_between(
            facts.last_source_write,
            activated.first_target_write
        ))
    )
}
