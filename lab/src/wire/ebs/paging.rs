//! Pages of a block listing, counted as the service counts them: by blocks scanned, not by blocks found.
//!
//! With 1 000 allocated blocks and one change at the last of them, pages of 100 are nine empty ones and then the one
//! that holds it (EBS user guide, "Read snapshots with EBS direct APIs"). Stretches never written cost nothing.
//! Must not know tokens nor HTTP.

use crate::content::BlockSet;

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The blocks found on it, ascending; may be empty with more pages to come.
    pub blocks: Vec<u64>,
    /// Where the next page starts; `None` on the last page.
    pub next: Option<u64>,
}

/// The page that starts at block `start` and scans at most `scan_max` blocks of `scanned`.
pub fn page(scanned: &BlockSet, found: &BlockSet, start: u64, scan_max: u64) -> Page {
    let skip = usize::try_from(scan_max).unwrap_or(usize::MAX);
    let next = scanned.range(start, u64::MAX).nth(skip);
    Page {
        blocks: found.range(start, next.unwrap_or(u64::MAX)).collect(),
        next,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(scanned: &BlockSet, found: &BlockSet, start: u64, scan_max: u64) -> (Vec<u64>, usize) {
        let (mut blocks, mut pages, mut at) = (Vec::new(), 0, Some(start));
        while let Some(from) = at {
            let page = page(scanned, found, from, scan_max);
            blocks.extend(page.blocks);
            pages += 1;
            at = page.next;
        }
        (blocks, pages)
    }

    #[test]
    fn nine_empty_pages_before_the_one_change() {
        let (scanned, found) = (
            BlockSet::from_range(0, 1000),
            BlockSet::from_range(999, 1000),
        );
        assert_eq!(all(&scanned, &found, 0, 100), (vec![999], 10));
        assert_eq!(
            page(&scanned, &found, 0, 100),
            Page {
                blocks: Vec::new(),
                next: Some(100)
            }
        );
    }

    #[test]
    fn stretches_never_written_cost_nothing() {
        let scanned: BlockSet = [5, 1_000_000, 33_554_431].into_iter().collect();
        assert_eq!(
            all(&scanned, &scanned, 0, 100),
            (vec![5, 1_000_000, 33_554_431], 1)
        );
        assert_eq!(
            all(&BlockSet::new(), &BlockSet::new(), 0, 100),
            (Vec::new(), 1)
        );
    }

    proptest! {
        #[test]
        fn any_paging_returns_exactly_the_set(
            scanned in proptest::collection::btree_set(0_u64..5000, 0..600),
            picks in proptest::collection::vec(any::<bool>(), 600),
            start in 0_u64..6000,
            scan_max in 1_u64..400,
        ) {
            let found: BlockSet =
                scanned.iter().zip(&picks).filter(|(_, pick)| **pick).map(|(block, _)| *block).collect();
            let scanned: BlockSet = scanned.into_iter().collect();
            let (blocks, pages) = all(&scanned, &found, start, scan_max);
            prop_assert_eq!(&blocks, &found.range(start, u64::MAX).collect::<Vec<_>>());
            let allocated = scanned.count_range(start, u64::MAX);
            prop_assert_eq!(pages as u64, allocated.div_ceil(scan_max).max(1));
        }

        #[test]
        fn segments_join_to_the_whole(
            scanned in proptest::collection::btree_set(0_u64..2000, 0..300),
            cut in 0_u64..2000,
        ) {
            let scanned: BlockSet = scanned.into_iter().collect();
            let below = |blocks: Vec<u64>| blocks.into_iter().filter(|block| *block < cut);
            let (first, _) = all(&scanned, &scanned, 0, 50);
            let (second, _) = all(&scanned, &scanned, cut, 50);
            let joined: Vec<u64> = below(first).chain(second).collect();
            prop_assert_eq!(joined, scanned.iter().collect::<Vec<_>>());
        }
    }
}
