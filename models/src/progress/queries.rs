//! What a reader asks of the progress.

use super::{FenceState, Progress, RoundProgress};
use crate::ids::{SnapshotId, VolumeId};
use crate::report::RunOutcome;
use crate::step::{Action, FailureClass};
use crate::units::{Blocks, Timestamp};

impl Progress {
    /// The round at `index`, once it was begun.
    #[must_use]
    pub fn round(&self, index: u32) -> Option<&RoundProgress> {
        self.rounds.get(&index)
    }

    /// Index of the round that would follow.
    #[must_use]
    pub fn next_index(&self) -> u32 {
        self.rounds.keys().next_back().map_or(0, |last| last + 1)
    }

    /// Dirty buffers were written at most `seconds` before `at`, for the round at `index`.
    #[must_use]
    pub fn flushed_before(&self, index: u32, at: Timestamp, seconds: f64) -> bool {
        let age = |flushed: &Timestamp| (at - *flushed).as_seconds_f64();
        self.flushes
            .get(&index)
            .is_some_and(|flushed| (0.0..=seconds).contains(&age(flushed)))
    }

    /// Index of the round taken behind the fence.
    #[must_use]
    pub fn final_round(&self) -> Option<u32> {
        self.rounds
            .iter()
            .find(|(_, round)| round.is_final)
            .map(|(index, _)| *index)
    }

    /// Attempts of a step that were started.
    #[must_use]
    pub fn attempts_of(&self, action: &Action) -> u32 {
        self.attempts.get(&action.step_id()).copied().unwrap_or(0)
    }

    /// Whether any attempt of a step was started, whatever became of it.
    #[must_use]
    pub fn tried(&self, action: &Action) -> bool {
        self.attempts_of(action) > 0
    }

    /// Freezes of which a set may stand that does not count, by step id.
    #[must_use]
    pub fn doubted_freezes(&self) -> Vec<String> {
        let failing = self.failing.iter();
        let freezes = failing.filter(|(_, f)| matches!(f.action, Action::FreezeSnapshot { .. }));
        freezes.map(|(step, _)| step.clone()).collect()
    }

    /// Number of the last fence.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.fence.as_ref().map(|fence| fence.epoch)
    }

    /// The source is known to be fenced under a lease.
    #[must_use]
    pub fn leased(&self) -> bool {
        self.fence
            .as_ref()
            .is_some_and(|fence| fence.state == FenceState::Leased)
    }

    /// The source is fenced, or may be because an answer is missing.
    #[must_use]
    pub fn may_be_fenced(&self) -> bool {
        self.fence
            .as_ref()
            .is_some_and(|fence| fence.state != FenceState::Released)
    }

    /// The point of no return is passed.
    #[must_use]
    pub fn committed(&self) -> bool {
        self.fence
            .as_ref()
            .is_some_and(|fence| fence.state == FenceState::Permanent)
    }

    /// The commit was sent and its last answer is missing: the fence may be permanent.
    #[must_use]
    pub fn commit_in_doubt(&self) -> bool {
        let Some(epoch) = self.epoch() else {
            return false;
        };
        let commit = Action::Commit { epoch };
        let asked = self
            .running
            .as_ref()
            .is_some_and(|running| running.action == commit);
        let lost = self.failing.get(&commit.step_id()).is_some_and(|failing| {
            matches!(
                failing.class,
                FailureClass::Unknown | FailureClass::Transient | FailureClass::Credentials
            )
        });
        !self.committed() && (asked || lost)
    }

    /// Whether a closed migration may be taken up again by the operator: its chain stands and
    /// nothing was fenced.
    #[must_use]
    pub fn reopenable(&self) -> bool {
        let ended = self.closed.as_ref().map(|closed| closed.outcome);
        let kind = matches!(
            ended,
            Some(RunOutcome::Copied | RunOutcome::Failed | RunOutcome::Aborted)
        );
        kind && self.fence.is_none()
    }

    /// Whether a child plan may take over here: before the fence, and with no step open that may have made
    /// something under its own plan's name.
    ///
    /// # Errors
    /// The reason in words, when it may not.
    pub fn may_adopt(&self) -> Result<(), String> {
        if self.fence.is_some() {
            return Err("the source was fenced already, and from there on a plan stays".to_owned());
        }
        if self.closed.is_some() && !self.reopenable() {
            return Err("the migration is closed".to_owned());
        }
        // A step that found its base gone has made nothing.
        let open = self.failing.values();
        let made_nothing = [FailureClass::Lineage, FailureClass::Gone];
        let open = open.filter(|failing| !made_nothing.contains(&failing.class));
        let open = open.map(|failing| &failing.action);
        let mut open = open.chain(self.running.iter().map(|running| &running.action));
        let makes = |action: &&Action| {
            let waits = matches!(
                action,
                Action::AwaitSnapshots { .. }
                    | Action::AwaitCopies { .. }
                    | Action::AwaitSync { .. }
                    | Action::MeasureDelta { .. }
                    | Action::Gate { .. }
                    | Action::Checkpoint { .. }
                    | Action::Flush { .. }
                    | Action::Preflight
            );
            !waits
        };
        match open.find(makes) {
            Some(action) => Err(format!("{} is not finished", action.step_id())),
            None => Ok(()),
        }
    }

    /// Snapshots and copies of rounds that two completed successors made superfluous, oldest
    /// first: `(snapshot at the source, copy in the target)` per volume.
    #[must_use]
    pub fn superfluous(&self) -> Vec<(SnapshotId, Option<SnapshotId>)> {
        let standing = self.rounds.iter().filter(|(_, round)| !round.given_up);
        let keep_from = standing.rev().nth(1).map_or(0, |(index, _)| *index);
        let old = self.rounds.range(..keep_from).map(|(_, round)| round);
        old.flat_map(RoundProgress::members)
            .map(|(_, snapshot, copy)| (snapshot, copy))
            .collect()
    }
}

impl RoundProgress {
    /// Volume, snapshot and copy of each member, in order of volumes.
    #[must_use]
    pub fn members(&self) -> Vec<(VolumeId, SnapshotId, Option<SnapshotId>)> {
        let copy = |volume: &VolumeId| {
            self.copies
                .iter()
                .find(|c| c.volume == *volume)
                .map(|c| c.snapshot.clone())
        };
        let member =
            |m: &crate::step::MadeSnapshot| (m.volume.clone(), m.snapshot.clone(), copy(&m.volume));
        self.snapshots.iter().map(member).collect()
    }

    /// Changed bytes of the whole group, once measured.
    #[must_use]
    pub fn delta_bytes(&self) -> Option<u64> {
        let deltas = self.deltas.as_ref()?;
        Some(Blocks(deltas.iter().map(|delta| delta.changed_blocks).sum()).bytes())
    }

    /// The instant the set holds, once it was taken.
    #[must_use]
    pub fn point_in_time(&self) -> Option<crate::units::Timestamp> {
        self.snapshots.iter().map(|s| s.started_at).min()
    }

    /// From the first point in time until the whole set was completed, in seconds.
    #[must_use]
    pub fn snapshot_seconds(&self) -> Option<f64> {
        let from = self.completed.iter().map(|s| s.started_at).min()?;
        let to = self.completed.iter().map(|s| s.completed_at).max()?;
        Some((to - from).as_seconds_f64())
    }

    /// From the set's completion until the data was in the target, in seconds. Each way is told by one clock, for they
    /// may be hours apart: copies by the service's, what was synced by the target host's, what was shared by the own.
    #[must_use]
    pub fn transfer_seconds(&self) -> Option<f64> {
        let (from, to) = if self.syncing.is_some() {
            let from = self.synced.iter().map(|s| s.started_at).min();
            (from?, self.synced.iter().map(|s| s.finished_at).max()?)
        } else if self.copies.is_empty() {
            (self.seen_at?, self.shared_at?)
        } else {
            let from = self.completed.iter().map(|s| s.completed_at).max();
            (from?, self.copied.iter().map(|s| s.completed_at).max()?)
        };
        Some((to - from).as_seconds_f64().max(0.0))
    }
}
