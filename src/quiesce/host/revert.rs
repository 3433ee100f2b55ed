//! The helper's part in a revert: an activated target that is fenced like a source, and a source whose permanent
//! fence is let go. It must not know which side the other one is.

use super::clock;
use super::fence::{Effect, Event, Reopening};
use super::service::Host;
use super::target::rules;
use crate::quiesce::protocol::*;

impl Host {
    pub(super) fn require_fenceable(&self, epoch: u64) -> Result<(), Refusal> {
        let target = self.store.get().target;
        rules::fenceable(target.as_ref().map(|target| &target.phase), epoch)
    }

    /// A target that broke down gives way too: what matters is that it cannot start.
    pub(super) fn stop_engine(&self, epoch: u64) -> Result<FenceReply, Refusal> {
        let target = self.store.get().target.is_some();
        if target && self.engine.state() == DatabaseState::Stopped {
            return self.engine.fence_stopped(epoch);
        }
        self.engine.fence(epoch)
    }

    pub(super) fn reopen(&self, asked: &Reopen) -> Result<ReopenReply, Refusal> {
        let _changing = self.changing();
        let reopening = Reopening {
            epoch: asked.epoch,
            committed_epoch: asked.committed_epoch,
            evidence: asked.evidence.clone(),
        };
        if self.apply(Event::ReopenAsked(reopening))? == Effect::Release {
            self.release()?;
        }
        let known = self.store.get().reopened;
        if let Some((_, reply)) = known.filter(|(epoch, _)| *epoch == asked.epoch) {
            return Ok(reply);
        }
        let reopened_at = clock::wall();
        let probe = self.engine.probe_commit()?;
        let reply = ReopenReply {
            reopened_at,
            first_write: probe.at,
            lsn: probe.lsn,
        };
        self.store.update(|record| {
            record.reopened = Some((asked.epoch, reply.clone()));
            Ok(())
        })?;
        Ok(reply)
    }
}
