//! What was measured of a volume: written bytes over time, changed blocks between snapshots, durations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blocks::BlockSet;
use crate::ids::{Region, SnapshotId, VolumeId, Zone};
use crate::units::Timestamp;

/// Everything measured of one volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeObservations {
    /// Volume.
    pub volume: VolumeId,
    /// Blocks ever written (upper bound of every delta), when a snapshot told it.
    pub written_blocks: Option<u64>,
    /// Write history, oldest first; periods may differ by age.
    pub writes: Vec<WritePeriod>,
    /// Changed blocks between consecutive snapshots, oldest first.
    pub deltas: Vec<ObservedDelta>,
    /// Durations of service steps.
    pub durations: Vec<ObservedDuration>,
}

/// Sums over one metric period (CloudWatch `VolumeWriteBytes` and `VolumeWriteOps`, statistic Sum).
/// A period without a data point is absent: unknown, not zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WritePeriod {
    /// Start of the period.
    pub start: Timestamp,
    /// Length of the period.
    pub period_seconds: u32,
    /// Bytes written.
    pub write_bytes: f64,
    /// Write operations.
    pub write_ops: f64,
}

impl WritePeriod {
    /// End of the period; exclusive.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.start + chrono::TimeDelta::seconds(self.period_seconds.into())
    }
}

/// The distinct 512 KiB blocks that changed between two snapshots of one volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObservedDelta {
    /// Older snapshot.
    pub from_snapshot: SnapshotId,
    /// Newer snapshot.
    pub to_snapshot: SnapshotId,
    /// Point in time of the older one.
    pub from: Timestamp,
    /// Point in time of the newer one.
    pub to: Timestamp,
    /// Number of changed blocks.
    pub changed_blocks: u64,
    /// Their identities; empty when only the count is known.
    pub runs: BlockSet,
}

impl ObservedDelta {
    /// Seconds between the two points in time.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.to - self.from).as_seconds_f64()
    }
}

/// Steps of a migration that take time in the service.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStep {
    /// CreateSnapshot until `completed`.
    Snapshot,
    /// CopySnapshot until `completed`.
    Copy,
    /// CreateVolume until `available`.
    CreateVolume,
    /// AttachVolume until `attached`.
    Attach,
    /// Mount, start and recovery of the database on the target.
    Recovery,
    /// CHECKPOINT to write the database's dirty buffers.
    Checkpoint,
    /// Fence: stop of the database or end of its sessions.
    Fence,
    /// First FIFREEZE to last FITHAW around CreateSnapshots.
    Freeze,
    /// Promotion until the first accepted commit.
    Activate,
    /// Background loading of a volume made from a snapshot, until all of its data is in place.
    Initialize,
    /// A prepared volume brought to a snapshot over the direct APIs, until all is written and read back.
    Direct,
}

/// One measured duration of a service step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObservedDuration {
    /// Step.
    pub step: ServiceStep,
    /// Bytes it had to move, when known.
    pub moved_bytes: Option<u64>,
    /// Duration.
    pub seconds: f64,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Region it ran in, for a copy the target's.
    pub region: Region,
    /// Type of the volume, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
    /// Zone of the volume, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Region a copy came from, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_region: Option<Region>,
}
