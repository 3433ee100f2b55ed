//! Moments of the past from which the future is told again, those like the present more often.
//!
//! Analog ensembles: Delle Monache et al., Monthly Weather Review 141, 2013. It must not know
//! what is told.

use super::past::{Past, whole};

const DAY: f64 = 86_400.0;
/// Moments that are looked at, at most, and their least distance.
const MOST: f64 = 240.0;
const LEAST_APART_SECONDS: f64 = 60.0;
/// History before the first one.
const LEAST_BEFORE_SECONDS: f64 = 600.0;
/// Spans whose rates describe a moment.
const LOOKS: [f64; 3] = [120.0, 600.0, 1800.0];
/// How alike is alike, in standard deviations of each rate: wide, for a narrow choice forgets the
/// moments at which something changed.
const LIKENESS: f64 = 2.0;
/// Squared distance to a moment whose rate is unknown.
const UNKNOWN_DISTANCE: f64 = 4.0;
/// Shifts of a day's block.
const SHIFTS_SECONDS: [f64; 3] = [0.0, 3600.0, -3600.0];

/// Moments of the past, oldest first.
pub(super) fn moments(past: &Past) -> Vec<f64> {
    let (start, end) = (past.ledger.start(), past.ledger.end());
    let first = start + LEAST_BEFORE_SECONDS.min((end - start) / 4.0);
    let apart = ((end - first) / MOST / LEAST_APART_SECONDS).ceil().max(1.0) * LEAST_APART_SECONDS;
    let count = whole((end - first) / apart);
    (1..=count).rev().map(|k| end - apart * k as f64).collect()
}

/// The same time on earlier days, shifted a little; empty without two days of history.
pub(super) fn same_time(past: &Past) -> Vec<f64> {
    let (start, end) = (past.ledger.start(), past.ledger.end());
    let days = if past.has_days() {
        whole((end - start) / DAY)
    } else {
        0
    };
    let back = |day: usize| end - DAY * day as f64;
    let all = (1..=days).flat_map(|day| SHIFTS_SECONDS.map(|shift| back(day) + shift));
    all.filter(|at| *at > start && *at < end).collect()
}

/// How much each moment is like the present; the weights add up to one.
pub(super) fn likeness(past: &Past, moments: &[f64]) -> Vec<f64> {
    let looks: Vec<Vec<f64>> = moments.iter().map(|at| look(past, *at)).collect();
    let distances = distances(&looks, &look(past, past.ledger.end()));
    let nearest = distances.iter().copied().fold(f64::INFINITY, f64::min);
    let weight = |distance: &f64| (-(distance - nearest) / (2.0 * LIKENESS * LIKENESS)).exp();
    let weights: Vec<f64> = distances.iter().map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// What a moment looks like: small and bulk rates in ln.
fn look(past: &Past, at: f64) -> Vec<f64> {
    let small = LOOKS.iter().map(|seconds| {
        let rate = past.small_rate(at - seconds, at);
        rate.map_or(f64::NAN, |rate| (rate + past.floor).ln())
    });
    let bulk = LOOKS.iter().map(|seconds| {
        let sums = past.ledger.between(at - seconds, at);
        let rate = sums.bulk_blocks / sums.seconds.max(1.0);
        (rate + 0.1 * past.bulk_rate + 1e-9).ln()
    });
    small.chain(bulk).collect()
}

/// Mean squared distance to the present in units of each look's own spread.
fn distances(looks: &[Vec<f64>], now: &[f64]) -> Vec<f64> {
    let spreads: Vec<f64> = (0..now.len()).map(|k| spread(looks, k)).collect();
    let distance = |look: &Vec<f64>| {
        let parts = look.iter().zip(now).zip(&spreads);
        let squares = parts.map(
            |((then, now), spread)| match (then.is_nan(), now.is_nan()) {
                (true, true) => 0.0,
                (false, false) => ((then - now) / spread).powi(2),
                _ => UNKNOWN_DISTANCE,
            },
        );
        squares.sum::<f64>() / now.len().max(1) as f64
    };
    looks.iter().map(distance).collect()
}

fn spread(looks: &[Vec<f64>], k: usize) -> f64 {
    let known: Vec<f64> = looks
        .iter()
        .map(|l| l[k])
        .filter(|x| x.is_finite())
        .collect();
    let count = known.len().max(1) as f64;
    let mean = known.iter().sum::<f64>() / count;
    let variance = known.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt().max(0.05)
}
