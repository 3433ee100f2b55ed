//! A rhythm shorter than a day, found in the history. It must not know forecasts.

use super::ledger::Ledger;
use super::past::whole;

/// History that is searched, its finest step, and the most steps of it.
const SEARCHED_SECONDS: f64 = 2.0 * 86_400.0;
const FINEST_STEP_SECONDS: f64 = 60.0;
const STEPS: f64 = 720.0;
/// Autocorrelation from which a repetition counts as a rhythm.
const LEAST_CORRELATION: f64 = 0.4;
/// Shortest rhythm in steps, and how often it must have been seen.
const LEAST_STEPS: usize = 4;
const SEEN: f64 = 1.3;

/// Period of the strongest repetition of the small writes' log rate, in seconds.
pub(super) fn find(ledger: &Ledger) -> Option<f64> {
    let length = (ledger.end() - ledger.start()).min(SEARCHED_SECONDS);
    let step = FINEST_STEP_SECONDS.max((length / STEPS / 60.0).ceil() * 60.0);
    let count = whole(length / step);
    let rates = rates(ledger, step, count);
    let longest = whole(count as f64 / SEEN);
    let correlations: Vec<f64> = (0..=longest).map(|lag| correlation(&rates, lag)).collect();
    let peak = |lag: &usize| {
        let c = |lag: usize| correlations.get(lag).copied().unwrap_or(-1.0);
        c(*lag) >= LEAST_CORRELATION && c(*lag) >= c(lag - 1) && c(*lag) >= c(lag + 1)
    };
    // Without a trough before it a peak is only slow drift.
    let trough = correlations.iter().position(|c| *c < 0.1)?;
    let peaks = (LEAST_STEPS.max(trough)..=longest).filter(peak);
    let best = peaks.max_by(|a, b| correlations[*a].total_cmp(&correlations[*b]))?;
    Some(best as f64 * step)
}

/// Log rates of the newest steps, centred; unknown ones are zero.
fn rates(ledger: &Ledger, step: f64, count: usize) -> Vec<f64> {
    let first = ledger.end() - step * count as f64;
    let all = ledger.all();
    let floor = 0.05 * all.small / all.calm_seconds.max(1.0);
    let rate = |k: usize| {
        let at = first + step * k as f64;
        let sums = ledger.between(at, at + step);
        (sums.calm_seconds > 0.3 * step && floor > 0.0)
            .then(|| (sums.small / sums.calm_seconds + floor).ln())
    };
    let known: Vec<Option<f64>> = (0..count).map(rate).collect();
    let present = known.iter().flatten();
    let mean = present.clone().sum::<f64>() / present.count().max(1) as f64;
    known
        .into_iter()
        .map(|rate| rate.map_or(0.0, |rate| rate - mean))
        .collect()
}

fn correlation(rates: &[f64], lag: usize) -> f64 {
    let later = &rates[lag.min(rates.len())..];
    let pairs = rates.iter().zip(later);
    let product: f64 = pairs.map(|(a, b)| a * b).sum();
    let power: f64 = rates.iter().map(|rate| rate * rate).sum();
    let share = later.len() as f64 / rates.len().max(1) as f64;
    if power > 0.0 && share > 0.0 {
        product / power / share
    } else {
        0.0
    }
}
