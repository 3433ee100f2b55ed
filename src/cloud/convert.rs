//! From the SDK's loose answers to our checked values. Whatever AWS may leave out is decided here.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Snapshot, Tag, TagSpecification, Volume, VolumeAttachmentState};
use aws_smithy_types::DateTime;
use chrono::Utc;
use snapmigrate_models::ids::VolumeId;
use snapmigrate_models::inventory::{SnapshotFacts, VolumeFacts};
use snapmigrate_models::units::Timestamp;

use super::{CloudError, Tags};

pub(super) fn time_of(time: &DateTime) -> Option<Timestamp> {
    chrono::DateTime::<Utc>::from_timestamp(time.secs(), time.subsec_nanos())
}

pub(super) fn sdk_time(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.timestamp_millis())
}

pub(super) fn filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(values.into_iter().collect()))
        .build()
}

pub(super) fn tag_specification(
    kind: aws_sdk_ec2::types::ResourceType,
    tags: &Tags,
) -> TagSpecification {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    TagSpecification::builder()
        .resource_type(kind)
        .set_tags(Some(tags.collect()))
        .build()
}

pub(super) fn volume_facts(volume: &Volume) -> Result<VolumeFacts, CloudError> {
    const CALL: &str = "DescribeVolumes";
    let id = parsed::<VolumeId>(CALL, "volume", volume.volume_id())?;
    let attachment = volume.attachments().first();
    Ok(VolumeFacts {
        zone: parsed(CALL, id.as_str(), volume.availability_zone())?,
        size_gib: positive(volume.size()).unwrap_or(0).into(),
        volume_type: text(volume.volume_type().map(|kind| kind.as_str())),
        iops: positive(volume.iops()),
        throughput_mib_per_second: positive(volume.throughput()),
        state: state_of(volume),
        device: attachment
            .and_then(|held| held.device())
            .map(ToOwned::to_owned),
        attached_to: attachment
            .and_then(|held| held.instance_id())
            .and_then(|i| i.parse().ok()),
        multi_attach: volume.multi_attach_enabled().unwrap_or(false),
        encrypted: volume.encrypted().unwrap_or(false),
        kms_key: volume.kms_key_id().map(ToOwned::to_owned),
        created_at: volume.create_time().and_then(time_of),
        tags: tags_of(volume.tags()),
        volume: id,
    })
}

/// A volume is `in-use` from the moment AttachVolume is answered; while its attachment is still on the way, that is
/// its state here: a host cannot use it yet (EC2 API, VolumeAttachment `state`).
fn state_of(volume: &Volume) -> String {
    let attachment = volume.attachments().first().and_then(|held| held.state());
    let on_the_way = |state: &&VolumeAttachmentState| {
        matches!(
            state,
            VolumeAttachmentState::Attaching | VolumeAttachmentState::Detaching
        )
    };
    match attachment.filter(on_the_way) {
        Some(state) => state.as_str().to_owned(),
        None => text(volume.state().map(|state| state.as_str())),
    }
}

pub(super) fn snapshot_facts(snapshot: &Snapshot) -> Result<SnapshotFacts, CloudError> {
    const CALL: &str = "DescribeSnapshots";
    let id =
        parsed::<snapmigrate_models::ids::SnapshotId>(CALL, "snapshot", snapshot.snapshot_id())?;
    let started_at = snapshot
        .start_time()
        .and_then(time_of)
        .ok_or_else(|| CloudError::incomplete(CALL, id.as_str(), "start time"))?;
    Ok(SnapshotFacts {
        volume: parsed(CALL, id.as_str(), snapshot.volume_id())?,
        state: text(snapshot.state().map(|state| state.as_str())),
        state_message: snapshot.state_message().map(ToOwned::to_owned),
        progress: snapshot.progress().map(ToOwned::to_owned),
        started_at,
        completed_at: snapshot.completion_time().and_then(time_of),
        full_bytes: snapshot
            .full_snapshot_size_in_bytes()
            .and_then(|b| u64::try_from(b).ok()),
        size_gib: positive(snapshot.volume_size()).unwrap_or(0).into(),
        storage_tier: snapshot
            .storage_tier()
            .map_or("standard", |t| t.as_str())
            .to_owned(),
        encrypted: snapshot.encrypted().unwrap_or(false),
        tags: tags_of(snapshot.tags()),
        snapshot: id,
    })
}

pub(super) fn parsed<T: std::str::FromStr>(
    operation: &'static str,
    subject: &str,
    value: Option<&str>,
) -> Result<T, CloudError> {
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| CloudError::incomplete(operation, subject, std::any::type_name::<T>()))
}

fn positive(value: Option<i32>) -> Option<u32> {
    value.and_then(|value| u32::try_from(value).ok())
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or("unknown").to_owned()
}

fn tags_of(tags: &[Tag]) -> BTreeMap<String, String> {
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or("").to_owned()));
    tags.iter().filter_map(pair).collect()
}
