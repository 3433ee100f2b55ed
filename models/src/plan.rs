//! The plan document: immutable, versioned, bound by digest to what it was made from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::{Document, digest_of};
use crate::ids::{AccountId, InstanceId, Region, SnapshotId, VolumeId, Zone};
use crate::policy::{Policy, TransferPath};
use crate::units::{Quantiles, Timestamp};

/// What will be done, when, with which bounds, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// `snapmigrate.plan/1`.
    pub format: String,
    /// SHA-256 of this document with an empty digest.
    pub digest: String,
    /// Digest of the plan this one replaces.
    pub parent: Option<String>,
    /// Digest of the plan that the journal was begun with; absent: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Name of the migration.
    pub name: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Seed of the simulation behind the forecast.
    pub seed: u64,
    /// SHA-256 of the profile it was made from.
    pub profile_digest: String,
    /// What the operator wants and allows.
    pub policy: Policy,
    /// Where the database is.
    pub source: Place,
    /// Where it goes.
    pub target: Place,
    /// Whether the chain converges to the wanted downtime.
    pub verdict: Verdict,
    /// What limits the result, in one sentence.
    pub binding_constraint: String,
    /// Probability at which the verdict holds.
    pub confidence: f64,
    /// Predicted clocks, final delta and cost.
    pub forecast: Forecast,
    /// The chain: base, rounds, final, in order.
    pub rounds: Vec<PlannedRound>,
    /// When the cutover may start; `end` is exclusive.
    pub window: Window,
    /// Volumes, in order of ids, with what the models learned of each.
    pub volumes: Vec<PlannedVolume>,
    /// Paths considered, per volume.
    pub paths: Vec<PathChoice>,
    /// Cost by line, in USD.
    pub cost: Vec<CostLine>,
    /// Go/no-go numbers checked at the gate.
    pub bounds: Bounds,
    /// What would change the downtime, and by how much.
    pub what_if: Vec<WhatIf>,
    /// What would serve better where a chain of snapshots is the wrong tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
    /// What was considered, rejected, binding.
    pub rationale: Vec<String>,
    /// The fitted models, so that the forecast can be brought up to date as rounds are measured.
    pub model: crate::forecast::FittedModel,
}

impl Plan {
    /// SHA-256 of the plan with an empty digest.
    #[must_use]
    pub fn computed_digest(&self) -> String {
        digest_of(&Self {
            digest: String::new(),
            ..self.clone()
        })
    }

    /// What everything made under this plan, its parents and its children is named after: one chain, one name.
    #[must_use]
    pub fn chain_digest(&self) -> &str {
        self.root.as_deref().unwrap_or(&self.digest)
    }

    /// The SSM parameter of the source account that says who may execute: one per source, whatever the migration is
    /// called.
    #[must_use]
    pub fn claim_parameter(&self) -> String {
        let instance = self.source.instance.as_ref().map(ToString::to_string);
        let volume = self
            .volumes
            .first()
            .map(|planned| planned.volume.to_string());
        format!("/snapmigrate/{}", instance.or(volume).unwrap_or_default())
    }

    /// The same plan carrying its digest.
    #[must_use]
    pub fn sealed(self) -> Self {
        Self {
            digest: self.computed_digest(),
            ..self
        }
    }
}

impl Document for Plan {
    const FORMAT: &'static str = "snapmigrate.plan/1";
}

/// One end of the migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Account.
    pub account: AccountId,
    /// Region.
    pub region: Region,
    /// Zone.
    pub zone: Zone,
    /// Instance, when there is one.
    pub instance: Option<InstanceId>,
}

/// Whether the chain converges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// To a downtime within the limit, at any time the policy allows.
    Converges,
    /// Only in the named windows.
    ConvergesInWindow,
    /// Only if the write rate is held below a bound.
    NeedsLowerWriteRate,
    /// Not to a downtime within the limit.
    DoesNotConverge,
}

/// The three clocks, the final delta and the cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// First FIFREEZE to last FITHAW.
    pub freeze_seconds: Quantiles,
    /// Last commit accepted by the source to the first accepted by the target.
    pub write_downtime_seconds: Quantiles,
    /// Time in which reads are not served.
    pub read_downtime_seconds: Quantiles,
    /// Bytes changed since the last round, all volumes.
    pub final_delta_bytes: Quantiles,
    /// Whole cost.
    pub cost_usd: Quantiles,
    /// What contributes how much to the spread of the write downtime.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<crate::forecast::SpreadShare>,
    /// Where the numbers come from: measured (how many points), prior (source) or assumed.
    pub provenance: Vec<String>,
}

/// Place of a round in the chain.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RoundKind {
    /// The first, full snapshot.
    Base,
    /// An incremental one while the database runs.
    Round,
    /// The one taken behind the fence.
    Final,
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedRound {
    /// Position, the base is 0.
    pub index: u32,
    /// Kind.
    pub kind: RoundKind,
    /// Not before.
    pub start: Timestamp,
    /// Path of the transfer.
    pub path: TransferPath,
    /// Changed bytes, all volumes.
    pub delta_bytes: Quantiles,
    /// Until the whole set is `completed`.
    pub snapshot_seconds: Quantiles,
    /// From there until the data is in the target.
    pub transfer_seconds: Quantiles,
}

/// A span of time; `end` is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Start.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
}

/// A volume of the consistency group as it was when the plan was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedVolume {
    /// Volume.
    pub volume: VolumeId,
    /// Size.
    pub size_gib: u64,
    /// Type at the source.
    pub volume_type: String,
    /// Type on the target.
    pub target_volume_type: String,
    /// Device name of the attachment.
    pub device: String,
    /// Source key, when encrypted.
    pub kms_key: Option<String>,
    /// A completed snapshot that can serve as base instead of a new one.
    pub reusable_base: Option<SnapshotId>,
}

/// One path considered for one volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PathChoice {
    /// Volume.
    pub volume: VolumeId,
    /// Path.
    pub path: TransferPath,
    /// Taken.
    pub chosen: bool,
    /// Why, or why not.
    pub reason: String,
    /// What the last hop takes on this path, when it applies.
    pub final_hop_seconds: Option<Quantiles>,
    /// What the path costs in all, when it applies.
    pub cost_usd: Option<f64>,
}

/// One line of the cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CostLine {
    /// What is paid for.
    pub item: String,
    /// Price and quantity in words, with the source of the price.
    pub basis: String,
    /// Amount.
    pub usd: Quantiles,
}

/// What must hold at the gate for the cutover to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bounds {
    /// Write downtime forecast at the gate, at the policy's confidence, must not exceed this.
    pub max_write_downtime_seconds: f64,
    /// Fresh write rate of the group above which the gate waits.
    pub max_write_bytes_per_second: f64,
    /// Rounds beyond which no further one is taken.
    pub max_rounds: u32,
    /// The fence must be up by then.
    pub latest_fence: Timestamp,
}

/// One change of circumstances and what it does to the write downtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhatIf {
    /// The change.
    pub change: String,
    /// Downtime under it.
    pub write_downtime_seconds: Quantiles,
}

/// Another way to move the database, with what its maker says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alternative {
    /// Name.
    pub name: String,
    /// What it promises.
    pub promise: String,
    /// What it needs, and where it ends.
    pub limits: String,
    /// Where that stands.
    pub source: String,
}
