//! The report: predicted against actual, and the proof that nothing was lost.

mod build;
mod revert;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::ids::{SnapshotId, VolumeId};
use crate::plan::RoundKind;
use crate::units::{Quantiles, Timestamp};

pub use build::build;
pub use revert::ReportedRevert;

/// What `execute` and `rehearse` end with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// `snapmigrate.report/1`.
    pub format: String,
    /// Name of the migration.
    pub name: String,
    /// Digest of the plan that it was begun with: `predicted` is what this one said.
    pub plan_digest: String,
    /// Digests of the child plans that took over, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adopted_plans: Vec<String>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why it ended so, in one sentence.
    pub reason: String,
    /// At plan time.
    pub predicted: Predicted,
    /// Once more at the last gate.
    pub predicted_at_gate: Option<Predicted>,
    /// What the spread of the predicted write downtime came from: at the last gate, else at plan time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<crate::forecast::SpreadShare>,
    /// What happened.
    pub actual: Actual,
    /// Identity and positions that were proved.
    pub proof: Proof,
    /// The chain as it was.
    pub rounds: Vec<ReportedRound>,
    /// Comparison of what was written with what arrived.
    pub verification: Option<Verification>,
    /// The way back after the activation, where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<ReportedRevert>,
    /// What is left in the accounts, to keep or delete.
    pub left_behind: Vec<String>,
}

impl Document for Report {
    const FORMAT: &'static str = "snapmigrate.report/1";
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The target serves.
    CutOver,
    /// The chain is in the target; no cutover was asked for.
    Copied,
    /// Stopped; the source serves.
    Aborted,
    /// Went back to the source after activation.
    Reverted,
    /// A step failed for good.
    Failed,
}

/// Predictions, as quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Predicted {
    /// First FIFREEZE to last FITHAW.
    pub freeze_seconds: Quantiles,
    /// Last source commit to first target commit.
    pub write_downtime_seconds: Quantiles,
    /// Time in which reads are not served.
    pub read_downtime_seconds: Quantiles,
    /// Bytes changed since the last round.
    pub final_delta_bytes: Quantiles,
    /// Whole cost.
    pub cost_usd: Quantiles,
}

/// What happened. Absent where the run did not get that far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Actual {
    /// First FIFREEZE to last FITHAW.
    pub freeze_seconds: Option<f64>,
    /// Last source commit to first target commit.
    pub write_downtime_seconds: Option<f64>,
    /// Time in which reads were not served: while the fence is a clean stop, the write downtime.
    pub read_downtime_seconds: Option<f64>,
    /// Bytes changed since the last round.
    pub final_delta_bytes: Option<u64>,
    /// Estimated from the measured quantities and the price table; the invoice may differ.
    pub cost_usd: Option<f64>,
    /// From the first CreateSnapshots call until that set was completed.
    pub base_snapshot_seconds: Option<f64>,
    /// Named instants of the cutover: `fence`, `freeze`, `snapshots_answered`, `thaw`,
    /// `last_source_write`, `activated`, `first_target_write`, and `switched` where hooks follow the activation (RFC
    /// 3339, milliseconds).
    pub times: BTreeMap<String, String>,
    /// Hooks that were run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<ReportedHook>,
}

/// A hook that ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedHook {
    /// As in the policy.
    pub name: String,
    /// Around what, `fence`.
    pub phase: String,
    /// `pre` or `post`.
    pub when: String,
    /// The round, the gate before a fence, or the number of the fence, that it was run for.
    pub occasion: u64,
    /// How long it took.
    pub seconds: f64,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// Identity and positions that were proved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// Identity of the database across all its copies.
    pub system_identifier: Option<String>,
    /// Position at the fence: PostgreSQL's LSN (`0/3000028`), or MariaDB's GTID state and InnoDB's LSN
    /// (`gtid 0-1-57, innodb 46980`).
    pub fence_lsn: Option<String>,
    /// Position the target had reached when it was proved, in the same form.
    pub target_lsn: Option<String>,
    /// Timeline after promotion; none for engines without timelines.
    pub target_timeline: Option<u32>,
}

/// One link of the chain as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedRound {
    /// Position, the base is 0.
    pub index: u32,
    /// Kind.
    pub kind: RoundKind,
    /// Changed bytes, all volumes.
    pub delta_bytes: Option<u64>,
    /// As planned, when the plan had this round.
    pub predicted_delta_bytes: Option<Quantiles>,
    /// From the call until the whole set was completed.
    pub snapshot_seconds: Option<f64>,
    /// From there until the data was in the target.
    pub transfer_seconds: Option<f64>,
    /// Its snapshots.
    pub volumes: Vec<ReportedSnapshot>,
}

/// One snapshot of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedSnapshot {
    /// Volume.
    pub volume: VolumeId,
    /// Its snapshot at the source.
    pub snapshot: SnapshotId,
    /// Its copy in the target.
    pub copy: Option<SnapshotId>,
    /// Point in time.
    pub started_at: Timestamp,
    /// Completion at the source.
    pub completed_at: Option<Timestamp>,
    /// Changed blocks.
    pub changed_blocks: Option<u64>,
    /// `incremental` or `full`.
    pub extent: String,
}

/// Comparison of source and target, block by block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// `sha256` for real bytes, `block_versions` for traced volumes; `read_back` on path `direct` when the target's
    /// snapshot was lost: what the target's host compared, block by block, before the mount.
    pub method: String,
    /// Blocks compared, all volumes.
    pub blocks_compared: u64,
    /// Blocks that differ.
    pub mismatches: u64,
    /// Blocks changed between the last two source snapshots.
    pub changed_blocks: u64,
    /// Blocks written to the target for that delta.
    pub written_blocks: u64,
    /// Blocks of that delta read back and compared.
    pub read_back_blocks: u64,
    /// SHA-256 over the identities of all compared blocks of the target.
    pub digest: String,
}

#[cfg(test)]
mod tests;
