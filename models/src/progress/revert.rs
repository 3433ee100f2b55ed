//! The way back after the activation: what it changes and which of its steps may follow.
//!
//! The cutover with its sides swapped: the target is fenced under a lease, its fence is made permanent, and only
//! then the source's permanent fence is let go, under a higher number. Knows no plan and no clock.

mod state;

pub use state::{Reopened, Revert, RevertCheck, RevertState, TargetClosed};

use super::{Activated, FenceState, Progress};
use crate::report::RunOutcome;
use crate::step::{Action, FailureClass, StepResult, TargetPosition, Verb};
use crate::units::Timestamp;

impl Progress {
    /// The target serves, as far as the journal knows: activated, and not fenced since.
    #[must_use]
    pub fn target_serves(&self) -> bool {
        let back = self.revert.as_ref().map(|revert| revert.state);
        self.activated.is_some() && matches!(back, None | Some(RevertState::Released))
    }

    /// The source serves again after the activation.
    #[must_use]
    pub fn reverted(&self) -> bool {
        let state = self.revert.as_ref().map(|revert| revert.state);
        state == Some(RevertState::Reopened)
    }

    /// The target's fence was to be made permanent and the last answer is missing.
    #[must_use]
    pub fn revert_in_doubt(&self) -> bool {
        let Some(revert) = self.revert.as_ref() else {
            return false;
        };
        let commit = Action::CommitTarget {
            epoch: revert.epoch,
        };
        let asked = self.running.as_ref().is_some_and(|r| r.action == commit);
        let passing = |class| {
            use FailureClass as F;
            matches!(class, F::Unknown | F::Transient | F::Credentials)
        };
        let failing = self.failing.get(&commit.step_id());
        let lost = failing.is_some_and(|failing| passing(failing.class));
        revert.state == RevertState::Leased && (asked || lost)
    }

    /// Transactions of others that the target has begun since its activation; none when nobody counted.
    #[must_use]
    pub fn target_transactions(&self, position: &TargetPosition) -> Option<u64> {
        let before = self.activated.as_ref()?.transactions?;
        Some(position.transactions?.saturating_sub(before))
    }

    /// Whether the target's fence may be kept: it took nothing, or the operator gave that up.
    #[must_use]
    pub fn target_writes_settled(&self, position: &TargetPosition) -> bool {
        let same = self
            .activated
            .as_ref()
            .is_some_and(|activated| activated.timeline == position.timeline);
        let none = same && self.target_transactions(position) == Some(0);
        none || self.orders.discard_target_writes
    }

    /// The commit stands and the target was never even asked to serve.
    #[must_use]
    pub fn never_activated(&self) -> bool {
        let epoch = self.epoch().unwrap_or_default();
        self.committed() && !self.tried(&Action::Activate { epoch })
    }

    pub(super) fn may_order_revert(&self) -> Result<(), String> {
        require(
            self.activated.is_some() || self.committed(),
            "the source is not fenced for good: abort is the way back before that",
        )?;
        require(!self.reverted(), "the source serves again already")?;
        require(
            !self.orders.finalize,
            "the migration was declared final: the way back was given up",
        )?;
        let ended = self.closed.as_ref().map(|closed| closed.outcome);
        let open = matches!(ended, None | Some(RunOutcome::CutOver | RunOutcome::Failed));
        require(open, "the migration is closed")
    }

    pub(super) fn may_order_finalize(&self) -> Result<(), String> {
        require(self.target_serves(), "the target does not serve")?;
        require(
            !self.orders.revert,
            "a revert was ordered: abort calls it off",
        )?;
        let found = self.verification.as_ref();
        let equal = found.is_some_and(|found| found.mismatches == 0);
        require(equal, "the comparison has not shown both sides equal")
    }

    pub(super) fn ordered_back(&mut self, verb: Verb) {
        match verb {
            Verb::Revert | Verb::RevertDiscarding => {
                self.orders.revert = true;
                self.orders.discard_target_writes |= verb == Verb::RevertDiscarding;
                self.closed = None;
                (self.revert_check, self.revert_attempts) = (None, 0);
            }
            // Too late to call off what passed its point of no return.
            _ if self.revert_is_final() => {}
            _ => (self.orders.revert, self.orders.discard_target_writes) = (false, false),
        }
    }

    fn revert_is_final(&self) -> bool {
        let state = self.revert.as_ref().map(|revert| revert.state);
        matches!(state, Some(RevertState::Closed | RevertState::Reopened)) || self.revert_in_doubt()
    }

    pub(super) fn may_revert(&self, action: &Action) -> Result<(), String> {
        let beyond = self.activated.is_some() || self.committed();
        require(beyond, "the source is not fenced for good")?;
        if let Action::UnfenceTarget { epoch } = action {
            let state = self.own_revert(*epoch)?;
            let early = matches!(state, RevertState::Asked | RevertState::Leased);
            require(early, "the target is not fenced under a lease")?;
            return require(
                !self.revert_in_doubt(),
                "the answer to the target's commit is lost: its fence may be permanent",
            );
        }
        if let Action::ReopenSource { epoch } = action {
            let closed = self.own_revert(*epoch)? == RevertState::Closed;
            return require(
                closed,
                "the target is not closed for good: the source would be a second writer",
            );
        }
        require(self.orders.revert, "nobody ordered a revert")?;
        require(
            !self.revert_is_final() || self.revert_in_doubt(),
            "the target is closed for good",
        )?;
        match action {
            Action::CheckRevert { attempt } => {
                let next = self.revert_checks + 1;
                require(*attempt == next, &format!("the next look is number {next}"))?;
                require(self.target_serves(), "the target may be fenced")
            }
            Action::FenceTarget { epoch } => self.may_fence_target(*epoch),
            Action::CommitTarget { epoch } => self.may_commit_target(*epoch),
            Action::IsolateTarget { epoch } => self.may_isolate_target(*epoch),
            _ => Err("it is no step of a revert".to_owned()),
        }
    }

    fn own_revert(&self, epoch: u64) -> Result<RevertState, String> {
        let own = self.revert.as_ref().filter(|revert| revert.epoch == epoch);
        own.map(|revert| revert.state)
            .ok_or_else(|| "there is no revert of that number".to_owned())
    }

    /// The number is above that of every fence before.
    fn is_new(&self, epoch: u64) -> Result<(), String> {
        let last = self.revert.as_ref().map(|revert| revert.epoch);
        let known = last.max(self.epoch());
        require(known < Some(epoch), "the number of the fence must grow")
    }

    fn may_fence_target(&self, epoch: u64) -> Result<(), String> {
        if self.own_revert(epoch) == Ok(RevertState::Asked) {
            return Ok(());
        }
        require(self.target_serves(), "the target is fenced already")?;
        let check = self.revert_check.as_ref().and_then(|c| c.target.as_ref());
        let seen = check.ok_or("the target was not asked where it stands")?;
        require(
            self.target_writes_settled(seen),
            "the target took writes and nobody gave them up",
        )?;
        self.is_new(epoch)
    }

    fn may_commit_target(&self, epoch: u64) -> Result<(), String> {
        let leased = self.own_revert(epoch)? == RevertState::Leased;
        require(leased, "the target is not fenced")?;
        let revert = self.revert.as_ref();
        require(
            revert.is_some_and(|revert| revert.called_off.is_none()),
            "the revert was called off",
        )?;
        let position = revert.and_then(|revert| revert.position.as_ref());
        require(
            position.is_some_and(|position| self.target_writes_settled(position)),
            "the target took writes and nobody gave them up",
        )
    }

    /// A silent target is isolated in place of its fence, or when the answer to its commit is lost.
    fn may_isolate_target(&self, epoch: u64) -> Result<(), String> {
        if self.revert_in_doubt() {
            return self.own_revert(epoch).map(drop);
        }
        require(
            self.orders.discard_target_writes || self.never_activated(),
            "nobody can tell what the target took, and nobody gave it up",
        )?;
        if self.activated.is_none() {
            return self.is_new(epoch);
        }
        if !self.target_serves() {
            let unfence = Action::UnfenceTarget { epoch };
            let silent = self.failing.contains_key(&unfence.step_id());
            require(silent, "the target's host was not asked to let go")?;
            return self.own_revert(epoch).map(drop);
        }
        let silent = self
            .revert_check
            .as_ref()
            .is_some_and(|c| c.target.is_none());
        require(silent, "the target's host answers: it is fenced instead")?;
        self.is_new(epoch)
    }

    pub(super) fn decided_back(&mut self, action: &Action, reason: &str) {
        if let (Action::UnfenceTarget { .. }, Some(revert)) = (action, &mut self.revert) {
            revert.called_off.get_or_insert_with(|| reason.to_owned());
        }
    }

    pub(super) fn started_back(&mut self, at: Timestamp, action: &Action) {
        if let Action::FenceTarget { epoch } = action
            && self.own_revert(*epoch).is_err()
        {
            self.revert_check = None;
            self.revert_attempts += 1;
            self.revert = Some(Revert::asked(*epoch, at));
        }
    }

    pub(super) fn finished_back(&mut self, at: Timestamp, action: &Action, result: &StepResult) {
        match (action, result) {
            (_, StepResult::RevertChecked { target, trouble }) => {
                self.revert_checks += 1;
                self.revert_check = Some(RevertCheck {
                    target: target.clone(),
                    trouble: trouble.clone(),
                });
            }
            (Action::IsolateTarget { epoch }, StepResult::TargetIsolated { at: seen, state }) => {
                let state = state.clone();
                let known = self.revert.take().filter(|revert| revert.epoch == *epoch);
                let mut revert = known.unwrap_or_else(|| Revert::asked(*epoch, at));
                revert.state = RevertState::Closed;
                revert.closed = Some((*seen, TargetClosed::Isolated { state }));
                self.revert = Some(revert);
            }
            _ => {
                if let Some(revert) = &mut self.revert {
                    revert.advance(action, result);
                }
            }
        }
        if self.reverted() {
            self.set_fence(|fence| fence.state = FenceState::Released);
        }
    }
}

impl Revert {
    const fn asked(epoch: u64, at: Timestamp) -> Self {
        Self {
            epoch,
            state: RevertState::Asked,
            asked_at: at,
            fenced: None,
            position: None,
            called_off: None,
            closed: None,
            reopened: None,
        }
    }

    fn advance(&mut self, action: &Action, result: &StepResult) {
        match result {
            StepResult::TargetFenced {
                fenced_at,
                last_target_write,
                position,
            } => {
                self.state = RevertState::Leased;
                self.fenced = Some((*fenced_at, *last_target_write));
                self.position = Some(position.clone());
            }
            StepResult::Committed { committed_at } => {
                self.state = RevertState::Closed;
                self.closed = Some((*committed_at, TargetClosed::Committed));
            }
            StepResult::SourceReopened {
                reopened_at,
                first_source_write,
                lsn,
                timeline,
            } => {
                self.state = RevertState::Reopened;
                self.reopened = Some(Reopened {
                    reopened_at: *reopened_at,
                    first_source_write: *first_source_write,
                    lsn: lsn.clone(),
                    timeline: *timeline,
                });
            }
            _ if matches!(action, Action::UnfenceTarget { .. }) => {
                self.state = RevertState::Released;
            }
            _ => {}
        }
    }
}

impl Activated {
    /// Where it stood, in words.
    #[must_use]
    pub fn position(&self) -> String {
        let lsn = self
            .lsn
            .as_deref()
            .unwrap_or("a position that was not recorded");
        format!("{lsn} on timeline {}", self.timeline)
    }
}

fn require(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

/// A step of the way back after the activation.
pub(super) const fn is_step(action: &Action) -> bool {
    matches!(
        action,
        Action::CheckRevert { .. }
            | Action::FenceTarget { .. }
            | Action::CommitTarget { .. }
            | Action::IsolateTarget { .. }
            | Action::ReopenSource { .. }
            | Action::UnfenceTarget { .. }
    )
}
