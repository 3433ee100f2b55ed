//! Lists what differs, from several starting points at once.
//!
//! A page says which blocks differ and where the next one starts, but not how far it looked. What it surely
//! covers: all up to its last block; all to the end when nothing follows; and, as pages are counted in blocks
//! scanned (EBS user guide, "Read snapshots with EBS direct APIs"), [`TRUSTED_SCAN`] blocks, fewer than the
//! 10,000 that it was asked for. A page that contradicts that ends the listing. It knows no device.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::SyncError;
use super::calls::Calls;
use crate::cloud::{CloudError, ListedBlock, PageStart};

/// Blocks a page is asked to scan.
const PAGE: u64 = 10_000;
/// Blocks of them that a page is trusted to have scanned where it shows no block that proves it.
const TRUSTED_SCAN: u64 = 9_400;
/// Blocks that neighbouring segments list both: they must agree.
const OVERLAP: u64 = 32;
/// Most pages of one claim: the end of the listing must not wait for one lister.
const CLAIM_PAGES: u64 = 64;
/// Pages that may wait for the transfer.
const PAGES_WAITING: usize = 4;

/// A page with what it covers.
#[derive(Debug)]
pub struct Covered {
    /// First block it covers.
    pub from: u64,
    /// First block it does not cover.
    pub to: u64,
    /// Blocks in that range that differ, ascending.
    pub blocks: Vec<ListedBlock>,
}

/// Segments not yet listed.
#[derive(Debug)]
struct Claims {
    next: u64,
    end: u64,
    listers: u64,
}

impl Claims {
    /// Takes the next segment: long ones first, one page each at the end.
    fn claim(&mut self) -> Option<(u64, u64)> {
        if self.next >= self.end {
            return None;
        }
        let from = self.next;
        let pages = (self.end - from).div_ceil(TRUSTED_SCAN);
        let pages = match self.listers {
            1 => pages,
            many => (pages / (2 * many)).clamp(1, CLAIM_PAGES),
        };
        let begin = from.saturating_sub(OVERLAP);
        self.next = (begin + pages * TRUSTED_SCAN).min(self.end).max(from + 1);
        Some((begin, self.next))
    }
}

/// A listing under way; ended when dropped.
#[derive(Debug)]
pub struct Listing {
    pages: mpsc::Receiver<Result<Covered, SyncError>>,
    asked: Arc<AtomicU64>,
    _listers: JoinSet<()>,
}

impl Listing {
    /// Lists blocks below `bound` with up to `listers` calls at once. A single lister relies on nothing but
    /// the pages themselves.
    #[must_use]
    pub fn start(calls: &Arc<Calls>, bound: u64, listers: u64) -> Self {
        let listers = listers.min(bound.div_ceil(TRUSTED_SCAN)).max(1);
        let claims = Claims {
            next: 0,
            end: bound,
            listers,
        };
        let (claims, asked) = (Arc::new(Mutex::new(claims)), Arc::new(AtomicU64::new(0)));
        let (sender, pages) = mpsc::channel(PAGES_WAITING);
        let mut running = JoinSet::new();
        for _ in 0..listers {
            let lister = Lister {
                calls: Arc::clone(calls),
                claims: Arc::clone(&claims),
                pages: sender.clone(),
                asked: Arc::clone(&asked),
                bound,
                alone: listers == 1,
            };
            running.spawn(lister.run());
        }
        Self {
            pages,
            asked,
            _listers: running,
        }
    }

    /// The next page in the order of arrival; `None` when everything is covered.
    ///
    /// # Errors
    /// [`SyncError`], after which nothing more comes.
    pub async fn next(&mut self) -> Option<Result<Covered, SyncError>> {
        self.pages.recv().await
    }

    /// Pages asked for so far.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

struct Lister {
    calls: Arc<Calls>,
    claims: Arc<Mutex<Claims>>,
    pages: mpsc::Sender<Result<Covered, SyncError>>,
    asked: Arc<AtomicU64>,
    bound: u64,
    alone: bool,
}

impl Lister {
    async fn run(self) {
        loop {
            let claimed = self.with_claims(Claims::claim);
            let Some((from, to)) = claimed else { return };
            if let Err(error) = self.segment(from, to).await {
                // The receiver went away: the sync has ended for another reason, which is told there.
                let _ = self.pages.send(Err(error)).await;
                return;
            }
        }
    }

    async fn segment(&self, from: u64, to: u64) -> Result<(), SyncError> {
        let mut walk = Walk::new(from);
        let mut start = PageStart::Block(from);
        while walk.covered < to {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let page = match self.calls.answered(&start).await {
                Err(SyncError::Cloud(error)) if has_expired(&error, &start) => {
                    walk = Walk::new(walk.covered);
                    start = PageStart::Block(walk.covered);
                    continue;
                }
                page => page?,
            };
            let mut from = walk.covered;
            walk.take(&page.blocks, page.next.is_none(), self.bound, self.alone)?;
            if let (None, Some(last)) = (&page.next, page.blocks.last()) {
                // Whether more follows is asked twice; what is shown can be read meanwhile.
                let begun = std::mem::replace(&mut from, last.block + 1);
                if !self.sent(begun, from, page.blocks.clone()).await {
                    return Ok(());
                }
            }
            match self.calls.confirm(&start, &page).await {
                Err(SyncError::Cloud(error)) if has_expired(&error, &start) => {
                    walk = Walk::new(from);
                    start = PageStart::Block(from);
                    continue;
                }
                confirmed => confirmed?,
            }
            let rest = match page.next {
                Some(next) => {
                    start = PageStart::Token(next);
                    page.blocks
                }
                None => {
                    self.with_claims(|claims| claims.end = claims.end.min(from));
                    Vec::new()
                }
            };
            if !self.sent(from, walk.covered, rest).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether anyone still listens.
    async fn sent(&self, from: u64, to: u64, blocks: Vec<ListedBlock>) -> bool {
        let covered = Covered { from, to, blocks };
        self.pages.send(Ok(covered)).await.is_ok()
    }

    fn with_claims<T>(&self, act: impl FnOnce(&mut Claims) -> T) -> T {
        act(&mut self.claims.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn has_expired(error: &CloudError, start: &PageStart) -> bool {
    matches!(start, PageStart::Token(_)) && error.code == "ValidationException/INVALID_PAGE_TOKEN"
}

/// How far a chain of pages has come.
#[derive(Debug)]
struct Walk {
    begun: u64,
    pages: u64,
    covered: u64,
}

impl Walk {
    const fn new(from: u64) -> Self {
        Self {
            begun: from,
            pages: 0,
            covered: from,
        }
    }

    /// Counts a page in; nothing in it may lie where the chain has been already.
    fn take(
        &mut self,
        blocks: &[ListedBlock],
        is_last: bool,
        bound: u64,
        alone: bool,
    ) -> Result<(), SyncError> {
        let scanned = if alone { 0 } else { self.pages * PAGE };
        let floor = self.covered.max(self.begun + scanned);
        if let Some(first) = blocks.first()
            && first.block < floor
        {
            return Err(SyncError::Integrity(format!(
                "the listing shows block {} on page {} after block {}, where pages of {PAGE} must have \
                 passed block {floor} already: list again with --list-segments 1",
                first.block,
                self.pages + 1,
                self.begun
            )));
        }
        let last = blocks.last().map_or(self.covered, |last| last.block + 1);
        if last > bound {
            return Err(SyncError::Integrity(format!(
                "the listing shows block {}, beyond the end of the volume at {bound}",
                last - 1
            )));
        }
        self.pages += 1;
        let trusted = if alone { 0 } else { self.pages * TRUSTED_SCAN };
        self.covered = if is_last {
            bound
        } else {
            self.covered
                .max(last)
                .max((self.begun + trusted).min(bound))
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(block: u64) -> ListedBlock {
        ListedBlock {
            block,
            token: None,
            is_new: false,
        }
    }

    #[test]
    fn claims_overlap_and_cover_everything() {
        let mut claims = Claims {
            next: 0,
            end: 1_000_000,
            listers: 20,
        };
        let mut covered = 0;
        while let Some((from, to)) = claims.claim() {
            assert!(
                from <= covered && to > covered,
                "{from}..{to} after {covered}"
            );
            assert!(covered == 0 || from + OVERLAP == covered);
            covered = to;
        }
        assert_eq!(covered, 1_000_000);
    }

    #[test]
    fn a_page_covers_what_it_shows_and_what_it_must_have_scanned() {
        let mut walk = Walk::new(100);
        walk.take(&[], false, 1_000_000, false)
            .expect("an empty page");
        assert_eq!(walk.covered, 100 + TRUSTED_SCAN);
        walk.take(&[block(500_000)], false, 1_000_000, false)
            .expect("a far block");
        assert_eq!(walk.covered, 500_001);
        walk.take(&[], true, 1_000_000, false)
            .expect("the last page");
        assert_eq!(walk.covered, 1_000_000);
    }

    #[test]
    fn a_lister_alone_relies_on_no_count() {
        let mut walk = Walk::new(0);
        walk.take(&[], false, 1_000_000, true)
            .expect("an empty page");
        assert_eq!(walk.covered, 0);
        walk.take(&[block(7)], false, 1_000_000, true)
            .expect("a near block");
        assert_eq!(walk.covered, 8);
    }

    #[test]
    fn short_pages_and_blocks_beyond_the_volume_are_noticed() {
        let mut walk = Walk::new(0);
        walk.take(&[block(5)], false, 1_000_000, false)
            .expect("fine");
        assert!(walk.take(&[block(9_999)], false, 1_000_000, false).is_err());
        assert!(Walk::new(0).take(&[block(64)], true, 64, false).is_err());
    }
}
