//! Look before creating again: find by tag what an interrupted attempt made.
//!
//! Tag lookups lag behind creation by seconds, sometimes minutes (EC2 API, eventual consistency),
//! so after a lost answer an empty lookup is believed only when it stayed empty for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use snapmigrate_models::ids::VolumeId;
use snapmigrate_models::inventory::SnapshotFacts;
use snapmigrate_models::units::Timestamp;

use super::failure::{Failure, passes};
use super::names::VOLUME_TAG;
use crate::clock::Clock;
use crate::cloud::{Cloud, Tags};

/// An empty lookup after a lost answer is repeated for so long.
pub(super) const LAG_SECONDS: f64 = 120.0;

/// Pause between lookups.
const PAUSE: Duration = Duration::from_secs(5);

/// What was found of a step.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// One usable snapshot per source volume: the earliest.
    pub(super) usable: BTreeMap<VolumeId, SnapshotFacts>,
    /// In `error`, stuck, or a second one for the same volume.
    pub(super) spare: Vec<SnapshotFacts>,
}

impl Found {
    pub(super) fn covers(&self, volumes: &[VolumeId]) -> bool {
        volumes
            .iter()
            .all(|volume| self.usable.contains_key(volume))
    }

    fn sort(facts: Vec<SnapshotFacts>, stuck_before: Option<Timestamp>) -> Self {
        let mut found = Self::default();
        for snapshot in facts {
            let volume = source_volume(&snapshot);
            let late = stuck_before.is_some_and(|before| snapshot.started_at < before);
            let stuck = late && snapshot.state == "pending";
            if stuck || snapshot.state == "error" || found.usable.contains_key(&volume) {
                found.spare.push(snapshot);
            } else {
                found.usable.insert(volume, snapshot);
            }
        }
        found
    }
}

/// Snapshots with these tags; one that has been pending since before `stuck_before` is of no use. When `answer_lost`,
/// waits until all of `volumes` are covered or the lookup had time to catch up, and bears troubles that pass.
pub(super) async fn find(
    cloud: &Cloud,
    clock: Clock,
    tags: &Tags,
    volumes: &[VolumeId],
    answer_lost: bool,
    stuck_before: Option<Timestamp>,
) -> Result<Found, Failure> {
    let since = clock.stopwatch();
    loop {
        let over = !answer_lost || since.seconds() >= LAG_SECONDS;
        match cloud.snapshots_tagged(tags).await {
            Ok(facts) => {
                let found = Found::sort(facts, stuck_before);
                if over || found.covers(volumes) {
                    return Ok(found);
                }
            }
            Err(error) if over || !passes(&error) => return Err(error.into()),
            Err(_) => {}
        }
        clock.sleep(PAUSE).await;
    }
}

/// A copy's own volume id is arbitrary (CopySnapshot): the tag says which one it belongs to.
fn source_volume(snapshot: &SnapshotFacts) -> VolumeId {
    let tagged = snapshot
        .tags
        .get(VOLUME_TAG)
        .and_then(|volume| volume.parse().ok());
    tagged.unwrap_or_else(|| snapshot.volume.clone())
}
