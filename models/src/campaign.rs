//! A campaign: many rehearsals of one scenario, and how often their forecasts held.
//!
//! The runs are plain facts; the summary is counted from them and nothing else. It must not know
//! how a rehearsal is run.

mod parts;
mod summary;
mod truth;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::plan::{Plan, RoundKind, Verdict};
use crate::profile::Profile;
use crate::progress::Progress;
use crate::report::{Report, RunOutcome};
use crate::step::{Action, Event};
use crate::units::{Quantiles, Timestamp};

pub use parts::{PartCompared, PartCoverage};
pub use summary::{CampaignSummary, Coverage, VerdictCount};
pub use truth::Truth;

/// What `rehearse --runs` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Campaign {
    /// `snapmigrate.campaign/1`.
    pub format: String,
    /// Name of the scenario.
    pub scenario: String,
    /// How often the forecasts held.
    pub summary: CampaignSummary,
    /// The runs, in order of their seeds.
    pub runs: Vec<CampaignRun>,
}

impl Document for Campaign {
    const FORMAT: &'static str = "snapmigrate.campaign/1";
}

impl Campaign {
    /// The campaign of these runs.
    #[must_use]
    pub fn of(scenario: &str, runs: Vec<CampaignRun>) -> Self {
        Self {
            format: Self::FORMAT.to_owned(),
            scenario: scenario.to_owned(),
            summary: CampaignSummary::of(&runs),
            runs,
        }
    }
}

/// One rehearsal: what was predicted, when, and what came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignRun {
    /// Seed of its world.
    pub seed: u64,
    /// Seed of its luck in that world.
    #[serde(default)]
    pub luck: u64,
    /// What kept it from a report.
    pub failure: Option<String>,
    /// How it ended, under a policy without limit.
    pub outcome: Option<RunOutcome>,
    /// Volumes of the group.
    pub volumes: u32,
    /// Fewest deltas that any volume's profile held.
    pub measured_deltas: u32,
    /// Verdict under the scenario's policy.
    pub verdict: Option<Verdict>,
    /// Limit of that policy on the write downtime.
    pub limit_seconds: f64,
    /// Its confidence.
    pub confidence: f64,
    /// Rounds after the base that were in the target at the last gate.
    pub rounds_before_gate: u32,
    /// Last commit accepted by the source to the first accepted by the target.
    pub write_downtime_seconds: Compared,
    /// Bytes changed since the last round.
    pub final_delta_bytes: Compared,
    /// Snapshot of the final round.
    pub final_snapshot_seconds: Compared,
    /// Transfer of the final round.
    pub final_transfer_seconds: Compared,
    /// What the steps of the cutover took of its write downtime.
    #[serde(default)]
    pub parts: Vec<PartCompared>,
}

/// A quantity as predicted and as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// When the plan was made.
    pub at_plan: Option<Quantiles>,
    /// At the last gate.
    pub at_gate: Option<Quantiles>,
    /// What came.
    pub actual: Option<f64>,
}

impl CampaignRun {
    /// A run about which nothing is known yet.
    #[must_use]
    pub fn of_chance(world: u64, luck: u64) -> Self {
        Self {
            seed: world,
            luck,
            ..Self::default()
        }
    }

    /// Takes up what the plan under the scenario's policy says.
    pub fn planned(&mut self, plan: &Plan, profile: &Profile) {
        let deltas = profile.volumes.iter().map(|seen| seen.deltas.len()).min();
        self.volumes = count(profile.volumes.len());
        self.measured_deltas = count(deltas.unwrap_or_default());
        self.verdict = Some(plan.verdict);
        self.limit_seconds = plan.policy.max_write_downtime_seconds;
        self.confidence = plan.policy.confidence;
        self.write_downtime_seconds.at_plan = Some(plan.forecast.write_downtime_seconds);
        self.final_delta_bytes.at_plan = Some(plan.forecast.final_delta_bytes);
        let last = plan.rounds.iter().find(|r| r.kind == RoundKind::Final);
        self.final_snapshot_seconds.at_plan = last.map(|round| round.snapshot_seconds);
        self.final_transfer_seconds.at_plan = last.map(|round| round.transfer_seconds);
    }

    /// Takes up how far the chain was at the last gate, and what was to be expected of each step there.
    pub fn passed<'a>(
        &mut self,
        plan: &Plan,
        events: impl Iterator<Item = (Timestamp, &'a Event)> + Clone,
    ) {
        let gate = events.clone().enumerate().filter(|(_, (_, event))| {
            matches!(
                event,
                Event::Finished {
                    action: Action::Gate { .. },
                    ..
                }
            )
        });
        let Some((index, (at, _))) = gate.last() else {
            return;
        };
        let Ok(progress) = Progress::fold(events.clone().take(index + 1)) else {
            return;
        };
        let rounds = progress.gates.last().map_or(0, |gate| gate.rounds);
        self.rounds_before_gate = rounds.saturating_sub(1);
        self.parts = parts::compared(plan, (&progress, at), events.skip(index + 1));
    }

    /// Takes up how it ended.
    #[expect(clippy::cast_precision_loss, reason = "bytes below 2^53")]
    pub fn reported(&mut self, report: &Report) {
        self.outcome = Some(report.outcome);
        if report.outcome != RunOutcome::CutOver {
            self.failure = Some(report.reason.clone());
            return;
        }
        let gate = report.predicted_at_gate.as_ref();
        let (actual, last) = (&report.actual, report.rounds.last());
        self.write_downtime_seconds.at_gate = gate.map(|gate| gate.write_downtime_seconds);
        self.write_downtime_seconds.actual = actual.write_downtime_seconds;
        self.final_delta_bytes.at_gate = gate.map(|gate| gate.final_delta_bytes);
        self.final_delta_bytes.actual = actual.final_delta_bytes.map(|bytes| bytes as f64);
        self.final_snapshot_seconds.actual = last.and_then(|round| round.snapshot_seconds);
        self.final_transfer_seconds.actual = last.and_then(|round| round.transfer_seconds);
    }

    /// Notes why there is no report.
    pub fn without_report(&mut self, message: String) {
        self.failure = Some(message);
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
