//! What the prepared volumes of the path `direct` are known to hold. It must not know what comes next.

use super::Progress;
use crate::ids::{SnapshotId, VolumeId};
use crate::step::{Action, FailureClass};

impl Progress {
    /// Snapshot that a source volume's prepared volume holds when this round begins: the round before put it there, or
    /// an earlier run.
    #[must_use]
    pub fn held_before(&self, round: u32, volume: &VolumeId) -> Option<&SnapshotId> {
        let Some(before) = round.checked_sub(1) else {
            let mut pairs = self.restored.iter();
            return pairs.find(|pair| pair.source == *volume)?.holds.as_ref();
        };
        let mut synced = self.round(before)?.synced.iter();
        synced
            .find(|synced| synced.volume == *volume)
            .map(|synced| &synced.to)
    }

    /// Every prepared volume holds what this round's delta is to be put onto.
    #[must_use]
    pub fn is_based(&self, round: u32) -> bool {
        let mut pairs = self.restored.iter();
        !self.restored.is_empty()
            && pairs.all(|pair| self.held_before(round, &pair.source).is_some())
    }

    /// The prepared volumes may serve another run: nothing has mounted them, a round's content is in them, and nobody
    /// found them changed.
    #[must_use]
    pub fn leaves_bases(&self) -> bool {
        let untouched = !self.tried(&Action::KeepTarget) && !self.tried(&Action::BringUp);
        let based = self.rounds.values().any(|round| !round.synced.is_empty());
        let mut failing = self.failing.values();
        let broken = failing.any(|failing| {
            let sync = matches!(
                failing.action,
                Action::Sync { .. } | Action::AwaitSync { .. }
            );
            sync && failing.class == FailureClass::Integrity && failing.count > 0
        });
        self.prepared && untouched && based && !broken
    }
}
