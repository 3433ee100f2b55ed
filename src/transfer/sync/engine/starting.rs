//! What may be started now: reads, batches, settling, listing again, clearing; each within its bound.

use std::sync::Arc;

use tokio::time::Instant;

use super::{BATCH, BATCHES, Engine, SETTLE_EVERY, SETTLED_AT_ONCE, TOKENS_LOW, UNSETTLED};
use crate::cloud::PageStart;
use crate::transfer::sync::batch::Arrived;
use crate::transfer::sync::listing::Covered;
use crate::transfer::sync::target::Content;

impl Engine<'_> {
    pub(super) fn start_what_may_start(&mut self) {
        self.start_gaps();
        self.start_relisting();
        while self.has_room() {
            let Some(block) = self.index.next_emptied(self.confirmed) else {
                break;
            };
            self.arrived.push(Arrived {
                block,
                content: Content::Zeros,
                promised: None,
                is_new: false,
            });
            self.start_batches();
        }
        while self.has_room() && self.reads.len() < self.flow.limit() {
            let Some(wanted) = self.index.next_wanted() else {
                break;
            };
            let calls = Arc::clone(&self.calls);
            self.reads.spawn(async move {
                let body = calls.block(wanted.block, &wanted.token).await;
                (wanted, body)
            });
        }
        self.counts.in_flight_max = self.counts.in_flight_max.max(self.reads.len());
        self.start_batches();
        self.start_settling();
    }

    pub(super) fn has_room(&self) -> bool {
        self.arrived.len() < BATCH * 2
            && self.batches.len() < BATCHES
            && self.unsettled.len() < UNSETTLED
    }

    fn start_batches(&mut self) {
        let last = self.reads.is_empty() && self.batches.is_empty();
        while self.batches.len() < BATCHES
            && (self.arrived.len() >= BATCH || (last && !self.arrived.is_empty()))
        {
            self.arrived.sort_unstable_by_key(|arrived| arrived.block);
            let batch = self
                .arrived
                .drain(..BATCH.min(self.arrived.len()))
                .collect();
            let desk = Arc::clone(&self.desk);
            self.batches.spawn_blocking(move || desk.write(batch));
        }
    }

    fn start_settling(&mut self) {
        let idle = self.reads.is_empty() && self.arrived.is_empty() && self.batches.is_empty();
        let due = idle
            || self.unsettled.len() >= SETTLED_AT_ONCE
            || self.settled_at.elapsed() >= SETTLE_EVERY;
        if due && self.settling.is_empty() && !self.unsettled.is_empty() {
            self.settle();
        }
    }

    pub(super) fn settle(&mut self) {
        let written = std::mem::take(&mut self.unsettled);
        self.settled_at = Instant::now();
        let desk = Arc::clone(&self.desk);
        self.settling.spawn_blocking(move || desk.settle(written));
    }

    fn start_gaps(&mut self) {
        if self.gaps_begun || self.listing.is_some() {
            return;
        }
        self.gaps_begun = true;
        let (desk, from) = (Arc::clone(&self.desk), self.gaps_from);
        if from < self.index.changed().bound() {
            let listed = self.index.changed().clone();
            self.gaps
                .spawn_blocking(move || desk.clear_gaps(&listed, from));
        }
    }

    /// Lists again what only the first snapshot holds, for nothing but two listings says so; then blocks
    /// whose tokens were not kept, are void, or belonged to wrong bytes.
    fn start_relisting(&mut self) {
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
}
