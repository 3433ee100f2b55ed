//! Least squares with coefficients that are not negative.
//!
//! The active-set method of Lawson and Hanson (Solving Least Squares Problems, 1974, chapter 23) on
//! the normal equations; a ridge keeps them well conditioned. It must not know what is fitted.

/// Coordinates with a gradient below this share of the largest are at their optimum.
const TOLERANCE: f64 = 1e-10;

/// Minimises |rows x - targets|^2 + ridge |x|^2 over x >= 0. `rows` have equal lengths; empty
/// without rows.
#[must_use]
pub fn nnls(rows: &[Vec<f64>], targets: &[f64], ridge: f64) -> Vec<f64> {
    let width = rows.first().map_or(0, Vec::len);
    let normal = Normal::of(rows, targets, ridge, width);
    let (mut x, mut free) = (vec![0.0; width], vec![false; width]);
    let tolerance = TOLERANCE * normal.right.iter().fold(1e-300, |m: f64, h| m.max(h.abs()));
    for _ in 0..4 * width {
        let Some(steepest) = normal.steepest(&x, &free, tolerance) else {
            break;
        };
        free[steepest] = true;
        normal.settle(&mut x, &mut free);
    }
    x
}

/// The normal equations: left x = right.
struct Normal {
    left: Vec<Vec<f64>>,
    right: Vec<f64>,
}

impl Normal {
    fn of(rows: &[Vec<f64>], targets: &[f64], ridge: f64, width: usize) -> Self {
        let mut left = vec![vec![0.0; width]; width];
        let mut right = vec![0.0; width];
        for (row, target) in rows.iter().zip(targets) {
            for (i, value) in row.iter().enumerate() {
                right[i] += value * target;
                for (sum, other) in left[i].iter_mut().zip(row) {
                    *sum += value * other;
                }
            }
        }
        for (i, row) in left.iter_mut().enumerate() {
            row[i] += ridge;
        }
        Self { left, right }
    }

    /// The bound coordinate whose increase helps most.
    fn steepest(&self, x: &[f64], free: &[bool], tolerance: f64) -> Option<usize> {
        let gradient = |i: usize| {
            let fitted: f64 = self.left[i].iter().zip(x).map(|(g, x)| g * x).sum();
            self.right[i] - fitted
        };
        (0..x.len())
            .filter(|i| !free[*i])
            .map(|i| (i, gradient(i)))
            .filter(|(_, slope)| *slope > tolerance)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(i, _)| i)
    }

    /// Moves to the optimum over the free coordinates; one that would turn negative stops at zero
    /// and is bound again.
    fn settle(&self, x: &mut [f64], free: &mut [bool]) {
        loop {
            let index: Vec<usize> = (0..x.len()).filter(|i| free[*i]).collect();
            let optimum = self.solved(&index);
            let crossing = |(&i, z): (&usize, &f64)| (*z <= 0.0).then(|| x[i] / (x[i] - z));
            let step = index.iter().zip(&optimum).filter_map(crossing);
            let step = step.fold(1.0, f64::min).clamp(0.0, 1.0);
            let before = index.len();
            for (&i, z) in index.iter().zip(&optimum) {
                x[i] += step * (z - x[i]);
                if *z <= 0.0 && x[i] <= 1e-14 {
                    (x[i], free[i]) = (0.0, false);
                }
            }
            if free.iter().filter(|f| **f).count() == before {
                return;
            }
        }
    }

    /// Solution over `index` alone, by Cholesky's decomposition.
    fn solved(&self, index: &[usize]) -> Vec<f64> {
        let lower = self.decomposed(index);
        let mut y: Vec<f64> = index.iter().map(|i| self.right[*i]).collect();
        for i in 0..y.len() {
            let known: f64 = lower[i][..i].iter().zip(&y).map(|(l, y)| l * y).sum();
            y[i] = (y[i] - known) / lower[i][i];
        }
        for i in (0..y.len()).rev() {
            let known: f64 = (i + 1..y.len()).map(|k| lower[k][i] * y[k]).sum();
            y[i] = (y[i] - known) / lower[i][i];
        }
        y
    }

    fn decomposed(&self, index: &[usize]) -> Vec<Vec<f64>> {
        let mut lower: Vec<Vec<f64>> = Vec::with_capacity(index.len());
        for (i, &at) in index.iter().enumerate() {
            let mut row = vec![0.0; i + 1];
            for j in 0..i {
                let known: f64 = row[..j].iter().zip(&lower[j]).map(|(a, b)| a * b).sum();
                row[j] = (self.left[at][index[j]] - known) / lower[j][j];
            }
            let known: f64 = row[..i].iter().map(|a| a * a).sum();
            let least = 1e-14 * self.left[at][at].max(1e-300);
            row[i] = (self.left[at][at] - known).max(least).sqrt();
            lower.push(row);
        }
        lower
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_ordinary_least_squares_makes_negative_is_zero() {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 1.0]];
        let x = nnls(&rows, &[2.0, -1.0, 1.0], 0.0);
        // min (a - 2)^2 + (a - 1)^2 at b = 0.
        assert!((x[0] - 1.5).abs() < 1e-9 && x[1] == 0.0, "{x:?}");
    }

    #[test]
    fn without_rows_there_is_nothing() {
        assert!(nnls(&[], &[], 1.0).is_empty());
    }

    proptest! {
        /// Karush, Kuhn and Tucker: no free coordinate has a slope, no bound one wants to grow.
        #[test]
        fn the_result_is_the_optimum(
            rows in prop::collection::vec(prop::collection::vec(0.0_f64..1.0, 5), 1..9),
            seed in prop::collection::vec(-1.0_f64..2.0, 9),
        ) {
            let x = nnls(&rows, &seed[..rows.len()], 1e-3);
            let residual = |row: &Vec<f64>, y: &f64| -> f64 {
                y - row.iter().zip(&x).map(|(a, x)| a * x).sum::<f64>()
            };
            for k in 0..5 {
                let slope: f64 = rows.iter().zip(&seed).map(|(row, y)| row[k] * residual(row, y)).sum();
                let slope = slope - 1e-3 * x[k];
                prop_assert!(x[k] >= 0.0);
                if x[k] > 1e-9 {
                    prop_assert!(slope.abs() < 1e-6, "{slope}");
                } else {
                    prop_assert!(slope < 1e-6, "{slope}");
                }
            }
        }
    }
}
