//! A set of snapshot block indices as a bitmap: 16 TiB of blocks take 4 MiB.
//! It knows nothing of volumes, versions or files.

use std::fmt;

/// Bytes in one snapshot block, the unit in which snapshots find changes (EBS direct APIs, block size 524 288).
pub const BLOCK_BYTES: u64 = 524_288;
/// [`BLOCK_BYTES`] as a buffer length.
pub const BLOCK_LEN: usize = 524_288;
/// Snapshot blocks in one GiB.
pub const BLOCKS_PER_GIB: u64 = 2048;

const WORD_BITS: u64 = 64;

/// A sorted set of block indices.
#[derive(Clone, Default, Eq)]
pub struct BlockSet {
    words: Vec<u64>,
    len: u64,
}

impl BlockSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of all blocks in `from..to`.
    #[must_use]
    pub fn from_range(from: u64, to: u64) -> Self {
        let mut set = Self::new();
        set.insert_range(from, to);
        set
    }

    /// Adds one block; true when it was not yet in the set.
    pub fn insert(&mut self, block: u64) -> bool {
        let (word, bit) = place(block);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.len += u64::from(fresh);
        fresh
    }

    /// Adds all blocks in `from..to`.
    pub fn insert_range(&mut self, from: u64, to: u64) {
        for block in from..to {
            self.insert(block);
        }
    }

    /// Removes one block; true when it was in the set.
    pub fn remove(&mut self, block: u64) -> bool {
        let (word, bit) = place(block);
        let present = self.words.get(word).is_some_and(|w| w & bit != 0);
        if present {
            self.words[word] &= !bit;
            self.len -= 1;
        }
        present
    }

    /// Whether the block is in the set.
    #[must_use]
    pub fn contains(&self, block: u64) -> bool {
        let (word, bit) = place(block);
        self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Number of blocks in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that the blocks of the set span.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.len * BLOCK_BYTES
    }

    /// Whether no block is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The largest block in the set.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        let word = self.words.iter().rposition(|w| *w != 0)?;
        let high = WORD_BITS - 1 - u64::from(self.words[word].leading_zeros());
        Some(word as u64 * WORD_BITS + high)
    }

    /// The blocks in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.range(0, u64::MAX)
    }

    /// The blocks in `from..to` in ascending order; skips empty stretches a word at a time.
    pub fn range(&self, from: u64, to: u64) -> impl Iterator<Item = u64> + '_ {
        let (first, _) = place(from);
        let words = self.words.iter().enumerate().skip(first);
        words
            .flat_map(|(index, word)| bits(index as u64 * WORD_BITS, *word))
            .skip_while(move |block| *block < from)
            .take_while(move |block| *block < to)
    }

    /// Number of blocks of the set in `from..to`.
    #[must_use]
    pub fn count_range(&self, from: u64, to: u64) -> u64 {
        self.range(from, to).count() as u64
    }

    /// The blocks in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let longest = self.words.len().max(other.words.len());
        Self::from_words((0..longest).map(|i| self.word(i) | other.word(i)).collect())
    }

    /// The blocks in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let shortest = self.words.len().min(other.words.len());
        Self::from_words(
            (0..shortest)
                .map(|i| self.word(i) & other.word(i))
                .collect(),
        )
    }

    /// The blocks in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self::from_words(
            (0..self.words.len())
                .map(|i| self.word(i) & !other.word(i))
                .collect(),
        )
    }

    fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// The set whose block `64 * i + b` is bit `b` of word `i`.
    pub(super) fn from_words(words: Vec<u64>) -> Self {
        let len = words.iter().map(|w| u64::from(w.count_ones())).sum();
        Self { words, len }
    }
}

impl PartialEq for BlockSet {
    fn eq(&self, other: &Self) -> bool {
        let longest = self.words.len().max(other.words.len());
        self.len == other.len && (0..longest).all(|i| self.word(i) == other.word(i))
    }
}

impl fmt::Debug for BlockSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<u64> for BlockSet {
    fn from_iter<I: IntoIterator<Item = u64>>(blocks: I) -> Self {
        let mut set = Self::new();
        set.extend(blocks);
        set
    }
}

impl Extend<u64> for BlockSet {
    fn extend<I: IntoIterator<Item = u64>>(&mut self, blocks: I) {
        for block in blocks {
            self.insert(block);
        }
    }
}

fn place(block: u64) -> (usize, u64) {
    let word = usize::try_from(block / WORD_BITS).unwrap_or(usize::MAX);
    (word, 1 << (block % WORD_BITS))
}

fn bits(base: u64, mut word: u64) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let low = u64::from(word.trailing_zeros());
        word &= word - 1;
        Some(base + low)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_sorted_set(
            a in proptest::collection::btree_set(0u64..700, 0..90),
            b in proptest::collection::btree_set(0u64..700, 0..90),
            from in 0u64..700, span in 0u64..300,
        ) {
            let (left, right): (BlockSet, BlockSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            let sorted = |set: BlockSet| set.iter().collect::<Vec<_>>();
            prop_assert_eq!(left.len(), a.len() as u64);
            prop_assert_eq!(left.last(), a.last().copied());
            prop_assert_eq!(sorted(left.union(&right)), a.union(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(sorted(left.intersection(&right)), a.intersection(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(sorted(left.difference(&right)), a.difference(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(
                left.range(from, from + span).collect::<Vec<_>>(),
                a.range(from..from + span).copied().collect::<Vec<_>>()
            );
            prop_assert_eq!(left == right, a == b);
        }
    }

    #[test]
    fn removal_and_trailing_empty_words_do_not_matter_for_equality() {
        let mut grown: BlockSet = [1, 5000].into_iter().collect();
        assert!(grown.remove(5000));
        assert!(!grown.remove(5000));
        assert_eq!(grown, [1].into_iter().collect::<BlockSet>());
        assert_eq!(grown.iter().collect::<BTreeSet<_>>(), BTreeSet::from([1]));
    }
}
