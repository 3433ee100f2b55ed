//! The steps of a revert: the target gives way, then the source serves again.

use snapmigrate_models::ids::VolumeId;
use snapmigrate_models::inventory::VolumeFacts;
use snapmigrate_models::progress::TargetClosed;
use snapmigrate_models::step::{StepResult, TargetPosition};

use super::Context;
use super::cutover::number;
use crate::execute::failure::{Failure, is_not_found};
use crate::quiesce::channel::{Channel, HostError};
use crate::quiesce::protocol::{
    DatabaseState, Fence, FenceState, Hello, Inspect, InspectReply, REVERT_ABILITY, Reopen, Status,
};

/// States in which nothing runs on an instance (EC2 user guide, instance lifecycle).
const STILL: [&str; 2] = ["stopped", "terminated"];

impl Context<'_> {
    /// The source must be there and closed under our number before anything is done to the target.
    pub(super) async fn check_revert(&self) -> Result<StepResult, Failure> {
        let source = self.source_host()?;
        able(source, "source").await?;
        let status = source.call(Status {}).await?;
        if (status.fence, status.epoch) != (FenceState::Permanent, self.progress.epoch()) {
            return Err(Failure::permanent(format!(
                "the source's fence is not the one of this cutover: {:?} under epoch {:?}",
                status.fence, status.epoch
            )));
        }
        match self.look_at_target().await {
            Ok(position) => Ok(StepResult::RevertChecked {
                target: Some(position),
                trouble: None,
            }),
            Err(Trouble::Silent(error)) => Ok(StepResult::RevertChecked {
                target: None,
                trouble: Some(error.to_string()),
            }),
            Err(Trouble::Failed(failure)) => Err(failure),
        }
    }

    async fn look_at_target(&self) -> Result<TargetPosition, Trouble> {
        let target = self.target_host()?;
        able(target, "target").await?;
        let status = target.call(Status {}).await?;
        if status.fence != FenceState::None {
            return Err(Failure::transient("the target is letting an earlier fence go").into());
        }
        let found = target.call(Inspect {}).await?;
        Ok(position(found, status.database)?)
    }

    pub(super) async fn fence_target(&self, epoch: u64) -> Result<StepResult, Failure> {
        let revert = self.progress.revert.as_ref();
        let asked_at = revert.filter(|r| r.epoch == epoch).map(|r| r.asked_at);
        let host = self.target_host()?;
        let lease_seconds = self.lease_left(host, epoch, asked_at).await?;
        let fence = Fence {
            epoch,
            lease_seconds,
            expected: None,
        };
        let reply = host.call(fence).await?;
        Ok(StepResult::TargetFenced {
            fenced_at: reply.fenced_at,
            last_target_write: reply.last_source_write,
            position: TargetPosition {
                system_identifier: reply.system_identifier,
                lsn: reply.lsn,
                timeline: number(reply.timeline)?,
                transactions: reply.transactions,
            },
        })
    }

    pub(super) async fn commit_target(&self, epoch: u64) -> Result<StepResult, Failure> {
        self.commit_on(self.target_host()?, epoch).await
    }

    pub(super) async fn unfence_target(&self, epoch: u64) -> Result<StepResult, Failure> {
        self.unfence_on(self.target_host()?, epoch).await
    }

    /// Nothing runs on a stopped instance, and without the volumes nothing serves when it is started again.
    pub(super) async fn isolate_target(&self) -> Result<StepResult, Failure> {
        let Some(instance) = &self.plan.target.instance else {
            return Err(Failure::permanent("the plan names no target instance"));
        };
        let target = &self.sides.target;
        let state = match target.instance_volumes(instance).await {
            Ok(found) => found.state,
            // A terminated instance is forgotten after a while.
            Err(error) if is_not_found(&error) => "terminated".to_owned(),
            Err(error) => return Err(error.into()),
        };
        if !STILL.contains(&state.as_str()) {
            return Err(Failure::permanent(format!(
                "instance {instance} is {state}"
            )));
        }
        let pairs = &self.progress.restored;
        let ids: Vec<VolumeId> = pairs.iter().map(|pair| pair.target.clone()).collect();
        let facts = target.describe_volumes(&ids).await?;
        for held in &facts {
            match &held.attached_to {
                None => {}
                Some(holder) if holder == instance => target.detach_volume(&held.volume).await?,
                Some(holder) => {
                    return Err(Failure::permanent(format!(
                        "{} is attached to {holder} by someone else",
                        held.volume
                    )));
                }
            }
        }
        let free = |v: &VolumeFacts| v.state == "available";
        self.await_volumes(&ids, "volumes are not detached yet", free)
            .await?;
        let at = self.clock.now();
        Ok(StepResult::TargetIsolated { at, state })
    }

    pub(super) async fn reopen_source(&self, epoch: u64) -> Result<StepResult, Failure> {
        let source = self.source_host()?;
        let committed = self.progress.epoch();
        let committed_epoch =
            committed.ok_or_else(|| Failure::permanent("the source was never fenced"))?;
        let evidence = self.evidence()?;
        let reply = source
            .call(Reopen {
                epoch,
                committed_epoch,
                evidence,
            })
            .await?;
        let found = source.call(Inspect {}).await?;
        Ok(StepResult::SourceReopened {
            reopened_at: reply.reopened_at,
            first_source_write: reply.first_write,
            lsn: reply.lsn,
            timeline: number(found.timeline)?,
        })
    }

    /// What makes it safe, for the source's own record.
    fn evidence(&self) -> Result<String, Failure> {
        let revert = self.progress.revert.as_ref();
        let closed = revert.and_then(|revert| Some((revert, revert.closed.as_ref()?)));
        let (revert, (at, how)) =
            closed.ok_or_else(|| Failure::permanent("the target is not closed for good"))?;
        Ok(match how {
            TargetClosed::Committed => format!(
                "the target's fence of epoch {} is permanent since {}",
                revert.epoch,
                at.to_rfc3339()
            ),
            TargetClosed::Isolated { state } => format!(
                "the target's instance was {state} and had none of the volumes at {}",
                at.to_rfc3339()
            ),
        })
    }
}

/// Why the target could not be looked at.
enum Trouble {
    Silent(HostError),
    Failed(Failure),
}

impl From<HostError> for Trouble {
    fn from(error: HostError) -> Self {
        match error {
            HostError::ChannelLost { .. } => Self::Silent(error),
            HostError::Refused { .. } => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Silent(error) => error.into(),
            Trouble::Failed(failure) => failure,
        }
    }
}

/// A helper of before there was a revert would refuse in the middle of it.
async fn able(host: &Channel, side: &str) -> Result<(), Trouble> {
    let hello = host.call(Hello {}).await?;
    if hello
        .abilities
        .iter()
        .any(|ability| ability == REVERT_ABILITY)
    {
        return Ok(());
    }
    Err(Failure::permanent(format!(
        "the helper on the {side} host ({}) is too old for a revert: update it",
        hello.version
    ))
    .into())
}

fn position(found: InspectReply, database: DatabaseState) -> Result<TargetPosition, Failure> {
    let serves = database == DatabaseState::Running && !found.in_recovery;
    if !serves && database != DatabaseState::Stopped {
        return Err(Failure::transient(format!(
            "the target's database is {database:?}, neither serving nor stopped"
        )));
    }
    Ok(TargetPosition {
        system_identifier: found.system_identifier,
        lsn: found.lsn,
        timeline: number(found.timeline)?,
        // What a server that broke down did last is not in its control file.
        transactions: found.transactions.filter(|_| serves),
    })
}
