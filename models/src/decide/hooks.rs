//! Hooks: which command of the operator's is due before the next step, and what its failure means.
//!
//! Each is run once per occasion (a round, a fence). What the executor knows of it is in the journal: it ended, it
//! failed, or the executor was killed in between; only the last leaves a question. It must not know how one is run.

use super::back::go_back;
use super::{Next, View};
use crate::policy::{HookPhase, HookPolicy, HookTime};
use crate::progress::{Failing, Fence, FenceState};
use crate::step::{Action, FailureClass};

/// `next`, or what its hooks ask for first.
pub(super) fn first(view: View<'_>, next: Next) -> Next {
    if view.plan.policy.hooks.is_empty() || matches!(next, Next::AwaitOperator { .. }) {
        return next;
    }
    let back = matches!(&next, Next::Act { action, .. } if action.is_way_back());
    let given_up = matches!(next, Next::Stop { .. }).then(|| given_up(view));
    let mut over = succeeded(view, back).into_iter().chain(given_up.flatten());
    let asked = over.find_map(|(phase, occasion)| due(view, phase, HookTime::Post, occasion));
    let next = asked.unwrap_or(next);
    let Next::Act { action, .. } = &next else {
        return next;
    };
    let begun = match action {
        Action::Snapshot { round } => Some((HookPhase::Round, u64::from(*round))),
        Action::Fence { .. } => Some((HookPhase::Fence, gate(view))),
        Action::Activate { epoch } => Some((HookPhase::Switch, *epoch)),
        Action::Unfence { epoch } => Some((HookPhase::Unfence, *epoch)),
        // Its number is of the clock until it is asked for: what is before it belongs to the look at both hosts.
        Action::FenceTarget { .. } => {
            Some((HookPhase::Revert, u64::from(view.progress.revert_checks)))
        }
        _ => None,
    };
    let asked = begun.and_then(|(phase, occasion)| due(view, phase, HookTime::Pre, occasion));
    asked.unwrap_or(next)
}

/// A fence has no number before it is asked for: what is before it belongs to its gate.
fn gate(view: View<'_>) -> u64 {
    view.progress.gates.len() as u64
}

/// What was run before a fence that never came is taken back as if it had stood.
fn given_up(view: View<'_>) -> Option<(HookPhase, u64)> {
    let before_fence = |name: &str| {
        let hook = view.plan.policy.hook(name);
        hook.is_some_and(|hook| (hook.phase, hook.when) == (HookPhase::Fence, HookTime::Pre))
    };
    let mut runs = view.progress.hooks.values();
    let ran = runs.any(|run| before_fence(&run.name) && run.occasion == gate(view));
    (ran && view.progress.fence.is_none()).then(|| (HookPhase::Unfence, gate(view)))
}

/// Phases that have succeeded, with their occasions; on the way back what lay before it is left alone.
fn succeeded(view: View<'_>, back: bool) -> Vec<(HookPhase, u64)> {
    let progress = view.progress;
    let taken = progress.rounds.iter();
    let taken = taken.filter(|(_, round)| !round.is_final && !round.snapshots.is_empty());
    let mut found: Vec<(HookPhase, u64)> = taken
        .filter(|_| !progress.may_be_fenced())
        .map(|(index, _)| (HookPhase::Round, u64::from(*index)))
        .collect();
    let back = back || progress.way_back.is_some() || progress.orders.abort;
    if let Some(fence) = &progress.fence {
        match fence.state {
            FenceState::Leased if !back => found.push((HookPhase::Fence, fence.epoch)),
            FenceState::Released if !progress.reverted() => {
                found.push((HookPhase::Unfence, fence.epoch));
            }
            _ if progress.activated.is_some() && progress.revert.is_none() => {
                found.push((HookPhase::Switch, fence.epoch))
            }
            _ => {}
        }
    }
    let reverted = progress.revert.as_ref().filter(|_| progress.reverted());
    found.extend(reverted.map(|revert| (HookPhase::Revert, revert.epoch)));
    found
}

/// The first hook of a phase that is not settled, and what it asks for.
fn due(view: View<'_>, phase: HookPhase, when: HookTime, occasion: u64) -> Option<Next> {
    let hooks = view.plan.policy.hooks.iter();
    let mut hooks = hooks.filter(|hook| hook.phase == phase && hook.when == when);
    hooks.find_map(|hook| unsettled(view, hook, occasion))
}

fn unsettled(view: View<'_>, hook: &HookPolicy, occasion: u64) -> Option<Next> {
    let name = hook.name.clone();
    let action = Action::Hook { name, occasion };
    let step = action.step_id();
    if view.progress.hooks.contains_key(&step) {
        return None;
    }
    let (when, phase) = (hook.when.name(), hook.phase.name());
    let Some(failing) = view.progress.failing.get(&step) else {
        return Some(view.act(action, format!("the policy asks for it {when} {phase}")));
    };
    // The resumption that follows a kill at once is no word about the hook; the next one is.
    let unknown = failing.class == FailureClass::Unknown;
    let asked_again = failing.resumptions > u32::from(unknown);
    if asked_again || (unknown && hook.idempotent) {
        return Some(view.act(action, format!("once more: {}", failing.message)));
    }
    if !hook.fatal || hook.phase == HookPhase::Unfence {
        return None;
    }
    Some(failed(view, hook, failing))
}

/// Before the commit the way back is taken; what is committed stays so.
fn failed(view: View<'_>, hook: &HookPolicy, failing: &Failing) -> Next {
    let (name, when, phase) = (&hook.name, hook.when.name(), hook.phase.name());
    let what = match failing.class {
        FailureClass::Unknown => {
            format!(
                "nobody knows how far hook {name} ({when} {phase}) came: {}",
                failing.message
            )
        }
        _ => format!("hook {name} ({when} {phase}) failed: {}", failing.message),
    };
    if let Some(fence) = leased(view) {
        return go_back(view, fence, &what);
    }
    let serves = match () {
        () if view.progress.reverted() => "the source serves again",
        () if view.progress.activated.is_some() => "the target serves",
        () if view.progress.committed() => {
            "the fence is permanent and the target is not activated yet"
        }
        () => "the source serves, nothing is fenced",
    };
    Next::AwaitOperator {
        reason: format!("{what}; {serves}; mend it, then the same command runs the hook once more"),
    }
}

fn leased(view: View<'_>) -> Option<&Fence> {
    let fence = view.progress.fence.as_ref()?;
    let standing = matches!(fence.state, FenceState::Asked | FenceState::Leased);
    (standing && !view.progress.committed()).then_some(fence)
}

#[cfg(test)]
mod tests;
