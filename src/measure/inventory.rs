//! Reads what stands in the account, and refuses groups that cannot be migrated as one.

use snapmigrate_models::ids::VolumeId;
use snapmigrate_models::inventory::{Inventory, VolumeFacts};

use super::{MeasureError, Subject};
use crate::clock::Clock;
use crate::cloud::{Cloud, InstanceVolumes};

/// Reads the inventory of `subject`. Reads only.
pub(super) async fn read(
    cloud: &Cloud,
    clock: &Clock,
    subject: &Subject,
) -> Result<Inventory, MeasureError> {
    let identity = cloud.identity().await?;
    let (instance, volumes, root_volume) = match subject {
        Subject::Instance(id) => {
            let held = cloud.instance_volumes(id).await?;
            let root = held
                .root
                .as_ref()
                .map_or_else(|| "none".to_owned(), ToString::to_string);
            if held.data.is_empty() {
                return Err(MeasureError::OnlyRoot {
                    instance: id.clone(),
                    root,
                });
            }
            (Some(id.clone()), held.data, held.root)
        }
        Subject::Volumes(ids) => named(cloud, ids).await?,
    };
    volumes.iter().try_for_each(in_use)?;
    let mut snapshots = Vec::new();
    for facts in &volumes {
        snapshots.extend(cloud.snapshots_of(&facts.volume).await?);
    }
    snapshots.sort_by(|a, b| (a.started_at, &a.snapshot).cmp(&(b.started_at, &b.snapshot)));
    Ok(Inventory {
        taken_at: clock.now(),
        account: identity.account,
        region: cloud.region().clone(),
        instance,
        volumes,
        root_volume,
        snapshots,
    })
}

type Group = (
    Option<snapmigrate_models::ids::InstanceId>,
    Vec<VolumeFacts>,
    Option<VolumeId>,
);

async fn named(cloud: &Cloud, ids: &[VolumeId]) -> Result<Group, MeasureError> {
    let volumes = cloud.describe_volumes(ids).await?;
    volumes.iter().try_for_each(in_use)?;
    let Some(first) = volumes.first() else {
        return Ok((None, volumes, None));
    };
    if let Some(other) = volumes
        .iter()
        .find(|facts| facts.attached_to != first.attached_to)
    {
        return Err(MeasureError::SeveralInstances {
            first: first.volume.clone(),
            other: other.volume.clone(),
        });
    }
    let Some(instance) = first.attached_to.clone() else {
        return Ok((None, volumes, None));
    };
    let InstanceVolumes { root, .. } = cloud.instance_volumes(&instance).await?;
    match volumes
        .iter()
        .find(|facts| root.as_ref() == Some(&facts.volume))
    {
        Some(facts) => Err(MeasureError::Root {
            volume: facts.volume.clone(),
            instance,
        }),
        None => Ok((Some(instance), volumes, root)),
    }
}

fn in_use(facts: &VolumeFacts) -> Result<(), MeasureError> {
    if facts.state == "in-use" {
        return Ok(());
    }
    let state = if facts.state == "available" {
        "detached (available)"
    } else {
        &facts.state
    };
    Err(MeasureError::NotInUse {
        volume: facts.volume.clone(),
        state: state.to_owned(),
    })
}
