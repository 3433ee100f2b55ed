//! The fence as a pure machine: state, event and boot time in; state and effect, or a refusal, out.
//!
//! The law it keeps (two writers are impossible): the database serves only in [`Phase::Open`], and the only ways to
//! [`Phase::Open`] lead through [`Phase::Releasing`]. `Permanent` is reached only from `Leased` while the lease runs,
//! and left only when someone names the epoch it was committed under and a higher one, under which the other side was
//! closed for good. The caller makes each new state durable before it acts on it or answers. So whoever got the
//! acknowledgement of a commit knows that this host never serves again unless the other side gave way.

mod phase;
mod refusals;
mod reopen;

pub use phase::{Effect, Event, Phase};
pub use reopen::Reopening;

use super::clock::BootSeconds;
use crate::quiesce::protocol::{ErrorCode, FenceReply, FenceState, Refusal};
use chrono::{DateTime, Utc};
use refusals::{busy, committed, lease_ended};
use serde::{Deserialize, Serialize};

/// What the fence is; also the durable record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fence {
    /// The boot in which `phase` was entered: lease ends mean nothing in another one.
    pub boot_id: String,
    /// Highest epoch seen.
    pub epoch: Option<u64>,
    /// Where the fence stands.
    pub phase: Phase,
    /// The last time a permanent fence was let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened: Option<Reopening>,
}

/// The next state and what to do once it is durable.
type Next = (Fence, Effect);

impl Fence {
    /// No fence, no epoch.
    #[must_use]
    pub fn open(boot_id: impl Into<String>) -> Self {
        Self {
            boot_id: boot_id.into(),
            epoch: None,
            phase: Phase::Open,
            reopened: None,
        }
    }

    /// The state and effect after `event` at `now`.
    ///
    /// # Errors
    /// A refusal, with the state unchanged.
    pub fn after(&self, event: Event, now: BootSeconds) -> Result<Next, Refusal> {
        match event {
            Event::FenceAsked {
                epoch,
                lease_seconds,
            } => self.fence_asked(epoch, now, lease_seconds),
            Event::Stopped(facts) => self.stopped(facts, now),
            Event::StopFailed { reason } => Ok(self.release(reason)),
            Event::CommitAsked { epoch, at } => self.commit_asked(epoch, now, at),
            Event::UnfenceAsked { epoch } => self.unfence_asked(epoch),
            Event::ReopenAsked(asked) => self.reopen_asked(asked),
            Event::Tick => Ok(self.tick(now)),
            Event::Released => Ok(self.released()),
        }
    }

    /// The state a starting helper takes over from the record.
    ///
    /// In the same boot a lease goes on, since its end is on the same clock; a fence that was being made is let go, as
    /// nobody knows how far it came. In a new boot the lease is void: the epoch is raised, so that a commit still on
    /// its way is refused, and the database is released.
    #[must_use]
    pub fn resumed(self, boot_id: &str) -> Self {
        let new_boot = self.boot_id != boot_id;
        let epoch = self.epoch;
        let (epoch, phase) = match self.phase {
            phase @ (Phase::Open | Phase::Permanent { .. }) => (epoch, phase),
            phase @ Phase::Leased { .. } if !new_boot => (epoch, phase),
            phase @ Phase::Releasing { .. } if !new_boot => (epoch, phase),
            Phase::Fencing { .. } | Phase::Leased { .. } | Phase::Releasing { .. } => {
                let reason = if new_boot {
                    "the host was booted anew"
                } else {
                    "the helper ended while it was fencing"
                };
                (
                    epoch.map(|epoch| epoch + u64::from(new_boot)),
                    Phase::Releasing {
                        reason: reason.to_owned(),
                    },
                )
            }
        };
        Self {
            boot_id: boot_id.to_owned(),
            epoch,
            phase,
            reopened: self.reopened,
        }
    }

    /// What `status` shows. A release under way still counts as a lease without time left.
    #[must_use]
    pub fn shown(&self) -> FenceState {
        match self.phase {
            Phase::Open => FenceState::None,
            Phase::Fencing { .. } | Phase::Leased { .. } | Phase::Releasing { .. } => {
                FenceState::Leased
            }
            Phase::Permanent { .. } => FenceState::Permanent,
        }
    }

    /// Seconds left of the lease, null without one.
    #[must_use]
    pub fn lease_remaining_seconds(&self, now: BootSeconds) -> Option<f64> {
        match self.phase {
            Phase::Fencing { lease_end } | Phase::Leased { lease_end, .. } => {
                Some(lease_end.since(now).max(0.0))
            }
            Phase::Releasing { .. } => Some(0.0),
            Phase::Open | Phase::Permanent { .. } => None,
        }
    }

    /// Refuses unless a fence of exactly `epoch` stands under a running lease.
    ///
    /// # Errors
    /// `stale_epoch`, `not_fenced`, `lease_ended` or `committed`.
    pub fn require_leased(&self, epoch: u64, now: BootSeconds) -> Result<(), Refusal> {
        self.require_current(epoch)?;
        match self.phase {
            Phase::Leased { lease_end, .. } if self.epoch == Some(epoch) => {
                require_running(lease_end, now)
            }
            Phase::Permanent { .. } => Err(committed()),
            Phase::Releasing { .. } => Err(lease_ended()),
            Phase::Open if self.epoch == Some(epoch) => Err(lease_ended()),
            Phase::Open | Phase::Fencing { .. } | Phase::Leased { .. } => Err(Refusal::new(
                ErrorCode::NotFenced,
                format!("there is no complete fence of epoch {epoch}"),
            )),
        }
    }

    fn fence_asked(
        &self,
        epoch: u64,
        now: BootSeconds,
        lease_seconds: f64,
    ) -> Result<Next, Refusal> {
        self.require_current(epoch)?;
        let lease_end = now.plus(lease_seconds);
        match &self.phase {
            Phase::Open => Ok((
                self.with_epoch(epoch, Phase::Fencing { lease_end }),
                Effect::Stop,
            )),
            Phase::Leased { lease_end: end, .. } if now >= *end => Err(lease_ended()),
            Phase::Leased { facts, .. } => {
                let facts = facts.clone();
                Ok((
                    self.with_epoch(epoch, Phase::Leased { lease_end, facts }),
                    Effect::None,
                ))
            }
            Phase::Fencing { .. } => Err(busy("another fence is being made")),
            Phase::Releasing { .. } => Err(busy("an earlier fence is being released")),
            Phase::Permanent { .. } => Err(committed()),
        }
    }

    fn stopped(&self, facts: FenceReply, now: BootSeconds) -> Result<Next, Refusal> {
        match self.phase {
            Phase::Fencing { lease_end } if now < lease_end => {
                Ok((self.with(Phase::Leased { lease_end, facts }), Effect::None))
            }
            _ => Ok(self.release("the lease ended while the database was being fenced")),
        }
    }

    fn commit_asked(
        &self,
        epoch: u64,
        now: BootSeconds,
        at: DateTime<Utc>,
    ) -> Result<Next, Refusal> {
        if matches!(self.phase, Phase::Permanent { .. }) && self.epoch == Some(epoch) {
            return Ok((self.clone(), Effect::None));
        }
        self.require_leased(epoch, now)?;
        Ok((
            self.with(Phase::Permanent { committed_at: at }),
            Effect::None,
        ))
    }

    fn unfence_asked(&self, epoch: u64) -> Result<Next, Refusal> {
        self.require_current(epoch)?;
        match self.phase {
            Phase::Open => Ok((self.clone(), Effect::None)),
            Phase::Fencing { .. } => Err(busy("the fence is still being made")),
            Phase::Leased { .. } | Phase::Releasing { .. } => {
                let (fence, effect) = self.release("the executor let go");
                Ok((fence.with_epoch(epoch, fence.phase.clone()), effect))
            }
            Phase::Permanent { .. } => Err(committed()),
        }
    }

    fn tick(&self, now: BootSeconds) -> Next {
        match self.phase {
            Phase::Leased { lease_end, .. } if now >= lease_end => {
                self.release("the lease ended without a commit")
            }
            Phase::Releasing { .. } => (self.clone(), Effect::Release),
            _ => (self.clone(), Effect::None),
        }
    }

    fn released(&self) -> Next {
        match self.phase {
            Phase::Releasing { .. } => (self.with(Phase::Open), Effect::None),
            _ => (self.clone(), Effect::None),
        }
    }

    fn release(&self, reason: impl Into<String>) -> Next {
        match self.phase {
            Phase::Fencing { .. } | Phase::Leased { .. } => (
                self.with(Phase::Releasing {
                    reason: reason.into(),
                }),
                Effect::Release,
            ),
            Phase::Releasing { .. } => (self.clone(), Effect::Release),
            Phase::Open | Phase::Permanent { .. } => (self.clone(), Effect::None),
        }
    }

    fn require_current(&self, epoch: u64) -> Result<(), Refusal> {
        match self.epoch {
            Some(known) if epoch < known => {
                let message = format!(
                    "epoch {epoch} is older than {known}: another executor owns this migration now"
                );
                Err(Refusal::new(ErrorCode::StaleEpoch, message))
            }
            _ => Ok(()),
        }
    }

    fn with(&self, phase: Phase) -> Self {
        Self {
            phase,
            ..self.clone()
        }
    }

    fn with_epoch(&self, epoch: u64, phase: Phase) -> Self {
        Self {
            epoch: Some(epoch),
            phase,
            ..self.clone()
        }
    }
}

fn require_running(lease_end: BootSeconds, now: BootSeconds) -> Result<(), Refusal> {
    if now < lease_end {
        Ok(())
    } else {
        Err(lease_ended())
    }
}

#[cfg(test)]
#[path = "fence_tests.rs"]
mod tests;
