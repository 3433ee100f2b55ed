//! What a volume will write, as sample paths prepared for many questions about windows.
//!
//! Before the moment they begin they are the measured past, the same on all paths. Every path
//! only grows, so windows that adjoin add up. It must not know blocks, deltas or services.

use crate::dirty::Written;
use crate::draws::{Draw, VolumeDraw};

use super::LoadModel;
use super::clock::LoadClock;
use super::luck::{PATHS, scattered};
use super::past::{Past, quantile, whole};
use super::record::Entry;
use super::streams;
use super::teller::tell;

const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;
/// Steps ahead: (until, step), in seconds; without days to tell of the last ones are longer.
const STEPS: [(f64, f64); 3] = [
    (1800.0, 60.0),
    (4.0 * HOUR, 600.0),
    (8.0 * DAY + 4.0 * HOUR, HOUR),
];
const LONG_STEPS: [(f64, f64); 4] = [
    STEPS[0],
    STEPS[1],
    (28.0 * HOUR, HOUR),
    (8.0 * DAY + 4.0 * HOUR, 6.0 * HOUR),
];

/// A load as seen from one moment.
#[derive(Clone, Debug)]
pub struct LoadPaths {
    clock: LoadClock,
    /// Boundaries of the known past with what was written until each.
    known: Vec<(f64, Written)>,
    /// Where the paths begin, and their step boundaries as seconds from there.
    start: f64,
    steps: Vec<f64>,
    /// What each path has written until each boundary.
    paths: Vec<Vec<Written>>,
}

impl LoadPaths {
    /// Prepares the paths of `model` as seen at `issued_at`, seconds since 1970.
    #[must_use]
    pub fn of(model: &LoadModel, issued_at: f64) -> Self {
        let mut entries = model.record.entries();
        entries.retain(|entry| entry.start < issued_at);
        let past = Past::of(&entries);
        let clock = LoadClock::of(model);
        let blind = past.ledger.seconds() <= 0.0;
        let start = if blind { issued_at } else { past.ledger.end() };
        let steps = steps(if past.has_days() { &STEPS } else { &LONG_STEPS });
        let paths = if blind {
            blind_paths(model, &clock, start, &steps)
        } else {
            told(&past, &entries, &steps)
        };
        Self {
            known: known(&past, &clock),
            clock,
            start,
            steps,
            paths,
        }
    }

    /// The median of what is written between two points in time, stream by stream; zero when
    /// they are not in order.
    #[must_use]
    pub fn expected(&self, from: f64, to: f64) -> Written {
        let all = || self.paths.iter().map(|path| self.on(path, from, to));
        Written {
            small: quantile(all().map(|written| written.small).collect(), 0.5),
            bulk_blocks: quantile(all().map(|written| written.bulk_blocks).collect(), 0.5),
        }
    }

    /// Quantiles of the small writes between two points in time.
    #[must_use]
    pub fn small_quantiles<const N: usize>(
        &self,
        from: f64,
        to: f64,
        levels: [f64; N],
    ) -> [f64; N] {
        let paths = self.paths.iter();
        let small: Vec<f64> = paths.map(|path| self.on(path, from, to).small).collect();
        levels.map(|level| quantile(small.clone(), level))
    }

    /// Written between two points in time on one draw; zero when they are not in order.
    #[must_use]
    pub fn drawn(&self, from: f64, to: f64, draw: &Draw, _own: &VolumeDraw) -> Written {
        let index = whole(draw.path * self.paths.len() as f64).min(self.paths.len() - 1);
        self.on(&self.paths[index], from, to)
    }

    /// Small writes that were made in memory since everything was flushed at `from` and that the past does not show
    /// yet, because the database has not written them: what the hour before lets expect beyond what was seen, as
    /// much as `most_seconds` of it.
    #[must_use]
    pub fn held(&self, from: f64, most_seconds: f64) -> f64 {
        let since = self.start - from;
        if self.known.is_empty() || since.is_nan() || since <= 0.0 {
            return 0.0;
        }
        let seen = self.before(from).small;
        let rate = (self.before(from - HOUR).small - seen) / HOUR;
        (rate * since - seen).clamp(0.0, (rate * most_seconds).max(0.0))
    }

    fn on(&self, path: &[Written], from: f64, to: f64) -> Written {
        if from.is_nan() || to.is_nan() || to <= from {
            return Written::default();
        }
        let (a, b) = (self.until(path, from), self.until(path, to));
        Written {
            small: (b.small - a.small).max(0.0),
            bulk_blocks: (b.bulk_blocks - a.bulk_blocks).max(0.0),
        }
    }

    /// Written from the start of the paths; negative before it.
    fn until(&self, path: &[Written], at: f64) -> Written {
        if at <= self.start {
            return self.before(at).scaled(-1.0);
        }
        let ahead = at - self.start;
        let after = self.steps.partition_point(|step| *step <= ahead);
        let Some(next) = self.steps.get(after) else {
            let end = self.start + self.steps[after - 1];
            return path[after - 1].plus(self.clock.written(end, at));
        };
        let before = self.steps[after - 1];
        let share = (ahead - before) / (next - before);
        path[after - 1]
            .scaled(1.0 - share)
            .plus(path[after].scaled(share))
    }

    /// Written from `at` until the start of the paths.
    fn before(&self, at: f64) -> Written {
        let after = self.known.partition_point(|(boundary, _)| *boundary <= at);
        let Some((end, all)) = self.known.last() else {
            return self.clock.written(at, self.start);
        };
        let Some((next, sum)) = self.known.get(after) else {
            return self.clock.written(at.max(*end), self.start);
        };
        let Some((last, before)) = after.checked_sub(1).map(|k| self.known[k]) else {
            return all.plus(self.clock.written(at, *next));
        };
        let share = (at - last) / (next - last);
        let here = before.scaled(1.0 - share).plus(sum.scaled(share));
        all.plus(here.scaled(-1.0))
    }
}

/// The future as the past tells it.
fn told(past: &Past, entries: &[Entry], steps: &[f64]) -> Vec<Vec<Written>> {
    if !streams::steady(entries) {
        return tell(past, steps);
    }
    let [small, bulk] = streams::apart(entries);
    let small = tell(&Past::of(&small), steps);
    streams::together(small, &tell(&Past::of(&bulk), steps))
}

/// Sums over the known past; what is unknown in it is filled with the rhythm.
fn known(past: &Past, clock: &LoadClock) -> Vec<(f64, Written)> {
    if past.ledger.seconds() <= 0.0 {
        return Vec::new();
    }
    let mut sum = Written::default();
    let mut known = vec![(past.ledger.start(), sum)];
    for (from, to, written) in past.ledger.spans() {
        sum = sum.plus(written.unwrap_or_else(|| clock.written(from, to)));
        known.push((to, sum));
    }
    known
}

fn steps(lengths: &[(f64, f64)]) -> Vec<f64> {
    let mut steps = vec![0.0];
    let mut at = 0.0;
    for (until, step) in lengths {
        while at < *until {
            at += step;
            steps.push(at);
        }
    }
    steps
}

/// Without any history: the assumed rhythm at an uncertain level.
fn blind_paths(
    model: &LoadModel,
    clock: &LoadClock,
    start: f64,
    steps: &[f64],
) -> Vec<Vec<Written>> {
    let spread = model.level_spread.hypot(model.burst_spread);
    let one = |path: usize| {
        let factor = (spread * scattered(path)).exp();
        let until = |step: &f64| clock.written(start, start + step).scaled(factor);
        steps.iter().map(until).collect()
    };
    (0..PATHS).map(one).collect()
}
