//! A restore tried while the source serves: made as the cutover makes it, measured, and removed.

use snapmigrate_models::ids::VolumeId;
use snapmigrate_models::inventory::VolumeFacts;
use snapmigrate_models::plan::PlannedVolume;
use snapmigrate_models::step::{Action, StepResult, TriedRestore, VolumePair};

use super::Context;
use crate::cloud::VolumeRequest;
use crate::execute::adopt::LAG_SECONDS;
use crate::execute::failure::Failure;
use crate::execute::names::{client_token, step_tags, volume_tags};
use crate::quiesce::channel::HostError;
use crate::quiesce::protocol::{BringUp, ErrorCode, MountRequest, TakeDown};

/// Where a log begins: a round has no fence to reach.
const NO_LSN: &str = "0/0";

impl Context<'_> {
    /// The first attempt measures; a later one only removes what is left, so that whatever became of the first
    /// one's answers nothing stays behind.
    pub(super) async fn try_restore(
        &self,
        round: u32,
        action: &Action,
    ) -> Result<StepResult, Failure> {
        let step = action.step_id();
        if self.attempt > 1 {
            self.remove_tried(&step).await?;
            return Ok(StepResult::Done);
        }
        let restore = self.restored_and_measured(round, &step).await?;
        self.remove_tried(&step).await?;
        Ok(StepResult::Tried { restore })
    }

    async fn restored_and_measured(&self, round: u32, step: &str) -> Result<TriedRestore, Failure> {
        let begun = self.clock.now();
        let volumes = self.create_tried(round, step).await?;
        let created = self.clock.now();
        self.attach_tried(&volumes).await?;
        let attached = self.clock.now();
        let replay_seconds = self.start_tried(&volumes).await?;
        let started = self.clock.now();
        Ok(TriedRestore {
            create_seconds: (created - begun).as_seconds_f64(),
            attach_seconds: (attached - created).as_seconds_f64(),
            start_seconds: (started - attached).as_seconds_f64(),
            replay_seconds,
        })
    }

    async fn create_tried(&self, round: u32, step: &str) -> Result<Vec<VolumePair>, Failure> {
        let mut volumes = Vec::new();
        for planned in &self.plan.volumes {
            let request = self.tried_request(round, step, planned)?;
            let target = self.made(request, step, planned).await?;
            volumes.push(VolumePair {
                source: planned.volume.clone(),
                target,
                holds: None,
            });
        }
        let ids: Vec<VolumeId> = volumes.iter().map(|pair| pair.target.clone()).collect();
        self.await_volumes(&ids, "volumes of the trial are not available yet", |v| {
            v.state == "available"
        })
        .await?;
        Ok(volumes)
    }

    /// As for the cutover, but without a provisioned rate of initialization: that is paid for by the byte.
    fn tried_request(
        &self,
        round: u32,
        step: &str,
        planned: &PlannedVolume,
    ) -> Result<VolumeRequest, Failure> {
        let of = self.round(round)?;
        let set = if of.copied.is_empty() {
            &of.completed
        } else {
            &of.copied
        };
        let member = set.iter().find(|s| s.volume == planned.volume);
        let missing = || {
            Failure::permanent(format!(
                "round {round} has no snapshot of {}",
                planned.volume
            ))
        };
        Ok(VolumeRequest {
            snapshot: Some(member.ok_or_else(missing)?.snapshot.clone()),
            encrypted: false,
            zone: self.plan.target.zone.clone(),
            size_gib: planned.size_gib,
            volume_type: planned.target_volume_type.clone(),
            kms_key: None,
            initialization_mib_per_second: None,
            client_token: client_token(self.plan, step, &planned.volume),
            tags: volume_tags(self.plan, step, &planned.volume),
        })
    }

    async fn attach_tried(&self, volumes: &[VolumePair]) -> Result<(), Failure> {
        let Some(instance) = &self.plan.target.instance else {
            return Err(Failure::permanent("the plan names no target instance"));
        };
        for pair in volumes {
            let mut planned = self.plan.volumes.iter();
            let planned = planned.find(|planned| planned.volume == pair.source);
            let device = planned.map_or("/dev/sdf", |planned| planned.device.as_str());
            let target = &self.sides.target;
            target.attach_volume(&pair.target, instance, device).await?;
        }
        let ids: Vec<VolumeId> = volumes.iter().map(|pair| pair.target.clone()).collect();
        let attached =
            |v: &VolumeFacts| v.attached_to.as_ref() == Some(instance) && v.state == "in-use";
        self.await_volumes(&ids, "volumes of the trial are not attached yet", attached)
            .await
    }

    /// Starts the database isolated, as the cutover does: a standby that nobody reaches and that is never promoted.
    /// Says how much of that was the replay of its log.
    async fn start_tried(&self, volumes: &[VolumePair]) -> Result<Option<f64>, Failure> {
        let known = self.progress.preflight.as_ref();
        let system_identifier = known.and_then(|known| known.system_identifier.clone());
        let system_identifier = system_identifier
            .ok_or_else(|| Failure::permanent("the preflight has not looked at the hosts"))?;
        let mounts = known
            .map(|known| known.mounts.as_slice())
            .unwrap_or_default();
        let mount = |mount: &snapmigrate_models::step::VolumeMount| {
            let pair = volumes.iter().find(|pair| pair.source == mount.volume)?;
            Some(MountRequest {
                volume: pair.target.to_string(),
                mountpoint: mount.mountpoint.clone(),
            })
        };
        let request = BringUp {
            mounts: mounts.iter().filter_map(mount).collect(),
            stacks: known.map(|known| known.stacks.clone()).unwrap_or_default(),
            system_identifier,
            lsn: NO_LSN.to_owned(),
            timeline: 1,
        };
        Ok(self.target_host()?.call(request).await?.replay_seconds)
    }

    async fn remove_tried(&self, step: &str) -> Result<(), Failure> {
        self.stop_tried().await?;
        let volumes = self.tried_volumes(step).await?;
        self.remove_volumes(&volumes, "volumes of the trial are not detached yet")
            .await
    }

    /// A volume is detached only from a host that has let go of it; one on which nothing was brought up has.
    async fn stop_tried(&self) -> Result<(), Failure> {
        let host = self.target_host()?;
        match host.call(TakeDown {}).await {
            Ok(_)
            | Err(HostError::Refused {
                code: ErrorCode::NoTarget,
                ..
            }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything the trial made; what an answer that was lost made shows up within a while.
    async fn tried_volumes(&self, step: &str) -> Result<Vec<VolumeFacts>, Failure> {
        let tags = step_tags(self.plan, step);
        let poll = self.poll().hurried();
        loop {
            let mut found = self.sides.target.volumes_tagged(&tags).await?;
            found.retain(|facts| facts.state != "deleted" && facts.state != "deleting");
            let whole = found.len() >= self.plan.volumes.len();
            if whole || poll.waited_seconds() >= LAG_SECONDS {
                return Ok(found);
            }
            poll.pause("volumes of the trial may still appear").await?;
        }
    }
}
