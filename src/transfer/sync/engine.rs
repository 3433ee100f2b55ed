//! The loop of a sync: pages come in, reads go out, batches are written, what is durable is noted.
//!
//! One task owns the index and decides; reads run as tasks, everything that may block on threads. What may be
//! held in memory is bounded here.

mod starting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::batch::{Arrived, Fresh, SharedDesk, Spent, Written};
use super::calls::Calls;
use super::content::Content;
use super::flow::Flow;
use super::index::{Index, Wanted};
use super::progress::{Bound, Progress, Rates};
use super::source::Source;
use super::{SyncError, ended};
use crate::cloud::BlockBody;

/// Blocks of one batch: long enough to coalesce, 8 MiB.
const BATCH: usize = 16;
/// Blocks that are batch enough while nothing else is written.
const BATCH_OF_THE_IDLE: usize = 4;
/// Batches under way: one per core of a small machine.
const BATCHES: usize = 2;
/// Blocks written that may wait to be settled where none is read back.
const UNSETTLED: usize = 2048;
/// Blocks in memory beside those under way on the network, until they were read back: in two batches, and waiting for
/// a third or for the device. Of all of them only as many hold memory as there are buffers (`buffers`).
const HELD_HERE: usize = BATCH * (BATCHES + 1);
/// Blocks worth settling at once, unless time has come.
const SETTLED_AT_ONCE: usize = 16;
/// Blocks settled by one thread at once, and such threads.
const SETTLED_TOGETHER: usize = 256;
const SETTLERS: usize = 2;
/// That time: what a kill costs at most is fetched again.
const SETTLE_EVERY: Duration = Duration::from_secs(1);
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
    source: Source,
    counts: Counts,
    reads: JoinSet<Read>,
    arrived: Vec<Arrived>,
    batches: JoinSet<Result<Written, SyncError>>,
    batched: usize,
    unsettled: VecDeque<Fresh>,
    settling: JoinSet<Result<Vec<u64>, SyncError>>,
    /// Blocks in memory that were written and not yet read back.
    kept: usize,
    gaps: JoinSet<Result<(), SyncError>>,
    gaps_from: u64,
    gaps_begun: bool,
    flow: Flow,
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
        Self {
            source: Source::listed(&calls, index, listers),
            desk,
            calls,
            counts: Counts::default(),
            reads: JoinSet::new(),
            arrived: Vec::new(),
            batches: JoinSet::new(),
            batched: 0,
            unsettled: VecDeque::new(),
            settling: JoinSet::new(),
            kept: 0,
            gaps: JoinSet::new(),
            gaps_from,
            gaps_begun: false,
            flow: Flow::new(now),
            settled_at: now,
            rates: Rates::new(now),
            watch,
        }
    }

    /// What is known at the end; everything else is let go.
    pub fn into_parts(self) -> (Index, Counts) {
        let mut counts = self.counts;
        (counts.pages, counts.listing_seconds) = self.source.listing();
        (self.source.into_index(), counts)
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
                listed = self.source.turn() => listed?,
                Some(read) = self.reads.join_next() => self.read(ended(read)?)?,
                Some(done) = self.batches.join_next() => self.written(ended(done)??)?,
                Some(done) = self.settling.join_next() => self.settled(&ended(done)??),
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
        while !self.unsettled.is_empty() || !self.settling.is_empty() {
            if !self.unsettled.is_empty() {
                self.settle();
            }
            if let Some(done) = self.settling.join_next().await {
                ended(done)??;
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let written = self.reads.is_empty() && self.arrived.is_empty() && self.batches.is_empty();
        let settled = self.unsettled.is_empty() && self.settling.is_empty();
        let cleared = self.gaps_begun && self.gaps.is_empty();
        self.source.is_done() && written && settled && cleared
    }

    fn read(&mut self, (wanted, body): Read) -> Result<(), SyncError> {
        match body {
            Ok(body) => {
                self.flow.completed(Instant::now(), self.calls.usual());
                self.flow.answers_in(self.calls.fastest());
                self.arrived.push(Arrived {
                    block: wanted.block,
                    content: Content::Bytes(body.bytes),
                    promised: Some(body.promised),
                    is_new: wanted.is_new,
                });
                Ok(())
            }
            Err(error) => self.source.refused(wanted.block, error),
        }
    }

    fn written(&mut self, written: Written) -> Result<(), SyncError> {
        self.batched -= written.good.len() + written.corrupt.len();
        if self.desk.read_back {
            self.kept += written.good.len();
        }
        self.unsettled.extend(written.good);
        for block in written.corrupt {
            self.counts.corrupt += 1;
            self.source.corrupt(block)?;
        }
        Ok(())
    }

    fn settled(&mut self, blocks: &[u64]) {
        if self.desk.read_back {
            self.kept -= blocks.len();
        }
        blocks.iter().for_each(|block| self.source.finish(*block));
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

    /// What holds the next read back.
    fn bound(&self, blocks_per_second: f64) -> Bound {
        if !self.has_room() || self.calls.are_out_of_buffers() {
            return slower(&self.desk.spent());
        }
        if self.reads.is_empty() && self.source.is_listing() {
            Bound::Listing
        } else {
            self.calls.bound(blocks_per_second)
        }
    }
}

/// What holds back buffers that are full.
fn slower(spent: &Spent) -> Bound {
    if spent.hashing > spent.device {
        Bound::Checksum
    } else {
        Bound::Device
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_buffers_wait_for_the_device_or_for_checksums() {
        let spent = |hashing, device| Spent {
            hashing: Duration::from_secs(hashing),
            device: Duration::from_secs(device),
        };
        assert_eq!(slower(&spent(3, 2)), Bound::Checksum);
        assert_eq!(slower(&spent(2, 3)), Bound::Device);
    }
}
