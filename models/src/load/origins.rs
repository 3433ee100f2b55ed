//! Moments of the past from which the future is told again, those most like the present first.
//!
//! Analog ensembles: Delle Monache et al., Monthly Weather Review 141, 2013. It must not know
//! what is told.

use super::past::{Past, whole};

const DAY: f64 = 86_400.0;
/// Moments that are looked at, at most, and their least distance.
const MOST: f64 = 300.0;
const LEAST_APART_SECONDS: f64 = 60.0;
/// History before the first one.
const LEAST_BEFORE_SECONDS: f64 = 600.0;
/// Spans whose rates describe a moment.
const LOOKS: [f64; 3] = [120.0, 600.0, 1800.0];
/// How alike is alike, in standard deviations of each rate.
const LIKENESS: f64 = 0.5;
/// As many moments must count, or this share of all.
const LEAST_ALIKE: f64 = 24.0;
const LEAST_SHARE: f64 = 0.15;
/// Shifts of a day's block.
const SHIFTS_SECONDS: [f64; 3] = [0.0, 3600.0, -3600.0];

/// Moments with their weights (which add up to one), oldest first.
pub(super) fn alike(past: &Past) -> Vec<(f64, f64)> {
    let (start, end) = (past.ledger.start(), past.ledger.end());
    let first = start + LEAST_BEFORE_SECONDS.min((end - start) / 4.0);
    let apart = ((end - first) / MOST / LEAST_APART_SECONDS).ceil().max(1.0) * LEAST_APART_SECONDS;
    let count = whole((end - first) / apart);
    let moments: Vec<f64> = (1..=count).rev().map(|k| end - apart * k as f64).collect();
    let looks: Vec<Vec<f64>> = moments.iter().map(|at| look(past, *at)).collect();
    let distances = distances(&looks, &look(past, end));
    let weights = weights(&distances);
    moments.into_iter().zip(weights).collect()
}

/// The same time on earlier days, shifted a little; empty without two days of history.
pub(super) fn same_time(past: &Past) -> Vec<f64> {
    let (start, end) = (past.ledger.start(), past.ledger.end());
    let days = ((end - start) / DAY).floor();
    if days < 2.0 {
        return Vec::new();
    }
    let back = |day: usize| end - DAY * day as f64;
    let all = (1..=whole(days)).flat_map(|day| SHIFTS_SECONDS.map(|shift| back(day) + shift));
    all.filter(|at| *at > start && *at < end).collect()
}

/// What a moment looks like: small rates in ln, and shares of bulk writing.
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
        let squares = parts.map(|((then, now), spread)| {
            let apart = if then.is_nan() && now.is_nan() {
                0.0
            } else {
                (then - now) / spread
            };
            if apart.is_nan() { 4.0 } else { apart * apart }
        });
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

/// The more alike the heavier, but never so few that one moment decides.
fn weights(distances: &[f64]) -> Vec<f64> {
    let count = distances.len() as f64;
    let least = LEAST_ALIKE.max(LEAST_SHARE * count).min(count);
    let mut width = LIKENESS;
    loop {
        let raw: Vec<f64> = distances
            .iter()
            .map(|d| (-d / (2.0 * width * width)).exp())
            .collect();
        let (sum, squares) = raw.iter().fold((0.0, 0.0), |s, w| (s.0 + w, s.1 + w * w));
        if width > 1e3 || sum * sum >= least * squares * 0.999 && sum > 1e-12 {
            return raw.iter().map(|w| w / sum.max(f64::MIN_POSITIVE)).collect();
        }
        width *= 1.4;
    }
}
