//! How wrong the curve was on the volume's own deltas, each predicted from those before it.

use super::Written;
use super::fit::{Interval, fit_first};
use super::incidence::{IncidenceTable, MAX_DELTAS};
use super::sample::{self, Run};
use super::unions::{Union, unions};
use crate::calibration::Score;

/// A prediction of fewer blocks than this, that comes true as such, says nothing of the curve.
const LEAST_BLOCKS: f64 = 5.0;
/// A worse miss of few deltas is a change of workload, which the prior's tail speaks of.
const LARGEST: f64 = 1.0;
/// Origins that are looked at, the newest.
const MOST_ORIGINS: usize = 8;

/// Rolling origin: from half of the deltas on (at least two), each later delta and each union of later deltas is
/// predicted from those before; oldest origin first. Empty without three deltas with identities.
#[must_use]
pub fn own_scores(intervals: &[Interval<'_>], bound_blocks: f64, minute: Written) -> Vec<Score> {
    let sound = |i: &Interval<'_>| i.usable() && i.identified();
    let known: Vec<Interval<'_>> = intervals.iter().copied().filter(sound).collect();
    let known = &known[known.len().saturating_sub(MAX_DELTAS)..];
    let rows: Vec<(f64, &[Run])> = known.iter().map(|i| (i.written.small, i.runs)).collect();
    let stretch = sample::stretch_of(&rows);
    if stretch == 1 {
        return scores(known, bound_blocks, minute);
    }
    // Of deltas with millions of runs a sample is looked at, once: a smaller volume of the same kind.
    let part = stretch as f64;
    let thinned: Vec<Vec<Run>> = rows
        .iter()
        .map(|row| sample::thinned(row.1, stretch))
        .collect();
    let smaller: Vec<Interval<'_>> = known
        .iter()
        .zip(&thinned)
        .map(|(interval, runs)| Interval {
            written: Written {
                bulk_blocks: interval.written.bulk_blocks / part,
                ..interval.written
            },
            changed_blocks: runs.iter().map(|run| run.1).sum(),
            runs,
        })
        .collect();
    scores(&smaller, bound_blocks / part, minute)
}

fn scores(known: &[Interval<'_>], bound_blocks: f64, minute: Written) -> Vec<Score> {
    let rows: Vec<(f64, &[Run])> = known.iter().map(|i| (i.written.small, i.runs)).collect();
    let whole = IncidenceTable::of(&rows);
    let windows = unions(&whole);
    let first = (known.len() / 2)
        .max(known.len().saturating_sub(MOST_ORIGINS))
        .max(2);
    (first..known.len())
        .flat_map(|origin| {
            let curve = fit_first(known, origin, &whole, bound_blocks, minute);
            // The whole has more deltas than the origin had: its error is smaller by their root.
            let lesser = (origin as f64 / known.len() as f64).sqrt();
            let after = windows.iter().filter(move |union| union.first == origin);
            let score = move |union: &Union| {
                let written = &known[union.first..union.after];
                let written = written
                    .iter()
                    .fold(Written::default(), |sum, i| sum.plus(i.written));
                let said = curve.blocks(written);
                (said.max(union.blocks) >= LEAST_BLOCKS).then(|| Score {
                    extrapolation: curve.extrapolation(written),
                    log_ratio: lesser
                        * ((union.blocks + 0.5) / (said + 0.5))
                            .ln()
                            .clamp(-LARGEST, LARGEST),
                })
            };
            after.filter_map(score).collect::<Vec<Score>>()
        })
        .collect()
}
