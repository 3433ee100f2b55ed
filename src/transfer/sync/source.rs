//! What is to be read next: a listing, listed again where it must be, and the index that both fill.
//!
//! It asks for pages and hands out blocks; it reads none and knows no device.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::SyncError;
use super::calls::Calls;
use super::index::{Index, Wanted};
use super::listing::{Covered, Listing};
use super::progress::{Bound, Progress, Rates};
use crate::cloud::{CloudError, PageStart};

/// Tokens below which blocks without one are listed again.
const TOKENS_LOW: usize = 2000;
/// Times a block may come wrong, or its token be void.
pub const ATTEMPTS: u32 = 4;

/// Blocks to read, as far as they are known.
pub struct Source {
    calls: Arc<Calls>,
    index: Index,
    listing: Option<Listing>,
    relisted: JoinSet<Result<Covered, SyncError>>,
    confirmed: u64,
    wrong: BTreeMap<u64, u32>,
    pages: u64,
    listing_seconds: f64,
    begun: Instant,
}

impl Source {
    /// Lists with `listers` calls at once.
    #[must_use]
    pub fn listed(calls: &Arc<Calls>, index: Index, listers: u64) -> Self {
        let listing = Listing::start(calls, index.changed().bound(), listers);
        Self::new(calls, index, Some(listing))
    }

    /// What the index holds already, and no more.
    #[must_use]
    pub fn chosen(calls: &Arc<Calls>, index: Index) -> Self {
        Self::new(calls, index, None)
    }

    fn new(calls: &Arc<Calls>, index: Index, listing: Option<Listing>) -> Self {
        Self {
            calls: Arc::clone(calls),
            index,
            listing,
            relisted: JoinSet::new(),
            confirmed: 0,
            wrong: BTreeMap::new(),
            pages: 0,
            listing_seconds: 0.0,
            begun: Instant::now(),
        }
    }

    /// Waits for a page and takes it in; for ever when none is under way. May be dropped at any time.
    ///
    /// # Errors
    /// [`SyncError`].
    pub async fn turn(&mut self) -> Result<(), SyncError> {
        tokio::select! {
            page = next_page(&mut self.listing) => self.page(page),
            Some(page) = self.relisted.join_next() => {
                let page = super::ended(page)??;
                self.listed_again(page)
            }
        }
    }

    fn page(&mut self, page: Option<Result<Covered, SyncError>>) -> Result<(), SyncError> {
        if let Some(page) = page {
            return self.index.take(page?);
        }
        self.pages += self.listing.take().map_or(0, |listing| listing.pages());
        self.listing_seconds = self.begun.elapsed().as_secs_f64();
        if self.index.is_covered() {
            return Ok(());
        }
        let text = "the listing ended before it covered the volume: nothing is claimed; try again";
        Err(SyncError::Integrity(text.to_owned()))
    }

    fn listed_again(&mut self, page: Covered) -> Result<(), SyncError> {
        self.pages += 1;
        if self.confirmed < self.index.changed().bound() {
            self.confirmed = page.to;
        }
        // A block that is listed no longer contradicts the first listing, which this notices.
        self.index.take(page)
    }

    /// Lists again what only the first snapshot holds, for nothing but two listings says so; then blocks
    /// whose tokens were not kept, are void, or belonged to wrong bytes.
    pub fn relist(&mut self) {
        if self.listing.is_some() || !self.relisted.is_empty() {
            return;
        }
        let bound = self.index.changed().bound();
        let from = match self.index.emptied_at(self.confirmed) {
            Some(block) => Some(block),
            None => {
                self.confirmed = bound;
                let few = self.index.ready() < TOKENS_LOW;
                few.then(|| self.index.tokenless()).flatten()
            }
        };
        let Some(from) = from else { return };
        let calls = Arc::clone(&self.calls);
        self.relisted.spawn(async move {
            let page = calls.page(&PageStart::Block(from)).await?;
            let to = match (&page.next, page.blocks.last()) {
                (None, _) => bound,
                (Some(_), Some(last)) => last.block + 1,
                (Some(_), None) => from + 1,
            };
            let blocks = page.blocks;
            Ok(Covered { from, to, blocks })
        });
    }

    /// The next block to read.
    pub fn next_wanted(&mut self) -> Option<Wanted> {
        self.index.next_wanted()
    }

    /// The next block to make zeros: two listings agree about it.
    pub fn next_emptied(&mut self) -> Option<u64> {
        self.index.next_emptied(self.confirmed)
    }

    /// A block's token was void: it is read again with another one.
    ///
    /// # Errors
    /// The error itself when it says something else, or says it too often.
    pub fn refused(&mut self, block: u64, error: SyncError) -> Result<(), SyncError> {
        match error {
            SyncError::Cloud(error) if is_void_token(&error) => {
                self.again(block, || SyncError::Cloud(error))
            }
            error => Err(error),
        }
    }

    /// A block came with wrong bytes: it is read again.
    ///
    /// # Errors
    /// [`SyncError::Integrity`] when that happens too often.
    pub fn corrupt(&mut self, block: u64) -> Result<(), SyncError> {
        self.again(block, || {
            SyncError::Integrity(format!(
                "block {block} came {ATTEMPTS} times with bytes that do not match their SHA-256: nothing of \
                 it was written"
            ))
        })
    }

    fn again(&mut self, block: u64, error: impl FnOnce() -> SyncError) -> Result<(), SyncError> {
        let attempts = self.wrong.entry(block).or_insert(0);
        *attempts += 1;
        if *attempts >= ATTEMPTS {
            return Err(error());
        }
        self.index.give_back(block);
        Ok(())
    }

    /// A block is durable.
    pub fn finish(&mut self, block: u64) {
        self.index.finish(block);
    }

    /// Whether the listing is still under way.
    #[must_use]
    pub const fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// Whether everything is listed and every block that was handed out is durable.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.listing.is_none() && self.relisted.is_empty() && self.index.is_finished()
    }

    /// The blocks, when nothing more is to come.
    #[must_use]
    pub fn into_index(self) -> Index {
        self.index
    }

    /// The blocks.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// How far it is, at this rate and with what holds the next block back.
    pub fn progress(&self, rates: &Rates, blocks_per_second: f64, bound: Bound) -> Progress {
        let (changed_blocks, done_blocks) = (self.index.changed().count(), self.index.done());
        let remaining = rates.remaining(changed_blocks.saturating_sub(done_blocks));
        Progress {
            listed: self.index.covered_share(),
            changed_blocks,
            done_blocks,
            blocks_per_second,
            remaining_seconds: remaining.filter(|_| !self.is_listing()),
            bound,
        }
    }

    /// Pages listed so far, and the seconds until the listing was complete.
    #[must_use]
    pub const fn listing(&self) -> (u64, f64) {
        (self.pages, self.listing_seconds)
    }
}

fn is_void_token(error: &CloudError) -> bool {
    error.code == "ValidationException/INVALID_BLOCK_TOKEN"
}

async fn next_page(listing: &mut Option<Listing>) -> Option<Result<Covered, SyncError>> {
    match listing {
        Some(listing) => listing.next().await,
        None => std::future::pending().await,
    }
}
