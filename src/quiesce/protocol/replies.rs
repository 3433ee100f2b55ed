//! What a host answers: one struct per operation.

use super::{FreezeId, timestamp};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use snapmigrate_models::step::Layer;

/// Answer to `hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HelloReply {
    /// Version of the helper.
    pub version: String,
    /// Protocol it speaks.
    pub protocol: u64,
    /// Host name.
    pub host: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The host's wall clock.
    #[serde(with = "timestamp")]
    pub now: DateTime<Utc>,
    /// What it can do beyond the operations that every helper of this protocol knows; empty from an older one.
    #[serde(default)]
    pub abilities: Vec<String>,
    /// SHA-256 of its program, in hexadecimal; null from an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Ability of a helper that can take part in a revert.
pub const REVERT_ABILITY: &str = "revert";

/// Ability of a helper that tells what its host is made of.
pub const SURVEY_ABILITY: &str = "survey";

/// Ability of a helper that assembles LVM and mdraid on the target.
pub const STACKS_ABILITY: &str = "stacks";

/// Ability of one that can open encrypted devices: it has a key file.
pub const LUKS_ABILITY: &str = "luks";

/// How far the fence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceState {
    /// The database may serve.
    None,
    /// Fenced until the lease ends.
    Leased,
    /// Fenced for good: the migration is committed.
    Permanent,
}

/// What the database is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseState {
    /// It accepts writes.
    Running,
    /// It is there and does not run.
    Stopped,
    /// It runs in recovery.
    Standby,
    /// It runs and rejects everyone but the helper.
    Fenced,
    /// There is no data directory.
    Absent,
}

/// Answer to `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusReply {
    /// Highest epoch known, null before the first fence.
    pub epoch: Option<u64>,
    /// How far the fence is.
    pub fence: FenceState,
    /// Seconds until the host lets go by itself; null without a lease.
    pub lease_remaining_seconds: Option<f64>,
    /// Whether any file system of the database is frozen.
    pub frozen: bool,
    /// What the database is doing.
    pub database: DatabaseState,
}

/// A file system of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountFact {
    /// Where it is mounted.
    pub mountpoint: String,
    /// Device, `/dev/...`.
    pub device: String,
    /// `ext4`, `xfs`, ...
    pub fs_type: String,
    /// Volume id below the device; null when it is not a volume we can name.
    pub volume: Option<String>,
    /// All volume ids below the device when there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// What lies between, the lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The migration must not start.
    Refuse,
    /// The operator should know.
    Warn,
}

/// One thing that speaks against a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The setting, table or mount it is about.
    pub subject: String,
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Answer to `inspect`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InspectReply {
    /// `postgres`, `mariadb` or `mysql`.
    pub engine: String,
    /// The server's version.
    pub version: String,
    /// What the database is, across all its copies.
    pub system_identifier: String,
    /// Current timeline; 0 where the engine has none, here and below.
    pub timeline: u64,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// When the server started; null while it is stopped.
    #[serde(with = "timestamp::optional", default)]
    pub started_at: Option<DateTime<Utc>>,
    /// Current write position.
    pub lsn: String,
    /// Absolute path.
    pub data_directory: String,
    /// Every file system the database lies on.
    pub mounts: Vec<MountFact>,
    /// What speaks against a migration.
    pub findings: Vec<Finding>,
    /// Transactions the database has begun; null when it does not count them or does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<u64>,
}

/// Answer to `checkpoint`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointReply {
    /// When it was asked for.
    #[serde(with = "timestamp")]
    pub started_at: DateTime<Utc>,
    /// When the database reported it done.
    #[serde(with = "timestamp")]
    pub finished_at: DateTime<Utc>,
}

/// Answer to `probe_commit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeCommitReply {
    /// When the commit was acknowledged.
    #[serde(with = "timestamp")]
    pub at: DateTime<Utc>,
    /// Write position after it.
    pub lsn: String,
}

/// Answer to `fence`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FenceReply {
    /// When the fence stood.
    #[serde(with = "timestamp")]
    pub fenced_at: DateTime<Utc>,
    /// Time of the last probe commit the source accepted.
    #[serde(with = "timestamp")]
    pub last_source_write: DateTime<Utc>,
    /// All commits are at or below it; the engine's own notation.
    pub lsn: String,
    /// What the cluster is.
    pub system_identifier: String,
    /// Timeline at the fence.
    pub timeline: u64,
    /// When the server that was fenced had been started; null when it did not run or does not tell.
    #[serde(
        with = "timestamp::optional",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub started_at: Option<DateTime<Utc>>,
    /// Transactions the database had begun by then, without this call's own probe; null when it does not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<u64>,
}

/// Answer to `freeze`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FreezeReply {
    /// When the first file system was frozen.
    #[serde(with = "timestamp")]
    pub frozen_at: DateTime<Utc>,
    /// Names this freeze.
    pub freeze_id: FreezeId,
}

/// Answer to `thaw`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThawReply {
    /// When the last file system was thawed.
    #[serde(with = "timestamp")]
    pub thawed_at: DateTime<Utc>,
    /// From the first freeze to the last thaw.
    pub frozen_seconds: f64,
    /// One unbroken freeze from its start to now.
    pub unbroken: bool,
}

/// Answer to `commit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitReply {
    /// When the fence became permanent.
    #[serde(with = "timestamp")]
    pub committed_at: DateTime<Utc>,
}

/// Answer to `unfence`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnfenceReply {
    /// When the database served again.
    #[serde(with = "timestamp")]
    pub unfenced_at: DateTime<Utc>,
}

/// Answer to `reopen`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReopenReply {
    /// When the database served.
    #[serde(with = "timestamp")]
    pub reopened_at: DateTime<Utc>,
    /// When the first commit of ours was acknowledged after that.
    #[serde(with = "timestamp")]
    pub first_write: DateTime<Utc>,
    /// Write position after that commit.
    pub lsn: String,
}

/// Answer to `bring_up`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BringUpReply {
    /// Mount points now mounted.
    pub mounted: Vec<String>,
    /// When the standby answered.
    #[serde(with = "timestamp")]
    pub started_at: DateTime<Utc>,
    /// How much of its start was the replay of its log, as that log tells; absent where it does not, or the standby ran
    /// already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_seconds: Option<f64>,
    /// How far it has replayed.
    pub replay_lsn: String,
    /// What the cluster is.
    pub system_identifier: String,
    /// Its timeline.
    pub timeline: u64,
}

/// Answer to `prove`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProveReply {
    /// How far it has replayed.
    pub replay_lsn: String,
    /// What the cluster is.
    pub system_identifier: String,
    /// Its timeline.
    pub timeline: u64,
    /// Always true: a target out of recovery is not proved.
    pub in_recovery: bool,
}

/// Answer to `activate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivateReply {
    /// When the target was promoted.
    #[serde(with = "timestamp")]
    pub activated_at: DateTime<Utc>,
    /// When the first commit was acknowledged that any client could have made: after promotion and reopening.
    #[serde(with = "timestamp")]
    pub first_target_write: DateTime<Utc>,
    /// The new timeline.
    pub timeline: u64,
    /// Write position after that commit.
    pub lsn: String,
    /// Transactions the database had begun before any client could reach it, and the probe's; null when it does not
    /// count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<u64>,
}

/// Answer to `take_down`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeDownReply {
    /// Whether a database was stopped.
    pub stopped: bool,
    /// Mount points that were unmounted.
    pub unmounted: Vec<String>,
}

/// Answer to `leave`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveReply {
    /// Files and directories that are gone.
    pub removed: Vec<String>,
    /// Those that stay, each with the reason.
    pub kept: Vec<String>,
}
