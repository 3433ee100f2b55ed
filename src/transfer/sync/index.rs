//! Which blocks differ, which of them are under way and which are durable.
//!
//! Bitmaps for everything that grows with the volume, tokens only for the blocks that are read next: the
//! others are listed again when their turn comes. It knows neither calls nor devices.

use std::collections::VecDeque;

use super::SyncError;
use super::bitmap::Bitmap;
use super::listing::Covered;

/// Tokens held at once: a few minutes' reads at the quota, at about 150 bytes each.
const TOKENS_MAX: usize = 100_000;

/// A block to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Index.
    pub block: u64,
    /// Reads it.
    pub token: Box<str>,
    /// What was there before must be zeros.
    pub is_new: bool,
}

/// All blocks of one sync.
#[derive(Debug)]
pub struct Index {
    changed: Bitmap,
    emptied: Bitmap,
    covered: Bitmap,
    claimed: Bitmap,
    done: Bitmap,
    ready: VecDeque<Wanted>,
    emptied_from: u64,
    tokenless_from: u64,
    only: Option<Bitmap>,
}

impl Index {
    /// Nothing is listed yet, and `done` is durable already.
    #[must_use]
    pub fn new(done: Bitmap) -> Self {
        let empty = Bitmap::new(done.bound());
        Self {
            changed: empty.clone(),
            emptied: empty.clone(),
            covered: empty.clone(),
            claimed: empty,
            done,
            ready: VecDeque::new(),
            emptied_from: 0,
            tokenless_from: 0,
            only: None,
        }
    }

    /// All is listed: these blocks, of a volume of `bound`.
    #[must_use]
    pub fn chosen(blocks: impl Iterator<Item = Wanted>, bound: u64) -> Self {
        let mut ready: Vec<Wanted> = blocks.collect();
        ready.sort_unstable_by_key(|wanted| wanted.block);
        let mut chosen = Bitmap::new(bound);
        for wanted in &ready {
            chosen.insert(wanted.block);
        }
        let mut index = Self::only(chosen.clone());
        index.covered.insert_range(0, bound);
        (index.changed, index.claimed) = (chosen.clone(), chosen);
        index.ready = ready.into();
        index
    }

    /// Nothing is listed yet, and of what will be only these blocks matter.
    #[must_use]
    pub fn only(blocks: Bitmap) -> Self {
        Self {
            only: Some(blocks.clone()),
            ..Self::new(Bitmap::new(blocks.bound()))
        }
    }

    /// Takes a page in. What two pages cover both must be the same in both.
    ///
    /// # Errors
    /// [`SyncError::Integrity`].
    pub fn take(&mut self, mut page: Covered) -> Result<(), SyncError> {
        if let Some(only) = &self.only {
            page.blocks.retain(|listed| only.contains(listed.block));
        }
        self.must_agree(&page)?;
        for listed in page.blocks {
            let block = listed.block;
            self.changed.insert(block);
            let Some(token) = listed.token else {
                self.emptied.insert(block);
                self.emptied_from = self.emptied_from.min(block);
                continue;
            };
            if self.done.contains(block) || self.claimed.contains(block) {
                continue;
            }
            if self.ready.len() < TOKENS_MAX {
                self.claimed.insert(block);
                self.ready.push_back(Wanted {
                    block,
                    token,
                    is_new: listed.is_new,
                });
            } else {
                self.tokenless_from = self.tokenless_from.min(block);
            }
        }
        self.covered.insert_range(page.from, page.to);
        Ok(())
    }

    fn must_agree(&self, page: &Covered) -> Result<(), SyncError> {
        let mut seen_before = 0;
        for listed in &page.blocks {
            let block = listed.block;
            if !self.covered.contains(block) {
                continue;
            }
            seen_before += 1;
            let same = self.changed.contains(block)
                && self.emptied.contains(block) == listed.token.is_none();
            if !same {
                return Err(disagreement(block));
            }
        }
        let mut at = page.from;
        while let Some(block) = self.changed.next(at).filter(|block| *block < page.to) {
            if self.covered.contains(block) {
                if seen_before == 0 {
                    return Err(disagreement(block));
                }
                seen_before -= 1;
            }
            at = block + 1;
        }
        if seen_before == 0 {
            Ok(())
        } else {
            Err(disagreement(page.from))
        }
    }

    /// The next block to read.
    pub fn next_wanted(&mut self) -> Option<Wanted> {
        self.ready.pop_front()
    }

    /// The next block to make zeros below `confirmed`.
    pub fn next_emptied(&mut self, confirmed: u64) -> Option<u64> {
        loop {
            let block = self.emptied.next(self.emptied_from)?;
            if block >= confirmed {
                return None;
            }
            self.emptied_from = block + 1;
            if !self.done.contains(block) && self.claimed.insert(block) {
                return Some(block);
            }
        }
    }

    /// The first block at `from` or above that only the first snapshot holds.
    #[must_use]
    pub fn emptied_at(&self, from: u64) -> Option<u64> {
        self.emptied.next(from)
    }

    /// A block is not under way any more and not durable: its token is void or its bytes were wrong.
    pub fn give_back(&mut self, block: u64) {
        self.claimed.remove(block);
        self.tokenless_from = self.tokenless_from.min(block);
        self.emptied_from = self.emptied_from.min(block);
    }

    /// The first block that must be read and has no token; it must be listed again.
    pub fn tokenless(&mut self) -> Option<u64> {
        loop {
            let block = self.changed.next(self.tokenless_from)?;
            self.tokenless_from = block;
            let open = !self.emptied.contains(block)
                && !self.done.contains(block)
                && !self.claimed.contains(block);
            if open {
                return Some(block);
            }
            self.tokenless_from = block + 1;
        }
    }

    /// Blocks whose tokens are held.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether every block of the volume has been covered by the listing.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.covered.count() == self.covered.bound()
    }

    /// Share of the volume that the listing has covered.
    #[must_use]
    pub fn covered_share(&self) -> f64 {
        self.covered.count() as f64 / self.covered.bound().max(1) as f64
    }

    /// A block is durable.
    pub fn finish(&mut self, block: u64) {
        self.done.insert(block);
    }

    /// Whether every block that differs is durable.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.done.count() >= self.changed.count()
    }

    /// A durable block that the listing does not show.
    #[must_use]
    pub fn stray(&self) -> Option<u64> {
        self.done
            .iter()
            .find(|block| !self.changed.contains(*block))
    }

    /// Blocks that differ.
    #[must_use]
    pub const fn changed(&self) -> &Bitmap {
        &self.changed
    }

    /// Blocks that only the first snapshot holds.
    #[must_use]
    pub const fn emptied(&self) -> u64 {
        self.emptied.count()
    }

    /// Blocks that are durable.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.done.count()
    }
}

fn disagreement(block: u64) -> SyncError {
    SyncError::Integrity(format!(
        "two pages of the listing disagree about block {block}: nothing is claimed; try again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::ListedBlock;

    fn page(from: u64, to: u64, blocks: &[u64]) -> Covered {
        let listed = |block: &u64| ListedBlock {
            block: *block,
            token: (!block.is_multiple_of(5)).then(|| "t".into()),
            is_new: false,
        };
        Covered {
            from,
            to,
            blocks: blocks.iter().map(listed).collect(),
        }
    }

    #[test]
    fn pages_that_overlap_must_agree() {
        let begun = || {
            let mut index = Index::new(Bitmap::new(100));
            index.take(page(0, 50, &[3, 47])).expect("the first page");
            index
        };
        assert!(begun().take(page(40, 80, &[47, 60])).is_ok());
        assert!(begun().take(page(40, 80, &[60])).is_err(), "47 is missing");
        assert!(
            begun().take(page(40, 80, &[44, 47, 60])).is_err(),
            "44 is new"
        );
        let mut other_sort = page(40, 80, &[47]);
        other_sort.blocks[0].token = None;
        assert!(begun().take(other_sort).is_err());
    }

    #[test]
    fn every_block_is_handed_out_once_and_again_when_given_back() {
        let mut done = Bitmap::new(100);
        done.insert(7);
        let mut index = Index::new(done);
        index
            .take(page(0, 100, &[3, 5, 7, 10, 11]))
            .expect("a page");
        let mut wanted = Vec::new();
        while let Some(next) = index.next_wanted() {
            wanted.push(next.block);
        }
        assert_eq!(wanted, [3, 11]);
        assert_eq!(
            (index.next_emptied(100), index.next_emptied(100)),
            (Some(5), Some(10))
        );
        assert_eq!((index.next_emptied(100), index.tokenless()), (None, None));
        index.give_back(3);
        assert_eq!(index.tokenless(), Some(3));
        index
            .take(page(3, 100, &[3, 5, 7, 10, 11]))
            .expect("listed again");
        assert_eq!(index.next_wanted().map(|wanted| wanted.block), Some(3));
        for block in [3, 5, 10] {
            index.finish(block);
        }
        assert!(!index.is_finished() && index.is_covered());
        index.finish(11);
        assert!(index.is_finished() && index.stray().is_none());
    }
}
