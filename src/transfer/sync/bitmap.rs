//! A set of block indices of one volume as a bitmap: 16 TiB take 4 MiB, whatever is in it.

/// Blocks per word.
const WORD: u64 = 64;

/// Indices below a fixed bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    bound: u64,
    count: u64,
}

impl Bitmap {
    /// The empty set of indices below `bound`.
    #[must_use]
    pub fn new(bound: u64) -> Self {
        let words = usize::try_from(bound.div_ceil(WORD)).expect("a volume's blocks fit memory");
        Self {
            words: vec![0; words],
            bound,
            count: 0,
        }
    }

    /// First index that can never be in it.
    #[must_use]
    pub const fn bound(&self) -> u64 {
        self.bound
    }

    /// Adds an index below the bound; whether it is new.
    pub fn insert(&mut self, block: u64) -> bool {
        assert!(block < self.bound, "block {block} is beyond the volume");
        let (word, bit) = place(block);
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(fresh);
        fresh
    }

    /// Takes an index out; whether it was in.
    pub fn remove(&mut self, block: u64) -> bool {
        let held = self.contains(block);
        if held {
            let (word, bit) = place(block);
            self.words[word] &= !bit;
            self.count -= 1;
        }
        held
    }

    /// Adds all indices of `from..to`.
    pub fn insert_range(&mut self, from: u64, to: u64) {
        let to = to.min(self.bound);
        let mut block = from;
        while block < to {
            let (word, _) = place(block);
            if block.is_multiple_of(WORD) && block + WORD <= to {
                self.count += u64::from(self.words[word].count_zeros());
                self.words[word] = u64::MAX;
                block += WORD;
            } else {
                self.insert(block);
                block += 1;
            }
        }
    }

    /// Whether an index is in it.
    #[must_use]
    pub fn contains(&self, block: u64) -> bool {
        let (word, bit) = place(block);
        self.words.get(word).is_some_and(|held| held & bit != 0)
    }

    /// How many indices are in it.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The first index in it at `from` or above.
    #[must_use]
    pub fn next(&self, from: u64) -> Option<u64> {
        self.seek(from, |word| word)
    }

    /// The first index not in it at `from` or above, the bound at most.
    #[must_use]
    pub fn next_absent(&self, from: u64) -> u64 {
        let found = self.seek(from, |word| !word);
        found.unwrap_or(self.bound).min(self.bound)
    }

    /// The indices in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let found = self.next(at)?;
            at = found + 1;
            Some(found)
        })
    }

    fn seek(&self, from: u64, of: impl Fn(u64) -> u64) -> Option<u64> {
        let (first, bit) = place(from);
        let mut mask = !(bit - 1);
        for (index, word) in self.words.iter().enumerate().skip(first) {
            let found = of(*word) & mask;
            if found != 0 {
                return Some(index as u64 * WORD + u64::from(found.trailing_zeros()));
            }
            mask = u64::MAX;
        }
        None
    }
}

fn place(block: u64) -> (usize, u64) {
    let word = usize::try_from(block / WORD).unwrap_or(usize::MAX);
    (word, 1 << (block % WORD))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_sorted_set(
            bound in 1_u64..300,
            singles in proptest::collection::vec((0_u64..300, any::<bool>()), 0..60),
            ranges in proptest::collection::vec((0_u64..300, 0_u64..300), 0..4),
            from in 0_u64..320,
        ) {
            let (mut map, mut set) = (Bitmap::new(bound), BTreeSet::new());
            for (from, to) in ranges {
                map.insert_range(from, to);
                set.extend(from..to.min(bound));
            }
            for (block, add) in singles {
                if add && block < bound {
                    prop_assert_eq!(map.insert(block), set.insert(block));
                } else {
                    prop_assert_eq!(map.remove(block), set.remove(&block));
                }
            }
            prop_assert_eq!(map.count(), set.len() as u64);
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(map.next(from), set.range(from..).next().copied());
            let absent = (from..bound).find(|block| !set.contains(block)).unwrap_or(bound);
            prop_assert_eq!(map.next_absent(from), absent);
        }
    }
}
