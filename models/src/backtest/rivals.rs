//! The models that a forecast has to beat: rates times time, and single-family curves.
//!
//! The curves are fitted to the unions of consecutive deltas and are told the true future write
//! volume, so that only their shape is judged. They must not be used for any decision.

use super::origin::weight;
use crate::blocks::BlockSet;
use crate::dirty::Written;
use crate::observation::ObservedDelta;
use crate::units::epoch_seconds;

/// Rates tried for the exponential, log-spaced between a twentieth of the slowest that the data can
/// show and the fastest.
const RATES: u32 = 60;

/// Rival models of one volume, fitted to what was seen at one origin.
#[derive(Debug)]
pub struct Rivals {
    changed: f64,
    seconds: f64,
    last_changed: f64,
    last_seconds: f64,
    deltas: usize,
    /// (blocks at saturation, rate)
    exponential: (f64, f64),
    /// (ln of blocks at volume 1, exponent)
    power: (f64, f64),
}

impl Rivals {
    /// Fits them to deltas and what was written during each.
    pub fn of(deltas: &[ObservedDelta], written: &[Written]) -> Self {
        let seconds = |delta: &ObservedDelta| epoch_seconds(delta.to) - epoch_seconds(delta.from);
        let points = unions(deltas, written);
        Self {
            changed: deltas.iter().map(|delta| delta.changed_blocks as f64).sum(),
            seconds: deltas.iter().map(seconds).sum(),
            last_changed: deltas
                .last()
                .map_or(0.0, |delta| delta.changed_blocks as f64),
            last_seconds: deltas.last().map_or(1.0, seconds),
            deltas: deltas.len(),
            exponential: exponential(&points),
            power: power_law(&points),
        }
    }

    /// Mean length of the deltas.
    pub fn delta_seconds(&self) -> f64 {
        self.seconds / self.deltas.max(1) as f64
    }

    /// Blocks by the mean rate of all deltas.
    pub fn mean_rate(&self, lag_seconds: f64) -> f64 {
        self.changed / self.seconds.max(1e-9) * lag_seconds
    }

    /// Blocks by the last delta's rate.
    pub fn last_rate(&self, lag_seconds: f64) -> f64 {
        self.last_changed / self.last_seconds.max(1e-9) * lag_seconds
    }

    /// N (1 - exp(-rate v)).
    pub fn exponential(&self, volume: f64) -> f64 {
        let (blocks, rate) = self.exponential;
        blocks * -(-rate * volume).exp_m1()
    }

    /// k v^exponent.
    pub fn power_law(&self, volume: f64) -> f64 {
        if volume <= 0.0 {
            return 0.0;
        }
        (self.power.0 + self.power.1 * volume.ln()).exp()
    }
}

/// (written, distinct blocks) of every run of consecutive deltas; single deltas where identities are missing.
fn unions(deltas: &[ObservedDelta], written: &[Written]) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for begin in 0..deltas.len() {
        let (mut all, mut volume) = (BlockSet::default(), 0.0);
        for (index, (delta, written)) in deltas.iter().zip(written).enumerate().skip(begin) {
            let single = index == begin;
            all = BlockSet::of([&*all, &*delta.runs].concat());
            volume += weight(*written);
            let known = if single {
                delta.changed_blocks
            } else {
                all.blocks()
            };
            if volume > 0.0 && known > 0 {
                points.push((volume, known as f64));
            }
        }
    }
    points
}

/// Least squares of relative errors: for each rate the best number of blocks in closed form.
fn exponential(points: &[(f64, f64)]) -> (f64, f64) {
    let largest = points.iter().map(|point| point.0).fold(0.0, f64::max);
    let least = points
        .iter()
        .map(|point| point.0)
        .fold(f64::INFINITY, f64::min);
    if largest <= 0.0 {
        return (0.0, 0.0);
    }
    let (low, high) = ((0.05 / largest).ln(), (5.0 / least).ln());
    let fitted = |k: u32| {
        let rate = (low + (high - low) * f64::from(k) / f64::from(RATES - 1)).exp();
        let share = |volume: f64| -(-rate * volume).exp_m1();
        let relative = || points.iter().map(|&(v, u)| share(v) / u);
        let blocks = relative().sum::<f64>() / relative().map(|r| r * r).sum::<f64>().max(1e-300);
        let loss: f64 = relative().map(|r| (1.0 - blocks * r).powi(2)).sum();
        (loss, blocks, rate)
    };
    let best = (0..RATES).map(fitted).min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or((0.0, 0.0), |(_, blocks, rate)| (blocks, rate))
}

/// Least squares of ln blocks over ln volume, the exponent between 0 and 1.
fn power_law(points: &[(f64, f64)]) -> (f64, f64) {
    if points.is_empty() {
        return (f64::NEG_INFINITY, 0.0);
    }
    let n = points.len() as f64;
    let x = points.iter().map(|point| point.0.ln()).sum::<f64>() / n;
    let y = points.iter().map(|point| point.1.ln()).sum::<f64>() / n;
    let sxx: f64 = points.iter().map(|point| (point.0.ln() - x).powi(2)).sum();
    let sxy: f64 = points
        .iter()
        .map(|point| (point.0.ln() - x) * (point.1.ln() - y))
        .sum();
    let exponent = if sxx > 1e-9 {
        (sxy / sxx).clamp(0.0, 1.0)
    } else {
        1.0
    };
    (y - exponent * x, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_finds_its_own_curve() {
        let volumes = [10.0, 20.0, 30.0, 60.0_f64];
        let saturating: Vec<(f64, f64)> = volumes
            .iter()
            .map(|v| (*v, 100.0 * -(-0.05 * v).exp_m1()))
            .collect();
        let (blocks, rate) = exponential(&saturating);
        assert!(
            (blocks - 100.0).abs() < 3.0 && (rate - 0.05).abs() < 0.003,
            "{blocks} {rate}"
        );
        let power: Vec<(f64, f64)> = volumes.iter().map(|v| (*v, 3.0 * v.powf(0.6))).collect();
        let (log, exponent) = power_law(&power);
        assert!((log.exp() - 3.0).abs() < 1e-6 && (exponent - 0.6).abs() < 1e-6);
    }

    #[test]
    fn nothing_seen_predicts_nothing() {
        let none = Rivals::of(&[], &[]);
        assert_eq!((none.mean_rate(60.0), none.last_rate(60.0)), (0.0, 0.0));
        assert_eq!((none.exponential(5.0), none.power_law(5.0)), (0.0, 0.0));
    }
}
