//! Snapshots and copies as the journal names them. Plain values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{SnapshotId, VolumeId};
use crate::units::Timestamp;

/// A snapshot that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeSnapshot {
    /// Source volume.
    pub volume: VolumeId,
    /// Snapshot or copy.
    pub snapshot: SnapshotId,
    /// Point in time, or start of the copy.
    pub started_at: Timestamp,
}

/// A snapshot that is completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompletedSnapshot {
    /// Source volume.
    pub volume: VolumeId,
    /// Snapshot or copy.
    pub snapshot: SnapshotId,
    /// Point in time, or start of the copy.
    pub started_at: Timestamp,
    /// Completion.
    pub completed_at: Timestamp,
    /// All blocks ever written, in bytes, when the service says so.
    pub full_bytes: Option<u64>,
}
