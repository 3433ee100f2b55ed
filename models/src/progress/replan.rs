//! What moves the ground under a plan: limits, child plans, links that are gone.

use super::Progress;
use crate::policy::PolicyLimits;
use crate::step::{Action, FailureClass};
use crate::units::Timestamp;

impl Progress {
    /// Moved limits wait for the next plan; the operator's word also takes up what had ended.
    pub(super) fn limited(&mut self, at: Timestamp, new: &PolicyLimits) {
        self.limits = std::mem::take(&mut self.limits).then(new);
        self.orders.last_at = Some(at);
        (self.closed, self.children_in_a_row) = (None, 0);
    }

    /// A plan that was made from here keeps the limits and counts with what is gone.
    pub(super) fn adopted(&mut self, by_itself: bool) {
        self.waiting = None;
        self.limits = PolicyLimits::default();
        self.full.extend(self.without_base.take());
        self.failing
            .retain(|_, failing| failing.class != FailureClass::Lineage);
        self.children_in_a_row = match by_itself {
            true => self.children_in_a_row + 1,
            false => 0,
        };
    }

    /// What a step found gone: the base of its round, or the round itself.
    pub(super) fn lost_ground(&mut self, action: &Action, class: FailureClass) {
        match class {
            FailureClass::Lineage => {
                self.without_base = action.round().or(Some(self.next_index()));
            }
            FailureClass::Gone => {
                let round = action.round().and_then(|index| self.rounds.get_mut(&index));
                round.into_iter().for_each(|round| round.given_up = true);
            }
            _ => {}
        }
    }
}
