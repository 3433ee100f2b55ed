//! One action to calls to a result. Each file holds what one group of actions does.
//!
//! Every action may run again after a lost answer, so each looks for what it may have made before
//! it makes anything.

mod compare;
mod copies;
mod cutover;
mod delta;
mod direct;
mod discard;
mod earlier;
mod freeze;
mod gate;
mod hooks;
mod lineage;
mod preflight;
mod restore;
mod revert;
mod snapshots;
mod trial;
mod undo;

use snapmigrate_models::decide::Goal;
use snapmigrate_models::ids::VolumeId;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::progress::{FenceFacts, Progress, RoundProgress};
use snapmigrate_models::step::{Action, StepResult};
use snapmigrate_models::units::Timestamp;

use super::Sides;
use super::failure::Failure;
use super::poll::Poll;
use crate::clock::Clock;
use crate::quiesce::channel::Channel;

/// What an action may look at. The progress is that before its start.
pub(super) struct Context<'a> {
    pub(super) sides: &'a Sides,
    pub(super) plan: &'a Plan,
    pub(super) clock: Clock,
    pub(super) goal: Goal,
    pub(super) progress: &'a Progress,
    /// 1 for the first.
    pub(super) attempt: u32,
    /// End of the lease, while one runs.
    pub(super) deadline: Option<Timestamp>,
}

/// Carries out one action.
pub(super) async fn act(context: &Context<'_>, action: &Action) -> Result<StepResult, Failure> {
    match action {
        Action::Preflight => context.preflight().await,
        Action::Snapshot { round } => context.snapshot(*round, action).await,
        Action::AwaitSnapshots { round } => context.await_snapshots(*round).await,
        Action::MeasureDelta { round } => context.measure_delta(*round).await,
        Action::Share { round } => context.share(*round).await,
        Action::Copy { round } => context.copy(*round, action).await,
        Action::AwaitCopies { round } => context.await_copies(*round).await,
        Action::PrepareVolumes => context.prepare_volumes(action).await,
        Action::Sync { round, whole } => context.sync_volumes(*round, *whole).await,
        Action::AwaitSync { round } => context.await_sync(*round).await,
        Action::KeepTarget => context.keep_target(action).await,
        Action::TryRestore { round, .. } => context.try_restore(*round, action).await,
        Action::Gate { .. } => context.gate().await,
        Action::Checkpoint { .. } | Action::Flush { .. } => context.checkpoint().await,
        Action::Fence { epoch } => context.fence(*epoch).await,
        Action::FreezeSnapshot { round, attempt } => context.freeze(*round, *attempt).await,
        Action::CreateVolumes => context.create_volumes(action).await,
        Action::AttachVolumes => context.attach_volumes().await,
        Action::BringUp => context.bring_up().await,
        Action::Prove => context.prove().await,
        Action::Commit { epoch } => context.commit(*epoch).await,
        Action::Activate { epoch } => context.activate(*epoch).await,
        Action::Hook { name, occasion } => context.hook(name, *occasion).await,
        Action::Compare => context.compare().await,
        Action::Cleanup => context.cleanup().await,
        Action::DeleteSnapshots => context.delete_snapshots().await,
        Action::TakeDown => context.take_down().await,
        Action::DeleteVolumes => context.delete_volumes().await,
        Action::DiscardFreezes => context.discard_freezes().await,
        Action::Unfence { epoch } => context.unfence(*epoch).await,
        Action::CheckRevert { .. } => context.check_revert().await,
        Action::FenceTarget { epoch } => context.fence_target(*epoch).await,
        Action::CommitTarget { epoch } => context.commit_target(*epoch).await,
        Action::IsolateTarget { .. } => context.isolate_target().await,
        Action::ReopenSource { epoch } => context.reopen_source(*epoch).await,
        Action::UnfenceTarget { epoch } => context.unfence_target(*epoch).await,
    }
}

impl Context<'_> {
    fn poll(&self) -> Poll {
        Poll::new(self.clock, self.deadline)
    }

    fn volumes(&self) -> Vec<VolumeId> {
        self.plan
            .volumes
            .iter()
            .map(|planned| planned.volume.clone())
            .collect()
    }

    fn round(&self, index: u32) -> Result<&RoundProgress, Failure> {
        let missing = || Failure::permanent(format!("round {index} was never begun"));
        self.progress.round(index).ok_or_else(missing)
    }

    fn source_host(&self) -> Result<&Channel, Failure> {
        let host = self.sides.source_host.as_ref().ok_or_else(|| {
            Failure::permanent("no channel to the source's host: the plan names no database")
        });
        host.map(|host| host.under(self.progress.epoch()))
    }

    fn target_host(&self) -> Result<&Channel, Failure> {
        let host = self.sides.target_host.as_ref().ok_or_else(|| {
            Failure::permanent("no channel to the target's host: the plan names no database")
        });
        host.map(|host| host.under(self.progress.epoch()))
    }

    fn fence_facts(&self) -> Result<&FenceFacts, Failure> {
        let fence = self.progress.fence.as_ref();
        let facts = fence.and_then(|fence| fence.facts.as_ref());
        facts.ok_or_else(|| Failure::permanent("the source was never fenced"))
    }

    /// What an attempt made may exist, be in no journal and not be visible yet.
    fn answer_was_lost(&self, step: &str) -> bool {
        let failing = self.progress.failing.get(step);
        failing.is_some_and(|failing| failing.answer_lost)
    }
}
