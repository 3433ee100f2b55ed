//! From observed deltas to a curve, by the best method they allow, and which one is said.
//!
//! Identities of two deltas or more: a rate mixture. Counts only: a power of the written volume.
//! One delta: the same with the exponent of other systems. None: a wide prior on writes alone.

use super::incidence::{IncidenceTable, MAX_DELTAS};
use super::mixture::{Atom, fit_mixture};
use super::{DirtyCurve, Growth, Written};

/// One observed delta with what was written meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Interval<'a> {
    /// Written between the two snapshots.
    pub written: Written,
    /// Distinct blocks changed.
    pub changed_blocks: u64,
    /// Their identities, when known.
    pub runs: &'a [(u64, u64)],
}

/// Blocks per operation within a minute: 0.19 to 0.43 over three server traces.
const PRIOR_BLOCKS_PER_OPERATION: f64 = 0.3;
/// Growth beyond that minute: the exponent that fits one delta's extrapolation on six traces.
const PRIOR_EXPONENT: (f64, f64) = (0.62, 0.15);
/// Log scale of the prior curve: with the exponent's, nine in ten within a factor of four.
const PRIOR_SPREAD: f64 = 0.6;
/// Exponent of the curve beyond one delta, over six traces: 0.6 give or take 0.15.
const HEAPS_EXPONENT: (f64, f64) = (0.6, 0.15);
/// Log scale of its error with one delta and with several counts.
const ONE_DELTA_SPREAD: f64 = 0.25;
const COUNTS_SPREAD: f64 = 0.2;
/// Log scale of the mixture's error within what was observed, and its part per delta.
const MIXTURE_SPREAD: f64 = 0.1;
const MIXTURE_SPREAD_PER_DELTA: f64 = 0.2;
/// A bulk block dirties 1.1 blocks (regression over three server traces).
const BULK_LOG_FACTOR: f64 = 0.095;
/// A delta with more bulk writing than this share of it tells little of the small writes.
const BULK_SHARE: f64 = 0.2;
/// Consecutive blocks that look like bulk writing.
const BULK_RUN_BLOCKS: u64 = 8;

/// Fits the curve of a volume with at most `bound_blocks` dirty blocks. `minute` is what it
/// writes in a mean minute: the scale of the prior when `intervals` is empty.
#[must_use]
pub fn fit(intervals: &[Interval<'_>], bound_blocks: f64, minute: Written) -> DirtyCurve {
    refit(&prior(bound_blocks, minute), intervals)
}

/// The curve after more deltas: their identities join those it was fitted to.
#[must_use]
pub fn refit(curve: &DirtyCurve, intervals: &[Interval<'_>]) -> DirtyCurve {
    let usable: Vec<Interval<'_>> = intervals.iter().copied().filter(usable).collect();
    if usable.is_empty() {
        return curve.clone();
    }
    let known: usize = curve.tables.iter().map(|table| table.volumes.len()).sum();
    let identified: Vec<Interval<'_>> = usable.iter().copied().filter(identified).collect();
    if known + identified.len() >= 2 && !identified.is_empty() {
        return by_identities(curve, &identified);
    }
    by_counts(curve, &usable, identified)
}

fn usable(interval: &Interval<'_>) -> bool {
    interval.written.small.is_finite() && interval.written.small > 0.0
}

fn identified(interval: &Interval<'_>) -> bool {
    !interval.runs.is_empty() || interval.changed_blocks == 0
}

fn prior(bound_blocks: f64, minute: Written) -> DirtyCurve {
    let minute_small = if minute.small > 0.0 && minute.small.is_finite() {
        minute.small
    } else {
        60.0
    };
    DirtyCurve {
        bound_blocks: bound_blocks.max(0.0),
        growth: Growth::Heaps {
            anchor_volume: minute_small,
            anchor_blocks: PRIOR_BLOCKS_PER_OPERATION * minute_small,
            exponent: PRIOR_EXPONENT.0,
            exponent_spread: PRIOR_EXPONENT.1,
        },
        bulk_log_factor: BULK_LOG_FACTOR,
        spread: PRIOR_SPREAD,
        deltas: 0,
        tables: Vec::new(),
        provenance: "delta curve: prior (0.3 blocks per write within a minute on three server \
                     traces, then a power of 0.62); no delta measured, a probe snapshot pair \
                     15 to 30 minutes apart would narrow it most"
            .to_owned(),
    }
}

fn by_identities(curve: &DirtyCurve, intervals: &[Interval<'_>]) -> DirtyCurve {
    let cleaned = without_bulk(intervals);
    let rows: Vec<(f64, &[(u64, u64)])> = cleaned
        .iter()
        .map(|(written, runs)| (written.small, runs.as_slice()))
        .collect();
    let mut tables = curve.tables.clone();
    tables.push(IncidenceTable::of(&rows));
    let touched = tables
        .iter()
        .map(IncidenceTable::touched)
        .max()
        .unwrap_or(0) as f64;
    let bound_blocks = curve.bound_blocks.max(touched);
    let atoms: Vec<Atom> = fit_mixture(&tables, bound_blocks, None);
    let deltas: usize = tables.iter().map(|table| table.volumes.len()).sum();
    let calibrated = tables.iter().flat_map(|table| &table.volumes).sum();
    DirtyCurve {
        bound_blocks,
        growth: Growth::Mixture { atoms, calibrated },
        spread: (MIXTURE_SPREAD.powi(2) + MIXTURE_SPREAD_PER_DELTA.powi(2) / deltas as f64).sqrt(),
        deltas: u32::try_from(deltas).unwrap_or(u32::MAX),
        tables,
        provenance: format!(
            "delta curve: measured ({deltas} deltas with identities), rate mixture"
        ),
        ..curve.clone()
    }
}

/// Leaves out deltas that bulk writing dominates while two others remain; else their long runs.
fn without_bulk(intervals: &[Interval<'_>]) -> Vec<(Written, Vec<(u64, u64)>)> {
    let bulky = |i: &Interval<'_>| i.written.bulk_blocks > BULK_SHARE * i.changed_blocks as f64;
    let calm = intervals.iter().filter(|interval| !bulky(interval)).count();
    let kept = intervals
        .iter()
        .filter(|interval| calm < 2 || !bulky(interval));
    let runs = |i: &Interval<'_>| -> Vec<(u64, u64)> {
        let short = |run: &&(u64, u64)| !bulky(i) || run.1 < BULK_RUN_BLOCKS;
        i.runs.iter().filter(short).copied().collect()
    };
    let newest_last: Vec<_> = kept
        .map(|interval| (interval.written, runs(interval)))
        .collect();
    let skip = newest_last.len().saturating_sub(MAX_DELTAS);
    newest_last.into_iter().skip(skip).collect()
}

/// ln delta = k + exponent ln v by ridge towards the exponent of other systems.
fn by_counts(
    curve: &DirtyCurve,
    intervals: &[Interval<'_>],
    identified: Vec<Interval<'_>>,
) -> DirtyCurve {
    let mut points: Vec<(f64, f64)> = intervals
        .iter()
        .filter_map(|i| log_point(curve, i))
        .collect();
    if let (
        Growth::Heaps {
            anchor_volume,
            anchor_blocks,
            ..
        },
        true,
    ) = (&curve.growth, curve.deltas > 0)
    {
        points.push((anchor_volume.ln(), anchor_blocks.ln()));
    }
    let Some((centre, (exponent, exponent_spread))) = ridge(&points) else {
        return curve.clone();
    };
    let deltas = curve
        .deltas
        .saturating_add(u32::try_from(intervals.len()).unwrap_or(u32::MAX));
    let rows: Vec<(f64, &[(u64, u64)])> = identified
        .iter()
        .map(|interval| (interval.written.small, interval.runs))
        .collect();
    let mut tables = curve.tables.clone();
    if !rows.is_empty() {
        tables.push(IncidenceTable::of(&rows));
    }
    DirtyCurve {
        growth: Growth::Heaps {
            anchor_volume: centre.0.exp(),
            anchor_blocks: centre.1.exp().min(curve.bound_blocks.max(1.0)),
            exponent,
            exponent_spread,
        },
        spread: if deltas == 1 {
            ONE_DELTA_SPREAD
        } else {
            COUNTS_SPREAD
        },
        deltas,
        tables,
        provenance: format!(
            "delta curve: measured ({deltas} deltas, counts), power of the written volume"
        ),
        ..curve.clone()
    }
}

fn log_point(curve: &DirtyCurve, interval: &Interval<'_>) -> Option<(f64, f64)> {
    let bulk = curve.bulk_blocks(interval.written.bulk_blocks);
    let blocks = (interval.changed_blocks as f64 - bulk).max(0.1 * interval.changed_blocks as f64);
    (blocks > 0.0).then(|| (interval.written.small.ln(), blocks.max(1.0).ln()))
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
