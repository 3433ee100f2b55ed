//! What stands in an account: instance, volumes and their snapshots, as seen at one moment (always stale).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, InstanceId, Region, SnapshotId, VolumeId, Zone};
use crate::units::Timestamp;

/// What was seen of one consistency group: the data volumes of one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// When it was read.
    pub taken_at: Timestamp,
    /// Owner.
    pub account: AccountId,
    /// Region.
    pub region: Region,
    /// The instance that holds the volumes; absent when volumes were named one by one and are detached.
    pub instance: Option<InstanceId>,
    /// Data volumes, in order of their ids; never the root volume.
    pub volumes: Vec<VolumeFacts>,
    /// Root volume of the instance: left out of every snapshot set.
    pub root_volume: Option<VolumeId>,
    /// Snapshots of these volumes, oldest first.
    pub snapshots: Vec<SnapshotFacts>,
}

/// One EBS volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeFacts {
    /// Name.
    pub volume: VolumeId,
    /// Zone it lives in.
    pub zone: Zone,
    /// Size in GiB.
    pub size_gib: u64,
    /// `gp3`, `io2`, `st1`, ...
    pub volume_type: String,
    /// Provisioned operations per second, where the type has them.
    pub iops: Option<u32>,
    /// Provisioned throughput, where the type has it.
    pub throughput_mib_per_second: Option<u32>,
    /// `in-use`, `available`, `error`, ...
    pub state: String,
    /// Device name of the attachment, such as `/dev/sdf`.
    pub device: Option<String>,
    /// Instance it is attached to.
    pub attached_to: Option<InstanceId>,
    /// Multi-Attach enabled.
    pub multi_attach: bool,
    /// Encrypted at rest.
    pub encrypted: bool,
    /// Key ARN when encrypted.
    pub kms_key: Option<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// One snapshot of one of the volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotFacts {
    /// Name.
    pub snapshot: SnapshotId,
    /// Volume it was taken of.
    pub volume: VolumeId,
    /// `pending`, `completed`, `error`, ...
    pub state: String,
    /// Why it is in `error`, when the service says so.
    #[serde(default)]
    pub state_message: Option<String>,
    /// Progress as the service tells it, such as `80%`.
    #[serde(default)]
    pub progress: Option<String>,
    /// Point in time it holds.
    pub started_at: Timestamp,
    /// When it was complete.
    pub completed_at: Option<Timestamp>,
    /// All blocks ever written, in bytes: the full size, never the increment.
    pub full_bytes: Option<u64>,
    /// Volume size at that time.
    pub size_gib: u64,
    /// Storage tier, `standard` or `archive`.
    pub storage_tier: String,
    /// Encrypted at rest.
    pub encrypted: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}
