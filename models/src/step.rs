//! The vocabulary of execution: actions, what they result in, and the events the journal keeps.
//!
//! One intent per action: an action that makes several calls names each of them from the plan, the
//! step and the volume, so that an interrupted attempt is found and adopted instead of repeated.

mod action;
mod event;
mod hosts;
mod revert;
mod snapshots;
mod volumes;

pub use event::{Event, FailureClass, Verb};
pub use hosts::{Layer, ServerIdentity, Stack};
pub use revert::TargetPosition;
pub use snapshots::{CompletedSnapshot, MadeSnapshot};
pub use volumes::{SyncedVolume, TriedRestore, VolumePair};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blocks::BlockSet;
use crate::evidence::VolumePeriods;
use crate::ids::VolumeId;
use crate::plan::{Forecast, RoundKind};
use crate::report::Verification;
use crate::units::Timestamp;

/// One thing the executor does. Ordered as a migration meets them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Checks accounts, hosts and lineage; changes nothing.
    Preflight,
    /// CreateSnapshots of the group (base or round).
    Snapshot {
        /// Position in the chain.
        round: u32,
    },
    /// Waits until the whole set is completed.
    AwaitSnapshots {
        /// Position in the chain.
        round: u32,
    },
    /// Counts the changed blocks since the previous round, per volume.
    MeasureDelta {
        /// Position in the chain.
        round: u32,
    },
    /// Lets the target account read the set.
    Share {
        /// Position in the chain.
        round: u32,
    },
    /// CopySnapshot of each member into the target.
    Copy {
        /// Position in the chain.
        round: u32,
    },
    /// Waits until all copies are completed.
    AwaitCopies {
        /// Position in the chain.
        round: u32,
    },
    /// Path `direct`: creates empty volumes in the target and attaches them to its instance.
    PrepareVolumes,
    /// Path `direct`: has the target's host bring the prepared volumes to the round's content.
    Sync {
        /// Position in the chain.
        round: u32,
        /// Every block, whatever the volumes hold; otherwise what changed since the round before.
        whole: bool,
    },
    /// Path `direct`: waits until every block is written and read back.
    AwaitSync {
        /// Position in the chain.
        round: u32,
    },
    /// Restores a round on the target, starts its database isolated, as the cutover will, and removes all of it
    /// again: what that takes is measured. A second attempt only removes what the first one left.
    TryRestore {
        /// Position in the chain.
        round: u32,
        /// 1 for the first one of the migration.
        trial: u32,
    },
    /// Reads the write rate of the last minutes and the state of hosts and lineage.
    Gate {
        /// How many times the gate was reached.
        attempt: u32,
    },
    /// Writes the database's dirty buffers, so that fence and recovery are short.
    Checkpoint {
        /// The gate attempt it belongs to.
        attempt: u32,
    },
    /// Writes the database's dirty buffers right before a round, so that the round holds them and the
    /// next delta does not.
    Flush {
        /// Position in the chain.
        round: u32,
    },
    /// Stops the source from accepting commits, under a lease.
    Fence {
        /// Number of the fence.
        epoch: u64,
    },
    /// Freeze, CreateSnapshots, thaw.
    FreezeSnapshot {
        /// Position in the chain.
        round: u32,
        /// Attempt behind the same fence.
        attempt: u32,
    },
    /// Path `direct`: CreateSnapshot of each prepared volume before it is mounted for the first time.
    KeepTarget,
    /// CreateVolume from each final snapshot and waits until they are available.
    CreateVolumes,
    /// Attaches them to the target instance.
    AttachVolumes,
    /// Mounts them and starts the database as an isolated standby.
    BringUp,
    /// Compares fence position and identity with what the target replayed.
    Prove,
    /// Makes the fence permanent: from here only the target may serve.
    Commit {
        /// Number of the fence.
        epoch: u64,
    },
    /// Promotes the target; it accepts writes.
    Activate {
        /// Number of the fence.
        epoch: u64,
    },
    /// Compares the immutable final snapshots of both sides, block by block.
    Compare,
    /// Deletes what later rounds made superfluous, keeping two ancestors.
    Cleanup,
    /// Deletes every snapshot and copy of the chain that is tagged and journaled; for an end that is final.
    DeleteSnapshots,
    /// Way back: stops the target's database and unmounts.
    TakeDown,
    /// Way back: detaches and deletes the restored volumes.
    DeleteVolumes,
    /// Way back: deletes what the freezes left that do not count.
    DiscardFreezes,
    /// A command of the operator's.
    Hook {
        /// As in the policy.
        name: String,
        /// The round, the gate before a fence, or the number of the fence, that it is run for.
        occasion: u64,
    },
    /// Way back: the source serves again.
    Unfence {
        /// Number of the fence.
        epoch: u64,
    },
    /// Revert: asks both hosts where they stand; changes nothing.
    CheckRevert {
        /// How many times they were asked.
        attempt: u32,
    },
    /// Revert: stops the target from accepting commits, under a lease.
    FenceTarget {
        /// Number of the fence.
        epoch: u64,
    },
    /// Revert: makes the target's fence permanent: from here only the source may serve.
    CommitTarget {
        /// Number of the fence.
        epoch: u64,
    },
    /// Revert, for a target whose host does not answer: shows that its instance is stopped, and takes the database's
    /// volumes from it.
    IsolateTarget {
        /// Number under which the source is to serve.
        epoch: u64,
    },
    /// Revert: lets go the source's permanent fence.
    ReopenSource {
        /// Number of the target's fence.
        epoch: u64,
    },
    /// Revert called off before its commit: the target serves again.
    UnfenceTarget {
        /// Number of the fence.
        epoch: u64,
    },
}

/// What an action resulted in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum StepResult {
    /// Nothing to remember beyond its end.
    Done,
    /// What the preflight learned of the database: needed to bring it up on the target.
    Inspected {
        /// File systems of the database, in order of volume ids.
        mounts: Vec<VolumeMount>,
        /// Identity of the database.
        system_identifier: String,
        /// What lies between, for file systems that are not directly on one volume.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stacks: Vec<Stack>,
    },
    /// Snapshots or copies that were started, per source volume.
    Started {
        /// One per volume, in order of volume ids.
        snapshots: Vec<MadeSnapshot>,
    },
    /// The set is completed, per source volume.
    Completed {
        /// One per volume, in order of volume ids.
        snapshots: Vec<CompletedSnapshot>,
    },
    /// Changed blocks since the previous round.
    Deltas {
        /// One per volume, in order of volume ids.
        deltas: Vec<VolumeDelta>,
        /// What was written since then, as far as the metrics tell already.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        writes: Vec<VolumePeriods>,
    },
    /// State at the gate.
    Gate {
        /// Bytes written per second over the last minutes, whole group.
        write_bytes_per_second: f64,
        /// Operations per second over the last minutes, whole group.
        write_ops_per_second: f64,
        /// Seconds the fresh rate covers.
        rate_seconds: f64,
        /// The writes of the last hours that were not read before, as late as the metrics are.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        recent_writes: Vec<VolumePeriods>,
        /// What would make a cutover unsafe now; empty when nothing does.
        refusals: Vec<String>,
        /// Forecast with the fresh rate and the rounds so far.
        forecast: Forecast,
        /// The server that is to be fenced; absent in journals of before it was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<ServerIdentity>,
    },
    /// What a tried restore took; it is gone again.
    Tried {
        /// Its steps.
        restore: TriedRestore,
    },
    /// The source accepts no commit.
    Fenced {
        /// When it took effect.
        fenced_at: Timestamp,
        /// Our last probe commit it accepted.
        last_source_write: Timestamp,
        /// Position at or above every commit.
        lsn: String,
        /// Identity of the database.
        system_identifier: String,
        /// Timeline.
        timeline: u32,
    },
    /// Frozen, snapshots answered, thawed.
    Frozen {
        /// First FIFREEZE.
        frozen_at: Timestamp,
        /// The call's answer.
        answered_at: Timestamp,
        /// Last FITHAW.
        thawed_at: Timestamp,
        /// One per volume, in order of volume ids.
        snapshots: Vec<MadeSnapshot>,
    },
    /// Restored volumes.
    Volumes {
        /// Source and target volume, in order of source volume ids.
        volumes: Vec<VolumePair>,
    },
    /// The prepared volumes hold the round's content.
    Synced {
        /// One per volume, in order of source volume ids.
        volumes: Vec<SyncedVolume>,
    },
    /// The target holds everything up to the fence.
    Proved {
        /// Position replayed.
        replay_lsn: String,
        /// Identity of the database.
        system_identifier: String,
        /// Timeline.
        timeline: u32,
    },
    /// The fence is permanent.
    Committed {
        /// When the watchdog made it durable.
        committed_at: Timestamp,
    },
    /// The target accepts writes.
    Activated {
        /// Promotion done.
        activated_at: Timestamp,
        /// Our first commit the target accepted.
        first_target_write: Timestamp,
        /// New timeline.
        timeline: u32,
        /// Position after that commit; absent in journals of before it was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lsn: Option<String>,
        /// Transactions the database had begun by then; absent when it was not counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transactions: Option<u64>,
    },
    /// Where a revert would begin.
    RevertChecked {
        /// The target as it serves; absent when its host does not answer.
        target: Option<TargetPosition>,
        /// Why it does not answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// The target accepts no commit.
    TargetFenced {
        /// When it took effect.
        fenced_at: Timestamp,
        /// Our last probe commit it accepted.
        last_target_write: Timestamp,
        /// What it holds.
        position: TargetPosition,
    },
    /// The target's instance is stopped and the volumes are taken from it.
    TargetIsolated {
        /// When both was seen.
        at: Timestamp,
        /// State of the instance.
        state: String,
    },
    /// The source accepts writes again.
    SourceReopened {
        /// When its database served.
        reopened_at: Timestamp,
        /// Our first commit it accepted.
        first_source_write: Timestamp,
        /// Position after that commit.
        lsn: String,
        /// Its timeline, as before the cutover.
        timeline: u32,
    },
    /// A hook ended well.
    HookRan {
        /// How long it took; 0 where hooks are only named.
        seconds: f64,
        /// The end of what it said.
        said: String,
    },
    /// Result of the full comparison.
    Compared {
        /// What was compared and found.
        verification: Verification,
    },
}

/// Where the file system of a source volume is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeMount {
    /// At the source.
    pub volume: VolumeId,
    /// Absolute path.
    pub mountpoint: String,
}

/// Changed blocks of one volume since the previous round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeDelta {
    /// Volume.
    pub volume: VolumeId,
    /// Changed 512 KiB blocks; for the base all written blocks.
    pub changed_blocks: u64,
    /// Their identities; empty for the base.
    pub runs: BlockSet,
}

/// Kind of the round at `index`, when the final one is known to be `last`.
#[must_use]
pub const fn round_kind(index: u32, last: Option<u32>) -> RoundKind {
    match last {
        _ if index == 0 => RoundKind::Base,
        Some(last) if last == index => RoundKind::Final,
        _ => RoundKind::Round,
    }
}
