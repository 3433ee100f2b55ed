//! What `sync` did: which blocks differ, which were written, which were read back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::ids::SnapshotId;

/// Result of bringing a device or file to a snapshot's content, or of taking that back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SyncReport {
    /// `snapmigrate.sync/1`.
    pub format: String,
    /// What was done.
    pub action: SyncAction,
    /// What the target held; absent: anything.
    pub from: Option<SnapshotId>,
    /// What it holds now; with `undo`, what it no longer holds.
    pub to: SnapshotId,
    /// Device or file; with `onto`, the snapshot that was made.
    pub target: String,
    /// Snapshot at the target that it was put onto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onto: Option<SnapshotId>,
    /// `sha256`: every block was checked against the checksum that came with it, and read back.
    pub method: String,
    /// `direct` past the page cache, `cached` through it, `service` from a snapshot, `off`.
    pub read_back: ReadBackMode,
    /// Blocks in the volume.
    pub volume_blocks: u64,
    /// Blocks that differ, or were put back.
    pub blocks: SyncBlocks,
    /// Whether changed, written and read-back set are the same; never true without reading back.
    pub proved: bool,
    /// SHA-256 over index and SHA-256 of every changed block, ascending; of a whole snapshot the same
    /// as `verify` computes. Empty after an undo.
    pub digest: String,
    /// Durations.
    pub seconds: SyncSeconds,
    /// Calls to the service.
    pub calls: SyncCalls,
    /// The undo record, when one was kept.
    pub undo: Option<SyncUndo>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncAction {
    /// The target was brought to `to`.
    Sync,
    /// The overwritten blocks were put back.
    Undo,
}

/// How written blocks were read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadBackMode {
    /// From the medium, past the page cache.
    Direct,
    /// Through the page cache.
    Cached,
    /// From the completed snapshot, through the API.
    Service,
    /// Not at all, as was asked.
    Off,
}

/// Sets of blocks, by their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncBlocks {
    /// Blocks that the listing shows.
    pub changed: u64,
    /// Of these, blocks that only the first snapshot holds: they became zeros.
    pub only_in_first: u64,
    /// Blocks written, by this run and the ones it took up.
    pub written: u64,
    /// Blocks read back with the digest that was written.
    pub read_back: u64,
    /// Of the written ones, blocks that an interrupted run had made durable.
    pub resumed: u64,
    /// Blocks outside the listing that were not zeros and had to be.
    pub cleared: u64,
}

/// Durations in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SyncSeconds {
    /// From the first page asked for to the last one received.
    pub listing: f64,
    /// All of it.
    pub total: f64,
}

/// Calls to the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncCalls {
    /// Pages listed.
    pub pages: u64,
    /// Blocks read.
    pub blocks_read: u64,
    /// Second requests for a slow block.
    pub hedged: u64,
    /// Calls repeated after an error that passes.
    pub repeated: u64,
    /// Blocks whose bytes did not match their checksum and were read again.
    pub corrupt: u64,
    /// Refusals because the snapshot was read too fast.
    pub throttled_by_snapshot: u64,
    /// Refusals because the account was.
    pub throttled_by_account: u64,
    /// Most blocks under way at once.
    pub in_flight_max: u64,
}

/// The undo record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncUndo {
    /// Directory that holds it.
    pub directory: String,
    /// Blocks kept as they were.
    pub blocks: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

impl Document for SyncReport {
    const FORMAT: &'static str = "snapmigrate.sync/1";
}

/// Result of reading a whole device so that it has fetched all its blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HydrationReport {
    /// `snapmigrate.hydration/1`.
    pub format: String,
    /// Device or file.
    pub device: String,
    /// Its bytes.
    pub total_bytes: u64,
    /// Bytes read, by this run and the ones it took up.
    pub read_bytes: u64,
    /// Bytes that an interrupted run had read.
    pub resumed_bytes: u64,
    /// Bytes per second of this run.
    pub bytes_per_second: f64,
}

impl Document for HydrationReport {
    const FORMAT: &'static str = "snapmigrate.hydration/1";
}
