//! Names and rounds of actions. They must not depend on anything but the action.

use super::Action;

impl Action {
    /// Deterministic name of the step, unique within a plan: the key of tags and client tokens.
    #[must_use]
    pub fn step_id(&self) -> String {
        match self {
            Self::Preflight => "preflight".into(),
            Self::Snapshot { round } => format!("r{round:02}.snapshot"),
            Self::AwaitSnapshots { round } => format!("r{round:02}.await-snapshots"),
            Self::MeasureDelta { round } => format!("r{round:02}.measure-delta"),
            Self::Share { round } => format!("r{round:02}.share"),
            Self::Copy { round } => format!("r{round:02}.copy"),
            Self::AwaitCopies { round } => format!("r{round:02}.await-copies"),
            Self::PrepareVolumes => "prepare-volumes".into(),
            Self::Sync {
                round,
                whole: false,
            } => format!("r{round:02}.sync"),
            Self::Sync { round, whole: true } => format!("r{round:02}.sync-whole"),
            Self::AwaitSync { round } => format!("r{round:02}.await-sync"),
            Self::TryRestore { round, trial } => format!("r{round:02}.try-restore.{trial}"),
            Self::Gate { attempt } => format!("gate.{attempt}"),
            Self::Checkpoint { attempt } => format!("checkpoint.{attempt}"),
            Self::Flush { round } => format!("r{round:02}.flush"),
            Self::Fence { epoch } => format!("fence.{epoch}"),
            Self::FreezeSnapshot { round, attempt } => {
                format!("r{round:02}.freeze-snapshot.{attempt}")
            }
            Self::KeepTarget => "keep-target".into(),
            Self::CreateVolumes => "create-volumes".into(),
            Self::AttachVolumes => "attach-volumes".into(),
            Self::BringUp => "bring-up".into(),
            Self::Prove => "prove".into(),
            Self::Commit { epoch } => format!("commit.{epoch}"),
            Self::Activate { epoch } => format!("activate.{epoch}"),
            Self::Compare => "compare".into(),
            Self::Cleanup => "cleanup".into(),
            Self::DeleteSnapshots => "delete-snapshots".into(),
            Self::TakeDown => "take-down".into(),
            Self::DeleteVolumes => "delete-volumes".into(),
            Self::DiscardFreezes => "discard-freezes".into(),
            Self::Hook { name, occasion } => format!("hook.{name}.{occasion}"),
            Self::Unfence { epoch } => format!("unfence.{epoch}"),
            Self::CheckRevert { attempt } => format!("check-revert.{attempt}"),
            Self::FenceTarget { epoch } => format!("fence-target.{epoch}"),
            Self::CommitTarget { epoch } => format!("commit-target.{epoch}"),
            Self::IsolateTarget { epoch } => format!("isolate-target.{epoch}"),
            Self::ReopenSource { epoch } => format!("reopen-source.{epoch}"),
            Self::UnfenceTarget { epoch } => format!("unfence-target.{epoch}"),
        }
    }

    /// A step of the way back to a source that serves.
    #[must_use]
    pub const fn is_way_back(&self) -> bool {
        matches!(
            self,
            Self::TakeDown | Self::DeleteVolumes | Self::DiscardFreezes | Self::Unfence { .. }
        )
    }

    /// Round the step belongs to, when it belongs to one.
    #[must_use]
    pub const fn round(&self) -> Option<u32> {
        match self {
            Self::Snapshot { round }
            | Self::AwaitSnapshots { round }
            | Self::MeasureDelta { round }
            | Self::Share { round }
            | Self::Copy { round }
            | Self::AwaitCopies { round }
            | Self::Sync { round, .. }
            | Self::AwaitSync { round }
            | Self::FreezeSnapshot { round, .. } => Some(*round),
            _ => None,
        }
    }
}
