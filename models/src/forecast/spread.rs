//! What contributes how much to the spread of the write downtime.
//!
//! First-order variance shares of ln(write downtime): the variance of its conditional mean given one
//! group of inputs, over its variance (Sobol, Mathematical Modelling and Computational Experiment 1,
//! 1993), by the means of equal bins of the draws (McKay, Los Alamos NUREG/CR-6311, 1995).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chain::{INPUTS, Signs};

/// Bins of equal numbers of draws.
const BINS: usize = 25;

/// A group of uncertain inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpreadInput {
    /// How much will be written.
    WriteVolume,
    /// How many blocks that dirties.
    DeltaCurve,
    /// Overhead and rate of snapshots.
    SnapshotService,
    /// Overhead and rate of copies.
    CopyService,
    /// Fence, freeze, restore, start and switch.
    Restore,
    /// Luck of the last calls, their tails included.
    Scatter,
    /// What the groups do only together, and what none of them explains.
    Together,
}

const ORDER: [SpreadInput; INPUTS] = [
    SpreadInput::WriteVolume,
    SpreadInput::DeltaCurve,
    SpreadInput::SnapshotService,
    SpreadInput::CopyService,
    SpreadInput::Restore,
    SpreadInput::Scatter,
];

/// One group's share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpreadShare {
    /// Group.
    pub input: SpreadInput,
    /// Share of the variance of ln(write downtime); all shares sum to 1.
    pub share: f64,
}

/// The shares, given the downtime and the groups' numbers of every draw. Empty when the downtime does
/// not vary, or there are too few draws to tell.
#[must_use]
pub fn shares(downtimes: &[f64], signs: &[Signs]) -> Vec<SpreadShare> {
    let logs: Vec<f64> = downtimes
        .iter()
        .map(|seconds| seconds.max(1e-3).ln())
        .collect();
    let total = variance(&logs);
    if logs.len() < 4 * BINS || logs.len() != signs.len() || total <= 1e-12 {
        return Vec::new();
    }
    let explained: Vec<f64> = (0..INPUTS)
        .map(|input| {
            let own: Vec<f64> = signs.iter().map(|row| row[input]).collect();
            between(&own, &logs, total) / total
        })
        .collect();
    // Sampling error may push the sum over 1.
    let sum: f64 = explained.iter().sum();
    let scale = 1.0 / sum.max(1.0);
    let share = |(input, share): (SpreadInput, &f64)| SpreadShare {
        input,
        share: share * scale,
    };
    let mut all: Vec<SpreadShare> = ORDER.into_iter().zip(&explained).map(share).collect();
    all.push(SpreadShare {
        input: SpreadInput::Together,
        share: (1.0 - sum * scale).max(0.0),
    });
    all
}

/// Variance of the bins' means, less what chance alone gives them.
fn between(own: &[f64], logs: &[f64], total: f64) -> f64 {
    let mut order: Vec<usize> = (0..own.len()).collect();
    order.sort_by(|a, b| own[*a].total_cmp(&own[*b]));
    if own[order[0]] >= own[order[order.len() - 1]] {
        return 0.0;
    }
    let size = order.len().div_ceil(BINS);
    let means: Vec<f64> = order
        .chunks(size)
        .map(|bin| bin.iter().map(|index| logs[*index]).sum::<f64>() / bin.len() as f64)
        .collect();
    (variance(&means) - total / size as f64).max(0.0)
}

fn variance(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::draws;

    /// Downtimes that are a product of independent factors with known variances.
    fn product(weights: Signs) -> Vec<SpreadShare> {
        let all = draws(5, 1, 1, 10_000);
        let signs: Vec<Signs> = all
            .iter()
            .map(|draw| std::array::from_fn(|k| draw.service[k][0]))
            .collect();
        let downtimes: Vec<f64> = signs
            .iter()
            .map(|row| {
                row.iter()
                    .zip(weights)
                    .map(|(z, w)| z * w)
                    .sum::<f64>()
                    .exp()
            })
            .collect();
        shares(&downtimes, &signs)
    }

    #[test]
    fn shares_of_a_product_are_its_factors_variances() {
        let weights = [0.4, 0.3, 0.2, 0.1, 0.0, 0.2];
        let total: f64 = weights.iter().map(|w| w * w).sum();
        let found = product(weights);
        for (row, weight) in found.iter().zip(weights) {
            let expected = weight * weight / total;
            assert!((row.share - expected).abs() < 0.03, "{row:?} {expected}");
        }
    }

    #[test]
    fn shares_sum_to_one() {
        let sum: f64 = product([0.5, 0.1, 0.1, 0.1, 0.1, 0.9])
            .iter()
            .map(|row| row.share)
            .sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn a_certain_downtime_has_no_shares() {
        assert!(product([0.0; INPUTS]).is_empty());
        assert!(shares(&[1.0, 2.0], &[[0.0; INPUTS]; 2]).is_empty());
    }
}
