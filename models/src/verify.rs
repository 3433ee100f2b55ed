//! What `verify` found when it compared a device or file with a snapshot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::ids::SnapshotId;

/// Comparison of a device or file with a snapshot, block by block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceVerification {
    /// `snapmigrate.verify/1`.
    pub format: String,
    /// Snapshot.
    pub snapshot: SnapshotId,
    /// Device or file.
    pub device: String,
    /// `sha256`: every compared block was read from both sides in full.
    pub method: String,
    /// Blocks in the snapshot's volume.
    pub blocks_total: u64,
    /// Blocks of it that the snapshot holds; all others are zero.
    pub blocks_written: u64,
    /// Blocks compared; fewer than all with a sample.
    pub blocks_compared: u64,
    /// Blocks that differ.
    pub mismatches: u64,
    /// The first of them, in ascending order.
    pub first_mismatches: Vec<u64>,
    /// SHA-256 over index and SHA-256 of every compared block of the device, ascending; blocks of
    /// zeros that the snapshot does not hold are left out.
    pub digest: String,
}

impl Document for DeviceVerification {
    const FORMAT: &'static str = "snapmigrate.verify/1";
}
