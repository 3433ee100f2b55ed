//! One volume to be brought to a round, and what the target's host says of it. Calls nobody.

use snapmigrate_models::ids::{SnapshotId, VolumeId};
use snapmigrate_models::step::SyncedVolume;

use crate::execute::failure::{Failure, refusal};
use crate::quiesce::protocol::{BaseDone, BaseReply, BaseState, BaseTrouble};

/// One volume to be brought to a round.
pub(super) struct Order {
    pub(super) source: VolumeId,
    pub(super) target: VolumeId,
    pub(super) from: Option<SnapshotId>,
    pub(super) to: SnapshotId,
}

impl Order {
    pub(super) fn done<'a>(&self, reply: &'a BaseReply) -> Option<&'a BaseDone> {
        let same = reply.to.as_deref() == Some(self.to.as_str())
            && reply.from.as_deref() == self.from.as_ref().map(SnapshotId::as_str);
        let held = reply.state == BaseState::Held && same;
        reply.done.as_ref().filter(|_| held)
    }

    pub(super) fn synced(&self, done: &BaseDone) -> SyncedVolume {
        SyncedVolume {
            volume: self.source.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            changed_blocks: done.changed_blocks,
            written_blocks: done.written_blocks,
            read_back_blocks: done.read_back_blocks,
            resumed_blocks: done.resumed_blocks,
            method: done.method.clone(),
            digest: done.digest.clone(),
            started_at: done.started_at,
            finished_at: done.finished_at,
        }
    }

    pub(super) fn trouble(&self, reply: &BaseReply) -> Failure {
        match &reply.trouble {
            Some(BaseTrouble { code, message }) => {
                Failure::new(refusal(*code), format!("{}: {message}", self.target))
            }
            None => Failure::transient(format!(
                "{} is {:?} on the target's host, not {}: it is asked again",
                self.target, reply.state, self.to
            )),
        }
    }
}
