//! DescribeInstances. Must not know what runs on an instance.

use crate::error::ApiError;
use crate::world::{Glance, Instance, ROOT_DEVICE, Volume, World, missing_instance};

use super::Call;
use super::filters::Filters;
use super::page::Page;
use super::xml::Xml;

const FILTERS: [&str; 8] = [
    "availability-zone",
    "block-device-mapping.device-name",
    "block-device-mapping.volume-id",
    "instance-id",
    "instance-state-name",
    "instance-type",
    "owner-id",
    "root-device-name",
];

/// DescribeInstances: one reservation per instance.
pub(super) fn describe(call: &mut Call) -> Result<Xml, ApiError> {
    call.dry_run(|_| Ok(()))?;
    let filters = Filters::read(&call.params, &FILTERS)?;
    let page = Page::read(&call.params)?;
    let ids = call.params.list("InstanceId");
    let glance = Glance::at(call.world.now());
    let world = &*call.world;
    for id in &ids {
        let known = world
            .visible_instances(call.caller)
            .any(|instance| instance.id == *id);
        known.then_some(()).ok_or_else(|| missing_instance(id))?;
    }
    let found = world
        .visible_instances(call.caller)
        .filter(|instance| ids.is_empty() || ids.contains(&instance.id))
        .filter(|i| filters.pass(&i.tags, |name| values(world, i, name)));
    let (items, token) = page.cut(found, |instance| &instance.id);
    let mut xml = Xml::new();
    xml.list("reservationSet", items, |xml, instance| {
        xml.text("reservationId", instance.id.replacen("i-", "r-", 1))
            .text("ownerId", &instance.owner)
            .no_items("groupSet")
            .list("instancesSet", [instance], |xml, i| {
                write(xml, world, i, glance)
            });
    });
    xml.maybe("nextToken", token);
    Ok(xml)
}

fn values(world: &World, instance: &Instance, filter: &str) -> Vec<String> {
    let volumes = world.attached_to(&instance.id);
    let devices = || {
        volumes
            .iter()
            .filter_map(|volume| volume.attachment.as_ref())
    };
    match filter {
        "availability-zone" => vec![instance.zone.clone()],
        "block-device-mapping.device-name" => devices().map(|a| a.device.clone()).collect(),
        "block-device-mapping.volume-id" => volumes.iter().map(|v| v.id.clone()).collect(),
        "instance-id" => vec![instance.id.clone()],
        "instance-state-name" => vec!["running".to_owned()],
        "instance-type" => vec![instance.instance_type.clone()],
        "owner-id" => vec![instance.owner.clone()],
        "root-device-name" => vec![ROOT_DEVICE.to_owned()],
        _ => Vec::new(),
    }
}

fn write(xml: &mut Xml, world: &World, instance: &Instance, glance: Glance) {
    xml.text("instanceId", &instance.id)
        .text("imageId", "ami-0000000000000001a")
        .nest("instanceState", |xml| {
            xml.text("code", 16).text("name", "running");
        })
        .text("instanceType", &instance.instance_type)
        .time("launchTime", instance.launch_time)
        .nest("placement", |xml| {
            xml.text("availabilityZone", &instance.zone)
                .text("tenancy", "default");
        })
        .text("architecture", "x86_64")
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", ROOT_DEVICE)
        .list(
            "blockDeviceMapping",
            world.attached_to(&instance.id),
            |xml, volume| {
                mapping(xml, volume, glance);
            },
        )
        .text("virtualizationType", "hvm")
        .tags(&instance.tags)
        .text("hypervisor", "xen")
        .text("ebsOptimized", true)
        .text("enaSupport", true);
}

fn mapping(xml: &mut Xml, volume: &Volume, glance: Glance) {
    let Some(attachment) = volume.attached(glance.at) else {
        return;
    };
    xml.text("deviceName", &attachment.device)
        .nest("ebs", |xml| {
            xml.text("volumeId", &volume.id)
                .text("status", attachment.word(glance.at).unwrap_or("detached"))
                .time("attachTime", attachment.attach_time)
                .text("deleteOnTermination", attachment.delete_on_termination);
        });
}
