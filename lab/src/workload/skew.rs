//! Picks blocks of a span with a Zipf-like skew, in a few nanoseconds a draw. It must not know what they are for.

use super::chance::Draws;

/// Ranks below this have a group of their own; above it groups grow by [`GROUP_GROWTH`].
const EXACT_RANKS: u64 = 16;
/// Each further group holds a quarter more ranks: within it the weight varies by less than that.
const GROUP_GROWTH: f64 = 1.25;

/// A span of `len` blocks in which the block of rank r is drawn in proportion to r^-skew.
#[derive(Debug, Clone)]
pub(super) struct SkewedSpan {
    len: u64,
    groups: Vec<Group>,
    stride: u64,
    shift: u64,
}

/// A range of ranks, and the alias method's column (Walker 1977).
#[derive(Debug, Clone, Copy)]
struct Group {
    first: u64,
    count: u64,
    /// Below this 32-bit number the column's own group is meant, else `alias`.
    keep_below: u64,
    alias: usize,
}

impl SkewedSpan {
    /// A span of at least one block; `key` scatters the ranks over it.
    pub fn new(len: u64, skew: f64, key: u64) -> Self {
        let len = len.max(1);
        let mut draws = Draws::new(&[key, 11]);
        let stride = coprime_stride(len, draws.below(len));
        Self {
            len,
            groups: alias_table(&rank_ranges(len), skew),
            stride,
            shift: draws.below(len),
        }
    }

    /// One block of `0..len`.
    #[inline]
    pub fn pick(&self, draws: &mut Draws) -> u64 {
        let random = draws.bits();
        let (low, high) = (random & 0xFFFF_FFFF, random >> 32);
        let column = (high * self.groups.len() as u64) >> 32;
        let mut group = &self.groups[usize::try_from(column).unwrap_or(0)];
        if low >= group.keep_below {
            group = &self.groups[group.alias];
        }
        let rank = group.first
            + if group.count == 1 {
                0
            } else {
                draws.below(group.count)
            };
        (rank * self.stride + self.shift) % self.len
    }
}

fn rank_ranges(len: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let (mut first, mut size) = (0, 1.0);
    while first < len {
        if first >= EXACT_RANKS {
            size *= GROUP_GROWTH;
        }
        let count = super::chance::round(size).min(len - first);
        ranges.push((first, count));
        first += count;
    }
    ranges
}

fn alias_table(ranges: &[(u64, u64)], skew: f64) -> Vec<Group> {
    let middle = |(first, count): (u64, u64)| first as f64 + (count as f64 + 1.0) / 2.0;
    let weights = ranges
        .iter()
        .map(|r| r.1 as f64 * middle(*r).powf(-skew))
        .collect::<Vec<_>>();
    let total: f64 = weights.iter().sum();
    let mut share = weights
        .iter()
        .map(|w| w / total * weights.len() as f64)
        .collect::<Vec<_>>();
    let group = |(first, count): &(u64, u64)| Group {
        first: *first,
        count: *count,
        keep_below: 1 << 32,
        alias: 0,
    };
    let mut groups = ranges.iter().map(group).collect::<Vec<_>>();
    let (mut small, mut large): (Vec<_>, Vec<_>) = (0..share.len()).partition(|i| share[*i] < 1.0);
    while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
        groups[poor].keep_below = super::chance::round(share[poor] * 4_294_967_296.0);
        groups[poor].alias = rich;
        share[rich] -= 1.0 - share[poor];
        if share[rich] < 1.0 {
            large.pop();
            small.push(rich);
        }
    }
    groups
}

fn coprime_stride(len: u64, near: u64) -> u64 {
    (near.max(1)..)
        .find(|stride| gcd(*stride, len) == 1)
        .unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(len: u64, skew: f64, n: u32) -> Vec<u32> {
        let (span, mut draws) = (SkewedSpan::new(len, skew, 5), Draws::new(&[6]));
        let mut counts = vec![0; usize::try_from(len).expect("small")];
        (0..n).for_each(|_| counts[usize::try_from(span.pick(&mut draws)).expect("small")] += 1);
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    #[test]
    fn ranks_have_their_weights() {
        let counts = counts(1000, 1.0, 1_000_000);
        let harmonic = (1..=1000).map(|r| 1.0 / f64::from(r)).sum::<f64>();
        for rank in [1u32, 2, 5, 10] {
            let expected = 1e6 / harmonic / f64::from(rank);
            let found = f64::from(counts[rank as usize - 1]);
            assert!(
                (found / expected - 1.0).abs() < 0.03,
                "rank {rank}: {found} for {expected}"
            );
        }
        let tail: u32 = counts[500..].iter().sum();
        let expected = 1e6 * (501..=1000).map(|r| 1.0 / f64::from(r)).sum::<f64>() / harmonic;
        assert!(
            (f64::from(tail) / expected - 1.0).abs() < 0.05,
            "{tail} for {expected}"
        );
    }

    #[test]
    fn no_skew_is_uniform_and_every_block_can_be_drawn() {
        let counts = counts(97, 0.0, 200_000);
        assert!(
            counts.iter().all(|c| (1750..2400).contains(c)),
            "{counts:?}"
        );
        assert_eq!(SkewedSpan::new(1, 1.0, 3).pick(&mut Draws::new(&[1])), 0);
    }
}
