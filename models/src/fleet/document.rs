//! The fleet plan document: the order, the windows, and what they take of the shared limits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::{Document, digest_of};
use crate::ids::InstanceId;
use crate::plan::{Verdict, Window};
use crate::policy::Policy;
use crate::units::{Quantiles, Timestamp};

/// Many instances in the order in which they are cut over. Each has an executable plan of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FleetPlan {
    /// `snapmigrate.fleet/1`.
    pub format: String,
    /// SHA-256 of this document with an empty digest.
    pub digest: String,
    /// Name of the fleet.
    pub name: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Seed of the simulations.
    pub seed: u64,
    /// What the operator wants and allows, the instances included.
    pub policy: Policy,
    /// What sets the pace, in one sentence.
    pub binding_constraint: String,
    /// First base to last cutover.
    pub span: Window,
    /// The instances that have a plan, in order of their windows.
    pub instances: Vec<PlannedInstance>,
    /// Those that have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedInstance>,
    /// Whole cost, USD. The sum of the instances' medians, and of their P90 and P99: above the sum's own.
    pub cost_usd: Quantiles,
    /// The shared limits, and what is taken of them.
    pub limits: Vec<LimitUse>,
}

impl FleetPlan {
    /// SHA-256 of the document with an empty digest.
    #[must_use]
    pub fn computed_digest(&self) -> String {
        digest_of(&Self {
            digest: String::new(),
            ..self.clone()
        })
    }

    /// The same document carrying its digest.
    #[must_use]
    pub fn sealed(self) -> Self {
        Self {
            digest: self.computed_digest(),
            ..self
        }
    }
}

impl Document for FleetPlan {
    const FORMAT: &'static str = "snapmigrate.fleet/1";
}

/// One instance's place in the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedInstance {
    /// Position in the order of cutovers, from 1.
    pub order: u32,
    /// Instance.
    pub instance: InstanceId,
    /// Failure domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Digest of its own plan.
    pub plan_digest: String,
    /// That plan's verdict.
    pub verdict: Verdict,
    /// Data volumes.
    pub volumes: u32,
    /// Rounds between base and final.
    pub rounds: u32,
    /// The base, or its copy where a snapshot stands already, starts then.
    pub base_start: Timestamp,
    /// Nine in ten bases are in the target by then.
    pub base_ready: Timestamp,
    /// The shared limit that made the base wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_for: Option<String>,
    /// When its cutover may start; `end` is exclusive.
    pub window: Window,
    /// 99 in 100 cutovers are over by then, even one that starts as late as it may.
    pub over_by: Timestamp,
    /// Predicted write downtime.
    pub write_downtime_seconds: Quantiles,
    /// Predicted cost, USD.
    pub cost_usd: Quantiles,
}

/// An instance without a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedInstance {
    /// Instance.
    pub instance: InstanceId,
    /// Why.
    pub reason: String,
}

/// A shared limit and its use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LimitUse {
    /// What is limited, and where.
    pub limit: String,
    /// Unit of the numbers.
    pub unit: String,
    /// How much is allowed.
    pub allowed: f64,
    /// Most that is taken at any time.
    pub most: f64,
    /// Hours in which at least 95 % are taken.
    pub full_hours: f64,
    /// The most of each hour from then on, where it changes.
    pub steps: Vec<UseStep>,
}

/// From this moment on so much is taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UseStep {
    /// From then on.
    pub at: Timestamp,
    /// Taken, in the limit's unit.
    pub used: f64,
}
