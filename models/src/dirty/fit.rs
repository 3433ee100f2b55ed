//! From observed deltas to a curve, by the best method they allow, and which one is said.
//!
//! Identities of two deltas or more: the blend of rate mixture and unions. Counts only: a power of the
//! written volume. One delta: the same with the exponent of other systems. None: a wide prior on
//! writes alone. It must not know where intervals come from.

use std::borrow::Cow;

use super::blend::{self, Blend, blended};
use super::bulk::{self, BulkPoint};
use super::counts;
use super::incidence::{IncidenceTable, MAX_DELTAS};
use super::sample::Run;
use super::unions::{Union, unions};
use super::{DirtyCurve, Growth, Written};

/// One observed delta with what was written meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Interval<'a> {
    /// Written between the two snapshots.
    pub written: Written,
    /// Distinct blocks changed.
    pub changed_blocks: u64,
    /// Their identities, when known.
    pub runs: &'a [Run],
}

impl Interval<'_> {
    /// Something was written, and the figures are numbers.
    pub(super) fn usable(&self) -> bool {
        let Written { small, bulk_blocks } = self.written;
        let sound = |x: f64| x.is_finite() && (0.0..1e18).contains(&x);
        sound(small) && sound(bulk_blocks) && small + bulk_blocks > 0.0
    }

    pub(super) fn identified(&self) -> bool {
        !self.runs.is_empty() || self.changed_blocks == 0
    }

    /// In the mixture: small writes, and bulk writing does not dominate.
    fn calm(&self) -> bool {
        self.written.small > 0.0 && !bulk::dominates(self.written.bulk_blocks, self.changed_blocks)
    }
}

/// Fits the curve of a volume with at most `bound_blocks` dirty blocks. `minute` is what it
/// writes in a mean minute: the scale of the prior when `intervals` is empty.
#[must_use]
pub fn fit(intervals: &[Interval<'_>], bound_blocks: f64, minute: Written) -> DirtyCurve {
    refit(&counts::prior(bound_blocks, minute), intervals)
}

/// The curve after more deltas: their identities join those it was fitted to.
#[must_use]
pub fn refit(curve: &DirtyCurve, intervals: &[Interval<'_>]) -> DirtyCurve {
    let usable: Vec<Interval<'_>> = intervals.iter().copied().filter(Interval::usable).collect();
    let identified: Vec<Interval<'_>> = usable
        .iter()
        .copied()
        .filter(Interval::identified)
        .collect();
    let known: usize = curve.tables.iter().map(|table| table.volumes.len()).sum();
    let known = known.max(usize::from(!curve.bulk_points.is_empty()) * 2);
    if known + identified.len() >= 2
        && !identified.is_empty()
        && let Some(next) = by_identities(curve, &identified)
    {
        return next;
    }
    let next = counts::by_counts(curve, &usable);
    remembering(next, &identified)
}

/// Mean |ln| by which these deltas would have been missed, each predicted from those before, in each of several
/// measures of writing: the one that makes it least is the one the volume's growth follows. The measures speak of
/// the same deltas in the same order.
#[must_use]
pub fn foresights(measures: &[Vec<Interval<'_>>], bound_blocks: f64) -> Vec<f64> {
    let sound = |i: &&Interval<'_>| i.usable() && i.identified();
    let rows = |intervals: &[Interval<'_>]| -> Vec<f64> {
        let known: Vec<Interval<'_>> = intervals.iter().filter(sound).copied().collect();
        small_writes(&known).iter().map(|row| row.0).collect()
    };
    let Some(first) = measures.first() else {
        return Vec::new();
    };
    let known: Vec<Interval<'_>> = first.iter().filter(sound).copied().collect();
    // Which blocks changed when is the same in every measure.
    let table = table_of(&small_writes(&known));
    let population = bound_blocks.max(table.touched() as f64);
    let foresight = |intervals: &Vec<Interval<'_>>| {
        let mut volumes = rows(intervals);
        volumes.drain(..volumes.len().saturating_sub(table.volumes.len()));
        let patterns = table.patterns.clone();
        blend::foresight(&[IncidenceTable { volumes, patterns }], population)
    };
    measures.iter().map(foresight).collect()
}

/// Identities that do not suffice yet are kept for later.
fn remembering(mut curve: DirtyCurve, identified: &[Interval<'_>]) -> DirtyCurve {
    let rows = small_writes(identified);
    if !rows.is_empty() {
        curve.tables.push(table_of(&rows));
    }
    curve
}

/// The curve of the first `count` of these deltas, all usable and identified, at least two; `whole` is the
/// table of all of them.
pub(super) fn fit_first(
    all: &[Interval<'_>],
    count: usize,
    whole: &IncidenceTable,
    bound_blocks: f64,
    minute: Written,
) -> DirtyCurve {
    let first = &all[..count];
    // Nothing is left out of the deltas then: the table of the first ones is in that of all.
    if all.iter().all(Interval::calm)
        && let Some(curve) = fitted(
            &counts::prior(bound_blocks, minute),
            first,
            vec![whole.until(count)],
        )
    {
        return curve;
    }
    fit(first, bound_blocks, minute)
}

fn by_identities(curve: &DirtyCurve, intervals: &[Interval<'_>]) -> Option<DirtyCurve> {
    let mut tables = curve.tables.clone();
    let rows = small_writes(intervals);
    if !rows.is_empty() {
        tables.push(table_of(&rows));
    }
    fitted(curve, intervals, tables)
}

fn fitted(
    curve: &DirtyCurve,
    intervals: &[Interval<'_>],
    tables: Vec<IncidenceTable>,
) -> Option<DirtyCurve> {
    if tables.is_empty() {
        return bulk_alone(curve, intervals);
    }
    let touched = tables.iter().map(IncidenceTable::touched).max();
    let bound_blocks = curve.bound_blocks.max(touched.unwrap_or(0) as f64);
    let Blend {
        knots,
        calibrated,
        share,
    } = blended(&tables, bound_blocks)?;
    let fresh = u32::try_from(intervals.len()).unwrap_or(u32::MAX);
    let deltas = curve.deltas.saturating_add(fresh);
    let mut next = DirtyCurve {
        bound_blocks,
        growth: Growth::Fitted { knots, calibrated },
        spread: 0.0,
        deltas,
        tables,
        provenance: format!(
            "delta curve: measured ({deltas} deltas with identities), rate mixture and {:.0} % \
             curve through their unions",
            100.0 * share
        ),
        ..curve.clone()
    };
    next.learn_bulk(intervals);
    Some(next)
}

/// The curve of a volume that nobody saw write anything but bulk.
fn bulk_alone(curve: &DirtyCurve, intervals: &[Interval<'_>]) -> Option<DirtyCurve> {
    if intervals.iter().all(|i| i.written.bulk_blocks <= 0.0) {
        return None;
    }
    let fresh = u32::try_from(intervals.len()).unwrap_or(u32::MAX);
    let deltas = curve.deltas.saturating_add(fresh);
    let mut next = DirtyCurve {
        deltas,
        provenance: format!(
            "delta curve: measured ({deltas} deltas with identities), bulk writing; small writes: prior"
        ),
        ..curve.clone()
    };
    next.learn_bulk(intervals);
    Some(next)
}

impl DirtyCurve {
    /// Bulk writing of all unions of `intervals` against what the small writes do not explain.
    fn learn_bulk(&mut self, intervals: &[Interval<'_>]) {
        let bulk: f64 = intervals.iter().map(|i| i.written.bulk_blocks).sum();
        if bulk <= 0.0 {
            return;
        }
        let newest = &intervals[intervals.len().saturating_sub(MAX_DELTAS)..];
        let whole: Vec<(f64, &[Run])> = newest.iter().map(|i| (i.written.small, i.runs)).collect();
        let point = |union: Union| {
            let written = newest[union.first..union.after].iter();
            let bulk = written.map(|interval| interval.written.bulk_blocks).sum();
            BulkPoint::of(bulk, union.blocks, self.small_blocks(union.volume))
        };
        let points: Vec<BulkPoint> = unions(&IncidenceTable::of(&whole))
            .into_iter()
            .filter_map(point)
            .collect();
        let mut all = std::mem::take(&mut self.bulk_points);
        all.extend(points);
        self.bulk_points = bulk::newest(all);
        self.bulk_observed_blocks += bulk;
        (self.bulk_log_factor, self.bulk_slope) = bulk::fitted(&self.bulk_points);
    }
}

/// A delta's small writes: their volume and the blocks they changed.
type SmallWrites<'a> = (f64, Cow<'a, [Run]>);

/// Leaves out deltas that bulk writing dominates while two others remain; else their long runs.
fn small_writes<'a>(intervals: &[Interval<'a>]) -> Vec<SmallWrites<'a>> {
    let calm = intervals.iter().filter(|interval| interval.calm()).count();
    let kept = intervals
        .iter()
        .filter(|i| i.written.small > 0.0 && (calm < 2 || i.calm()));
    kept.map(|interval| {
        let runs = if interval.calm() {
            Cow::Borrowed(interval.runs)
        } else {
            Cow::Owned(bulk::short_runs(interval.runs))
        };
        (interval.written.small, runs)
    })
    .collect()
}

fn table_of(rows: &[SmallWrites<'_>]) -> IncidenceTable {
    let rows: Vec<(f64, &[Run])> = rows.iter().map(|(v, runs)| (*v, runs.as_ref())).collect();
    IncidenceTable::of(&rows)
}
