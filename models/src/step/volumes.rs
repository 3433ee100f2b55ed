//! Volumes in the target: whose they are, and what a host did to them. It must not know how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{SnapshotId, VolumeId};
use crate::units::Timestamp;

/// A source volume and the volume restored from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumePair {
    /// At the source.
    pub source: VolumeId,
    /// At the target.
    pub target: VolumeId,
    /// Snapshot of the source whose content the target's host held it at, on path `direct` with a volume that an earlier
    /// run had prepared; absent for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<SnapshotId>,
}

/// How one prepared volume was brought to a round's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncedVolume {
    /// At the source.
    pub volume: VolumeId,
    /// Snapshot whose content it held before; absent: every block was written.
    pub from: Option<SnapshotId>,
    /// Snapshot whose content it holds now.
    pub to: SnapshotId,
    /// Blocks that the listing showed.
    pub changed_blocks: u64,
    /// Blocks written.
    pub written_blocks: u64,
    /// Blocks read back with the digest that was written.
    pub read_back_blocks: u64,
    /// Of the written ones, blocks that an interrupted attempt had made durable.
    pub resumed_blocks: u64,
    /// `sha256`, or `block_versions` where there are no bytes.
    pub method: String,
    /// Digest over index and digest of every changed block, ascending.
    pub digest: String,
    /// When the host began.
    pub started_at: Timestamp,
    /// When all of it was durable and read back.
    pub finished_at: Timestamp,
}

impl SyncedVolume {
    /// Changed set, written set and read-back set are the same.
    #[must_use]
    pub const fn is_proved(&self) -> bool {
        self.changed_blocks == self.written_blocks && self.changed_blocks == self.read_back_blocks
    }
}

/// What the steps of a tried restore took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriedRestore {
    /// From the first CreateVolume until all volumes are available.
    pub create_seconds: f64,
    /// Until all are attached.
    pub attach_seconds: f64,
    /// Start of the database from a round: it was never stopped, so it replays its log.
    pub start_seconds: f64,
    /// How much of the start was that replay; absent where the database's log did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_seconds: Option<f64>,
}

impl TriedRestore {
    /// What the start would have taken without a log to replay, where that was measured.
    #[must_use]
    pub fn clean_start_seconds(&self) -> Option<f64> {
        let clean = self.start_seconds - self.replay_seconds?;
        // Longer than the whole start: a clock was set meanwhile.
        (clean > 0.0 && clean <= self.start_seconds).then_some(clean)
    }
}
