//! Volumes and the instances that hold them.

use aws_sdk_ec2::types::{ResourceType, VolumeType};
use snapmigrate_models::ids::{InstanceId, SnapshotId, VolumeId, Zone};
use snapmigrate_models::inventory::VolumeFacts;

use super::convert::{filter, parsed, tag_specification, volume_facts};
use super::error::classify;
use super::{Cloud, CloudError, Tags};

/// Volumes of one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceVolumes {
    /// Root volume, never part of a snapshot set.
    pub root: Option<VolumeId>,
    /// Data volumes, in order of their ids.
    pub data: Vec<VolumeFacts>,
    /// `running`, `stopped`, ...
    pub state: String,
    /// Zone of the instance.
    pub zone: Option<Zone>,
}

/// A volume to restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Content; absent: an empty volume.
    pub snapshot: Option<SnapshotId>,
    /// Encrypted, with `kms_key` or the account's default one; a volume of a snapshot follows the snapshot.
    pub encrypted: bool,
    /// Zone.
    pub zone: Zone,
    /// Size, at least the snapshot's.
    pub size_gib: u64,
    /// `gp3`, `io2`, ...
    pub volume_type: String,
    /// Key to encrypt with.
    pub kms_key: Option<String>,
    /// Provisioned initialization rate.
    pub initialization_mib_per_second: Option<u32>,
    /// Our own idempotency token, at most 64 ASCII characters.
    pub client_token: String,
    /// Tags.
    pub tags: Tags,
}

impl Cloud {
    /// The named volumes, in order of their ids.
    ///
    /// # Errors
    /// [`CloudError`]; an unknown volume is `Permanent` and named.
    pub async fn describe_volumes(&self, ids: &[VolumeId]) -> Result<Vec<VolumeFacts>, CloudError> {
        const CALL: &str = "DescribeVolumes";
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let subject = names.join(", ");
        let request = self.ec2.describe_volumes().set_volume_ids(Some(names));
        let answer = request
            .send()
            .await
            .map_err(|error| classify(CALL, &subject, &error))?;
        let found = sorted(answer.volumes())?;
        match ids
            .iter()
            .find(|id| !found.iter().any(|facts| facts.volume == **id))
        {
            Some(absent) => Err(CloudError::absent(
                CALL,
                absent.as_str(),
                self.region.as_str(),
            )),
            None => Ok(found),
        }
    }

    /// Volumes carrying all of these tags, in order of their ids. Tag lookups may lag.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn volumes_tagged(&self, tags: &Tags) -> Result<Vec<VolumeFacts>, CloudError> {
        let filters = tags
            .iter()
            .map(|(key, value)| filter(&format!("tag:{key}"), [value.clone()]));
        let request = self
            .ec2
            .describe_volumes()
            .set_filters(Some(filters.collect()));
        let mut pages = request.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(volume) = pages.next().await {
            let volume = volume.map_err(|error| classify("DescribeVolumes", "tags", &error))?;
            found.push(volume_facts(&volume)?);
        }
        found.sort_by(|a, b| a.volume.cmp(&b.volume));
        Ok(found)
    }

    /// Root and data volumes of an instance.
    ///
    /// # Errors
    /// [`CloudError`]; an unknown instance is `Permanent` and named.
    pub async fn instance_volumes(&self, id: &InstanceId) -> Result<InstanceVolumes, CloudError> {
        const CALL: &str = "DescribeInstances";
        let answer = self
            .ec2
            .describe_instances()
            .instance_ids(id.as_str())
            .send()
            .await;
        let answer = answer.map_err(|error| classify(CALL, id.as_str(), &error))?;
        let instance = answer
            .reservations()
            .iter()
            .flat_map(|r| r.instances())
            .next();
        let instance =
            instance.ok_or_else(|| CloudError::absent(CALL, id.as_str(), self.region.as_str()))?;
        let root_device = instance.root_device_name().unwrap_or_default();
        let mut root = None;
        let mut data = Vec::new();
        for mapping in instance.block_device_mappings() {
            let Some(held) = mapping.ebs().and_then(|ebs| ebs.volume_id()) else {
                continue;
            };
            let volume: VolumeId = parsed(CALL, id.as_str(), Some(held))?;
            if mapping.device_name() == Some(root_device) {
                root = Some(volume);
            } else {
                data.push(volume);
            }
        }
        let data = if data.is_empty() {
            vec![]
        } else {
            self.describe_volumes(&data).await?
        };
        let state = instance.state().and_then(|state| state.name());
        Ok(InstanceVolumes {
            root,
            data,
            state: state.map_or("unknown", |name| name.as_str()).to_owned(),
            zone: instance
                .placement()
                .and_then(|placement| placement.availability_zone())
                .and_then(|zone| zone.parse().ok()),
        })
    }

    /// Creates a volume; the same token returns the same volume.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn create_volume(&self, wanted: &VolumeRequest) -> Result<VolumeId, CloudError> {
        const CALL: &str = "CreateVolume";
        let subject = wanted
            .snapshot
            .as_ref()
            .map_or("an empty volume", SnapshotId::as_str);
        let encrypted = (wanted.encrypted || wanted.kms_key.is_some()).then_some(true);
        let rate = wanted
            .initialization_mib_per_second
            .and_then(|rate| i32::try_from(rate).ok());
        let answer = self
            .ec2
            .create_volume()
            .set_snapshot_id(wanted.snapshot.as_ref().map(ToString::to_string))
            .availability_zone(wanted.zone.as_str())
            .set_size(i32::try_from(wanted.size_gib).ok())
            .volume_type(VolumeType::from(wanted.volume_type.as_str()))
            .set_encrypted(encrypted)
            .set_kms_key_id(wanted.kms_key.clone())
            .set_volume_initialization_rate(rate)
            .client_token(&wanted.client_token)
            .tag_specifications(tag_specification(ResourceType::Volume, &wanted.tags))
            .send()
            .await
            .map_err(|error| classify(CALL, subject, &error))?;
        parsed(CALL, subject, answer.volume_id())
    }

    /// Attaches a volume under a device name. Not repeated blindly: describe it first.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn attach_volume(
        &self,
        volume: &VolumeId,
        instance: &InstanceId,
        device: &str,
    ) -> Result<(), CloudError> {
        let request = self.ec2.attach_volume().volume_id(volume.as_str());
        let request = request.instance_id(instance.as_str()).device(device);
        let answer = request.send().await;
        answer
            .map(drop)
            .map_err(|error| classify("AttachVolume", volume.as_str(), &error))
    }

    /// Detaches a volume.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn detach_volume(&self, volume: &VolumeId) -> Result<(), CloudError> {
        let answer = self
            .ec2
            .detach_volume()
            .volume_id(volume.as_str())
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|error| classify("DetachVolume", volume.as_str(), &error))
    }

    /// Deletes a detached volume.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn delete_volume(&self, volume: &VolumeId) -> Result<(), CloudError> {
        let answer = self
            .ec2
            .delete_volume()
            .volume_id(volume.as_str())
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|error| classify("DeleteVolume", volume.as_str(), &error))
    }
}

fn sorted(volumes: &[aws_sdk_ec2::types::Volume]) -> Result<Vec<VolumeFacts>, CloudError> {
    let mut facts = volumes
        .iter()
        .map(volume_facts)
        .collect::<Result<Vec<_>, _>>()?;
    facts.sort_by(|a, b| a.volume.cmp(&b.volume));
    Ok(facts)
}
