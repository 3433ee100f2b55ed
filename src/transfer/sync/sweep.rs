//! Reads every block of a source and hands each to its work: many at once, each checked and done once.
//!
//! For work that takes one block at a time and is durable when it returns; batches for a device are the
//! engine's. It knows neither devices nor what becomes of a block.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::calls::Calls;
use super::flow::Flow;
use super::index::{Index, Wanted};
use super::progress::{Bound, Progress, Rates};
use super::source::Source;
use super::state::Sha;
use super::target::BLOCK;
use super::{SyncError, ended};

/// How often what is done is noted.
const NOTE_EVERY: Duration = Duration::from_secs(1);
const REPORT_EVERY: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);

/// What is done with a block.
pub trait Work: Send + Sync + 'static {
    /// Does it, with the bytes and their digest, which match; without, when only the first snapshot holds the
    /// block. Returns the digest of what the block is now.
    fn block(
        &self,
        block: u64,
        content: Option<(Bytes, Sha)>,
    ) -> impl Future<Output = Result<Sha, SyncError>> + Send;

    /// Notes blocks that are done. May block.
    ///
    /// # Errors
    /// [`SyncError`].
    fn note(&self, done: &[(u64, Sha)]) -> Result<(), SyncError>;
}

enum Done {
    Good(u64, Sha),
    Corrupt(u64),
    Refused(u64, SyncError),
}

/// One sweep under way.
pub struct Sweep<'a, W> {
    calls: Arc<Calls>,
    source: Source,
    work: Arc<W>,
    tasks: JoinSet<Result<Done, SyncError>>,
    done: Vec<(u64, Sha)>,
    notes: JoinSet<Result<Vec<u64>, SyncError>>,
    noted_at: Instant,
    flow: Flow,
    corrupt: u64,
    in_flight_max: usize,
    rates: Rates,
    watch: &'a mut dyn FnMut(&Progress),
}

/// What is known at the end.
#[derive(Debug)]
pub struct Swept {
    /// The blocks.
    pub index: Index,
    /// Pages listed.
    pub pages: u64,
    /// Seconds until the listing was complete.
    pub listing_seconds: f64,
    /// Blocks that came with wrong bytes and were read again.
    pub corrupt: u64,
    /// Most blocks under way.
    pub in_flight_max: u64,
}

impl<'a, W: Work> Sweep<'a, W> {
    /// Reads what `source` shows with `calls`.
    pub fn new(
        calls: Arc<Calls>,
        source: Source,
        work: Arc<W>,
        watch: &'a mut dyn FnMut(&Progress),
    ) -> Self {
        let now = Instant::now();
        Self {
            calls,
            source,
            work,
            tasks: JoinSet::new(),
            done: Vec::new(),
            notes: JoinSet::new(),
            noted_at: now,
            flow: Flow::new(now),
            corrupt: 0,
            in_flight_max: 0,
            rates: Rates::new(now),
            watch,
        }
    }

    /// Runs until every block is done. After an error, what was done is still noted.
    ///
    /// # Errors
    /// The first [`SyncError`].
    pub async fn run(mut self) -> Result<Swept, SyncError> {
        let result = self.turn_until_done().await;
        self.tasks.abort_all();
        if result.is_err() {
            while self.notes.join_next().await.is_some() {}
            self.note();
            while self.notes.join_next().await.is_some() {}
        }
        result?;
        let (pages, listing_seconds) = self.source.listing();
        Ok(Swept {
            index: self.source.into_index(),
            pages,
            listing_seconds,
            corrupt: self.corrupt,
            in_flight_max: self.in_flight_max as u64,
        })
    }

    async fn turn_until_done(&mut self) -> Result<(), SyncError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.source.relist();
            self.start();
            let idle = self.tasks.is_empty() && self.done.is_empty() && self.notes.is_empty();
            if idle && self.source.is_done() {
                return Ok(());
            }
            tokio::select! {
                listed = self.source.turn() => listed?,
                Some(done) = self.tasks.join_next() => self.take(ended(done)??)?,
                Some(noted) = self.notes.join_next() => {
                    ended(noted)??.iter().for_each(|block| self.source.finish(*block));
                }
                _ = tick.tick() => {}
            }
            self.report();
        }
    }

    fn start(&mut self) {
        while self.tasks.len() < self.flow.limit() {
            let emptied = self.source.next_emptied();
            let Some(next) = emptied
                .map(Next::Emptied)
                .or_else(|| self.source.next_wanted().map(Next::Wanted))
            else {
                break;
            };
            let (calls, work) = (Arc::clone(&self.calls), Arc::clone(&self.work));
            self.tasks.spawn(one(calls, work, next));
        }
        self.in_flight_max = self.in_flight_max.max(self.tasks.len());
        let due = self.tasks.is_empty() || self.noted_at.elapsed() >= NOTE_EVERY;
        if due && self.notes.is_empty() && !self.done.is_empty() {
            self.note();
        }
    }

    fn note(&mut self) {
        let mut done = std::mem::take(&mut self.done);
        done.sort_unstable_by_key(|(block, _)| *block);
        self.noted_at = Instant::now();
        let work = Arc::clone(&self.work);
        self.notes.spawn_blocking(move || {
            work.note(&done)?;
            Ok(done.into_iter().map(|(block, _)| block).collect())
        });
    }

    fn take(&mut self, done: Done) -> Result<(), SyncError> {
        match done {
            Done::Good(block, digest) => {
                self.flow.completed(Instant::now(), self.calls.usual());
                self.flow.answers_in(self.calls.fastest());
                self.done.push((block, digest));
                Ok(())
            }
            Done::Corrupt(block) => {
                self.corrupt += 1;
                self.source.corrupt(block)
            }
            Done::Refused(block, error) => self.source.refused(block, error),
        }
    }

    fn report(&mut self) {
        let now = Instant::now();
        if !self.rates.is_due(now, REPORT_EVERY) {
            return;
        }
        let received = self.calls.tally().reads;
        let rate = self.rates.measure(now, received);
        let progress = self.source.progress(&self.rates, rate, self.bound(rate));
        (self.watch)(&progress);
    }

    fn bound(&self, blocks_per_second: f64) -> Bound {
        if self.tasks.is_empty() && self.source.is_listing() {
            Bound::Listing
        } else {
            self.calls.bound(blocks_per_second)
        }
    }
}

enum Next {
    Emptied(u64),
    Wanted(Wanted),
}

async fn one<W: Work>(calls: Arc<Calls>, work: Arc<W>, next: Next) -> Result<Done, SyncError> {
    let wanted = match next {
        Next::Emptied(block) => return Ok(Done::Good(block, work.block(block, None).await?)),
        Next::Wanted(wanted) => wanted,
    };
    let body = match calls.block(wanted.block, &wanted.token).await {
        Ok(body) => body,
        Err(error) => return Ok(Done::Refused(wanted.block, error)),
    };
    let (bytes, promised) = (body.bytes, body.promised);
    let checked = tokio::task::spawn_blocking(move || {
        let digest: Sha = Sha256::digest(&bytes).into();
        (bytes.len() == BLOCK && digest == promised).then_some((bytes, digest))
    });
    let Some(content) = ended(checked.await)? else {
        return Ok(Done::Corrupt(wanted.block));
    };
    let digest = work.block(wanted.block, Some(content)).await?;
    Ok(Done::Good(wanted.block, digest))
}
