//! Policy: what the operator wants and allows. Wishes only; nothing here was measured or decided.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, InstanceId, Region, Zone};
use crate::units::Timestamp;

mod file;
mod fleet;
mod hooks;
mod hours;
mod limits;
mod wish;

pub use file::{FORMAT, PolicyError};
pub use fleet::{FleetMember, FleetPolicy};
pub use hooks::{HookPhase, HookPolicy, HookTime};
pub use hours::Hours;
pub use limits::PolicyLimits;
pub use wish::ImpossibleWish;

/// What the operator wants and allows, read from a TOML file and overridden by flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Name of the migration: appears in tags and must be typed for dangerous verbs.
    #[serde(default = "default_name")]
    pub name: String,
    /// Where the database goes.
    pub target: TargetPolicy,
    /// Longest write downtime accepted, at the confidence below.
    #[serde(default = "default_max_write_downtime_seconds")]
    pub max_write_downtime_seconds: f64,
    /// Probability with which the limit must hold, in (0, 1).
    #[serde(default = "default_confidence")]
    pub confidence: f64,
    /// Most rounds after the base, the final one included.
    #[serde(default = "default_max_rounds")]
    pub max_rounds: u32,
    /// Daily windows in which the cutover may start; empty: any time.
    #[serde(default)]
    pub windows: Vec<WindowPolicy>,
    /// Time zone of the windows' days and times, such as `Europe/Berlin`; absent: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The migration must be over by then.
    #[serde(default)]
    pub latest_finish: Option<Timestamp>,
    /// Most money to spend.
    #[serde(default)]
    pub budget_usd: Option<f64>,
    /// Transfer paths that may be used; empty: all.
    #[serde(default)]
    pub paths: Vec<TransferPath>,
    /// Longest time the source may stay fenced without a commit.
    #[serde(default = "default_lease_seconds")]
    pub lease_seconds: f64,
    /// Longest time the file systems may stay frozen.
    #[serde(default = "default_freeze_limit_seconds")]
    pub freeze_limit_seconds: f64,
    /// What a stop of the database writes to its volumes, in MiB of 512 KiB blocks; absent: what was
    /// dirtied since the CHECKPOINT before the fence, which the forecast knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush_mib: Option<u64>,
    /// Whether a restore of one round is tried on the target before the fence, and removed again, so that the gate
    /// knows what it takes.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub try_restore: bool,
    /// The database and the helpers on its hosts; absent: volumes only, no fence.
    #[serde(default)]
    pub database: Option<DatabasePolicy>,
    /// What path `direct` may do; absent: it is only shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<DirectPolicy>,
    /// Commands of the operator's around the named phases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookPolicy>,
    /// Whether snapshots may be taken only to measure a delta, before the migration begins.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub probe_snapshots: bool,
    /// Whether `execute` may go on with a child plan of its own making when the world has changed before the fence.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub replan: bool,
    /// Many instances to be planned together; absent: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetPolicy>,
}

/// Where the database goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetPolicy {
    /// Target account.
    pub account: AccountId,
    /// Target region.
    pub region: Region,
    /// Target zone.
    pub zone: Zone,
    /// Instance the restored volumes are attached to.
    #[serde(default)]
    pub instance: Option<InstanceId>,
    /// Key the copies are encrypted with; absent: unencrypted sources stay unencrypted.
    #[serde(default)]
    pub kms_key: Option<String>,
    /// Volume type of the restored volumes; absent: as the source's.
    #[serde(default)]
    pub volume_type: Option<String>,
    /// Provisioned initialization rate of the restored volumes, 100 to 300 MiB/s.
    #[serde(default)]
    pub initialization_mib_per_second: Option<u32>,
}

/// A daily window, on the clock of the policy's time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowPolicy {
    /// Days on which the window opens (`mon` ... `sun`); empty: every day.
    #[serde(default)]
    pub days: Vec<String>,
    /// Opens, `HH:MM`.
    pub start: String,
    /// Closes, `HH:MM`; earlier than `start` means the next day.
    pub end: String,
}

/// How the last delta reaches the target.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TransferPath {
    /// Same region, other account: a volume from the shared snapshot.
    Share,
    /// CopySnapshot into the target region or account.
    Copy,
    /// Changed blocks straight into a hydrated volume.
    Direct,
    /// CopyVolumes in the same zone: no chain.
    Clone,
}

/// The database and the helpers on its hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabasePolicy {
    /// `postgres`, `mariadb` or `mysql`, as in `host.toml` on both hosts.
    pub engine: String,
    /// Channel to the helper on the source host: `unix:PATH` or `exec:COMMAND ARG...`.
    pub source_host: String,
    /// Channel to the helper on the target host.
    pub target_host: String,
    /// SHA-256 that the helper's program must have on both hosts, as `host install` prints it; absent: only its
    /// version is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper_sha256: Option<String>,
}

/// What path `direct` may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectPolicy {
    /// Role of the source account that may read snapshots and nothing else. The executor assumes it for an hour
    /// at a time and hands the credentials to the helper on the target host, which keeps them in memory.
    pub reader_role_arn: String,
}

const fn yes() -> bool {
    true
}

// What is at its default is not written: a plan of an older version keeps its digest.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_yes(value: &bool) -> bool {
    *value
}

fn default_name() -> String {
    "migration".to_owned()
}

const fn default_max_write_downtime_seconds() -> f64 {
    1800.0
}

const fn default_confidence() -> f64 {
    0.9
}

const fn default_max_rounds() -> u32 {
    12
}

const fn default_lease_seconds() -> f64 {
    7200.0
}

const fn default_freeze_limit_seconds() -> f64 {
    30.0
}
