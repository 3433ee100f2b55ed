//! A fault campaign: many rehearsals that are disturbed and killed, and what an observer found at their ends.
//!
//! Plain facts and their counts. It must not know how anything is disturbed or observed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;

/// What `rehearse --faults` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultCampaign {
    /// `snapmigrate.faults/1`.
    pub format: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of the first run; the others follow it one by one.
    pub first_seed: u64,
    /// Runs.
    pub runs: u64,
    /// Requests refused, lost or answered late, operations that failed or hung, snapshots that someone deleted.
    pub faults_injected: u64,
    /// How often an executor was killed.
    pub kills: u64,
    /// Runs by how they ended: `cut_over`, `aborted`, `failed`, `waiting`.
    pub outcomes: BTreeMap<String, u64>,
    /// Promises that were broken: none, or it must not be trusted.
    pub violations: Vec<FaultViolation>,
}

impl Document for FaultCampaign {
    const FORMAT: &'static str = "snapmigrate.faults/1";
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultViolation {
    /// Seed that shows it again: `rehearse SCENARIO --faults 1 --seed SEED`; of a death at every place the scenario's.
    pub seed: u64,
    /// Where the executor was killed last, or that it was not.
    pub kill_point: String,
    /// Which promise, and what was found instead.
    pub broken: String,
}

/// One disturbed run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultRun {
    /// Its seed.
    pub seed: u64,
    /// What struck it.
    pub faults_injected: u64,
    /// Where it was killed, in order.
    pub kill_points: Vec<String>,
    /// How it ended.
    pub outcome: String,
    /// Promises that were broken.
    pub broken: Vec<String>,
}

impl FaultCampaign {
    /// The campaign of these runs.
    #[must_use]
    pub fn of(scenario: &str, first_seed: u64, runs: &[FaultRun]) -> Self {
        let mut outcomes = BTreeMap::new();
        for run in runs {
            *outcomes.entry(run.outcome.clone()).or_insert(0) += 1;
        }
        Self {
            format: Self::FORMAT.to_owned(),
            scenario: scenario.to_owned(),
            first_seed,
            runs: count(runs.len()),
            faults_injected: runs.iter().map(|run| run.faults_injected).sum(),
            kills: runs.iter().map(|run| count(run.kill_points.len())).sum(),
            outcomes,
            violations: runs.iter().flat_map(FaultRun::violations).collect(),
        }
    }
}

impl FaultRun {
    fn violations(&self) -> Vec<FaultViolation> {
        let last = self.kill_points.last();
        let kill_point = last.map_or_else(|| "never killed".to_owned(), Clone::clone);
        let violation = |broken: &String| FaultViolation {
            seed: self.seed,
            kill_point: kill_point.clone(),
            broken: broken.clone(),
        };
        self.broken.iter().map(violation).collect()
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_counts_its_runs_and_names_what_broke() {
        let good = FaultRun {
            seed: 4,
            faults_injected: 3,
            kill_points: vec!["here".to_owned(), "there".to_owned()],
            outcome: "cut_over".to_owned(),
            broken: Vec::new(),
        };
        let bad = FaultRun {
            seed: 5,
            broken: vec!["two writers".to_owned()],
            ..good.clone()
        };
        let campaign = FaultCampaign::of("tiny", 4, &[good, bad]);
        assert_eq!((campaign.runs, campaign.faults_injected), (2, 6));
        assert_eq!(campaign.kills, 4);
        assert_eq!(campaign.outcomes["cut_over"], 2);
        assert_eq!(campaign.violations.len(), 1);
        let violation = &campaign.violations[0];
        assert_eq!(
            (violation.seed, violation.kill_point.as_str()),
            (5, "there")
        );
    }
}
