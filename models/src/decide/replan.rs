//! When a child plan takes over by itself: before the fence, when the world is another one than the plan was made for.
//!
//! Within the operator's policy only; otherwise the operator is waited for. It must not know how a plan is made.

use super::gate::closes_at;
use super::words::{seconds_between, size, span};
use super::{Next, View};
use crate::plan::{Plan, PlannedRound, Verdict};
use crate::progress::{Failing, RoundProgress};
use crate::units::Timestamp;

/// Child plans in a row without a word of the operator: so many changes are no accident.
const MOST_IN_A_ROW: u32 = 12;

/// A delta above this multiple of its P99 is of another world than the plan's; a small one harms no plan.
const FAR_ABOVE: f64 = 1.25;

/// The same for what a round took.
const FAR_LONGER: f64 = 1.5;

/// A round is judged right after it has arrived, not at each look at it.
const JUST_SECONDS: f64 = 60.0;

impl View<'_> {
    /// Limits that the operator moved hold from the next plan on, as soon as one can take over.
    pub(super) fn limits_moved(&self) -> Option<Next> {
        let moved = !self.progress.limits.is_empty() && self.progress.may_adopt().is_ok();
        moved.then(|| {
            let reason = "the operator moved limits".to_owned();
            self.child(reason.clone(), None)
                .unwrap_or_else(|why| waiting(&reason, &why))
        })
    }

    /// A round that has just arrived and is far from what the plan said: the rest is planned anew, when that helps
    /// within the night that was agreed on. Another night is only looked for once this one has passed.
    pub(super) fn surprised(&self, index: u32) -> Option<Next> {
        let round = self.progress.round(index)?;
        let just = round
            .advanced_at
            .is_some_and(|at| seconds_between(at, self.now) <= JUST_SECONDS);
        let planned = self.planned(index).filter(|_| just)?;
        let reason = far_off(index, planned, round)?;
        self.child(reason, Some(closes_at(*self))).ok()
    }

    /// The window has closed: the next one, when the policy has one.
    pub(super) fn missed(&self, reason: &str) -> Option<Next> {
        self.plan.policy.replan.then(|| {
            self.child(reason.to_owned(), None)
                .unwrap_or_else(|why| waiting(reason, &why))
        })
    }

    /// What the next link builds on is gone: a plan that counts with a full one, when the policy allows that.
    pub(super) fn without_base(&self, failing: &Failing) -> Next {
        let step = failing.action.step_id();
        let reason = format!("{step}: {}", failing.message);
        self.child(reason.clone(), None)
            .unwrap_or_else(|why| waiting(&reason, &why))
    }

    /// A plan that goes on from here and keeps its limits, whose fence comes no later than `fence_by`.
    fn child(&self, reason: String, fence_by: Option<Timestamp>) -> Result<Next, String> {
        if !self.plan.policy.replan && self.progress.limits.is_empty() {
            return Err("the policy says replan = false".to_owned());
        }
        if self.progress.children_in_a_row >= MOST_IN_A_ROW {
            return Err(format!("{MOST_IN_A_ROW} of them came in a row"));
        }
        self.progress.may_adopt()?;
        let plan = within_limits((self.outlook.child)(fence_by)?)?;
        Ok(Next::Adopt {
            plan: Box::new(plan),
            reason,
        })
    }
}

fn within_limits(plan: Plan) -> Result<Plan, String> {
    match plan.verdict {
        Verdict::Converges | Verdict::ConvergesInWindow => Ok(plan),
        Verdict::NeedsLowerWriteRate | Verdict::DoesNotConverge => {
            Err(format!("it keeps no limit: {}", plan.binding_constraint))
        }
    }
}

fn waiting(reason: &str, why: &str) -> Next {
    Next::AwaitOperator {
        reason: format!(
            "{reason}; no child plan goes on by itself ({why}); nothing is fenced, the source serves. `snapmigrate \
             limits` moves a limit, `plan --from` makes a plan to look at, `abort` ends it; then run the same \
             command again"
        ),
    }
}

/// How far a round is from its plan, when that is far.
#[expect(clippy::cast_precision_loss, reason = "sizes are below 2^53 bytes")]
fn far_off(index: u32, planned: &PlannedRound, round: &RoundProgress) -> Option<String> {
    let expected = planned.delta_bytes;
    let delta = round.delta_bytes().filter(|_| index > 0);
    let far = delta.filter(|delta| *delta as f64 > expected.p99 * FAR_ABOVE);
    if let Some(delta) = far {
        let planned = size(whole(expected.p50));
        let delta = size(delta);
        return Some(format!(
            "round {index} changed {delta} where {planned} were planned"
        ));
    }
    let took = round.snapshot_seconds()? + round.transfer_seconds()?;
    let most = planned.snapshot_seconds.p99 + planned.transfer_seconds.p99;
    (took > most * FAR_LONGER).then(|| {
        let (took, most) = (span(took), span(most));
        format!("round {index} took {took}, and 99 of 100 were planned to take less than {most}")
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shown only; sizes are positive and far below 2^63"
)]
const fn whole(bytes: f64) -> u64 {
    bytes as u64
}

#[cfg(test)]
mod tests;
