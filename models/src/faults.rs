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
    /// Name of the scenario, or of all of them.
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
    /// The same counts of each scenario, when there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_scenario: Vec<ScenarioCounts>,
}

/// What a campaign counted in one of its scenarios.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioCounts {
    /// Name of the scenario.
    pub scenario: String,
    /// Runs.
    pub runs: u64,
    /// How often an executor was killed.
    pub kills: u64,
    /// Promises that were broken.
    pub violations: u64,
}

impl Document for FaultCampaign {
    const FORMAT: &'static str = "snapmigrate.faults/1";
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultViolation {
    /// Its scenario.
    #[serde(default)]
    pub scenario: String,
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
    /// Its scenario.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// What struck it.
    pub faults_injected: u64,
    /// Where it was killed, in order.
    pub kill_points: Vec<String>,
    /// How it ended.
    pub outcome: String,
    /// Checksum of its journal's last entry, and so of all of them.
    pub journal: String,
    /// Promises that were broken.
    pub broken: Vec<String>,
}

impl FaultCampaign {
    /// The campaign of these runs over these scenarios.
    #[must_use]
    pub fn of(scenarios: &[&str], first_seed: u64, runs: &[FaultRun]) -> Self {
        let mut outcomes = BTreeMap::new();
        for run in runs {
            *outcomes.entry(run.outcome.clone()).or_insert(0) += 1;
        }
        Self {
            format: Self::FORMAT.to_owned(),
            scenario: scenarios.join(", "),
            first_seed,
            runs: count(runs.len()),
            faults_injected: runs.iter().map(|run| run.faults_injected).sum(),
            kills: runs.iter().map(|run| count(run.kill_points.len())).sum(),
            outcomes,
            violations: runs.iter().flat_map(FaultRun::violations).collect(),
            by_scenario: match scenarios {
                [] | [_] => Vec::new(),
                several => several
                    .iter()
                    .map(|name| ScenarioCounts::of(name, runs))
                    .collect(),
            },
        }
    }
}

impl ScenarioCounts {
    fn of(scenario: &str, runs: &[FaultRun]) -> Self {
        let its = || runs.iter().filter(|run| run.scenario == scenario);
        Self {
            scenario: scenario.to_owned(),
            runs: count(its().count()),
            kills: its().map(|run| count(run.kill_points.len())).sum(),
            violations: its().map(|run| count(run.broken.len())).sum(),
        }
    }
}

impl FaultRun {
    fn violations(&self) -> Vec<FaultViolation> {
        let last = self.kill_points.last();
        let kill_point = last.map_or_else(|| "never killed".to_owned(), Clone::clone);
        let violation = |broken: &String| FaultViolation {
            scenario: self.scenario.clone(),
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
            scenario: "tiny".to_owned(),
            seed: 4,
            faults_injected: 3,
            kill_points: vec!["here".to_owned(), "there".to_owned()],
            outcome: "cut_over".to_owned(),
            journal: String::new(),
            broken: Vec::new(),
        };
        let bad = FaultRun {
            seed: 5,
            broken: vec!["two writers".to_owned()],
            ..good.clone()
        };
        let campaign = FaultCampaign::of(&["tiny", "other"], 4, &[good, bad]);
        assert_eq!(campaign.scenario, "tiny, other");
        let counts = campaign.by_scenario.iter();
        let counts: Vec<[u64; 3]> = counts.map(|c| [c.runs, c.kills, c.violations]).collect();
        assert_eq!(counts, [[2, 4, 1], [0, 0, 0]]);
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
