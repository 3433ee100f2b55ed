//! Volumes from the final snapshots, attached to the target instance.

use std::collections::BTreeMap;

use snapmigrate_models::ids::{InstanceId, SnapshotId, VolumeId};
use snapmigrate_models::inventory::VolumeFacts;
use snapmigrate_models::plan::PlannedVolume;
use snapmigrate_models::step::{Action, StepResult, VolumePair};

use super::Context;
use crate::cloud::{CloudError, VolumeRequest};
use crate::execute::failure::{Failure, is_not_found};
use crate::execute::names::{client_token, volume_tags};

/// Volumes that are made in the place of deleted ones.
const MOST_REPLACEMENTS: u32 = 3;

impl Context<'_> {
    /// The client token makes a repeated call return the same volume.
    pub(super) async fn create_volumes(&self, action: &Action) -> Result<StepResult, Failure> {
        let step = action.step_id();
        let mut volumes = Vec::new();
        for planned in &self.plan.volumes {
            let request = self.volume_request(&step, planned)?;
            let target = self.made(request, &step, planned).await?;
            volumes.push(VolumePair {
                source: planned.volume.clone(),
                target,
                holds: None,
            });
        }
        volumes.sort_by(|a, b| a.source.cmp(&b.source));
        self.await_available(&volumes).await?;
        Ok(StepResult::Volumes { volumes })
    }

    /// The volume of a request. One that the client token names and that is gone was deleted by somebody else while
    /// nobody looked: another takes its place under the next token.
    pub(super) async fn made(
        &self,
        mut request: VolumeRequest,
        step: &str,
        planned: &PlannedVolume,
    ) -> Result<VolumeId, Failure> {
        for again in 1..=MOST_REPLACEMENTS {
            match self.sides.target.create_volume(&request).await {
                Err(error) if error.code == "InvalidVolume.NotFound" => {
                    let step = format!("{step}\n{again}");
                    request.client_token = client_token(self.plan, &step, &planned.volume);
                }
                made => return Ok(made?),
            }
        }
        Ok(self.sides.target.create_volume(&request).await?)
    }

    pub(super) async fn await_available(&self, volumes: &[VolumePair]) -> Result<(), Failure> {
        let ids: Vec<VolumeId> = volumes.iter().map(|pair| pair.target.clone()).collect();
        let ready = |v: &VolumeFacts| v.state == "available" || v.state == "in-use";
        self.await_volumes(&ids, "volumes are not available yet", ready)
            .await
    }

    fn volume_request(
        &self,
        step: &str,
        planned: &PlannedVolume,
    ) -> Result<VolumeRequest, Failure> {
        let policy = &self.plan.policy.target;
        Ok(VolumeRequest {
            snapshot: Some(self.final_snapshot(&planned.volume)?),
            encrypted: false,
            zone: self.plan.target.zone.clone(),
            size_gib: planned.size_gib,
            volume_type: planned.target_volume_type.clone(),
            kms_key: None,
            initialization_mib_per_second: policy.initialization_mib_per_second,
            client_token: client_token(self.plan, step, &planned.volume),
            tags: volume_tags(self.plan, step, &planned.volume),
        })
    }

    /// What a volume is restored from: the copy where there is one, else the shared original; on path
    /// `direct` what was kept of it before it was mounted.
    pub(super) fn final_snapshot(&self, volume: &VolumeId) -> Result<SnapshotId, Failure> {
        if let Some(kept) = self.progress.kept.iter().find(|k| k.volume == *volume) {
            return Ok(kept.snapshot.clone());
        }
        let round = self
            .progress
            .final_round()
            .and_then(|index| self.progress.round(index));
        let set = round.map(|r| {
            if r.copied.is_empty() {
                &r.completed
            } else {
                &r.copied
            }
        });
        let member = set.and_then(|set| set.iter().find(|s| s.volume == *volume));
        let missing = || Failure::permanent(format!("the final set has no snapshot of {volume}"));
        member
            .map(|member| member.snapshot.clone())
            .ok_or_else(missing)
    }

    pub(super) async fn attach_volumes(&self) -> Result<StepResult, Failure> {
        self.attach_all(&self.progress.restored).await?;
        Ok(StepResult::Done)
    }

    pub(super) async fn attach_all(&self, volumes: &[VolumePair]) -> Result<(), Failure> {
        let Some(instance) = &self.plan.target.instance else {
            return Err(Failure::permanent("the plan names no target instance"));
        };
        let ids: Vec<VolumeId> = volumes.iter().map(|p| p.target.clone()).collect();
        let facts = self.sides.target.describe_volumes(&ids).await?;
        let facts: BTreeMap<_, _> = facts.into_iter().map(|v| (v.volume.clone(), v)).collect();
        for pair in volumes {
            let planned = self
                .plan
                .volumes
                .iter()
                .find(|planned| planned.volume == pair.source);
            let device = planned.map_or("/dev/sdf", |planned| planned.device.as_str());
            self.attach(facts.get(&pair.target), &pair.target, instance, device)
                .await?;
        }
        let attached =
            |v: &VolumeFacts| v.attached_to.as_ref() == Some(instance) && v.state == "in-use";
        self.await_volumes(&ids, "volumes are not attached yet", attached)
            .await
    }

    /// Looks before attaching: an attachment that exists is adopted.
    async fn attach(
        &self,
        facts: Option<&VolumeFacts>,
        volume: &VolumeId,
        instance: &InstanceId,
        device: &str,
    ) -> Result<(), Failure> {
        match facts.and_then(|facts| facts.attached_to.as_ref()) {
            Some(holder) if holder == instance => Ok(()),
            Some(holder) => Err(Failure::permanent(format!(
                "{volume} is attached to {holder} by someone else"
            ))),
            None => {
                let target = &self.sides.target;
                match target.attach_volume(volume, instance, device).await {
                    Err(error) if error.code == "VolumeInUse" => {
                        self.is_ours(volume, instance, error).await
                    }
                    asked => Ok(asked?),
                }
            }
        }
    }

    /// A call whose answer was lost is repeated below us and meets its own attachment.
    async fn is_ours(
        &self,
        volume: &VolumeId,
        instance: &InstanceId,
        error: CloudError,
    ) -> Result<(), Failure> {
        let found = self
            .sides
            .target
            .describe_volumes(std::slice::from_ref(volume))
            .await?;
        match found.first().and_then(|facts| facts.attached_to.as_ref()) {
            Some(holder) if holder == instance => Ok(()),
            Some(_) => Err(error.into()),
            None => Err(Failure::transient(format!(
                "{volume} is in use, and where is not visible yet: it is looked at again"
            ))),
        }
    }

    /// Waits until `ready` holds for all.
    pub(super) async fn await_volumes(
        &self,
        ids: &[VolumeId],
        what: &str,
        ready: impl Fn(&VolumeFacts) -> bool,
    ) -> Result<(), Failure> {
        let poll = self.poll().hurried();
        loop {
            match self.sides.target.describe_volumes(ids).await {
                Ok(facts) => {
                    if let Some(bad) = facts.iter().find(|v| v.state == "error") {
                        return Err(Failure::permanent(format!("{} ended in error", bad.volume)));
                    }
                    if facts.iter().all(&ready) {
                        return Ok(());
                    }
                }
                Err(error) if is_not_found(&error) && poll.waited_seconds() < 600.0 => {}
                Err(error) => return Err(error.into()),
            }
            self.keep_lease().await?;
            poll.pause(what).await?;
        }
    }
}
