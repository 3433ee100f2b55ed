//! The loop of a sync: pages come in, reads go out, batches are written, what is durable is noted.
//!
//! One task owns the index and decides; reads run as tasks, everything that may block on threads. What may be
//! held in memory is bounded here.

mod starting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::SyncError;
use super::batch::{Arrived, SharedDesk, Written};
use super::calls::Calls;
use super::flow::Flow;
use super::index::{Index, Wanted};
use super::listing::{Covered, Listing};
use super::progress::{Bound, Progress, Rates};
use super::state::Sha;
use super::target::Content;
use crate::cloud::BlockBody;

/// Blocks of one batch: long enough to coalesce, 8 MiB.
const BATCH: usize = 16;
/// Batches under way: one being checked and one being written on each of two cores.
const BATCHES: usize = 3;
/// Blocks written that may wait to be settled.
const UNSETTLED: usize = 2048;
/// Blocks worth settling at once, unless time has come.
const SETTLED_AT_ONCE: usize = 512;
/// That time: what a kill costs at most is fetched again.
const SETTLE_EVERY: Duration = Duration::from_secs(1);
/// Tokens below which blocks without one are listed again.
const TOKENS_LOW: usize = 2000;
/// Times a block may come wrong, or its token be void.
const ATTEMPTS: u32 = 4;
const TICK: Duration = Duration::from_millis(50);
const REPORT_EVERY: Duration = Duration::from_secs(1);

type Read = (Wanted, Result<BlockBody, SyncError>);

/// What a sync has done, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Pages listed.
    pub pages: u64,
    /// Seconds until the listing was complete.
    pub listing_seconds: f64,
    /// Blocks with wrong bytes.
    pub corrupt: u64,
    /// Most reads under way.
    pub in_flight_max: usize,
}

/// One sync under way.
pub struct Engine<'a> {
    desk: SharedDesk,
    calls: Arc<Calls>,
    index: Index,
    counts: Counts,
    listing: Option<Listing>,
    reads: JoinSet<Read>,
    relisted: JoinSet<Result<Covered, SyncError>>,
    arrived: Vec<Arrived>,
    batches: JoinSet<Result<Written, SyncError>>,
    unsettled: Vec<(u64, Sha)>,
    settling: JoinSet<Result<Vec<u64>, SyncError>>,
    gaps: JoinSet<Result<(), SyncError>>,
    gaps_from: u64,
    gaps_begun: bool,
    confirmed: u64,
    wrong: BTreeMap<u64, u32>,
    flow: Flow,
    begun: Instant,
    settled_at: Instant,
    rates: Rates,
    watch: &'a mut dyn FnMut(&Progress),
}

impl<'a> Engine<'a> {
    /// Lists with `listers` calls at once and clears what is not listed from `gaps_from` on.
    pub fn new(
        desk: SharedDesk,
        calls: Arc<Calls>,
        index: Index,
        (listers, gaps_from): (u64, u64),
        watch: &'a mut dyn FnMut(&Progress),
    ) -> Self {
        let now = Instant::now();
        let bound = index.changed().bound();
        Self {
            listing: Some(Listing::start(&calls, bound, listers)),
            desk,
            calls,
            index,
            counts: Counts::default(),
            reads: JoinSet::new(),
            relisted: JoinSet::new(),
            arrived: Vec::new(),
            batches: JoinSet::new(),
            unsettled: Vec::new(),
            settling: JoinSet::new(),
            gaps: JoinSet::new(),
            gaps_from,
            gaps_begun: false,
            confirmed: 0,
            wrong: BTreeMap::new(),
            flow: Flow::new(now),
            begun: now,
            settled_at: now,
            rates: Rates::new(now),
            watch,
        }
    }

    /// What is known at the end; everything else is let go.
    pub fn into_parts(self) -> (Index, Counts) {
        (self.index, self.counts)
    }

    /// Runs until everything that differs is durable. After an error, what was written is still settled.
    ///
    /// # Errors
    /// The first [`SyncError`].
    pub async fn run(&mut self) -> Result<(), SyncError> {
        let result = self.turn_until_done().await;
        if result.is_err() {
            self.reads.abort_all();
            // The first error is the one to tell; a second one here leaves blocks to be fetched again.
            let _ = self.wind_up().await;
        }
        result
    }

    async fn turn_until_done(&mut self) -> Result<(), SyncError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.start_what_may_start();
            if self.is_done() {
                return Ok(());
            }
            tokio::select! {
                page = next_page(&mut self.listing) => self.page(page)?,
                Some(read) = self.reads.join_next() => self.read(ended(read)?)?,
                Some(done) = self.batches.join_next() => self.written(ended(done)??)?,
                Some(done) = self.settling.join_next() => self.settled(&ended(done)??),
                Some(done) = self.relisted.join_next() => self.relisted(ended(done)??)?,
                Some(done) = self.gaps.join_next() => ended(done)??,
                _ = tick.tick() => {}
            }
            self.report();
        }
    }

    async fn wind_up(&mut self) -> Result<(), SyncError> {
        while let Some(done) = self.batches.join_next().await {
            self.unsettled.extend(ended(done)??.good);
        }
        while let Some(done) = self.settling.join_next().await {
            ended(done)??;
        }
        self.settle();
        while let Some(done) = self.settling.join_next().await {
            ended(done)??;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let listed = self.listing.is_none() && self.relisted.is_empty();
        let written = self.reads.is_empty() && self.arrived.is_empty() && self.batches.is_empty();
        let settled = self.unsettled.is_empty() && self.settling.is_empty();
        let cleared = self.gaps_begun && self.gaps.is_empty();
        listed && written && settled && cleared && self.index.is_finished()
    }

    fn page(&mut self, page: Option<Result<Covered, SyncError>>) -> Result<(), SyncError> {
        if let Some(page) = page {
            return self.index.take(page?);
        }
        let pages = self.listing.take().map_or(0, |listing| listing.pages());
        self.counts.pages += pages;
        self.counts.listing_seconds = self.begun.elapsed().as_secs_f64();
        if self.index.is_covered() {
            return Ok(());
        }
        let text = "the listing ended before it covered the volume: nothing is claimed; try again";
        Err(SyncError::Integrity(text.to_owned()))
    }

    fn relisted(&mut self, page: Covered) -> Result<(), SyncError> {
        self.counts.pages += 1;
        if self.confirmed < self.index.changed().bound() {
            self.confirmed = page.to;
        }
        // A block that is listed no longer contradicts the first listing, which this notices.
        self.index.take(page)
    }

    fn read(&mut self, (wanted, body): Read) -> Result<(), SyncError> {
        match body {
            Ok(body) => {
                self.flow.completed(Instant::now(), self.calls.usual());
                self.arrived.push(Arrived {
                    block: wanted.block,
                    content: Content::Bytes(body.bytes),
                    promised: Some(body.promised),
                    is_new: wanted.is_new,
                });
                Ok(())
            }
            Err(SyncError::Cloud(error))
                if error.code == "ValidationException/INVALID_BLOCK_TOKEN" =>
            {
                self.again(wanted.block, || SyncError::Cloud(error))
            }
            Err(error) => Err(error),
        }
    }

    fn written(&mut self, written: Written) -> Result<(), SyncError> {
        self.unsettled.extend(written.good);
        for block in written.corrupt {
            self.counts.corrupt += 1;
            self.again(block, || {
                SyncError::Integrity(format!(
                    "block {block} came {ATTEMPTS} times with bytes that do not match their SHA-256: \
                     nothing of it was written"
                ))
            })?;
        }
        Ok(())
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

    fn settled(&mut self, blocks: &[u64]) {
        blocks.iter().for_each(|block| self.index.finish(*block));
    }

    fn report(&mut self) {
        let now = Instant::now();
        if !self.rates.is_due(now, REPORT_EVERY) {
            return;
        }
        let received = self.calls.tally().reads;
        let blocks_per_second = self.rates.measure(now, received);
        let left = self
            .index
            .changed()
            .count()
            .saturating_sub(self.index.done());
        let remaining = self
            .rates
            .remaining(left)
            .filter(|_| self.listing.is_none());
        let bound = self.bound();
        (self.watch)(&Progress {
            listed: self.index.covered_share(),
            changed_blocks: self.index.changed().count(),
            done_blocks: self.index.done(),
            blocks_per_second,
            remaining_seconds: remaining,
            bound,
        });
    }

    /// What holds the next read back.
    fn bound(&self) -> Bound {
        if !self.has_room() {
            let spent = self.desk.spent();
            return if spent.hashing > spent.device {
                Bound::Checksum
            } else {
                Bound::Device
            };
        }
        if self.reads.is_empty() && self.listing.is_some() {
            Bound::Listing
        } else if self.calls.snapshot.per_second().is_some() {
            Bound::SnapshotQuota
        } else if self.calls.account.per_second().is_some() {
            Bound::AccountQuota
        } else {
            Bound::Network
        }
    }
}

async fn next_page(listing: &mut Option<Listing>) -> Option<Result<Covered, SyncError>> {
    match listing {
        Some(listing) => listing.next().await,
        None => std::future::pending().await,
    }
}

fn ended<T>(result: Result<T, JoinError>) -> Result<T, SyncError> {
    result.map_err(|error| SyncError::Integrity(format!("a task of the sync ended early: {error}")))
}
