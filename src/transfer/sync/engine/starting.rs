//! What may be started now: reads, batches, settling, listing again, clearing; each within its bound.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    BATCH, BATCH_OF_THE_IDLE, BATCHES, Engine, HELD_HERE, SETTLE_EVERY, SETTLED_AT_ONCE,
    SETTLED_TOGETHER, SETTLERS, UNSETTLED,
};
use crate::transfer::sync::batch::Arrived;
use crate::transfer::sync::content::Content;

impl Engine<'_> {
    pub(super) fn start_what_may_start(&mut self) {
        self.start_gaps();
        self.source.relist();
        while self.has_room() && self.arrived.len() < BATCH * 2 {
            let Some(block) = self.source.next_emptied() else {
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
            let Some(wanted) = self.source.next_wanted() else {
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
        let held = self.reads.len() + self.arrived.len() + self.batched + self.kept;
        held < self.flow.limit() + HELD_HERE && self.unsettled.len() < UNSETTLED
    }

    fn start_batches(&mut self) {
        while self.batches.len() < BATCHES && !self.arrived.is_empty() {
            let idle = self.batches.is_empty();
            let last = idle && self.reads.is_empty();
            let few = if idle { BATCH_OF_THE_IDLE } else { BATCH };
            if self.arrived.len() < few && !last {
                break;
            }
            self.arrived.sort_unstable_by_key(|arrived| arrived.block);
            let size = BATCH.min(self.arrived.len());
            self.batched += size;
            let batch = self.arrived.drain(..size).collect();
            let desk = Arc::clone(&self.desk);
            self.batches.spawn_blocking(move || desk.write(batch));
        }
    }

    fn start_settling(&mut self) {
        let idle = self.reads.is_empty() && self.arrived.is_empty() && self.batches.is_empty();
        let due = idle
            || self.unsettled.len() >= SETTLED_AT_ONCE
            || self.settled_at.elapsed() >= SETTLE_EVERY;
        if due && self.settling.len() < SETTLERS && !self.unsettled.is_empty() {
            self.settle();
        }
    }

    pub(super) fn settle(&mut self) {
        let size = SETTLED_TOGETHER.min(self.unsettled.len());
        let written: Vec<_> = self.unsettled.drain(..size).collect();
        self.settled_at = Instant::now();
        let desk = Arc::clone(&self.desk);
        self.settling.spawn_blocking(move || desk.settle(written));
    }

    fn start_gaps(&mut self) {
        if self.gaps_begun || self.source.is_listing() {
            return;
        }
        self.gaps_begun = true;
        let (desk, from) = (Arc::clone(&self.desk), self.gaps_from);
        if from < self.source.index().changed().bound() {
            let listed = self.source.index().changed().clone();
            self.gaps
                .spawn_blocking(move || desk.clear_gaps(&listed, from));
        }
    }
}
