//! A sample drawn while the listing goes by: the blocks whose seeded hash is lowest. It does not depend on the
//! order of the pages and holds no more tokens than it keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::transfer::sync::SyncError;
use crate::transfer::sync::parts::{Bitmap, Calls, Index, Listing, Wanted};

/// Lists the snapshot; the drawn blocks with their tokens, and every block it holds.
pub(super) async fn draw(
    calls: &Arc<Calls>,
    total: u64,
    (count, seed): (usize, u64),
    listers: u64,
) -> Result<(Index, Bitmap), SyncError> {
    let mut all = Index::new(Bitmap::new(total));
    let mut drawn = Drawn::new(count, seed);
    let mut listing = Listing::start(calls, total, listers);
    while let Some(page) = listing.next().await {
        let page = page?;
        for listed in &page.blocks {
            let token = listed.token.clone().unwrap_or_default();
            drawn.offer(listed.block, || token);
        }
        all.take(page)?;
        while all.next_wanted().is_some() {}
    }
    if !all.is_covered() {
        let text = "the listing ended before it covered the volume: nothing is claimed; try again";
        return Err(SyncError::Integrity(text.to_owned()));
    }
    let wanted = drawn.into_blocks().map(|(block, token)| Wanted {
        block,
        token,
        is_new: false,
    });
    Ok((Index::chosen(wanted, total), all.changed().clone()))
}

/// Blocks that the snapshot does not hold, ascending.
pub(super) fn absent(written: &Bitmap, count: usize, seed: u64) -> Vec<u64> {
    let mut drawn = Drawn::new(count, seed);
    let mut block = written.next_absent(0);
    while block < written.bound() {
        drawn.offer(block, || ());
        block = written.next_absent(block + 1);
    }
    let mut blocks: Vec<u64> = drawn.into_blocks().map(|(block, ())| block).collect();
    blocks.sort_unstable();
    blocks
}

/// The blocks with the lowest hashes so far.
struct Drawn<T> {
    count: usize,
    seed: u64,
    lowest: BTreeMap<(u64, u64), T>,
}

impl<T> Drawn<T> {
    const fn new(count: usize, seed: u64) -> Self {
        Self {
            count,
            seed,
            lowest: BTreeMap::new(),
        }
    }

    fn offer(&mut self, block: u64, what: impl FnOnce() -> T) {
        let key = (mix(self.seed, block), block);
        let full = self.lowest.len() >= self.count;
        let highest = self.lowest.last_key_value().map(|(key, _)| *key);
        if full && highest.is_none_or(|highest| key >= highest) {
            return;
        }
        if self.lowest.insert(key, what()).is_none() && full {
            self.lowest.pop_last();
        }
    }

    fn into_blocks(self) -> impl Iterator<Item = (u64, T)> {
        self.lowest
            .into_iter()
            .map(|((_, block), what)| (block, what))
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014) over seed and block.
const fn mix(seed: u64, block: u64) -> u64 {
    let mut value = block ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_repeats_with_its_seed_whatever_the_order() {
        let drawn = |seed, order: &mut dyn Iterator<Item = u64>| {
            let mut drawn = Drawn::new(10, seed);
            order.for_each(|block| drawn.offer(block, || ()));
            drawn
                .into_blocks()
                .map(|(block, ())| block)
                .collect::<Vec<_>>()
        };
        let forth = drawn(4, &mut (0..500));
        assert_eq!((forth.len(), &forth), (10, &drawn(4, &mut (0..500).rev())));
        assert_ne!(forth, drawn(5, &mut (0..500)));
    }

    #[test]
    fn absent_blocks_are_drawn_from_the_holes() {
        let mut written = Bitmap::new(1000);
        (0..500).for_each(|block| {
            written.insert(block * 2);
        });
        let drawn = absent(&written, 10, 1);
        assert!(drawn.len() == 10 && drawn.iter().all(|block| block % 2 == 1));
        assert_eq!(absent(&written, 5000, 1).len(), 500);
    }
}
