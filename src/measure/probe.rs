//! Probe snapshots: a few real snapshots taken only to learn from their deltas and durations.

use std::time::Duration;

use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::inventory::Inventory;

use super::MeasureError;
use crate::clock::Clock;
use crate::cloud::{Cloud, Tags};

/// Shortest and longest pause between two looks at a pending probe, in seconds: its duration itself
/// comes from the service's own times.
const PAUSE_SECONDS: (f64, f64) = (5.0, 60.0);
/// A pause is this share of what was waited so far.
const SHARE: f64 = 0.1;

/// Probe snapshots the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePolicy {
    /// How many sets to take.
    pub snapshots: u32,
    /// Time between the completion of one and the start of the next.
    pub spacing: Duration,
}

/// Takes the probes one after the other and waits for each.
pub(super) async fn take(
    cloud: &Cloud,
    clock: &Clock,
    inventory: &Inventory,
    policy: &ProbePolicy,
) -> Result<(), MeasureError> {
    for probe in 0..policy.snapshots {
        if probe > 0 {
            clock.sleep(policy.spacing).await;
        }
        let made = start(cloud, inventory, probe).await?;
        wait(cloud, clock, &made).await?;
    }
    Ok(())
}

async fn start(
    cloud: &Cloud,
    inventory: &Inventory,
    probe: u32,
) -> Result<Vec<SnapshotId>, MeasureError> {
    let tags = Tags::from([("snapmigrate:probe".to_owned(), probe.to_string())]);
    let mut made = Vec::new();
    if let Some(instance) = &inventory.instance {
        let set = cloud
            .create_snapshots(instance, &[], "snapmigrate probe", &tags, None)
            .await?;
        made.extend(set.into_iter().map(|member| member.snapshot));
        return Ok(made);
    }
    for facts in &inventory.volumes {
        let member = cloud
            .create_snapshot(&facts.volume, "snapmigrate probe", &tags)
            .await?;
        made.push(member.snapshot);
    }
    Ok(made)
}

async fn wait(cloud: &Cloud, clock: &Clock, set: &[SnapshotId]) -> Result<(), MeasureError> {
    let since = clock.now();
    loop {
        let waited_seconds = (clock.now() - since).as_seconds_f64();
        let pause = (waited_seconds * SHARE).clamp(PAUSE_SECONDS.0, PAUSE_SECONDS.1);
        clock.sleep(Duration::from_secs_f64(pause)).await;
        let facts = match cloud.describe_snapshots(set).await {
            // A new snapshot may stay invisible for a while (EC2 eventual consistency).
            Err(error) if error.code.ends_with("NotFound") => continue,
            answer => answer?,
        };
        if let Some(failed) = facts.iter().find(|facts| facts.state == "error") {
            return Err(MeasureError::Probe {
                snapshot: failed.snapshot.to_string(),
                state: failed.state.clone(),
            });
        }
        if facts.iter().all(|facts| facts.state == "completed") {
            return Ok(());
        }
    }
}
