//! Which blocks changed in which deltas, with equal histories counted together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sample::{self, Run};

/// Deltas one table can tell apart: a history is a bit mask.
pub const MAX_DELTAS: usize = 24;

/// Highest block position that is told apart, far beyond any volume.
const MAX_POSITION: u64 = 1 << 57;

/// Distinct histories that are kept; the rarest beyond are counted as the commonest of their size.
const MAX_PATTERNS: usize = 512;

/// How many blocks changed in exactly which of a series of deltas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IncidenceTable {
    /// Operational time of each delta.
    pub volumes: Vec<f64>,
    /// Bit `j` of the mask: changed in delta `j`. With the number of such blocks.
    pub patterns: Vec<(u32, u64)>,
}

impl IncidenceTable {
    /// Groups the blocks of `deltas` (runs `[first, length]` in any order) by their history.
    /// Deltas beyond the newest `MAX_DELTAS` are left out; of deltas with millions of runs only
    /// a sample of the blocks is looked at.
    #[must_use]
    pub fn of(deltas: &[(f64, &[Run])]) -> Self {
        let deltas = &deltas[deltas.len().saturating_sub(MAX_DELTAS)..];
        let volumes = deltas.iter().map(|delta| delta.0).collect();
        let stretch = sample::stretch_of(deltas);
        let mut counts = if stretch == 1 {
            swept(deltas)
        } else {
            let thinned: Vec<(f64, Vec<Run>)> = deltas
                .iter()
                .map(|(volume, runs)| (*volume, sample::thinned(runs, stretch)))
                .collect();
            let thinned: Vec<(f64, &[Run])> = thinned
                .iter()
                .map(|(volume, runs)| (*volume, runs.as_slice()))
                .collect();
            swept(&thinned)
        };
        for count in counts.values_mut() {
            *count = count.saturating_mul(stretch);
        }
        Self {
            volumes,
            patterns: condensed(counts),
        }
    }

    /// Blocks that changed in at least one of the deltas `first..after`.
    #[must_use]
    pub fn union_blocks(&self, first: usize, after: usize) -> u64 {
        let wanted = (first..after.min(MAX_DELTAS)).fold(0_u32, |mask, delta| mask | 1 << delta);
        let hit = self.patterns.iter().filter(|(mask, _)| mask & wanted != 0);
        hit.map(|pattern| pattern.1).sum()
    }

    /// The table as it was after its first `count` deltas.
    #[must_use]
    pub fn until(&self, count: usize) -> Self {
        let count = count.min(self.volumes.len());
        let mut counts = BTreeMap::new();
        for &(mask, blocks) in &self.patterns {
            let seen = mask & ((1_u32 << count) - 1);
            if seen != 0 {
                *counts.entry(seen).or_insert(0) += blocks;
            }
        }
        Self {
            volumes: self.volumes[..count].to_vec(),
            patterns: counts.into_iter().collect(),
        }
    }

    /// Blocks that changed at least once.
    #[must_use]
    pub fn touched(&self) -> u64 {
        self.patterns.iter().map(|pattern| pattern.1).sum()
    }
}

/// Walks over all run borders once, keeping how often each delta covers the current block.
fn swept(deltas: &[(f64, &[Run])]) -> BTreeMap<u32, u64> {
    let mut depth = vec![0_i64; deltas.len()];
    let (mut mask, mut at, mut counts) = (0_u32, 0_u64, BTreeMap::new());
    for border in borders(deltas) {
        let (position, delta, opens) = (border >> 6, (border >> 1 & 31) as usize, border & 1 == 1);
        if mask != 0 && position > at {
            *counts.entry(mask).or_insert(0) += position - at;
        }
        at = position;
        depth[delta] += if opens { 1 } else { -1 };
        mask = if depth[delta] > 0 {
            mask | (1 << delta)
        } else {
            mask & !(1 << delta)
        };
    }
    counts
}

/// Beginnings and ends of all runs in ascending order, packed as position, delta and which.
/// The stable sort is fast because each delta's runs come in order already.
fn borders(deltas: &[(f64, &[Run])]) -> Vec<u64> {
    let pack = |position: u64, delta: usize, opens: u64| {
        position.min(MAX_POSITION) << 6 | (delta as u64) << 1 | opens
    };
    let mut borders: Vec<u64> = Vec::new();
    for (delta, (_, runs)) in deltas.iter().enumerate() {
        for &(first, length) in runs.iter().filter(|run| run.1 > 0) {
            borders.push(pack(first, delta, 1));
            borders.push(pack(first.saturating_add(length), delta, 0));
        }
    }
    borders.sort();
    borders
}

/// At most [`MAX_PATTERNS`] rows; a rare history joins the commonest one with as many changes.
fn condensed(counts: BTreeMap<u32, u64>) -> Vec<(u32, u64)> {
    let mut rows: Vec<(u32, u64)> = counts.into_iter().collect();
    if rows.len() > MAX_PATTERNS {
        rows.sort_by_key(|row| (std::cmp::Reverse(row.1), row.0));
        let rare = rows.split_off(MAX_PATTERNS);
        for (mask, count) in rare {
            let ones = mask.count_ones();
            let like = rows
                .iter()
                .position(|row| row.0.count_ones() == ones)
                .unwrap_or(0);
            rows[like].1 += count;
        }
        rows.sort_unstable();
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_histories_are_counted_together() {
        let first: &[(u64, u64)] = &[(0, 4), (10, 2)];
        let second: &[(u64, u64)] = &[(2, 4)];
        let table = IncidenceTable::of(&[(1.0, first), (1.0, second)]);
        assert_eq!(table.patterns, vec![(0b01, 4), (0b10, 2), (0b11, 2)]);
        assert_eq!(table.touched(), 8);
    }

    #[test]
    fn overlapping_and_unsorted_runs_count_each_block_once() {
        let runs: &[(u64, u64)] = &[(5, 5), (0, 8), (7, 1), (3, 0)];
        let table = IncidenceTable::of(&[(1.0, runs)]);
        assert_eq!(table.patterns, vec![(1, 10)]);
    }

    #[test]
    fn the_past_of_a_table_is_the_table_of_the_past() {
        let deltas: [(f64, &[Run]); 3] = [(1.0, &[(0, 4)]), (2.0, &[(2, 4)]), (3.0, &[(9, 2)])];
        let table = IncidenceTable::of(&deltas);
        assert_eq!(table.until(2), IncidenceTable::of(&deltas[..2]));
        assert_eq!(table.until(9), table);
        assert_eq!(table.union_blocks(0, 2), 6);
        assert_eq!(table.union_blocks(1, 3), 6);
        assert_eq!(table.union_blocks(0, 3), 8);
    }

    #[test]
    fn rare_histories_are_condensed_without_losing_blocks() {
        let counts: BTreeMap<u32, u64> = (1..2000_u32)
            .map(|mask| (mask, 1 + u64::from(mask % 3)))
            .collect();
        let all: u64 = counts.values().sum();
        let rows = condensed(counts);
        assert!(rows.len() <= MAX_PATTERNS);
        assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), all);
    }
}
