//! What to do next: pure and total, so that the whole schedule of effects is testable without a
//! runtime, and every decision can be journaled with its reason.
//!
//! Knows the plan, the progress and `now`; must not know how any step is carried out.

mod back;
mod chain;
mod cutover;
mod direct;
mod ending;
mod gate;
mod hooks;
mod replan;
mod retry;
mod revert;
mod trial;
mod words;

use std::cell::OnceCell;

use crate::evidence::Evidence;
use crate::forecast::Taught;
use crate::plan::{Forecast, Plan};
use crate::policy::TransferPath;
use crate::progress::Progress;
use crate::report::RunOutcome;
use crate::schedule::make_child;
use crate::step::Action;
use crate::units::Timestamp;

/// What the operator asked for when starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Go through the cutover; otherwise stop when the chain is in the target.
    pub cutover: bool,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Carry out a step.
    Act {
        /// Step.
        action: Action,
        /// Why, with the numbers.
        reason: String,
    },
    /// Nothing until then, unless the operator speaks.
    WaitUntil {
        /// Until then.
        at: Timestamp,
        /// What for.
        reason: String,
    },
    /// A child plan takes over.
    Adopt {
        /// It names the one before as its parent.
        plan: Box<Plan>,
        /// Why.
        reason: String,
    },
    /// Only the operator can help; the state is safe to stay in.
    AwaitOperator {
        /// What is the matter and what the ways out are.
        reason: String,
    },
    /// The end.
    Stop {
        /// How it ends.
        outcome: RunOutcome,
        /// Why.
        reason: String,
    },
}

/// A forecast of the cutover with this evidence, fenced at this instant.
pub type Forecaster<'a> = dyn Fn(&Evidence, Timestamp) -> Forecast + 'a;

/// Seconds one more round is expected to take with this evidence, when it starts at this instant.
pub type RoundForecaster<'a> = dyn Fn(&Evidence, Timestamp) -> f64 + 'a;

/// The plan that would go on from here, or why there is none.
pub type Planner<'a> = dyn Fn(Option<Timestamp>) -> Result<Plan, String> + 'a;

/// What is expected of the future.
#[derive(Clone, Copy)]
pub struct Outlook<'a> {
    /// Of the cutover.
    pub cutover: &'a Forecaster<'a>,
    /// Of one more round.
    pub round_seconds: &'a RoundForecaster<'a>,
    /// Under another plan.
    pub child: &'a Planner<'a>,
}

/// Everything a decision may look at.
#[derive(Clone, Copy)]
struct View<'a> {
    plan: &'a Plan,
    progress: &'a Progress,
    goal: Goal,
    now: Timestamp,
    outlook: Outlook<'a>,
}

/// Whether a plan can be carried out to the goal at all.
///
/// # Errors
/// The reason in words, when it cannot.
pub fn admissible(plan: &Plan, goal: Goal) -> Result<(), String> {
    let unsupported = plan
        .rounds
        .iter()
        .find(|r| matches!(r.path, TransferPath::Clone));
    if let Some(round) = unsupported {
        return Err(format!(
            "round {} of the plan takes the path {:?}: CopyVolumes needs no chain, use it by hand",
            round.index, round.path
        ));
    }
    let direct = plan.rounds.iter().any(|r| r.path == TransferPath::Direct);
    if !goal.cutover && !direct {
        return Ok(());
    }
    if plan.policy.database.is_none() {
        return Err("the policy names no database: without a helper on its host nothing can be \
                    fenced, so there is no cutover; add [database] to the policy and plan again, or \
                    execute without --cutover"
            .to_owned());
    }
    if plan.target.instance.is_none() {
        return Err(
            "the policy names no target instance: the restored volumes have nowhere to go; \
                    set target.instance and plan again, or execute without --cutover"
                .to_owned(),
        );
    }
    Ok(())
}

/// The next thing to do. Pure: the forecasts it weighs are simulated with the plan's seed.
#[must_use]
pub fn decide(plan: &Plan, progress: &Progress, goal: Goal, now: Timestamp) -> Next {
    // A decision asks several times with the same rounds behind it.
    let taught = OnceCell::new();
    let taught = |evidence: &Evidence| taught.get_or_init(|| Taught::of(plan, evidence, now));
    let cutover =
        |evidence: &Evidence, at: Timestamp| taught(evidence).glance(evidence, at, plan.seed);
    let round_seconds = |evidence: &Evidence, at: Timestamp| {
        taught(evidence).next_round_seconds(evidence, at, plan.seed)
    };
    let child = |fence_by: Option<Timestamp>| {
        make_child(plan, progress, now, plan.seed, fence_by).map_err(|error| error.to_string())
    };
    let outlook = Outlook {
        cutover: &cutover,
        round_seconds: &round_seconds,
        child: &child,
    };
    decide_with(plan, progress, goal, now, outlook)
}

/// The next thing to do, with the future left to `outlook`: the seam tests use.
#[must_use]
pub fn decide_with(
    plan: &Plan,
    progress: &Progress,
    goal: Goal,
    now: Timestamp,
    outlook: Outlook<'_>,
) -> Next {
    let goal = Goal {
        cutover: goal.cutover || progress.orders.cutover,
    };
    let view = View {
        plan,
        progress,
        goal,
        now,
        outlook,
    };
    if let Some(closed) = &progress.closed {
        return Next::Stop {
            outcome: closed.outcome,
            reason: closed.reason.clone(),
        };
    }
    if let Some(running) = &progress.running {
        let reason = format!("{} has no answer yet", running.action.step_id());
        return Next::WaitUntil {
            at: now + chrono::TimeDelta::seconds(1),
            reason,
        };
    }
    hooks::first(view, ending::with_deletion(view, under_way(view)))
}

fn under_way(view: View<'_>) -> Next {
    let progress = view.progress;
    if progress.activated.is_some() {
        return cutover::after_activation(view);
    }
    if let Some(next) = revert::without_activation(view) {
        return next;
    }
    if progress.committed() {
        return cutover::activate(view);
    }
    if progress.fence.is_some() {
        return cutover::behind_fence(view);
    }
    chain::before_fence(view)
}

impl View<'_> {
    fn act(&self, action: Action, reason: impl Into<String>) -> Next {
        Next::Act {
            action,
            reason: reason.into(),
        }
    }

    /// The target's host writes the data into volumes that are there before the fence.
    fn is_direct(&self) -> bool {
        let path = self.plan.rounds.first().map(|round| round.path);
        path == Some(TransferPath::Direct)
    }

    /// The data has to be copied into the target account or region.
    fn needs_copy(&self) -> bool {
        if self.is_direct() {
            return false;
        }
        let rekeyed = self.plan.policy.target.kms_key.is_some()
            || self
                .plan
                .volumes
                .iter()
                .any(|volume| volume.kms_key.is_some());
        let path = self.plan.rounds.first().map(|round| round.path);
        path != Some(TransferPath::Share) || (self.needs_share() && rekeyed)
    }

    /// The target account has to be allowed to read the snapshots.
    fn needs_share(&self) -> bool {
        !self.is_direct() && self.plan.source.account != self.plan.target.account
    }
}

#[cfg(test)]
mod tests;
