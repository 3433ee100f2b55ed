//! How long a service step takes: overhead + bytes / rate, with a spread, learned from what was seen.
//!
//! Priors come from `data/priors.toml`. Every observed duration updates them: a posterior over
//! (ln overhead, ln rate) on a grid, with a Student t likelihood, so that one bad call does not
//! carry it off. It must not know volumes, rounds or what a step is for.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draws::Draw;
use crate::observation::{ObservedDuration, ServiceStep};

/// All steps, in the order of their numbers.
pub const ALL_STEPS: [ServiceStep; crate::draws::STEPS] = [
    ServiceStep::Snapshot,
    ServiceStep::Copy,
    ServiceStep::CreateVolume,
    ServiceStep::Attach,
    ServiceStep::Recovery,
    ServiceStep::Checkpoint,
    ServiceStep::Fence,
    ServiceStep::Freeze,
    ServiceStep::Activate,
];

/// What is believed of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceModel {
    /// Step.
    pub step: ServiceStep,
    /// Mean of ln(overhead in seconds).
    pub log_overhead: f64,
    /// Its standard deviation.
    pub log_overhead_spread: f64,
    /// Mean of ln(bytes per second); absent for steps that move nothing.
    pub log_rate: Option<f64>,
    /// Its standard deviation.
    pub log_rate_spread: f64,
    /// Correlation of the two: a slower rate explains the same duration as a longer overhead.
    pub correlation: f64,
    /// Log scale of one call around its mean (Student t, 4 degrees of freedom).
    pub scatter: f64,
    /// Probability that a call falls into the tail.
    pub tail_probability: f64,
    /// How many times longer a call takes there.
    pub tail_factor: f64,
    /// Durations it has learned from.
    pub points: u32,
    /// Source of the prior.
    pub source: String,
}

/// One row of `data/priors.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prior {
    overhead_seconds: f64,
    overhead_spread: f64,
    bytes_per_second: Option<f64>,
    rate_spread: Option<f64>,
    scatter: f64,
    tail_probability: f64,
    tail_factor: f64,
    source: String,
}

static PRIORS: LazyLock<BTreeMap<ServiceStep, Prior>> = LazyLock::new(|| {
    toml::from_str(include_str!("../data/priors.toml"))
        .expect("priors.toml is part of the program and read by its tests")
});

/// What is believed of every step before anything was measured.
#[must_use]
pub fn priors() -> Vec<ServiceModel> {
    ALL_STEPS
        .iter()
        .filter_map(|step| Some(prior(*step, PRIORS.get(step)?)))
        .collect()
}

fn prior(step: ServiceStep, prior: &Prior) -> ServiceModel {
    ServiceModel {
        step,
        log_overhead: prior.overhead_seconds.ln(),
        log_overhead_spread: prior.overhead_spread,
        log_rate: prior.bytes_per_second.map(f64::ln),
        log_rate_spread: prior.rate_spread.unwrap_or(0.0),
        correlation: 0.0,
        scatter: prior.scatter,
        tail_probability: prior.tail_probability,
        tail_factor: prior.tail_factor,
        points: 0,
        source: prior.source.clone(),
    }
}

/// Bytes moved (when the step moves any) and seconds taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Bytes.
    pub bytes: f64,
    /// Seconds.
    pub seconds: f64,
}

impl Point {
    /// The usable part of an observation: finite, positive, and with its bytes when they matter.
    #[must_use]
    pub fn of(observed: &ObservedDuration) -> Option<Self> {
        let moves = matches!(observed.step, ServiceStep::Snapshot | ServiceStep::Copy);
        let bytes = if moves {
            observed.moved_bytes? as f64
        } else {
            0.0
        };
        (observed.seconds.is_finite() && observed.seconds > 0.0).then_some(Self {
            bytes,
            seconds: observed.seconds,
        })
    }
}

/// Observations kept for an update: the newest ones tell how the service is now.
const MAX_POINTS: usize = 60;
/// Grid points to each side and how many standard deviations they reach.
const GRID_HALF: i32 = 16;
const GRID_REACH: f64 = 3.2;
/// A prior's scatter counts as much as this many observed residuals.
const SCATTER_WEIGHT: f64 = 4.0;

impl ServiceModel {
    /// Mean duration of a call that moves `bytes`, with unit-normal parameters `z`.
    #[must_use]
    pub fn mean_seconds(&self, bytes: f64, z: [f64; 2]) -> f64 {
        let overhead = (self.log_overhead + self.log_overhead_spread * z[0]).exp();
        let Some(log_rate) = self.log_rate else {
            return overhead;
        };
        let mixed =
            self.correlation * z[0] + (1.0 - self.correlation.powi(2)).max(0.0).sqrt() * z[1];
        overhead + bytes.max(0.0) / (log_rate + self.log_rate_spread * mixed).exp()
    }

    /// Duration of the call of `round` in one draw; never shorter for more bytes.
    #[must_use]
    pub fn seconds(&self, bytes: f64, round: usize, draw: &Draw) -> f64 {
        let (scatter, tail) = draw.call(round, self.step);
        let factor = if tail > 1.0 - self.tail_probability {
            self.tail_factor
        } else {
            1.0
        };
        self.mean_seconds(bytes, draw.service[self.step as usize])
            * (self.scatter * scatter).clamp(-3.0, 3.0).exp()
            * factor
    }

    /// Where this belief comes from, for the reader.
    #[must_use]
    pub fn provenance(&self) -> String {
        let name = format!("{:?}", self.step).to_lowercase();
        match self.points {
            0 => format!("{name}: prior ({})", self.source),
            n => format!("{name}: measured ({n} durations), prior where they are silent"),
        }
    }

    /// The belief after more durations, oldest first. Order matters only beyond the newest 60.
    #[must_use]
    pub fn updated(&self, points: &[Point]) -> Self {
        let points = &points[points.len().saturating_sub(MAX_POINTS)..];
        if points.is_empty() {
            return self.clone();
        }
        let moments = self.moments(points);
        let mut next = self.with_moments(moments);
        next.scatter = next.scatter_after(self, points);
        next.points = self
            .points
            .saturating_add(u32::try_from(points.len()).unwrap_or(u32::MAX));
        next
    }

    fn log_likelihood(&self, z: [f64; 2], points: &[Point]) -> f64 {
        let scale = self.scatter.max(0.05);
        let one = |point: &Point| {
            let residual = (point.seconds / self.mean_seconds(point.bytes, z)).ln() / scale;
            -2.5 * (residual * residual / 4.0).ln_1p()
        };
        points.iter().map(one).sum()
    }

    /// Posterior moments of `z` on the grid; the prior of `z` is standard normal.
    fn moments(&self, points: &[Point]) -> Moments {
        let rates = if self.log_rate.is_some() {
            -GRID_HALF..=GRID_HALF
        } else {
            0..=0
        };
        let node = |i: i32| f64::from(i) / f64::from(GRID_HALF) * GRID_REACH;
        let mut cells = Vec::new();
        for i in -GRID_HALF..=GRID_HALF {
            for j in rates.clone() {
                let z = [node(i), node(j)];
                let prior = -0.5 * (z[0] * z[0] + z[1] * z[1]);
                cells.push((z, prior + self.log_likelihood(z, points)));
            }
        }
        Moments::of(&cells)
    }

    fn with_moments(&self, moments: Moments) -> Self {
        let (a, b) = (self.log_overhead_spread, self.log_rate_spread);
        let (rho, rest) = (
            self.correlation,
            (1.0 - self.correlation.powi(2)).max(0.0).sqrt(),
        );
        let mean_rate = rho * moments.mean[0] + rest * moments.mean[1];
        let var_rate = rho * rho * moments.var[0]
            + rest * rest * moments.var[1]
            + 2.0 * rho * rest * moments.covariance;
        let covariance = rho * moments.var[0] + rest * moments.covariance;
        let deviation = (moments.var[0] * var_rate).sqrt().max(1e-12);
        Self {
            log_overhead: self.log_overhead + a * moments.mean[0],
            log_overhead_spread: a * moments.var[0].sqrt(),
            log_rate: self.log_rate.map(|rate| rate + b * mean_rate),
            log_rate_spread: b * var_rate.sqrt(),
            correlation: (covariance / deviation).clamp(-0.99, 0.99),
            ..self.clone()
        }
    }

    /// Scatter shrunk towards the residuals' size; each residual counts at most three times it.
    fn scatter_after(&self, before: &Self, points: &[Point]) -> f64 {
        let square = |point: &Point| {
            let residual = (point.seconds / self.mean_seconds(point.bytes, [0.0, 0.0])).ln();
            residual.powi(2).min(9.0 * before.scatter.powi(2))
        };
        // A Student t of 4 degrees of freedom has variance 2 in units of its scale.
        let seen: f64 = points.iter().map(|point| square(point) / 2.0).sum();
        let weight = SCATTER_WEIGHT + f64::from(before.points);
        ((weight * before.scatter.powi(2) + seen) / (weight + points.len() as f64))
            .sqrt()
            .max(0.02)
    }
}

/// First and second moments of a weighted grid.
struct Moments {
    mean: [f64; 2],
    var: [f64; 2],
    covariance: f64,
}

impl Moments {
    fn of(cells: &[([f64; 2], f64)]) -> Self {
        let top = cells
            .iter()
            .map(|cell| cell.1)
            .fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = cells.iter().map(|cell| (cell.1 - top).exp()).collect();
        let total: f64 = weights.iter().sum();
        let expect = |value: &dyn Fn([f64; 2]) -> f64| -> f64 {
            cells
                .iter()
                .zip(&weights)
                .map(|(cell, weight)| value(cell.0) * weight)
                .sum::<f64>()
                / total
        };
        let mean = [expect(&|z| z[0]), expect(&|z| z[1])];
        let var = [0, 1].map(|k: usize| expect(&|z| (z[k] - mean[k]).powi(2)).max(1e-6));
        let covariance = expect(&|z| (z[0] - mean[0]) * (z[1] - mean[1]));
        Self {
            mean,
            var,
            covariance,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::draws::draws;

    fn snapshot() -> ServiceModel {
        priors()
            .into_iter()
            .find(|model| model.step == ServiceStep::Snapshot)
            .unwrap()
    }

    #[test]
    fn every_step_has_a_prior_with_a_source() {
        let all = priors();
        assert_eq!(all.len(), ALL_STEPS.len());
        assert!(
            all.iter()
                .all(|model| !model.source.is_empty() && model.scatter > 0.0)
        );
    }

    #[test]
    fn durations_pull_the_belief_to_the_truth_and_narrow_it() {
        let truth = |bytes: f64| 90.0 + bytes / 90.0e6;
        let points: Vec<Point> = [0.0, 1e9, 5e9, 2e10, 1e11]
            .map(|bytes| Point {
                bytes,
                seconds: truth(bytes),
            })
            .to_vec();
        let learned = snapshot().updated(&points);
        for bytes in [0.0, 3e9, 5e10] {
            let ratio = learned.mean_seconds(bytes, [0.0, 0.0]) / truth(bytes);
            assert!((ratio.ln()).abs() < 0.15, "{bytes}: {ratio}");
        }
        assert!(learned.log_rate_spread < 0.5 * snapshot().log_rate_spread);
    }

    #[test]
    fn one_wild_call_does_not_carry_the_belief_off() {
        let mut points = vec![
            Point {
                bytes: 1e10,
                seconds: 260.0
            };
            6
        ];
        let calm = snapshot().updated(&points).mean_seconds(1e10, [0.0, 0.0]);
        points.push(Point {
            bytes: 1e10,
            seconds: 26_000.0,
        });
        let shaken = snapshot().updated(&points).mean_seconds(1e10, [0.0, 0.0]);
        assert!(shaken / calm < 1.2, "{calm} {shaken}");
    }

    #[test]
    fn unusable_observations_are_left_out() {
        let observed = |seconds, moved_bytes| ObservedDuration {
            step: ServiceStep::Snapshot,
            moved_bytes,
            seconds,
            ended_at: crate::units::Timestamp::UNIX_EPOCH,
            region: "eu-west-1".parse().unwrap(),
        };
        assert_eq!(Point::of(&observed(f64::NAN, Some(1))), None);
        assert_eq!(Point::of(&observed(-1.0, Some(1))), None);
        assert_eq!(Point::of(&observed(5.0, None)), None);
        assert!(Point::of(&observed(5.0, Some(1))).is_some());
    }

    #[test]
    fn more_bytes_never_take_less_time() {
        let model = snapshot();
        for draw in draws(3, 1, 2, 50) {
            assert!(model.seconds(2e9, 1, &draw) >= model.seconds(1e9, 1, &draw));
        }
    }
}
