//! The steps that hosts carry out: fence, standby, proof, commit, activation.

use snapmigrate_models::step::StepResult;
use snapmigrate_models::units::Timestamp;

use super::Context;
use crate::execute::failure::Failure;
use crate::quiesce::channel::{Channel, HostError};
use crate::quiesce::protocol::{
    Activate, BringUp, Commit, ErrorCode, Fence, FenceState, MountRequest, Prove, Status,
};

impl Context<'_> {
    pub(super) async fn fence(&self, epoch: u64) -> Result<StepResult, Failure> {
        let asked = self.progress.fence.as_ref();
        let asked_at = asked
            .filter(|fence| fence.epoch == epoch)
            .map(|f| f.asked_at);
        let host = self.source_host()?;
        let lease_seconds = self.lease_left(host, epoch, asked_at).await?;
        let gate = self.progress.gates.last();
        let fence = Fence {
            epoch,
            lease_seconds,
            expected: gate.and_then(|gate| gate.server.clone()),
        };
        let reply = host.call(fence).await?;
        Ok(StepResult::Fenced {
            fenced_at: reply.fenced_at,
            last_source_write: reply.last_source_write,
            lsn: reply.lsn,
            system_identifier: reply.system_identifier,
            timeline: number(reply.timeline)?,
        })
    }

    /// The lease to ask for. Asked again, it still ends when the first call's would have: a fence that stands keeps
    /// its end by the host's own clock, whatever became of ours.
    pub(super) async fn lease_left(
        &self,
        host: &Channel,
        epoch: u64,
        asked_at: Option<Timestamp>,
    ) -> Result<f64, Failure> {
        let lease_seconds = self.plan.policy.lease_seconds;
        let Some(asked_at) = asked_at else {
            return Ok(lease_seconds);
        };
        let status = host.call(Status {}).await?;
        let standing = status.lease_remaining_seconds;
        let standing = standing.filter(|_| status.epoch == Some(epoch));
        let passed = (self.clock.now() - asked_at).as_seconds_f64().max(0.0);
        Ok((lease_seconds - passed).min(standing.unwrap_or(lease_seconds)))
    }

    /// Behind the fence, between looks at the service: is the host there and the lease ours? It is only asked: the
    /// lease keeps its end, because the policy bounds the time without a commit.
    pub(super) async fn keep_lease(&self) -> Result<(), Failure> {
        let (Some(deadline), Some(epoch)) = (self.deadline, self.progress.epoch()) else {
            return Ok(());
        };
        let ended = || Err(Failure::permanent("the lease of the fence has ended"));
        if deadline <= self.clock.now() {
            return ended();
        }
        match self.source_host()?.call(Status {}).await {
            Ok(status) if status.fence == FenceState::Leased && status.epoch == Some(epoch) => {
                Ok(())
            }
            Ok(_) => ended(),
            Err(HostError::ChannelLost { .. }) => Ok(()),
            Err(refused) => Err(refused.into()),
        }
    }

    pub(super) async fn bring_up(&self) -> Result<StepResult, Failure> {
        let facts = self.fence_facts()?.clone();
        let mounts = self.target_mounts()?;
        let known = self.progress.preflight.as_ref();
        let reply = self.target_host()?.call(BringUp {
            mounts,
            stacks: known.map(|known| known.stacks.clone()).unwrap_or_default(),
            system_identifier: facts.system_identifier.clone(),
            lsn: facts.lsn,
            timeline: u64::from(facts.timeline),
        });
        let reply = reply.await?;
        if reply.system_identifier == facts.system_identifier {
            return Ok(StepResult::Done);
        }
        Err(Failure::permanent(format!(
            "the target holds database {}, the source is {}",
            reply.system_identifier, facts.system_identifier
        )))
    }

    fn target_mounts(&self) -> Result<Vec<MountRequest>, Failure> {
        let known = self
            .progress
            .preflight
            .as_ref()
            .map(|known| known.mounts.as_slice());
        let restored = |volume: &snapmigrate_models::ids::VolumeId| {
            self.progress
                .restored
                .iter()
                .find(|pair| pair.source == *volume)
        };
        let mounts = known
            .unwrap_or_default()
            .iter()
            .map(|mount| match restored(&mount.volume) {
                Some(pair) => Ok(MountRequest {
                    volume: pair.target.to_string(),
                    mountpoint: mount.mountpoint.clone(),
                }),
                None => Err(Failure::permanent(format!(
                    "{} was not restored",
                    mount.volume
                ))),
            });
        mounts.collect()
    }

    pub(super) async fn prove(&self) -> Result<StepResult, Failure> {
        let facts = self.fence_facts()?.clone();
        let host = self.target_host()?;
        let prove = Prove {
            system_identifier: facts.system_identifier,
            lsn: facts.lsn,
        };
        let reply = host.call(prove).await?;
        Ok(StepResult::Proved {
            replay_lsn: reply.replay_lsn,
            system_identifier: reply.system_identifier,
            timeline: number(reply.timeline)?,
        })
    }

    /// The host answers from its durable record: asked again it says the same, whatever became of
    /// the first answer.
    pub(super) async fn commit(&self, epoch: u64) -> Result<StepResult, Failure> {
        self.commit_on(self.source_host()?, epoch).await
    }

    pub(super) async fn commit_on(
        &self,
        host: &Channel,
        epoch: u64,
    ) -> Result<StepResult, Failure> {
        match host.call(Commit { epoch }).await {
            Ok(reply) => Ok(StepResult::Committed {
                committed_at: reply.committed_at,
            }),
            Err(HostError::Refused {
                code: ErrorCode::Committed,
                ..
            }) => {
                let status = host.call(Status {}).await?;
                if status.fence == FenceState::Permanent && status.epoch == Some(epoch) {
                    return Ok(StepResult::Committed {
                        committed_at: self.clock.now(),
                    });
                }
                Err(Failure::permanent(
                    "the fence was made permanent under another number",
                ))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn activate(&self, epoch: u64) -> Result<StepResult, Failure> {
        let reply = self.target_host()?.call(Activate { epoch }).await?;
        Ok(StepResult::Activated {
            activated_at: reply.activated_at,
            first_target_write: reply.first_target_write,
            timeline: number(reply.timeline)?,
            lsn: Some(reply.lsn),
            transactions: reply.transactions,
        })
    }
}

/// PostgreSQL's timelines are 32-bit.
pub(super) fn number(timeline: u64) -> Result<u32, Failure> {
    let refused = |_| Failure::permanent(format!("{timeline} is no timeline"));
    u32::try_from(timeline).map_err(refused)
}
