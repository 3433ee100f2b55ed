//! Unions of consecutive deltas, and the smooth curve through them.
//!
//! K deltas with identities give K (K + 1) / 2 measured points of U, long ones among them: what Counter
//! Stacks (Wires et al., OSDI 2014) keep of a stream. The curve through them is a sum of saturating
//! exponentials and a line (completely monotone growth) with coefficients that are not negative.

use super::incidence::IncidenceTable;
use super::nnls::nnls;

/// Exponentials on the grid, besides the line.
const RATES: u32 = 30;
/// Ridge on the coefficients relative to the largest union, per union.
const RIDGE: f64 = 9e-4;
/// Unions the fit looks at; of more, the short ones beyond are thinned.
const MOST_UNIONS: usize = 90;

/// One measured union.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Union {
    /// First delta of it.
    pub first: usize,
    /// One after its last delta.
    pub after: usize,
    /// Operational time of its deltas together.
    pub volume: f64,
    /// Distinct blocks.
    pub blocks: f64,
}

/// Every union of consecutive deltas of one table.
#[must_use]
pub fn unions(table: &IncidenceTable) -> Vec<Union> {
    let count = table.volumes.len();
    let ranges = (0..count).flat_map(|first| (first + 1..=count).map(move |after| (first, after)));
    ranges
        .map(|(first, after)| Union {
            first,
            after,
            volume: table.volumes[first..after].iter().sum(),
            blocks: table.union_blocks(first, after) as f64,
        })
        .collect()
}

/// Sum of c (1 - exp(-rate v)) and a line.
#[derive(Clone, Debug, PartialEq)]
pub struct HyperExponential {
    rates: Vec<f64>,
    /// One per rate, then that of the line at `longest`.
    coefficients: Vec<f64>,
    longest: f64,
}

impl HyperExponential {
    /// Fits relative errors; `None` without a union that has both volume and blocks.
    #[must_use]
    pub fn fit(unions: &[Union]) -> Option<Self> {
        let sound: Vec<Union> = unions
            .iter()
            .filter(|u| u.volume > 0.0 && u.volume.is_finite() && u.blocks > 0.0)
            .copied()
            .collect();
        let sound = thinned(sound);
        let longest = sound.iter().map(|u| u.volume).reduce(f64::max)?;
        let shortest = sound.iter().map(|u| u.volume).fold(longest, f64::min);
        let most = sound.iter().map(|u| u.blocks).fold(0.0, f64::max);
        let rates = grid((0.05 / longest).ln(), (5.0 / shortest).ln());
        let row = |union: &Union| -> Vec<f64> {
            let scale = most / union.blocks;
            let grown = rates.iter().map(|rate| -(-rate * union.volume).exp_m1());
            let line = union.volume / longest;
            grown.chain([line]).map(|value| value * scale).collect()
        };
        let rows: Vec<Vec<f64>> = sound.iter().map(row).collect();
        let ones = vec![1.0; rows.len()];
        let coefficients = nnls(&rows, &ones, RIDGE * rows.len() as f64);
        Some(Self {
            rates,
            coefficients: coefficients.iter().map(|c| c * most).collect(),
            longest,
        })
    }

    /// Distinct blocks after `volume`.
    #[must_use]
    pub fn at(&self, volume: f64) -> f64 {
        let grown = self.rates.iter().zip(&self.coefficients);
        let grown: f64 = grown.map(|(rate, c)| -c * (-rate * volume).exp_m1()).sum();
        grown + self.coefficients.last().copied().unwrap_or(0.0) * volume / self.longest
    }
}

fn grid(low: f64, high: f64) -> Vec<f64> {
    let share = |k: u32| f64::from(k) / f64::from(RATES - 1);
    (0..RATES)
        .map(|k| (low + (high - low) * share(k)).exp())
        .collect()
}

/// Evenly spread over the lengths: the sums of hundreds of unions tell no more than those of some.
fn thinned(mut unions: Vec<Union>) -> Vec<Union> {
    let count = unions.len();
    if count <= MOST_UNIONS {
        return unions;
    }
    unions.sort_by(|a, b| {
        let by_length = (a.after - a.first).cmp(&(b.after - b.first));
        by_length.then(a.first.cmp(&b.first))
    });
    (0..MOST_UNIONS)
        .map(|k| unions[k * (count - 1) / (MOST_UNIONS - 1)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unions_are_counted_from_histories() {
        let table = IncidenceTable {
            volumes: vec![1.0, 2.0],
            patterns: vec![(0b01, 4), (0b10, 3), (0b11, 2)],
        };
        let found: Vec<(f64, f64)> = unions(&table)
            .iter()
            .map(|u| (u.volume, u.blocks))
            .collect();
        assert_eq!(found, [(1.0, 6.0), (3.0, 9.0), (2.0, 5.0)]);
    }

    #[test]
    fn the_curve_goes_through_saturating_unions() {
        let at = |volume: f64| 1000.0 * (1.0 - (-volume / 3.0).exp()) + 5.0 * volume;
        let points: Vec<Union> = (1..12_u32)
            .map(|k| Union {
                first: 0,
                after: 1,
                volume: f64::from(k),
                blocks: at(f64::from(k)),
            })
            .collect();
        let curve = HyperExponential::fit(&points).expect("points have volume and blocks");
        for volume in [1.0, 2.5, 7.0, 11.0] {
            assert!(
                (curve.at(volume) / at(volume)).ln().abs() < 0.03,
                "{volume}"
            );
        }
        assert!(HyperExponential::fit(&[]).is_none());
    }
}
