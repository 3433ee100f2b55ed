//! The way back, and what is cleaned up at the end.

use std::collections::BTreeSet;

use snapmigrate_models::ids::{SnapshotId, VolumeId};
use snapmigrate_models::inventory::VolumeFacts;
use snapmigrate_models::progress::RoundProgress;
use snapmigrate_models::step::{Action, StepResult};

use super::Context;
use super::discard::discard;
use crate::execute::adopt::LAG_SECONDS;
use crate::execute::failure::Failure;
use crate::execute::names::{plan_tags, step_tags};
use crate::quiesce::channel::{Channel, HostError};
use crate::quiesce::protocol::{ErrorCode, FenceState, Status, TakeDown, Unfence};

impl Context<'_> {
    pub(super) async fn take_down(&self) -> Result<StepResult, Failure> {
        self.target_host()?.call(TakeDown {}).await?;
        Ok(StepResult::Done)
    }

    /// A host that has let go by itself, or was never fenced, serves.
    pub(super) async fn unfence(&self, epoch: u64) -> Result<StepResult, Failure> {
        self.unfence_on(self.source_host()?, epoch).await
    }

    pub(super) async fn unfence_on(
        &self,
        host: &Channel,
        epoch: u64,
    ) -> Result<StepResult, Failure> {
        match host.call(Unfence { epoch }).await {
            Ok(_)
            | Err(HostError::Refused {
                code: ErrorCode::NotFenced,
                ..
            }) => Ok(StepResult::Done),
            // A host that was booted anew has let go under the next number.
            Err(error)
                if matches!(
                    error.code(),
                    Some(ErrorCode::LeaseEnded | ErrorCode::StaleEpoch)
                ) =>
            {
                let status = host.call(Status {}).await?;
                if status.fence == FenceState::None {
                    return Ok(StepResult::Done);
                }
                let over = status.lease_remaining_seconds == Some(0.0);
                if error.code() == Some(ErrorCode::StaleEpoch) && !over {
                    return Err(error.into());
                }
                Err(Failure::transient(
                    "the lease has ended, the host is letting go",
                ))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Detaches and deletes the restored volumes, those of a lost answer included.
    pub(super) async fn delete_volumes(&self) -> Result<StepResult, Failure> {
        let volumes = self.restored_volumes().await?;
        let ids: Vec<VolumeId> = volumes.keys().cloned().collect();
        self.let_go(&ids).await?;
        let volumes: Vec<VolumeFacts> = volumes.into_values().collect();
        self.remove_volumes(&volumes, "volumes are not detached yet")
            .await?;
        Ok(StepResult::Done)
    }

    async fn restored_volumes(
        &self,
    ) -> Result<std::collections::BTreeMap<VolumeId, VolumeFacts>, Failure> {
        let prepared = self.progress.tried(&Action::PrepareVolumes);
        let making = if prepared {
            Action::PrepareVolumes
        } else {
            Action::CreateVolumes
        };
        let tags = step_tags(self.plan, &making.step_id());
        let tags: Vec<(String, String)> = tags.into_iter().collect();
        let known: BTreeSet<&VolumeId> = self.progress.restored.iter().map(|p| &p.target).collect();
        let complete = |found: &[VolumeFacts]| {
            let all = known
                .iter()
                .all(|id| found.iter().any(|facts| facts.volume == **id));
            all && found.len() >= self.plan.volumes.len()
        };
        // A step that ended otherwise than well wrote down none of its volumes: all may be there and not be seen yet.
        let poll = self.poll().hurried();
        loop {
            let mut found = self
                .sides
                .target
                .volumes_tagged(&tags.iter().cloned().collect())
                .await?;
            found.extend(self.taken_over().await?);
            found.retain(|facts| facts.state != "deleted" && facts.state != "deleting");
            if complete(&found) || poll.waited_seconds() >= LAG_SECONDS {
                return Ok(found.into_iter().map(|v| (v.volume.clone(), v)).collect());
            }
            poll.pause("volumes that were made may still appear")
                .await?;
        }
    }

    /// Deletes what two completed successors made superfluous; never what we did not make.
    pub(super) async fn cleanup(&self) -> Result<StepResult, Failure> {
        let foreign: BTreeSet<&SnapshotId> = self
            .plan
            .volumes
            .iter()
            .filter_map(|planned| planned.reusable_base.as_ref())
            .collect();
        let superfluous = self.progress.superfluous();
        let made = superfluous.iter().map(|(snapshot, _)| snapshot);
        let made = made.filter(|snapshot| !foreign.contains(snapshot));
        discard(&self.sides.source, self.clock, made).await?;
        let copies = superfluous.iter().filter_map(|(_, copy)| copy.as_ref());
        discard(&self.sides.target, self.clock, copies).await?;
        Ok(StepResult::Done)
    }

    /// Deletes what is both in the journal and tagged as this plan's; what someone else made, or deleted, is left alone.
    pub(super) async fn delete_snapshots(&self) -> Result<StepResult, Failure> {
        let tags = plan_tags(self.plan);
        let rounds = self
            .progress
            .rounds
            .values()
            .flat_map(RoundProgress::members);
        let (mut made, mut copies) = (BTreeSet::new(), BTreeSet::new());
        for (_, snapshot, copy) in rounds {
            made.insert(snapshot);
            copies.extend(copy);
        }
        copies.extend(self.progress.kept.iter().map(|kept| kept.snapshot.clone()));
        for (side, known) in [(&self.sides.source, made), (&self.sides.target, copies)] {
            let mut found = side.snapshots_tagged(&tags).await?;
            found.retain(|found| known.contains(&found.snapshot));
            discard(side, self.clock, found.iter().map(|found| &found.snapshot)).await?;
        }
        Ok(StepResult::Done)
    }
}
