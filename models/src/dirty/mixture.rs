//! Blocks hit at a finite mixture of Poisson rates, fitted by EM to who changed when.
//!
//! Nonparametric maximum likelihood of a mixing distribution (Laird 1978; Norris and Pollock 1998
//! for species abundance) on a fixed grid of rates: each EM step raises the likelihood, and no
//! parameter needs tuning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::incidence::IncidenceTable;

/// Blocks that are hit at the same rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Atom {
    /// Hits per unit of operational time.
    pub rate: f64,
    /// Number of blocks.
    pub blocks: f64,
}

/// Rates on the grid, besides zero.
const RATES: u32 = 40;
/// EM steps; the curve moves by less than a percent after a hundred.
const STEPS: usize = 200;
/// Atoms with fewer blocks than this are dropped from the result.
const LEAST_BLOCKS: f64 = 1e-3;

/// Expected distinct blocks after `volume`: N sum w (1 - exp(-rate volume)).
#[must_use]
pub fn expected(atoms: &[Atom], volume: f64) -> f64 {
    atoms
        .iter()
        .map(|atom| atom.blocks * -(-atom.rate * volume).exp_m1())
        .sum()
}

/// Fits the mixture of a population of `population` blocks; `steps` EM steps, 200 when `None`.
/// Empty when no table has a delta with positive operational time.
#[must_use]
pub fn fit_mixture(tables: &[IncidenceTable], population: f64, steps: Option<usize>) -> Vec<Atom> {
    let problem = Problem::of(tables, population);
    let Some(rates) = grid(tables) else {
        return Vec::new();
    };
    let likelihood = problem.likelihood(&rates);
    let mut weights = problem.first_guess(rates.len(), population);
    for _ in 0..steps.unwrap_or(STEPS) {
        weights = problem.step(&likelihood, &weights);
    }
    let atoms = rates.iter().zip(&weights);
    atoms
        .map(|(&rate, &weight)| Atom {
            rate,
            blocks: weight * population,
        })
        .filter(|atom| atom.rate > 0.0 && atom.blocks > LEAST_BLOCKS)
        .collect()
}

/// Log-likelihood of the tables under `atoms`; blocks the atoms leave over are never hit.
#[must_use]
pub fn log_likelihood(tables: &[IncidenceTable], population: f64, atoms: &[Atom]) -> f64 {
    let problem = Problem::of(tables, population);
    let hit: f64 = atoms.iter().map(|atom| atom.blocks).sum();
    let rates: Vec<f64> = std::iter::once(0.0)
        .chain(atoms.iter().map(|atom| atom.rate))
        .collect();
    let never = ((population - hit) / population).max(0.0);
    let weights: Vec<f64> = std::iter::once(never)
        .chain(atoms.iter().map(|atom| atom.blocks / population))
        .collect();
    let rows = problem.likelihood(&rates);
    let one = |(row, count): (&Vec<f64>, &f64)| count * dot(row, &weights).max(1e-300).ln();
    rows.iter().zip(&problem.counts).map(one).sum()
}

/// Zero and log-spaced rates from far too slow to see to certain to be seen.
fn grid(tables: &[IncidenceTable]) -> Option<Vec<f64>> {
    let volumes = || {
        tables
            .iter()
            .flat_map(|table| &table.volumes)
            .copied()
            .filter(|v| *v > 0.0)
    };
    let total: f64 = volumes().sum();
    let least = volumes().fold(f64::INFINITY, f64::min);
    if !(total > 0.0 && total.is_finite()) {
        return None;
    }
    let (low, high) = ((0.02 / total).ln(), (6.0 / least).ln());
    let rate = |k: u32| (low + (high - low) * f64::from(k) / f64::from(RATES - 1)).exp();
    Some(std::iter::once(0.0).chain((0..RATES).map(rate)).collect())
}

/// Histories of all tables in one list, each with the number of blocks that have it.
struct Problem<'a> {
    histories: Vec<(&'a IncidenceTable, u32)>,
    counts: Vec<f64>,
}

impl<'a> Problem<'a> {
    fn of(tables: &'a [IncidenceTable], population: f64) -> Self {
        let mut problem = Self {
            histories: Vec::new(),
            counts: Vec::new(),
        };
        for table in tables {
            for &(mask, count) in &table.patterns {
                problem.histories.push((table, mask));
                problem.counts.push(count as f64);
            }
            problem.histories.push((table, 0));
            problem
                .counts
                .push((population - table.touched() as f64).max(0.0));
        }
        problem
    }

    /// Twice the blocks seen changing are hit at some rate, all rates alike; the rest never is.
    /// From equal weights EM would take thousands of steps to empty the unseen rates.
    fn first_guess(&self, rates: usize, population: f64) -> Vec<f64> {
        let most = self
            .histories
            .iter()
            .map(|(table, _)| table.touched())
            .max()
            .unwrap_or(0);
        let hit = (2.0 * most as f64 / population.max(1.0)).clamp(1e-9, 0.9);
        let others = (rates - 1).max(1) as f64;
        let weight = |rate: usize| if rate == 0 { 1.0 - hit } else { hit / others };
        (0..rates).map(weight).collect()
    }

    /// Probability of each history at each rate, scaled per history so that nothing underflows.
    fn likelihood(&self, rates: &[f64]) -> Vec<Vec<f64>> {
        let row = |&(table, mask): &(&IncidenceTable, u32)| {
            rates
                .iter()
                .map(|&rate| history_probability(table, mask, rate))
                .collect()
        };
        self.histories.iter().map(row).collect()
    }

    fn step(&self, likelihood: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
        let mut next = vec![0.0; weights.len()];
        let mut total = 0.0;
        for (row, &count) in likelihood.iter().zip(&self.counts) {
            let sum = dot(row, weights);
            if sum <= 1e-300 || count <= 0.0 {
                continue;
            }
            total += count;
            for ((slot, l), w) in next.iter_mut().zip(row).zip(weights) {
                *slot += count * w * l / sum;
            }
        }
        if total <= 0.0 {
            return weights.to_vec();
        }
        next.iter().map(|slot| slot / total).collect()
    }
}

fn history_probability(table: &IncidenceTable, mask: u32, rate: f64) -> f64 {
    let mut probability = 1.0;
    for (j, volume) in table.volumes.iter().enumerate() {
        let missed = (-rate * volume.max(0.0)).exp();
        probability *= if mask & (1 << j) == 0 {
            missed
        } else {
            1.0 - missed
        };
    }
    probability
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
