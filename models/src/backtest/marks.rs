//! Which blocks of a volume were written, one bit each. It must not know when or by whom.

use crate::blocks::BlockSet;

/// One bit per block of a volume.
#[derive(Debug)]
pub struct Marks {
    bits: Vec<u64>,
    count: u64,
}

impl Marks {
    /// Nothing marked among the first `blocks` blocks.
    pub fn new(blocks: u32) -> Self {
        Self {
            bits: vec![0; (blocks as usize).div_ceil(64)],
            count: 0,
        }
    }

    /// Marks blocks; those beyond the last word of bits are left out.
    pub fn mark(&mut self, first: u32, blocks: u32) {
        for block in first..first.saturating_add(blocks) {
            let Some(word) = self.bits.get_mut((block / 64) as usize) else {
                return;
            };
            let bit = 1 << (block % 64);
            self.count += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }

    /// Number of marked blocks.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The marked blocks.
    pub fn blocks(&self) -> BlockSet {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (index, word) in self.bits.iter().enumerate().filter(|(_, word)| **word != 0) {
            for bit in (0..64_u64).filter(|bit| word >> bit & 1 == 1) {
                let block = index as u64 * 64 + bit;
                match runs.last_mut() {
                    Some(run) if run.0 + run.1 == block => run.1 += 1,
                    _ => runs.push((block, 1)),
                }
            }
        }
        BlockSet::of(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_the_union_of_what_was_marked() {
        let mut marks = Marks::new(192);
        for (first, blocks) in [(60, 10), (65, 10), (191, 5), (0, 1)] {
            marks.mark(first, blocks);
        }
        assert_eq!(*marks.blocks(), [(0, 1), (60, 15), (191, 1)]);
        assert_eq!(marks.count(), marks.blocks().blocks());
    }
}
