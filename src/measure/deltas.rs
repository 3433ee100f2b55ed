//! Deltas and durations that snapshots already in the account tell for free.
//!
//! k snapshots of a volume give k - 1 deltas by listing changed blocks, and k durations
//! (CompletionTime - StartTime). Nothing is created.

use snapmigrate_models::blocks::BlockSet;
use snapmigrate_models::ids::VolumeId;
use snapmigrate_models::inventory::{Inventory, SnapshotFacts};
use snapmigrate_models::observation::{ObservedDelta, ObservedDuration, ServiceStep};
use snapmigrate_models::step::FailureClass;
use snapmigrate_models::units::Blocks;

use super::MeasureError;
use crate::cloud::{Cloud, CloudError};

/// Newest snapshots looked at per volume: listing costs pages over the whole written size, and
/// deltas far in the past say little about tonight.
const MAX_SNAPSHOTS: usize = 9;

/// What existing snapshots of one volume tell.
#[derive(Default)]
pub(super) struct Measured {
    pub written_blocks: Option<u64>,
    pub deltas: Vec<ObservedDelta>,
    pub durations: Vec<ObservedDuration>,
}

/// Lists changed blocks between consecutive completed snapshots of `volume`.
pub(super) async fn measure(
    cloud: &Cloud,
    inventory: &Inventory,
    volume: &VolumeId,
    notes: &mut Vec<String>,
) -> Result<Measured, MeasureError> {
    let usable: Vec<&SnapshotFacts> = inventory
        .snapshots
        .iter()
        .filter(|facts| is_usable(facts, volume))
        .collect();
    let chain = usable
        .get(usable.len().saturating_sub(MAX_SNAPSHOTS)..)
        .unwrap_or_default();
    let mut measured = Measured::default();
    let Some(newest) = chain.last() else {
        notes.push(format!(
            "{volume}: no completed snapshot yet; the delta curve rests on write bytes and a prior \
             until the first rounds are measured (or measure with --probe-snapshots)"
        ));
        return Ok(measured);
    };
    measured.written_blocks = newest.full_bytes.map(|bytes| Blocks::covering(bytes).0);
    for pair in chain.windows(2) {
        let [older, newer] = pair else { continue };
        match delta(cloud, older, newer).await {
            Ok(delta) => {
                let moved = Some(Blocks(delta.changed_blocks).bytes());
                measured.durations.extend(duration(inventory, newer, moved));
                measured.deltas.push(delta);
            }
            Err(MeasureError::Cloud(error)) if is_about_the_pair(&error) => {
                notes.push(format!(
                    "{volume}: {} and {} are left out: {error}",
                    older.snapshot, newer.snapshot
                ));
            }
            Err(error) => return Err(error),
        }
    }
    // Only the very first snapshot of a volume moved its full size.
    if let (Some(first), true) = (chain.first(), chain.len() == usable.len()) {
        measured
            .durations
            .extend(duration(inventory, first, first.full_bytes));
    }
    Ok(measured)
}

/// Whether the service answered and could not compare this pair, retries included. Without an answer or
/// with refused credentials the next pair would fare no better.
fn is_about_the_pair(error: &CloudError) -> bool {
    match error.class {
        FailureClass::Permanent
        | FailureClass::Transient
        | FailureClass::Integrity
        | FailureClass::Lineage
        | FailureClass::Gone => true,
        FailureClass::Unknown => error.is_unreadable_answer(),
        FailureClass::Credentials | FailureClass::Interrupted => false,
    }
}

fn is_usable(facts: &SnapshotFacts, volume: &VolumeId) -> bool {
    facts.volume == *volume && facts.state == "completed" && facts.storage_tier == "standard"
}

async fn delta(
    cloud: &Cloud,
    older: &SnapshotFacts,
    newer: &SnapshotFacts,
) -> Result<ObservedDelta, MeasureError> {
    let changed = cloud
        .changed_runs(Some(&older.snapshot), &newer.snapshot)
        .await?;
    Ok(ObservedDelta {
        from_snapshot: older.snapshot.clone(),
        to_snapshot: newer.snapshot.clone(),
        from: older.started_at,
        to: newer.started_at,
        changed_blocks: changed.blocks,
        runs: BlockSet::of(changed.runs),
    })
}

fn duration(
    inventory: &Inventory,
    snapshot: &SnapshotFacts,
    moved_bytes: Option<u64>,
) -> Option<ObservedDuration> {
    let ended_at = snapshot.completed_at?;
    let seconds = (ended_at - snapshot.started_at).as_seconds_f64();
    let volume = inventory
        .volumes
        .iter()
        .find(|facts| facts.volume == snapshot.volume);
    (seconds > 0.0).then(|| ObservedDuration {
        step: ServiceStep::Snapshot,
        moved_bytes,
        seconds,
        ended_at,
        region: inventory.region.clone(),
        volume_type: volume.map(|facts| facts.volume_type.clone()),
        zone: volume.map(|facts| facts.zone.clone()),
        from_region: None,
    })
}
