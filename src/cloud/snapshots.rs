//! Snapshots: create, look up, share, copy, delete.
//!
//! CreateSnapshot(s) and CopySnapshot have no idempotency token, so the SDK's retries are off for
//! them: whoever calls again after a lost answer looks for our tags first.

use std::time::Duration;

use aws_sdk_ec2::config::Builder as Ec2Override;
use aws_sdk_ec2::types::{
    CreateVolumePermission, CreateVolumePermissionModifications, Filter, InstanceSpecification,
    ResourceType, SnapshotAttributeName,
};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use snapmigrate_models::ids::{AccountId, InstanceId, Region, SnapshotId, VolumeId};
use snapmigrate_models::inventory::SnapshotFacts;
use snapmigrate_models::step::MadeSnapshot;

use super::convert::{filter, parsed, snapshot_facts, tag_specification, time_of};
use super::error::classify;
use super::{Cloud, CloudError, Tags};

/// A copy to start in this side's account and region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRequest {
    /// Region of the original.
    pub source_region: Region,
    /// The original, owned by or shared with this side's account.
    pub source_snapshot: SnapshotId,
    /// Key to encrypt the copy with: always the same one, or copies of the lineage become full.
    pub kms_key: Option<String>,
    /// For people.
    pub description: String,
    /// Tags.
    pub tags: Tags,
}

impl Cloud {
    /// All our snapshots of a volume, oldest first.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn snapshots_of(&self, volume: &VolumeId) -> Result<Vec<SnapshotFacts>, CloudError> {
        let by_volume = filter("volume-id", [volume.to_string()]);
        self.own_snapshots(volume.as_str(), vec![by_volume]).await
    }

    /// Our snapshots carrying all of these tags, oldest first. Tag lookups may lag.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn snapshots_tagged(&self, tags: &Tags) -> Result<Vec<SnapshotFacts>, CloudError> {
        let by_tag =
            |(key, value): (&String, &String)| filter(&format!("tag:{key}"), [value.clone()]);
        self.own_snapshots("tags", tags.iter().map(by_tag).collect())
            .await
    }

    async fn own_snapshots(
        &self,
        subject: &str,
        filters: Vec<Filter>,
    ) -> Result<Vec<SnapshotFacts>, CloudError> {
        let request = self
            .ec2
            .describe_snapshots()
            .owner_ids("self")
            .set_filters(Some(filters));
        let mut pages = request.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(snapshot) = pages.next().await {
            let snapshot = snapshot.map_err(|e| classify("DescribeSnapshots", subject, &e))?;
            found.push(snapshot_facts(&snapshot)?);
        }
        found.sort_by(|a, b| (a.started_at, &a.snapshot).cmp(&(b.started_at, &b.snapshot)));
        Ok(found)
    }

    /// The named snapshots, in order of their ids.
    ///
    /// # Errors
    /// [`CloudError`]; an unknown snapshot is `Permanent`, or not yet visible shortly after its creation.
    pub async fn describe_snapshots(
        &self,
        ids: &[SnapshotId],
    ) -> Result<Vec<SnapshotFacts>, CloudError> {
        const CALL: &str = "DescribeSnapshots";
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let subject = names.join(", ");
        let answer = self
            .ec2
            .describe_snapshots()
            .set_snapshot_ids(Some(names))
            .send()
            .await;
        let answer = answer.map_err(|error| classify(CALL, &subject, &error))?;
        let found = answer.snapshots().iter().map(snapshot_facts);
        let mut found = found.collect::<Result<Vec<_>, _>>()?;
        found.sort_by(|a, b| a.snapshot.cmp(&b.snapshot));
        match ids
            .iter()
            .find(|id| !found.iter().any(|facts| facts.snapshot == **id))
        {
            Some(absent) => Err(CloudError::absent(
                CALL,
                absent.as_str(),
                self.region.as_str(),
            )),
            None => Ok(found),
        }
    }

    /// One crash-consistent set over the data volumes of an instance, without its root volume.
    /// Sent once. `attempt_timeout` bounds the wait for the answer.
    ///
    /// # Errors
    /// [`CloudError`]; class `Unknown` when the answer was lost: look by tag before calling again.
    pub async fn create_snapshots(
        &self,
        instance: &InstanceId,
        excluded: &[VolumeId],
        description: &str,
        tags: &Tags,
        attempt_timeout: Option<Duration>,
    ) -> Result<Vec<MadeSnapshot>, CloudError> {
        const CALL: &str = "CreateSnapshots";
        let excluded = excluded.iter().map(ToString::to_string).collect::<Vec<_>>();
        let group = InstanceSpecification::builder()
            .instance_id(instance.as_str())
            .exclude_boot_volume(true)
            .set_exclude_data_volume_ids((!excluded.is_empty()).then_some(excluded))
            .build();
        let answer = self
            .ec2
            .create_snapshots()
            .instance_specification(group)
            .description(description)
            .tag_specifications(tag_specification(ResourceType::Snapshot, tags))
            .customize()
            .config_override(sent_once(attempt_timeout))
            .send()
            .await
            .map_err(|error| classify(CALL, instance.as_str(), &error))?;
        let mut made = Vec::new();
        for info in answer.snapshots() {
            made.push(self.made(
                CALL,
                info.volume_id(),
                info.snapshot_id(),
                info.start_time(),
            )?);
        }
        made.sort_by(|a: &MadeSnapshot, b| a.volume.cmp(&b.volume));
        Ok(made)
    }

    /// A snapshot of one volume. Sent once.
    ///
    /// # Errors
    /// [`CloudError`]; class `Unknown` when the answer was lost: look by tag before calling again.
    pub async fn create_snapshot(
        &self,
        volume: &VolumeId,
        description: &str,
        tags: &Tags,
    ) -> Result<MadeSnapshot, CloudError> {
        const CALL: &str = "CreateSnapshot";
        let answer = self
            .ec2
            .create_snapshot()
            .volume_id(volume.as_str())
            .description(description)
            .tag_specifications(tag_specification(ResourceType::Snapshot, tags))
            .customize()
            .config_override(sent_once(None))
            .send()
            .await
            .map_err(|error| classify(CALL, volume.as_str(), &error))?;
        self.made(
            CALL,
            answer.volume_id(),
            answer.snapshot_id(),
            answer.start_time(),
        )
    }

    fn made(
        &self,
        operation: &'static str,
        volume: Option<&str>,
        snapshot: Option<&str>,
        start: Option<&aws_smithy_types::DateTime>,
    ) -> Result<MadeSnapshot, CloudError> {
        let volume: VolumeId = parsed(operation, "the set", volume)?;
        Ok(MadeSnapshot {
            snapshot: parsed(operation, volume.as_str(), snapshot)?,
            started_at: start.and_then(time_of).unwrap_or_else(|| self.clock.now()),
            volume,
        })
    }

    /// Lets another account create volumes from and copy a snapshot. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn share_snapshot(
        &self,
        snapshot: &SnapshotId,
        account: &AccountId,
    ) -> Result<(), CloudError> {
        let permission = CreateVolumePermission::builder()
            .user_id(account.as_str())
            .build();
        let change = CreateVolumePermissionModifications::builder()
            .add(permission)
            .build();
        let request = self
            .ec2
            .modify_snapshot_attribute()
            .snapshot_id(snapshot.as_str());
        let request = request.attribute(SnapshotAttributeName::CreateVolumePermission);
        let answer = request.create_volume_permission(change).send().await;
        answer
            .map(drop)
            .map_err(|e| classify("ModifySnapshotAttribute", snapshot.as_str(), &e))
    }

    /// Starts a copy into this side. Sent once.
    ///
    /// # Errors
    /// [`CloudError`]; class `Unknown` when the answer was lost: look by tag before calling again.
    pub async fn copy_snapshot(&self, wanted: &CopyRequest) -> Result<SnapshotId, CloudError> {
        const CALL: &str = "CopySnapshot";
        let subject = wanted.source_snapshot.as_str();
        let answer = self
            .ec2
            .copy_snapshot()
            .source_region(wanted.source_region.as_str())
            .source_snapshot_id(subject)
            .description(&wanted.description)
            .set_encrypted(wanted.kms_key.as_ref().map(|_| true))
            .set_kms_key_id(wanted.kms_key.clone())
            .tag_specifications(tag_specification(ResourceType::Snapshot, &wanted.tags))
            .customize()
            .config_override(sent_once(None))
            .send()
            .await
            .map_err(|error| classify(CALL, subject, &error))?;
        parsed(CALL, subject, answer.snapshot_id())
    }

    /// Deletes a snapshot of ours.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn delete_snapshot(&self, snapshot: &SnapshotId) -> Result<(), CloudError> {
        let answer = self
            .ec2
            .delete_snapshot()
            .snapshot_id(snapshot.as_str())
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|e| classify("DeleteSnapshot", snapshot.as_str(), &e))
    }
}

fn sent_once(attempt_timeout: Option<Duration>) -> Ec2Override {
    let config = aws_sdk_ec2::config::Config::builder().retry_config(RetryConfig::disabled());
    match attempt_timeout {
        None => config,
        Some(limit) => config.timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(limit)
                .operation_timeout(limit)
                .build(),
        ),
    }
}
