//! One block in so many, chosen by its position: the same ones in every delta.
//!
//! Spatial sampling (SHARDS; Waldspurger et al., FAST 2015): whether a block is looked at depends on a
//! hash of where it lies, so unions and histories of the sample are those of the whole, thinned. Here
//! each aligned stretch of blocks has one that stands for it, which keeps the sample even. It must not
//! know what is estimated from it.

/// A run of changed blocks, `(first, length)`.
pub type Run = (u64, u64);

/// Runs in all deltas that are looked at one by one; of more only a sample.
const MOST_RUNS: usize = 1 << 20;

/// Blocks one sampled block stands for, a power of two: 1 unless the deltas have millions of runs.
#[must_use]
pub fn stretch_of(deltas: &[(f64, &[Run])]) -> u64 {
    let runs: usize = deltas.iter().map(|delta| delta.1.len()).sum();
    (runs.div_ceil(MOST_RUNS).max(1) as u64).next_power_of_two()
}

/// The sampled blocks of one delta, as runs of stretches.
#[must_use]
pub fn thinned(runs: &[Run], stretch: u64) -> Vec<Run> {
    let mut kept: Vec<Run> = Vec::new();
    for &(first, length) in runs.iter().filter(|run| run.1 > 0) {
        let last = first.saturating_add(length - 1);
        // Every stretch in between is covered; the two at the ends are if their block is.
        let from = first / stretch + u64::from(representative(first / stretch, stretch) < first);
        let to = last / stretch + u64::from(representative(last / stretch, stretch) <= last);
        if to > from {
            kept.push((from, to - from));
        }
    }
    kept
}

/// The block that stands for a stretch: a mixed hash (SplitMix64; Steele et al., OOPSLA 2014).
fn representative(stretch_index: u64, stretch: u64) -> u64 {
    let mut z = stretch_index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    stretch_index
        .saturating_mul(stretch)
        .saturating_add((z ^ (z >> 31)) % stretch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_one_keeps_everything() {
        assert_eq!(thinned(&[(3, 4), (9, 0), (20, 1)], 1), [(3, 4), (20, 1)]);
    }

    #[test]
    fn single_blocks_are_kept_as_often_as_the_stretch_says() {
        let singles: Vec<Run> = (0..100_000).map(|k| (k * 7, 1)).collect();
        let kept: u64 = thinned(&singles, 16).iter().map(|run| run.1).sum();
        assert!((kept as f64 * 16.0 / 1e5 - 1.0).abs() < 0.05, "{kept}");
    }

    #[test]
    fn the_same_block_is_chosen_whatever_run_it_lies_in() {
        for block in 0..512_u64 {
            let alone = thinned(&[(block, 1)], 8);
            let within = thinned(&[(block & !7, 8)], 8);
            assert_eq!(within, [(block >> 3, 1)]);
            assert!(alone.is_empty() || alone == within);
        }
    }
}
