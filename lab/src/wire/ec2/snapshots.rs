//! Snapshots: describe, create one or a set, delete. Must not know how they come about.

use chrono::SubsecRound;
use sha2::{Digest, Sha256};

use crate::caller::Caller;
use crate::error::ApiError;
use crate::world::{
    Glance, Origin, SetRequest, Snapshot, SnapshotRequest, State, Status, World, missing_snapshot,
};

use super::Call;
use super::filters::Filters;
use super::page::Page;
use super::xml::{Xml, time_text};

const FILTERS: [&str; 11] = [
    "description",
    "encrypted",
    "owner-id",
    "progress",
    "snapshot-id",
    "start-time",
    "status",
    "storage-tier",
    "transfer-type",
    "volume-id",
    "volume-size",
];

/// DescribeSnapshots.
pub(super) fn describe(call: &mut Call) -> Result<Xml, ApiError> {
    call.dry_run(|_| Ok(()))?;
    let filters = Filters::read(&call.params, &FILTERS)?;
    let page = Page::read(&call.params)?;
    let ids = call.params.list("SnapshotId");
    let (owners, restorers) = (call.params.list("Owner"), call.params.list("RestorableBy"));
    let glance = call.world.glance(call.caller, call.action);
    let (world, caller) = (&*call.world, call.caller);
    ids.iter()
        .try_for_each(|id| known(world, caller, id, glance))?;
    let found = world
        .visible_snapshots(caller, glance)
        .filter(|s| ids.is_empty() || ids.contains(&s.id))
        .filter(|s| owned(s, caller, &owners) && restorable(s, caller, &restorers))
        .filter(|s| filters.pass(&s.tags, |name| values(s, glance, name)));
    let (items, token) = page.cut(found, |snapshot| &snapshot.id);
    let mut xml = Xml::new();
    xml.list("snapshotSet", items, |xml, s| {
        write(xml, s, &s.status(glance.at))
    });
    xml.maybe("nextToken", token);
    Ok(xml)
}

/// An id that names nothing is an error; one that names another account's snapshot is left out.
fn known(world: &World, caller: &Caller, id: &str, glance: Glance) -> Result<(), ApiError> {
    let exists = world.snapshot(id).is_some_and(|snapshot| {
        snapshot.exists() && snapshot.region == caller.region && glance.knows >= snapshot.visible_at
    });
    if exists {
        Ok(())
    } else {
        Err(missing_snapshot(id))
    }
}

fn owned(snapshot: &Snapshot, caller: &Caller, owners: &[String]) -> bool {
    let owner = |wanted: &String| match wanted.as_str() {
        "self" => snapshot.owner == caller.account,
        account => snapshot.owner == account,
    };
    owners.is_empty() || owners.iter().any(owner)
}

fn restorable(snapshot: &Snapshot, caller: &Caller, restorers: &[String]) -> bool {
    let by = |wanted: &String| match wanted.as_str() {
        "self" => snapshot.shared_with(&caller.account),
        "all" => snapshot.permissions.contains("all"),
        account => snapshot.shared_with(account),
    };
    restorers.is_empty() || restorers.iter().any(by)
}

fn values(snapshot: &Snapshot, glance: Glance, filter: &str) -> Vec<String> {
    let status = snapshot.status(glance.at);
    let value = match filter {
        "description" => Some(snapshot.description.clone()),
        "encrypted" => Some(snapshot.kms_key.is_some().to_string()),
        "owner-id" => Some(snapshot.owner.clone()),
        "progress" => Some(format!("{}%", status.percent)),
        "snapshot-id" => Some(snapshot.id.clone()),
        "start-time" => Some(time_text(snapshot.start_time.trunc_subsecs(0))),
        "status" => Some(status.state.word().to_owned()),
        "storage-tier" => Some(tier(snapshot).to_owned()),
        "transfer-type" => transfer_type(snapshot).map(str::to_owned),
        "volume-id" => Some(snapshot.volume_id.clone()),
        "volume-size" => Some(snapshot.volume_size_gib.to_string()),
        _ => None,
    };
    value.into_iter().collect()
}

/// CreateSnapshot.
pub(super) fn create(call: &mut Call) -> Result<Xml, ApiError> {
    let request = SnapshotRequest {
        volume: call.params.required("VolumeId")?.to_owned(),
        description: call.params.owned("Description").unwrap_or_default(),
        tags: call.params.tag_specification("snapshot")?,
    };
    call.dry_run(|world| world.check_snapshot(call.caller, &request))?;
    let id = call.world.create_snapshot(call.caller, &request)?;
    let snapshot = call
        .world
        .snapshot(&id)
        .ok_or_else(|| missing_snapshot(&id))?;
    let begun = Status {
        state: State::Pending,
        percent: 0,
        completed_at: None,
        message: None,
    };
    let mut xml = Xml::new();
    write(&mut xml, snapshot, &begun);
    Ok(xml)
}

/// CreateSnapshots.
pub(super) fn create_set(call: &mut Call) -> Result<Xml, ApiError> {
    let request = read_set(call)?;
    call.dry_run(|world| world.check_snapshots(call.caller, &request).map(|_| ()))?;
    let ids = call.world.create_snapshots(call.caller, &request)?;
    let made = ids.iter().filter_map(|id| call.world.snapshot(id));
    let mut xml = Xml::new();
    xml.list("snapshotSet", made, write_info);
    Ok(xml)
}

fn read_set(call: &Call) -> Result<SetRequest, ApiError> {
    let params = &call.params;
    let copy_tags = params.text("CopyTagsFromSource");
    if copy_tags.is_some_and(|from| from != "volume") {
        let message = "CopyTagsFromSource can only be 'volume'.";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let without_boot = params.flag("InstanceSpecification.ExcludeBootVolume")?;
    Ok(SetRequest {
        instance: params
            .required("InstanceSpecification.InstanceId")?
            .to_owned(),
        exclude_boot_volume: without_boot.unwrap_or(false),
        exclude_data_volumes: params.list("InstanceSpecification.ExcludeDataVolumeId"),
        description: params.owned("Description").unwrap_or_default(),
        tags: params.tag_specification("snapshot")?,
        copy_tags_from_source: copy_tags.is_some(),
    })
}

/// DeleteSnapshot.
pub(super) fn delete(call: &mut Call) -> Result<Xml, ApiError> {
    let id = call.params.required("SnapshotId")?;
    call.dry_run(|world| world.check_delete_snapshot(call.caller, id))?;
    call.world.delete_snapshot(call.caller, id)?;
    Ok(Xml::done())
}

fn tier(snapshot: &Snapshot) -> &'static str {
    match snapshot.archived {
        true => "archive",
        false => "standard",
    }
}

/// ModifySnapshotTier.
pub(super) fn modify_tier(call: &mut Call) -> Result<Xml, ApiError> {
    let id = call.params.required("SnapshotId")?;
    if call
        .params
        .text("StorageTier")
        .is_some_and(|tier| tier != "archive")
    {
        let message = "StorageTier can only be 'archive'.";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    call.dry_run(|world| world.check_delete_snapshot(call.caller, id))?;
    let begun = call.world.archive_snapshot(call.caller, id)?;
    let mut xml = Xml::new();
    xml.text("snapshotId", id).time("tieringStartTime", begun);
    Ok(xml)
}

/// StartTime has whole seconds here and milliseconds in the answer of CreateSnapshots.
fn write(xml: &mut Xml, snapshot: &Snapshot, status: &Status) {
    let done = status.state == State::Completed;
    xml.text("snapshotId", &snapshot.id)
        .text("volumeId", &snapshot.volume_id)
        .text("status", status.state.word())
        .maybe("statusMessage", status.message.as_ref())
        .time("startTime", snapshot.start_time.trunc_subsecs(0))
        .text("progress", format!("{}%", status.percent))
        .text("ownerId", &snapshot.owner)
        .text("volumeSize", snapshot.volume_size_gib)
        .text("description", &snapshot.description)
        .tags(&snapshot.tags)
        .text("encrypted", snapshot.kms_key.is_some())
        .maybe("kmsKeyId", snapshot.kms_key.as_ref())
        .maybe("dataEncryptionKeyId", data_key(snapshot))
        .text("storageTier", tier(snapshot))
        .maybe("transferType", transfer_type(snapshot))
        .maybe("completionDurationMinutes", snapshot.promised_minutes)
        .maybe(
            "fullSnapshotSizeInBytes",
            done.then_some(snapshot.full_bytes),
        )
        .maybe("completionTime", status.completed_at.map(time_text));
}

fn write_info(xml: &mut Xml, snapshot: &Snapshot) {
    xml.text("description", &snapshot.description)
        .tags(&snapshot.tags)
        .text("encrypted", snapshot.kms_key.is_some())
        .text("volumeId", &snapshot.volume_id)
        .text("state", "pending")
        .text("volumeSize", snapshot.volume_size_gib)
        .time("startTime", snapshot.start_time)
        .text("progress", "")
        .text("ownerId", &snapshot.owner)
        .text("snapshotId", &snapshot.id);
}

fn transfer_type(snapshot: &Snapshot) -> Option<&'static str> {
    match snapshot.origin {
        Origin::Copy { .. } if snapshot.promised_minutes.is_some() => Some("time-based"),
        Origin::Copy { .. } => Some("standard"),
        Origin::Volume | Origin::Direct => None,
    }
}

/// An id of the data key, equal for snapshots of one family under one key.
fn data_key(snapshot: &Snapshot) -> Option<String> {
    let key = snapshot.kms_key.as_ref()?;
    let digest = Sha256::digest(format!("{key}/{}", snapshot.family));
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(format!(
        "arn:aws:kms:{}:{}:key/{hex}",
        snapshot.region, snapshot.owner
    ))
}
