//! Letting a permanent fence go: the one way out of it, for a revert.
//!
//! The request names the epoch of the fence it means and a higher one, under which the other side was closed for good.
//! A request of an older executor, or an older message, names neither: it is refused. It must not know how the other
//! side was closed.

use super::refusals::{busy, not_closed, other_fence};
use super::{Effect, Fence, Next, Phase};
use crate::quiesce::protocol::Refusal;
use serde::{Deserialize, Serialize};

/// Why and under which number a permanent fence is let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopening {
    /// Epoch under which the other side was closed.
    pub epoch: u64,
    /// Epoch under which this side was.
    pub committed_epoch: u64,
    /// How the other side was closed, in words.
    pub evidence: String,
}

impl Fence {
    pub(super) fn reopen_asked(&self, asked: Reopening) -> Result<Next, Refusal> {
        let known = self.reopened.as_ref();
        let again = known.is_some_and(|known| {
            (known.epoch, known.committed_epoch) == (asked.epoch, asked.committed_epoch)
        });
        match self.phase {
            Phase::Open if again => Ok((self.clone(), Effect::None)),
            Phase::Releasing { .. } if again => Ok((self.clone(), Effect::Release)),
            Phase::Permanent { .. } => self.reopened_by(asked),
            Phase::Open | Phase::Leased { .. } => Err(not_closed()),
            Phase::Fencing { .. } | Phase::Releasing { .. } => Err(busy("the fence is changing")),
        }
    }

    fn reopened_by(&self, asked: Reopening) -> Result<Next, Refusal> {
        self.require_current(asked.epoch)?;
        if self.epoch != Some(asked.committed_epoch) || asked.epoch <= asked.committed_epoch {
            return Err(other_fence(&asked, self.epoch));
        }
        let reason = format!("reopened under epoch {}: {}", asked.epoch, asked.evidence);
        let reopened = Self {
            reopened: Some(asked.clone()),
            ..self.with_epoch(asked.epoch, Phase::Releasing { reason })
        };
        Ok((reopened, Effect::Release))
    }
}
