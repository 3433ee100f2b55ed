//! What a world's write downtime really is: its own quantile at the policy's confidence.
//!
//! A world was run with several lucks. Its centre is the mean of their logarithms; how far a luck falls from the
//! centre is alike in all worlds, so that spread is taken from all of them together: the empirical quantile of all
//! distances, each stretched by sqrt(n / (n - 1)) for the centre it took part in. No formula of the forecast is in
//! it. The runs' own windows and rounds are those their plans chose, so the truth speaks of these.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CampaignRun;
use crate::units::Quantiles;

/// Fewest runs of a world that tell its centre.
const LEAST_RUNS: usize = 2;

/// The true write downtime of each world.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Truth {
    /// Worlds that were run at least twice.
    pub worlds: u32,
    /// What luck alone does to a world's write downtime, over its centre.
    pub luck_factor: Quantiles,
    #[serde(skip)]
    centres: BTreeMap<u64, f64>,
    #[serde(skip)]
    distances: Vec<f64>,
}

impl Truth {
    pub(super) fn of(runs: &[CampaignRun]) -> Self {
        let mut worlds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for run in runs {
            if let Some(actual) = run.write_downtime_seconds.actual.filter(|s| *s > 0.0) {
                worlds.entry(run.seed).or_default().push(actual.ln());
            }
        }
        worlds.retain(|_, logs| logs.len() >= LEAST_RUNS);
        let mean = |logs: &[f64]| logs.iter().sum::<f64>() / logs.len() as f64;
        let centres: BTreeMap<u64, f64> = worlds
            .iter()
            .map(|(seed, logs)| (*seed, mean(logs)))
            .collect();
        let apart = worlds.iter().flat_map(|(seed, logs)| {
            let count = logs.len() as f64;
            let stretch = (count / (count - 1.0)).sqrt();
            let centre = centres[seed];
            logs.iter().map(move |log| (log - centre) * stretch)
        });
        let mut distances: Vec<f64> = apart.collect();
        distances.sort_by(f64::total_cmp);
        let mut factors: Vec<f64> = distances.iter().map(|distance| distance.exp()).collect();
        Self {
            worlds: super::count(centres.len()),
            luck_factor: Quantiles::of(&mut factors),
            centres,
            distances,
        }
    }

    /// Write downtime of a world that this share of its lucks keeps; none for a world run once.
    pub(super) fn seconds(&self, world: u64, confidence: f64) -> Option<f64> {
        let centre = self.centres.get(&world)?;
        let below = |distance: &&f64| {
            let rank = self.distances.partition_point(|other| other <= distance);
            rank as f64 >= confidence * self.distances.len() as f64
        };
        let distance = self.distances.iter().find(below)?;
        Some((centre + distance).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, actual: f64) -> CampaignRun {
        let mut run = CampaignRun::of_chance(seed, 0);
        run.write_downtime_seconds.actual = Some(actual);
        run
    }

    #[test]
    fn a_worlds_quantile_is_its_centre_times_what_luck_does_everywhere() {
        // Every world varies by a factor of two around its own centre.
        let runs: Vec<CampaignRun> = (0..10)
            .flat_map(|world: u64| {
                let centre = 100.0 * (1 + world) as f64;
                [0.5, 1.0, 1.0, 2.0].map(|factor| run(world, centre * factor))
            })
            .collect();
        let truth = Truth::of(&runs);
        let stretched = 2.0_f64.powf((4.0_f64 / 3.0).sqrt());
        let found = truth.seconds(3, 0.9).expect("a world that was run");
        assert!((found / 400.0 / stretched - 1.0).abs() < 1e-9, "{found}");
        let middle = truth.seconds(3, 0.5).expect("a world that was run");
        assert!((middle / 400.0 - 1.0).abs() < 1e-9, "{middle}");
        assert_eq!(truth.worlds, 10);
    }

    #[test]
    fn a_world_run_once_has_no_truth() {
        let truth = Truth::of(&[run(1, 100.0), run(2, 50.0), run(2, 60.0)]);
        assert_eq!(truth.seconds(1, 0.9), None);
        assert!(truth.seconds(2, 0.9).is_some());
    }
}
