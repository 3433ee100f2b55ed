//! Which result is one of which step, and what it must say. It must not know when a step may be taken.

use super::{Progress, require};
use crate::step::{Action, StepResult};

impl Progress {
    pub(super) fn fits(&self, action: &Action, result: &StepResult) -> Result<(), String> {
        use Action as A;
        use StepResult as R;
        let fits = match action {
            A::Preflight => matches!(result, R::Done | R::Inspected { .. }),
            A::Snapshot { .. } | A::Copy { .. } | A::KeepTarget => {
                matches!(result, R::Started { snapshots } if !snapshots.is_empty())
            }
            A::AwaitSnapshots { .. } | A::AwaitCopies { .. } => {
                matches!(result, R::Completed { snapshots } if !snapshots.is_empty())
            }
            A::MeasureDelta { .. } => matches!(result, R::Deltas { .. }),
            A::TryRestore { .. } => matches!(result, R::Tried { .. } | R::Done),
            A::Gate { .. } => matches!(result, R::Gate { .. }),
            A::Fence { .. } => matches!(result, R::Fenced { .. }),
            A::FreezeSnapshot { .. } => {
                matches!(result, R::Frozen { snapshots, .. } if !snapshots.is_empty())
            }
            A::CreateVolumes | A::PrepareVolumes => {
                matches!(result, R::Volumes { volumes } if !volumes.is_empty())
            }
            A::AwaitSync { .. } => {
                matches!(result, R::Synced { volumes } if !volumes.is_empty())
            }
            A::Prove => matches!(result, R::Proved { .. }),
            A::Commit { .. } | A::CommitTarget { .. } => matches!(result, R::Committed { .. }),
            A::Activate { .. } => matches!(result, R::Activated { .. }),
            A::CheckRevert { .. } => matches!(result, R::RevertChecked { .. }),
            A::FenceTarget { .. } => matches!(result, R::TargetFenced { .. }),
            A::IsolateTarget { .. } => matches!(result, R::TargetIsolated { .. }),
            A::ReopenSource { .. } => matches!(result, R::SourceReopened { .. }),
            A::Hook { .. } => matches!(result, R::HookRan { .. }),
            A::Compare => matches!(result, R::Compared { .. }),
            A::Share { .. }
            | A::Sync { .. }
            | A::Checkpoint { .. }
            | A::Flush { .. }
            | A::AttachVolumes
            | A::BringUp
            | A::Cleanup
            | A::DeleteSnapshots
            | A::TakeDown
            | A::DeleteVolumes
            | A::DiscardFreezes
            | A::Unfence { .. }
            | A::UnfenceTarget { .. } => matches!(result, R::Done),
        };
        require(fits, "the result is not one of this step")?;
        self.is_synced(action, result)?;
        self.proves(result)
    }

    /// Rule one of the path `direct`: changed, written and read-back set are one set, of every volume,
    /// from the content that the round before left to the round's own.
    fn is_synced(&self, action: &Action, result: &StepResult) -> Result<(), String> {
        let (Some(index), StepResult::Synced { volumes }) = (action.round(), result) else {
            return Ok(());
        };
        let round = self.round(index).ok_or("the round was never begun")?;
        let whole = round.syncing.is_none_or(|syncing| syncing.whole);
        require(
            volumes.len() == round.completed.len(),
            "not every volume of the round is synced",
        )?;
        for (synced, member) in volumes.iter().zip(&round.completed) {
            let volume = &member.volume;
            let from = self.held_before(index, volume).filter(|_| !whole);
            let same = synced.volume == *volume && synced.to == member.snapshot;
            require(
                same && synced.from.as_ref() == from,
                &format!("{volume} was not brought from the round before to this one"),
            )?;
            require(
                synced.is_proved(),
                &format!(
                    "{volume}: {} blocks changed, {} were written and {} read back",
                    synced.changed_blocks, synced.written_blocks, synced.read_back_blocks
                ),
            )?;
        }
        Ok(())
    }

    /// A proof must be of the database that was fenced, and so must a target that gives way.
    fn proves(&self, result: &StepResult) -> Result<(), String> {
        let found = match result {
            StepResult::Proved {
                system_identifier, ..
            } => system_identifier,
            StepResult::TargetFenced { position, .. } => &position.system_identifier,
            StepResult::RevertChecked {
                target: Some(position),
                ..
            } => &position.system_identifier,
            _ => return Ok(()),
        };
        let fenced = self.fence.as_ref().and_then(|fence| fence.facts.as_ref());
        let same = fenced.is_some_and(|facts| facts.system_identifier == *found);
        require(
            same,
            "the target holds another database than the one that was fenced",
        )
    }
}
