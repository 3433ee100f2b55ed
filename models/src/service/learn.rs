//! One belief, more durations: a posterior over (ln overhead, ln rate, scatter) on a grid.
//!
//! The likelihood is Student's t in the logarithm, so that one bad call does not carry it off; the
//! scatter is not known either, or a few calm calls would make a wild service look certain.

use super::{Point, ServiceModel};

/// Observations kept for an update: the newest ones tell how the service is now.
const MAX_POINTS: usize = 60;
/// Grid points to each side and how many standard deviations they reach.
const GRID_HALF: i32 = 12;
const GRID_REACH: f64 = 3.2;
/// The grid is laid anew around what the coarse one found, so wide in its standard deviations.
const FINE_REACH: f64 = 4.5;
/// Scatter over the prior's, and what each is worth before anything was seen.
const SCATTERS: [(f64, f64); 5] = [
    (0.4, 0.1),
    (0.65, 0.2),
    (1.0, 0.35),
    (1.6, 0.25),
    (2.6, 0.1),
];

impl ServiceModel {
    /// The belief after more durations, oldest first. Order matters only beyond the newest 60.
    #[must_use]
    pub fn updated(&self, points: &[Point]) -> Self {
        let points = &points[points.len().saturating_sub(MAX_POINTS)..];
        if points.is_empty() {
            return self.clone();
        }
        let coarse = self.moments(points, &Grid::whole());
        let moments = self.moments(points, &Grid::around(&coarse));
        let mut next = self.with_moments(&moments);
        next.tail_probability = next.tail_after(points, self.tail_probability);
        next.points = self
            .points
            .saturating_add(u32::try_from(points.len()).unwrap_or(u32::MAX));
        next
    }

    /// How often a call falls into the tail: a beta belief worth as many calls as show one, and each call counts as
    /// much as it looks like one (the E step of a mixture; Dempster, Laird and Rubin 1977).
    fn tail_after(&self, points: &[Point], before: f64) -> f64 {
        if before <= 0.0 || before >= 1.0 {
            return before;
        }
        let density = |residual: f64| (1.0 + (residual / self.scatter).powi(2) / 4.0).powf(-2.5);
        let in_tail = |point: &Point| {
            let residual = (point.seconds / self.mean_seconds(point.bytes, [0.0; 2])).ln();
            let tail = before * density(residual - self.tail_factor.ln());
            tail / (tail + (1.0 - before) * density(residual))
        };
        let seen: f64 = points.iter().map(in_tail).sum();
        (1.0 + seen) / (before.recip() + points.len() as f64)
    }

    fn log_likelihood(&self, z: [f64; 2], points: &[Point]) -> [f64; SCATTERS.len()] {
        let mut sums = [0.0; SCATTERS.len()];
        for point in points {
            let residual = (point.seconds / self.mean_seconds(point.bytes, z)).ln();
            for (sum, (factor, _)) in sums.iter_mut().zip(SCATTERS) {
                let scale = (self.scatter * factor).max(0.02);
                *sum -= 2.5 * ((residual / scale).powi(2) / 4.0).ln_1p() + scale.ln();
            }
        }
        sums
    }

    /// Posterior moments of `z` on the grid; the prior of `z` is standard normal.
    fn moments(&self, points: &[Point], grid: &Grid) -> Moments {
        let steps = if self.log_rate.is_some() {
            GRID_HALF
        } else {
            0
        };
        let mut cells = Vec::new();
        for i in -GRID_HALF..=GRID_HALF {
            for j in -steps..=steps {
                let z = [grid.node(0, i), grid.node(1, j)];
                let prior = -0.5 * (z[0] * z[0] + z[1] * z[1]);
                for (k, likelihood) in self.log_likelihood(z, points).into_iter().enumerate() {
                    let (factor, weight) = SCATTERS[k];
                    cells.push(Cell {
                        z,
                        factor,
                        log_weight: prior + likelihood + weight.ln(),
                    });
                }
            }
        }
        Moments::of(&cells)
    }

    fn with_moments(&self, moments: &Moments) -> Self {
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
            log_rate_spread: b * var_rate.max(0.0).sqrt(),
            correlation: (covariance / deviation).clamp(-0.99, 0.99),
            scatter: (self.scatter * moments.scatter).max(0.02),
            ..self.clone()
        }
    }
}

/// Where the unit-normal parameters are looked at.
struct Grid {
    centre: [f64; 2],
    reach: [f64; 2],
}

impl Grid {
    const fn whole() -> Self {
        Self {
            centre: [0.0; 2],
            reach: [GRID_REACH; 2],
        }
    }

    fn around(found: &Moments) -> Self {
        // What lies between two coarse nodes is not known any better than their distance.
        let least = GRID_REACH / f64::from(GRID_HALF) / FINE_REACH;
        Self {
            centre: found.mean,
            reach: found
                .var
                .map(|var| FINE_REACH * var.sqrt().clamp(least, 1.0)),
        }
    }

    fn node(&self, axis: usize, step: i32) -> f64 {
        self.centre[axis] + f64::from(step) / f64::from(GRID_HALF) * self.reach[axis]
    }
}

struct Cell {
    z: [f64; 2],
    factor: f64,
    log_weight: f64,
}

/// First and second moments of a weighted grid, and the scatter over the prior's.
struct Moments {
    mean: [f64; 2],
    var: [f64; 2],
    covariance: f64,
    scatter: f64,
}

impl Moments {
    fn of(cells: &[Cell]) -> Self {
        let top = cells
            .iter()
            .map(|cell| cell.log_weight)
            .fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = cells
            .iter()
            .map(|cell| (cell.log_weight - top).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        let expect = |value: &dyn Fn(&Cell) -> f64| -> f64 {
            let sum: f64 = cells
                .iter()
                .zip(&weights)
                .map(|(cell, weight)| value(cell) * weight)
                .sum();
            sum / total
        };
        let mean = [expect(&|cell| cell.z[0]), expect(&|cell| cell.z[1])];
        let var = [0, 1].map(|k: usize| expect(&|cell| (cell.z[k] - mean[k]).powi(2)).max(1e-6));
        let covariance = expect(&|cell| (cell.z[0] - mean[0]) * (cell.z[1] - mean[1]));
        Self {
            mean,
            var,
            covariance,
            // The middle of the belief: its root mean square would answer for the tail a second time, which Student's
            // t has already, and the sum of many calls would come out too long at its median.
            scatter: expect(&|cell| cell.factor.ln()).exp(),
        }
    }
}
