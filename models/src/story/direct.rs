//! Tests only: what the path `direct` answers.

use crate::progress::Progress;
use crate::step::{StepResult, SyncedVolume};
use crate::units::Timestamp;

/// Ten blocks, from the round before to this one.
pub(super) fn synced(progress: &Progress, index: u32, now: Timestamp) -> StepResult {
    let round = progress.round(index).expect("a round");
    let whole = round.syncing.is_none_or(|syncing| syncing.whole);
    let snapshot = round.completed.first().expect("a completed set");
    let before = progress.held_before(index, &snapshot.volume);
    StepResult::Synced {
        volumes: vec![SyncedVolume {
            volume: snapshot.volume.clone(),
            from: before.filter(|_| !whole).cloned(),
            to: snapshot.snapshot.clone(),
            changed_blocks: 10,
            written_blocks: 10,
            read_back_blocks: 10,
            resumed_blocks: 0,
            method: "sha256".into(),
            digest: "d".into(),
            started_at: now,
            finished_at: now,
        }],
    }
}
