//! The helper's part in a revert: an activated target that is fenced like a source, and a source whose permanent
//! fence is let go. It must not know which side the other one is.

use super::clock;
use super::fence::{Effect, Event, Phase, Reopening};
use super::service::Host;
use super::target::TargetPhase;
use crate::quiesce::protocol::*;

impl Host {
    /// A source, or a target that was activated under an older epoch.
    pub(super) fn require_fenceable(&self, epoch: u64) -> Result<(), Refusal> {
        match self.store.get().target.map(|target| target.phase) {
            None => Ok(()),
            Some(TargetPhase::Active { epoch: known, .. }) if epoch > known => Ok(()),
            Some(TargetPhase::Active { epoch: known, .. }) => Err(Refusal::new(
                ErrorCode::StaleEpoch,
                format!(
                    "this target was activated under epoch {known}: epoch {epoch} cannot fence it"
                ),
            )),
            Some(TargetPhase::Isolated | TargetPhase::Activating { .. }) => Err(Refusal::new(
                ErrorCode::Refused,
                "this host is the target of a migration: nothing to fence",
            )),
        }
    }

    /// A target that broke down gives way too: what matters is that it cannot start.
    pub(super) fn stop_engine(&self, epoch: u64) -> Result<FenceReply, Refusal> {
        let target = self.store.get().target.is_some();
        if target && self.engine.state() == DatabaseState::Stopped {
            return self.engine.fence_stopped(epoch);
        }
        self.engine.fence(epoch)
    }

    /// A target that gives way, or gave way, is never activated again.
    pub(super) fn require_no_fence(&self) -> Result<(), Refusal> {
        match self.store.get().fence.phase {
            Phase::Open => Ok(()),
            _ => Err(Refusal::new(
                ErrorCode::Committed,
                "this target is fenced: it gives way to the source",
            )),
        }
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
