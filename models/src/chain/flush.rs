//! What the database holds in memory when a snapshot is taken: the round that comes next carries it.
//!
//! A page that was dirtied before a round and written after it belongs to the next round's delta. A
//! CHECKPOINT right before a round writes such pages; without one they are as old as the checkpoint
//! period at most. The clean stop behind the fence writes the rest, so the final delta holds all that was
//! dirtied up to the fence. A stop in the middle of a checkpoint period without this order made the last
//! delta five times what was written to the disk in the same time (recorded, PostgreSQL 15 with 256 MB of
//! shared buffers).

use super::Chain;
use crate::draws::Draw;
use crate::load::LoadPaths;

/// Dirty pages are at most so old (PostgreSQL's default `checkpoint_timeout`, 5 minutes).
const CHECKPOINT_PERIOD_SECONDS: f64 = 300.0;

/// From the end of a CHECKPOINT to the snapshot that follows it: one call to the host, one to EC2 and,
/// right behind another set, the spacing EBS asks for (15 s).
const AFTER_CHECKPOINT_SECONDS: f64 = 5.0;

/// The point in time of a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Since {
    at: f64,
    flushed: bool,
}

impl Since {
    /// A round right after a CHECKPOINT.
    #[must_use]
    pub const fn flushed(at: f64) -> Self {
        Self { at, flushed: true }
    }

    /// A round somewhere between two checkpoints.
    #[must_use]
    pub const fn unflushed(at: f64) -> Self {
        Self { at, flushed: false }
    }
}

impl Chain {
    /// The round holds what was dirtied until then.
    pub(super) fn held_until(&self, since: Since, draw: &Draw) -> f64 {
        self.held(since, draw.phase)
    }

    /// The same in the middle of all draws.
    pub(super) fn held_at_middle(&self, since: Since) -> f64 {
        self.held(since, 0.5)
    }

    fn held(&self, since: Since, phase: f64) -> f64 {
        match (self.database, since.flushed) {
            (false, _) => since.at,
            (true, true) => since.at - AFTER_CHECKPOINT_SECONDS,
            (true, false) => since.at - CHECKPOINT_PERIOD_SECONDS * phase,
        }
    }

    /// Of what a database dirtied since the flush at `from`, what its metrics do not show yet: it is written before the
    /// next snapshot, by the CHECKPOINT or the stop that comes first. A forced CHECKPOINT is followed by as much silence.
    pub(super) fn held_now(&self, load: &LoadPaths, from: f64) -> f64 {
        match self.database {
            true => load.held(from, CHECKPOINT_PERIOD_SECONDS),
            false => 0.0,
        }
    }

    /// The operator knows how much a stop writes: it joins the largest delta, which sets the clock.
    pub(super) fn add_stated_flush(&self, bytes: &mut [f64]) {
        if let Some(largest) = bytes.iter_mut().max_by(|a, b| a.total_cmp(b)) {
            *largest += self.stated_flush_bytes;
        }
    }
}
