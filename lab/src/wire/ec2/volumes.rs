//! Volumes: describe, create, delete. Must not know how they come about.

use crate::error::ApiError;
use crate::world::{CreateVolumeRequest, Glance, Volume, missing_volume, zones_of};

use super::Call;
use super::attachments;
use super::filters::Filters;
use super::page::Page;
use super::params::Params;
use super::xml::{Xml, time_text};

const FILTERS: [&str; 12] = [
    "attachment.device",
    "attachment.instance-id",
    "attachment.status",
    "availability-zone",
    "availability-zone-id",
    "create-time",
    "encrypted",
    "size",
    "snapshot-id",
    "status",
    "volume-id",
    "volume-type",
];

/// DescribeVolumes.
pub(super) fn describe(call: &mut Call) -> Result<Xml, ApiError> {
    call.dry_run(|_| Ok(()))?;
    let filters = Filters::read(&call.params, &FILTERS)?;
    let page = Page::read(&call.params)?;
    let ids = call.params.list("VolumeId");
    let glance = call.world.glance(call.caller, call.action);
    let world = &*call.world;
    for id in &ids {
        let known = world
            .visible_volumes(call.caller, glance)
            .any(|volume| volume.id == *id);
        known.then_some(()).ok_or_else(|| missing_volume(id))?;
    }
    let found = world
        .visible_volumes(call.caller, glance)
        .filter(|volume| ids.is_empty() || ids.contains(&volume.id))
        .filter(|volume| filters.pass(&volume.tags, |name| values(volume, glance, name)));
    let (items, token) = page.cut(found, |volume| &volume.id);
    let mut xml = Xml::new();
    xml.list("volumeSet", items, |xml, volume| write(xml, volume, glance));
    xml.maybe("nextToken", token);
    Ok(xml)
}

fn values(volume: &Volume, glance: Glance, filter: &str) -> Vec<String> {
    let attachment = volume.attached(glance.at);
    let value = match filter {
        "attachment.device" => attachment.map(|a| a.device.clone()),
        "attachment.instance-id" => attachment.map(|a| a.instance.clone()),
        "attachment.status" => attachment
            .and_then(|a| a.word(glance.at))
            .map(str::to_owned),
        "availability-zone" => Some(volume.zone.clone()),
        "availability-zone-id" => zone_id(volume),
        "create-time" => Some(time_text(volume.create_time)),
        "encrypted" => Some(volume.kms_key.is_some().to_string()),
        "size" => Some(volume.size_gib.to_string()),
        "snapshot-id" => Some(volume.snapshot_id.clone()),
        "status" => Some(volume.state_word(glance.at).to_owned()),
        "volume-id" => Some(volume.id.clone()),
        "volume-type" => Some(volume.volume_type.clone()),
        _ => None,
    };
    value.into_iter().collect()
}

/// CreateVolume.
pub(super) fn create(call: &mut Call) -> Result<Xml, ApiError> {
    let request = read(&call.params)?;
    call.dry_run(|world| world.check_volume(call.caller, &request))?;
    let id = call.world.create_volume(call.caller, &request)?;
    let volume = call.world.volume(&id).ok_or_else(|| missing_volume(&id))?;
    let mut xml = Xml::new();
    write(&mut xml, volume, Glance::at(call.world.now()));
    Ok(xml)
}

/// DeleteVolume.
pub(super) fn delete(call: &mut Call) -> Result<Xml, ApiError> {
    let id = call.params.required("VolumeId")?;
    call.dry_run(|world| world.check_delete_volume(call.caller, id))?;
    call.world.delete_volume(call.caller, id)?;
    Ok(Xml::done())
}

fn read(params: &Params) -> Result<CreateVolumeRequest, ApiError> {
    Ok(CreateVolumeRequest {
        zone: params.owned("AvailabilityZone"),
        zone_id: params.owned("AvailabilityZoneId"),
        size_gib: params.parsed("Size")?,
        snapshot: params.owned("SnapshotId"),
        volume_type: params.owned("VolumeType"),
        iops: params.parsed("Iops")?,
        throughput: params.parsed("Throughput")?,
        encrypted: params.flag("Encrypted")?,
        kms_key: params.owned("KmsKeyId"),
        initialization_rate: params.parsed("VolumeInitializationRate")?,
        tags: params.tag_specification("volume")?,
        client_token: params.owned("ClientToken"),
    })
}

fn write(xml: &mut Xml, volume: &Volume, glance: Glance) {
    xml.text("volumeId", &volume.id)
        .text("size", volume.size_gib)
        .text("snapshotId", &volume.snapshot_id)
        .text("availabilityZone", &volume.zone)
        .maybe("availabilityZoneId", zone_id(volume))
        .text("status", volume.state_word(glance.at))
        .time("createTime", volume.create_time)
        .list(
            "attachmentSet",
            volume.attached(glance.at),
            |xml, attachment| {
                attachments::write(xml, &volume.id, attachment, glance);
            },
        )
        .tags(&volume.tags)
        .text("volumeType", &volume.volume_type)
        .maybe("iops", volume.iops)
        .maybe("throughput", volume.throughput)
        .maybe("volumeInitializationRate", volume.initialization_rate)
        .text("encrypted", volume.kms_key.is_some())
        .maybe("kmsKeyId", volume.kms_key.as_ref())
        .text("multiAttachEnabled", false);
}

/// The id of a volume's zone.
pub(super) fn zone_id(volume: &Volume) -> Option<String> {
    zones_of(&volume.region)
        .into_iter()
        .find(|zone| zone.name == volume.zone)
        .map(|zone| zone.id)
}
