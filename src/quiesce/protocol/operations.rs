//! What the executor can ask of a host: one struct per operation, arguments in its fields.

use super::{Operation, Reader, direct, replies};
use serde::{Deserialize, Serialize};
use snapmigrate_models::step::{ServerIdentity, Stack};
use std::time::Duration;

/// A freeze as the host names it; opaque to everyone else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FreezeId(pub serde_json::Value);

/// A volume and where its file system belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// Volume id, `vol-...`.
    pub volume: String,
    /// Absolute path of the mount point.
    pub mountpoint: String,
}

/// A file of the executor's that must stay writable, when it runs on the host itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPath {
    /// What it is for.
    pub what: String,
    /// Absolute path.
    pub path: String,
}

macro_rules! operations {
    ($($(#[$about:meta])* $kind:ident $name:literal $timeout_seconds:literal -> $reply:path {
        $($(#[$field_about:meta])* $field:ident: $of:ty,)*
    })*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub struct $kind { $($(#[$field_about])* pub $field: $of,)* }

            impl Operation for $kind {
                const NAME: &'static str = $name;
                const TIMEOUT: Duration = Duration::from_secs($timeout_seconds);
                type Reply = $reply;
            }

            impl From<$kind> for Op {
                fn from(operation: $kind) -> Self {
                    Self::$kind(operation)
                }
            }
        )*

        /// Any operation, tagged by `op` on the wire.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "op")]
        pub enum Op {
            $($(#[$about])* #[serde(rename = $name)] $kind($kind),)*
        }

        impl Op {
            /// The operation's name on the wire.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$kind(_) => $name,)* }
            }
        }
    };
}

operations! {
    /// Who is there; the version handshake.
    Hello "hello" 15 -> replies::HelloReply {}
    /// Fence, freeze and database state in one look; changes nothing.
    Status "status" 15 -> replies::StatusReply {}
    /// What the database is, where it lies, and what speaks against a migration.
    Inspect "inspect" 120 -> replies::InspectReply {}
    /// What the host is made of, for the comparison with the other one; changes nothing.
    Survey "survey" 120 -> snapmigrate_models::hosts::HostFacts {
        /// Files to be looked at besides those that the database names.
        files: Vec<String>,
        /// Where file systems of the database will be mounted here.
        mountpoints: Vec<String>,
        /// Files of the caller's that must stay writable.
        kept: Vec<KeptPath>,
    }
    /// Flushes the database, so that the fence and the recovery are short.
    Checkpoint "checkpoint" 7200 -> replies::CheckpointReply {}
    /// A real commit of ours, acknowledged by the database.
    ProbeCommit "probe_commit" 60 -> replies::ProbeCommitReply {}
    /// Ends all writing under a lease. Idempotent for one epoch; asked again, the lease ends `lease_seconds` from then.
    Fence "fence" 900 -> replies::FenceReply {
        /// The executor's number; a lower one than known is refused.
        epoch: u64,
        /// Seconds after which the host unfences by itself.
        lease_seconds: f64,
        /// The server it was when it was last looked at; another one is not fenced.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<ServerIdentity>,
    }
    /// Freezes every file system of the database.
    Freeze "freeze" 120 -> replies::FreezeReply {
        /// Epoch of the fence.
        epoch: u64,
        /// Seconds after which the host thaws by itself.
        limit_seconds: f64,
    }
    /// Thaws and says whether the freeze was unbroken until now.
    Thaw "thaw" 60 -> replies::ThawReply {
        /// The freeze to end.
        freeze_id: FreezeId,
    }
    /// Makes the fence permanent: the commit of the migration.
    Commit "commit" 60 -> replies::CommitReply {
        /// Epoch of the fence.
        epoch: u64,
    }
    /// Lets the database serve again.
    Unfence "unfence" 900 -> replies::UnfenceReply {
        /// Epoch of the fence.
        epoch: u64,
    }
    /// Lets a permanent fence go and the database serve again: only after the other side is closed for good under
    /// `epoch`. Idempotent.
    Reopen "reopen" 900 -> replies::ReopenReply {
        /// Epoch under which the other side was closed; above every one known here.
        epoch: u64,
        /// Epoch under which this side was closed: names the fence that is meant.
        committed_epoch: u64,
        /// How the other side was closed, for the record.
        evidence: String,
    }
    /// Mounts the volumes on the target and starts the database there as an isolated standby.
    BringUp "bring_up" 3600 -> replies::BringUpReply {
        /// Where each volume belongs.
        mounts: Vec<MountRequest>,
        /// What is to be assembled from them first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stacks: Vec<Stack>,
        /// What the source said it is.
        system_identifier: String,
        /// The fence LSN.
        lsn: String,
        /// The source's timeline at the fence.
        timeline: u64,
    }
    /// Shows that the target holds everything up to the fence.
    Prove "prove" 600 -> replies::ProveReply {
        /// What the source said it is.
        system_identifier: String,
        /// The fence LSN.
        lsn: String,
    }
    /// Promotes the target and opens it to its clients. Only after the source's commit.
    Activate "activate" 900 -> replies::ActivateReply {
        /// Epoch of the migration.
        epoch: u64,
    }
    /// Brings an attached volume from one snapshot's content to another's, or goes on doing so, and holds it. Answers at
    /// once; asked again for the same it only renews the credentials.
    SyncVolume "sync" 120 -> direct::BaseReply {
        /// Volume id, `vol-...`.
        volume: String,
        /// Snapshot it holds; null: every block is written, whatever it holds.
        from: Option<String>,
        /// Snapshot it is to hold.
        to: String,
        /// What the snapshots are read with.
        reader: Reader,
    }
    /// How far a volume is, as soon as it is no longer being written, at the latest after `wait_seconds`.
    SyncStatus "sync_status" 120 -> direct::BaseReply {
        /// Volume id, `vol-...`.
        volume: String,
        /// At most 60.
        wait_seconds: f64,
    }
    /// Ends what is under way on a volume and lets it go, so that it can be detached.
    Release "release" 120 -> direct::ReleaseReply {
        /// Volume id, `vol-...`.
        volume: String,
    }
    /// Removes what `host install` brought, and ends the helper; refused while a fence or freeze stands that could end.
    Leave "leave" 60 -> replies::LeaveReply {}
    /// Stops the target's standby and unmounts its volumes.
    TakeDown "take_down" 300 -> replies::TakeDownReply {}
}
