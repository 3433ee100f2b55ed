//! DescribeVolumeStatus: health, and how far a volume's blocks are loaded.
//! Must not know how fast they load.

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::seconds_between;
use crate::error::ApiError;
use crate::world::{Glance, Volume, missing_volume};

use super::Call;
use super::filters::Filters;
use super::page::Page;
use super::volumes::zone_id;
use super::xml::Xml;

/// How old the state of the initialization is at most (EBS user guide, "Monitor volume initialization").
const STALE_SECONDS: i64 = 300;
const FILTERS: [&str; 2] = ["availability-zone", "volume-status.status"];

/// DescribeVolumeStatus.
pub(super) fn describe(call: &mut Call) -> Result<Xml, ApiError> {
    call.dry_run(|_| Ok(()))?;
    let filters = Filters::read(&call.params, &FILTERS)?;
    let page = Page::read(&call.params)?;
    let ids = call.params.list("VolumeId");
    let glance = Glance::at(call.world.now());
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
        .filter(|volume| filters.pass(&volume.tags, |name| values(volume, name)));
    let (items, token) = page.cut(found, |volume| &volume.id);
    let mut xml = Xml::new();
    xml.list("volumeStatusSet", items, |xml, volume| {
        write(xml, volume, glance.at)
    });
    xml.maybe("nextToken", token);
    Ok(xml)
}

fn values(volume: &Volume, filter: &str) -> Vec<String> {
    match filter {
        "availability-zone" => vec![volume.zone.clone()],
        _ => vec!["ok".to_owned()],
    }
}

fn write(xml: &mut Xml, volume: &Volume, now: DateTime<Utc>) {
    let known_at = now - TimeDelta::seconds(now.timestamp().rem_euclid(STALE_SECONDS));
    let known_at = known_at.max(volume.available_at.min(now));
    let from_snapshot = !volume.snapshot_id.is_empty();
    let loaded = !from_snapshot || known_at >= volume.initialized_at;
    xml.text("volumeId", &volume.id)
        .text("availabilityZone", &volume.zone)
        .maybe("availabilityZoneId", zone_id(volume))
        .nest("volumeStatus", |xml| {
            xml.text("status", "ok")
                .list("details", details(loaded), |xml, (name, status)| {
                    xml.text("name", name).text("status", status);
                });
        })
        .no_items("eventsSet")
        .no_items("actionsSet");
    if from_snapshot {
        xml.nest("initializationStatusDetails", |xml| {
            initialization(xml, volume, known_at)
        });
    }
}

fn details(loaded: bool) -> [(&'static str, &'static str); 3] {
    let state = if loaded { "completed" } else { "initializing" };
    [
        ("io-enabled", "passed"),
        ("io-performance", "not-applicable"),
        ("initialization-state", state),
    ]
}

fn initialization(xml: &mut Xml, volume: &Volume, known_at: DateTime<Utc>) {
    let provisioned = volume.initialization_rate.is_some();
    let total = seconds_between(volume.available_at, volume.initialized_at).max(1e-3);
    let share = (seconds_between(volume.available_at, known_at) / total).clamp(0.0, 1.0);
    let left = seconds_between(known_at, volume.initialized_at)
        .max(0.0)
        .ceil();
    xml.text(
        "initializationType",
        if provisioned {
            "provisioned-rate"
        } else {
            "default"
        },
    )
    .text("progress", (share * 100.0).floor())
    .maybe(
        "estimatedTimeToCompleteInSeconds",
        provisioned.then_some(left),
    );
}
