//! The stream of bulk and sequential writing, which covers fresh blocks as it goes.
//!
//! U_b(v) = v exp(c0 + c1 (ln v - ln 200)): a regression on a volume's own unions, drawn towards that
//! over three server traces (1.1 blocks per 512 KiB, exponent -0.08) as a ridge (Hoerl and Kennard,
//! Technometrics 1970). It must not know the small writes' curve but for what it explains already.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sample::Run;

/// ln of the blocks dirtied per bulk block at 200 blocks, over three server traces.
pub const PRIOR_LOG_FACTOR: f64 = 0.095_310_179_804_324_87;
/// Exponent of that factor.
pub const PRIOR_SLOPE: f64 = -0.08;
/// Bulk writing never dirties more than this per block written.
const CEILING: f64 = 1.6;
/// Below this many blocks the factor stays.
const LEAST_BLOCKS: f64 = 5.0;
/// The middle of the regression.
const CENTRE_BLOCKS: f64 = 200.0;
/// Precision of the prior factor and slope: standard deviations 0.7 and 0.35.
const PRECISION: (f64, f64) = (2.0, 8.0);
/// Weight of all observed unions together in a first fit, which tells how they scatter.
const OBSERVED_WEIGHT: f64 = 8.0;
/// Variance of a point that is never undercut.
const LEAST_SCATTER: f64 = 0.01;
/// Unions with less bulk writing tell nothing of it.
const LEAST_OBSERVED: f64 = 20.0;
/// Points that are kept for later fits.
const MOST_POINTS: usize = 64;
/// A delta with more bulk writing than this share of it tells little of the small writes.
const SHARE: f64 = 0.2;
/// Consecutive blocks that look like bulk writing.
const RUN_BLOCKS: u64 = 8;

/// Bulk writing of one union and what it dirtied.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BulkPoint {
    /// Bulk writing, in 512 KiB blocks.
    pub bulk_blocks: f64,
    /// Distinct blocks beyond those of the small writes.
    pub dirty_blocks: f64,
}

impl BulkPoint {
    /// A union with `bulk_blocks` of bulk writing, `union_blocks` distinct blocks, of which small
    /// writes explain `small_blocks`; `None` when there is too little bulk writing in it.
    #[must_use]
    pub fn of(bulk_blocks: f64, union_blocks: f64, small_blocks: f64) -> Option<Self> {
        (bulk_blocks > LEAST_OBSERVED && bulk_blocks.is_finite()).then(|| Self {
            bulk_blocks,
            dirty_blocks: (union_blocks - small_blocks).max(1.0),
        })
    }

    /// ln of its size over the middle of the regression.
    fn reach(&self) -> f64 {
        (self.bulk_blocks / CENTRE_BLOCKS).ln()
    }

    fn log_factor(&self) -> f64 {
        (self.dirty_blocks / self.bulk_blocks).ln()
    }
}

/// Distinct blocks of `bulk` blocks of bulk writing: increasing and concave, zero at zero.
#[must_use]
pub fn dirtied(bulk: f64, log_factor: f64, slope: f64) -> f64 {
    if bulk.is_nan() || bulk <= 0.0 {
        return 0.0;
    }
    let reach = (bulk.max(LEAST_BLOCKS) / CENTRE_BLOCKS).ln();
    bulk * (log_factor + slope * reach).exp().min(CEILING)
}

/// ln factor and slope after `points`: weighed once by how closely they lie to a first line.
#[must_use]
pub fn fitted(points: &[BulkPoint]) -> (f64, f64) {
    let line = regressed(points, OBSERVED_WEIGHT);
    let off = |p: &BulkPoint| (p.log_factor() - line.0 - line.1 * p.reach()).powi(2);
    let scatter = points.iter().map(off).sum::<f64>() / points.len().max(1) as f64;
    // K deltas have K (K + 1) / 2 unions, which tell as much as K points.
    let independent = (2.0 * points.len() as f64).sqrt();
    regressed(points, independent / (scatter + LEAST_SCATTER))
}

/// Ridge regression of the points, which weigh as much as `weight` together.
fn regressed(points: &[BulkPoint], weight: f64) -> (f64, f64) {
    let weight = weight / points.len().max(1) as f64;
    let mut left = (PRECISION.0, 0.0, PRECISION.1);
    let mut right = (PRECISION.0 * PRIOR_LOG_FACTOR, PRECISION.1 * PRIOR_SLOPE);
    for point in points {
        let (x, y) = (point.reach(), point.log_factor());
        left = (
            left.0 + weight,
            left.1 + weight * x,
            left.2 + weight * x * x,
        );
        right = (right.0 + weight * y, right.1 + weight * x * y);
    }
    let determinant = left.0 * left.2 - left.1 * left.1;
    let factor = (left.2 * right.0 - left.1 * right.1) / determinant;
    let slope = (left.0 * right.1 - left.1 * right.0) / determinant;
    (factor, slope.clamp(-0.9, 0.0))
}

/// The newest points, as many as are kept.
#[must_use]
pub fn newest(mut points: Vec<BulkPoint>) -> Vec<BulkPoint> {
    let extra = points.len().saturating_sub(MOST_POINTS);
    points.drain(..extra);
    points
}

/// Whether bulk writing dominates a delta.
#[must_use]
pub fn dominates(bulk_blocks: f64, changed_blocks: u64) -> bool {
    bulk_blocks > SHARE * (changed_blocks as f64).max(1.0)
}

/// Runs too short to come from bulk writing.
#[must_use]
pub fn short_runs(runs: &[Run]) -> Vec<Run> {
    let short = |run: &&Run| run.1 < RUN_BLOCKS;
    runs.iter().filter(short).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_unions_pull_the_factor() {
        let half: Vec<BulkPoint> = [100.0, 200.0, 800.0]
            .into_iter()
            .filter_map(|v| BulkPoint::of(v, v / 2.0, 0.0))
            .collect();
        let (factor, slope) = fitted(&half);
        let seen = dirtied(400.0, factor, slope) / 400.0;
        assert!(seen < 0.65 && seen > 0.45, "{seen}");
        assert_eq!(fitted(&[]), (PRIOR_LOG_FACTOR, PRIOR_SLOPE));
        assert!(BulkPoint::of(3.0, 9.0, 0.0).is_none());
    }
}
