//! Degraded modes: counts without identities, one delta, none.
//!
//! A power of the written volume (Heaps 1978): U = k v^beta, through the observed counts with a slope
//! drawn to that of other systems. It must not know identities.

use super::fit::Interval;
use super::{DirtyCurve, Growth, Written};

/// Blocks per operation within a minute: 0.19 to 0.43 over three server traces.
const PRIOR_BLOCKS_PER_OPERATION: f64 = 0.3;
/// Growth beyond that minute: the exponent that fits one delta's extrapolation on six traces.
const PRIOR_EXPONENT: (f64, f64) = (0.62, 0.15);
/// Log scale of the prior curve: with the exponent's, nine in ten within a factor of four.
const PRIOR_SPREAD: f64 = 0.6;
/// Exponent of the curve beyond one delta, over six traces: 0.6 give or take 0.15.
pub(super) const HEAPS_EXPONENT: (f64, f64) = (0.6, 0.15);
/// Log scale of its error with one delta and with several counts.
const ONE_DELTA_SPREAD: f64 = 0.25;
const COUNTS_SPREAD: f64 = 0.2;
/// A small write dirties at most the two blocks it may straddle.
const BLOCKS_PER_OPERATION: f64 = 2.0;
/// Writes of a mean minute when nobody told.
const ASSUMED_MINUTE: f64 = 60.0;

/// The curve before any delta.
pub(super) fn prior(bound_blocks: f64, minute: Written) -> DirtyCurve {
    let told = minute.small > 0.0 && minute.small.is_finite();
    let minute_small = if told { minute.small } else { ASSUMED_MINUTE };
    DirtyCurve {
        growth: Growth::Heaps {
            anchor_volume: minute_small,
            anchor_blocks: PRIOR_BLOCKS_PER_OPERATION * minute_small,
            exponent: PRIOR_EXPONENT.0,
            exponent_spread: PRIOR_EXPONENT.1,
        },
        spread: PRIOR_SPREAD,
        provenance: "delta curve: prior (0.3 blocks per write within a minute on three server \
                     traces, then a power of 0.62); no delta measured, a probe snapshot pair \
                     15 to 30 minutes apart would narrow it most"
            .to_owned(),
        ..DirtyCurve::empty(if bound_blocks.is_finite() {
            bound_blocks.max(0.0)
        } else {
            f64::MAX
        })
    }
}

/// Distinct blocks of `small`: anchor x (small / anchor volume) ^ exponent.
pub(super) fn power(
    small: f64,
    (anchor_volume, anchor_blocks): (f64, f64),
    exponent: f64,
    measured: bool,
) -> f64 {
    if small.is_nan() || small <= 0.0 || anchor_volume <= 0.0 {
        return 0.0;
    }
    // The prior speaks of a minute and says nothing of less: in proportion below it.
    let proportional = anchor_blocks / anchor_volume;
    let steepest = if measured {
        proportional.max(BLOCKS_PER_OPERATION)
    } else {
        proportional
    };
    (anchor_blocks * (small / anchor_volume).powf(exponent)).min(steepest * small)
}

/// ln delta = k + exponent ln v by ridge towards the exponent of other systems.
pub(super) fn by_counts(curve: &DirtyCurve, intervals: &[Interval<'_>]) -> DirtyCurve {
    let mut points: Vec<LogPoint> = intervals
        .iter()
        .filter_map(|i| log_point(curve, i))
        .collect();
    if let Growth::Heaps {
        anchor_volume,
        anchor_blocks,
        ..
    } = &curve.growth
        && curve.deltas > 0
    {
        points.push((anchor_volume.ln(), anchor_blocks.ln()));
    }
    let Some((centre, (exponent, exponent_spread))) = ridge(&points) else {
        return curve.clone();
    };
    let fresh = u32::try_from(intervals.len()).unwrap_or(u32::MAX);
    let deltas = curve.deltas.saturating_add(fresh);
    let (kind, spread, hint) = if deltas == 1 {
        (
            "one delta",
            ONE_DELTA_SPREAD,
            "; a second delta with identities would narrow it most",
        )
    } else {
        (
            "counts",
            COUNTS_SPREAD,
            "; identities of changed blocks would narrow it most",
        )
    };
    DirtyCurve {
        growth: Growth::Heaps {
            anchor_volume: centre.0.exp(),
            anchor_blocks: centre.1.exp().min(curve.bound_blocks.max(1.0)),
            exponent,
            exponent_spread,
        },
        spread,
        deltas,
        provenance: format!(
            "delta curve: measured ({deltas} deltas, {kind}), power {exponent:.2} of the written \
             volume{hint}"
        ),
        ..curve.clone()
    }
}

fn log_point(curve: &DirtyCurve, interval: &Interval<'_>) -> Option<LogPoint> {
    let bulk = curve.bulk_blocks(interval.written.bulk_blocks);
    let blocks = (interval.changed_blocks as f64 - bulk).max(0.1 * interval.changed_blocks as f64);
    let told = blocks > 0.0 && interval.written.small > 0.0;
    told.then(|| (interval.written.small.ln(), blocks.max(1.0).ln()))
}

/// A point `(ln v, ln blocks)` the line goes through.
type LogPoint = (f64, f64);

/// Mean point, and slope with its standard deviation; `None` without a point.
fn ridge(points: &[LogPoint]) -> Option<(LogPoint, (f64, f64))> {
    if points.is_empty() {
        return None;
    }
    let n = points.len() as f64;
    let mean = points
        .iter()
        .fold((0.0, 0.0), |sum, p| (sum.0 + p.0 / n, sum.1 + p.1 / n));
    let noise = COUNTS_SPREAD.powi(2);
    let weight = HEAPS_EXPONENT.1.powi(-2);
    let sxx: f64 = points.iter().map(|p| (p.0 - mean.0).powi(2)).sum::<f64>() / noise;
    let sxy: f64 = points
        .iter()
        .map(|p| (p.0 - mean.0) * (p.1 - mean.1))
        .sum::<f64>()
        / noise;
    let exponent = (weight * HEAPS_EXPONENT.0 + sxy) / (weight + sxx);
    Some((mean, (exponent.clamp(0.2, 1.0), (weight + sxx).powf(-0.5))))
}
