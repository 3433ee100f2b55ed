//! What a migration has in both accounts, and what that costs for as long as it stays.
//!
//! A view of the progress against its plan and the price table; it must not know who deletes what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cost::PRICES;
use crate::ids::{AccountId, Region, SnapshotId, VolumeId};
use crate::plan::{Place, Plan};
use crate::progress::{Progress, RoundProgress};
use crate::step::{Action, CompletedSnapshot};
use crate::units::{BLOCK_BYTES, GIB};

/// One thing that stays until somebody deletes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Left {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: LeftKind,
    /// Source volume it belongs to.
    pub volume: VolumeId,
    /// Position in the chain; absent for volumes.
    pub round: Option<u32>,
    /// Account that pays.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// Estimate, USD per month; absent when its size is not known.
    pub usd_per_month: Option<f64>,
    /// What the estimate was made of.
    pub basis: String,
}

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftKind {
    /// Of the source; never deleted by the tool.
    SourceVolume,
    /// Restored or prepared for the target.
    TargetVolume,
    /// Of a round, at the source.
    Snapshot,
    /// Of a round, in the target; on path `direct` of the volumes before they were mounted.
    Copy,
    /// The parameter that says who may execute.
    Claim,
}

/// Everything that is left, volumes first, then the chain in its order.
#[must_use]
pub fn left(plan: &Plan, progress: &Progress) -> Vec<Left> {
    let mut left = volumes(plan, progress);
    left.extend(claim(plan, progress));
    if progress.deleted {
        return left;
    }
    let gone = if progress.cleaned {
        progress.rounds.len().saturating_sub(2)
    } else {
        0
    };
    for (place, index, round) in progress
        .rounds
        .iter()
        .skip(gone)
        .map(|(index, round)| (usize::try_from(*index).unwrap_or(0) == gone, *index, round))
    {
        chain(plan, progress, (place, index, round), &mut left);
    }
    for kept in &progress.kept {
        let size = progress.final_round().and_then(|last| {
            let round = progress.round(last)?;
            full_bytes(progress, round, &kept.volume)
        });
        let item = (kept.snapshot.clone(), &kept.volume, progress.final_round());
        left.push(snapshot(&plan.target, LeftKind::Copy, item, size));
    }
    left
}

/// The claim of the one executor. It is given up when a run ends in order with the source serving; one that was killed
/// holds it, and behind the fence it stays.
fn claim(plan: &Plan, progress: &Progress) -> Option<Left> {
    let stays = progress.may_be_fenced();
    let held = progress.entries > 0 && progress.closed.is_none();
    let (true, Some(first)) = (stays || held, plan.volumes.first()) else {
        return None;
    };
    let why = if stays {
        "stays: an old journal is no way to a source that is fenced; delete it by hand when the source is given up"
    } else {
        "is held by an executor that runs or was killed, and given up when a run ends while the source serves"
    };
    Some(Left {
        id: plan.claim_parameter(),
        kind: LeftKind::Claim,
        volume: first.volume.clone(),
        round: None,
        account: plan.source.account.clone(),
        region: plan.source.region.clone(),
        usd_per_month: Some(0.0),
        // AWS Systems Manager pricing, Parameter Store: a standard parameter carries no additional charge.
        basis: format!("a standard parameter, which carries no charge; it {why}"),
    })
}

/// What all of it costs in a month, as far as sizes are known.
#[must_use]
pub fn usd_per_month(left: &[Left]) -> f64 {
    left.iter().filter_map(|one| one.usd_per_month).sum()
}

fn volumes(plan: &Plan, progress: &Progress) -> Vec<Left> {
    let mut found = Vec::new();
    for planned in &plan.volumes {
        let size = planned.size_gib;
        let (kind, price) = (&planned.volume_type, LeftKind::SourceVolume);
        let of = (planned.volume.to_string(), &planned.volume);
        found.push(volume(&plan.source, price, of, (size, kind)));
        let restored = progress.restored.iter();
        for pair in restored.filter(|pair| pair.source == planned.volume) {
            let of = (pair.target.to_string(), &planned.volume);
            let kind = &planned.target_volume_type;
            found.push(volume(
                &plan.target,
                LeftKind::TargetVolume,
                of,
                (size, kind),
            ));
        }
    }
    found
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes in GiB are far below 2^53"
)]
fn volume(
    place: &Place,
    kind: LeftKind,
    (id, source): (String, &VolumeId),
    (size_gib, volume_type): (u64, &String),
) -> Left {
    let price = PRICES.volume_gib_month.get(volume_type);
    let basis = price.map_or_else(
        || format!("{size_gib} GiB of {volume_type}, a type without a price in the table"),
        |price| format!("{size_gib} GiB of {volume_type} at {price} USD per GiB and month, without extra operations"),
    );
    Left {
        id,
        kind,
        volume: source.clone(),
        round: None,
        account: place.account.clone(),
        region: place.region.clone(),
        usd_per_month: price.map(|price| price * size_gib as f64),
        basis,
    }
}

/// The oldest one left holds everything that was ever written, a later one what it changed (EBS user guide,
/// how incremental snapshots work).
fn chain(
    plan: &Plan,
    progress: &Progress,
    (oldest, index, round): (bool, u32, &RoundProgress),
    left: &mut Vec<Left>,
) {
    for (volume, made, copy) in round.members() {
        let size = if oldest {
            full_bytes(progress, round, &volume)
        } else {
            delta_bytes(round, &volume)
        };
        let item = (made, &volume, Some(index));
        left.push(snapshot(&plan.source, LeftKind::Snapshot, item, size));
        if let Some(copy) = copy {
            let item = (copy, &volume, Some(index));
            left.push(snapshot(&plan.target, LeftKind::Copy, item, size));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are below 2^53 bytes")]
fn snapshot(
    place: &Place,
    kind: LeftKind,
    (id, volume, round): (SnapshotId, &VolumeId, Option<u32>),
    bytes: Option<u64>,
) -> Left {
    let gib = bytes.map(|bytes| bytes as f64 / GIB as f64);
    let price = PRICES.snapshot_gib_month;
    let basis = gib.map_or_else(
        || "its size was not counted".to_owned(),
        |gib| format!("{gib:.1} GiB counted, at {price} USD per GiB and month"),
    );
    Left {
        id: id.to_string(),
        kind,
        volume: volume.clone(),
        round,
        account: place.account.clone(),
        region: place.region.clone(),
        usd_per_month: gib.map(|gib| gib * price),
        basis,
    }
}

/// Everything a volume ever wrote: what the service says of the snapshot, else the blocks of the base.
fn full_bytes(progress: &Progress, round: &RoundProgress, volume: &VolumeId) -> Option<u64> {
    let of = |snapshots: &[CompletedSnapshot]| {
        let found = snapshots.iter().find(|s| s.volume == *volume);
        found.and_then(|snapshot| snapshot.full_bytes)
    };
    of(&round.completed).or_else(|| delta_bytes(progress.round(0)?, volume))
}

fn delta_bytes(round: &RoundProgress, volume: &VolumeId) -> Option<u64> {
    let deltas = round.deltas.as_ref()?;
    let delta = deltas.iter().find(|delta| delta.volume == *volume)?;
    Some(delta.changed_blocks * BLOCK_BYTES)
}

/// Volumes were made whose ids the journal does not know yet: an answer is missing.
#[must_use]
pub fn may_have_more(progress: &Progress) -> bool {
    let made = [Action::CreateVolumes, Action::PrepareVolumes];
    let tried = made.iter().any(|action| progress.tried(action));
    let undone = progress.undone.contains(&Action::DeleteVolumes.step_id());
    tried && progress.restored.is_empty() && !undone
}

#[cfg(test)]
mod tests {
    use super::{LeftKind, left, usd_per_month};
    use crate::story::{Story, plan};

    const ACTIVE: &str = "preflight round0 +3600 round1 +10800 gate check fence f2 a2 h2 c2 d2 w2 vol att up \
                          prove commit act cmp";

    fn kinds(text: &str) -> Vec<(LeftKind, Option<u32>)> {
        let progress = Story::of(text).progress;
        let found = left(&plan(), &progress);
        found.iter().map(|one| (one.kind, one.round)).collect()
    }

    #[test]
    fn what_is_left_is_named_once_and_the_source_always() {
        use LeftKind::{Claim, Copy, Snapshot, SourceVolume, TargetVolume};
        let volumes = [(SourceVolume, None), (TargetVolume, None), (Claim, None)];
        let round = |index| [(Snapshot, Some(index)), (Copy, Some(index))];
        assert_eq!(kinds(""), volumes[..1]);
        let whole = [&volumes[..], &round(0), &round(1), &round(2)].concat();
        assert_eq!(kinds(ACTIVE), whole);
        let clean = format!("{ACTIVE} clean");
        assert_eq!(kinds(&clean), [&volumes[..], &round(1), &round(2)].concat());
    }

    #[test]
    fn it_costs_by_size_and_price() {
        let progress = Story::of(ACTIVE).progress;
        let found = left(&plan(), &progress);
        let volumes: f64 = found
            .iter()
            .take(2)
            .filter_map(|one| one.usd_per_month)
            .sum();
        assert!(
            (volumes - 2.0 * 100.0 * 0.08).abs() < 1e-9,
            "100 GiB of gp3 twice"
        );
        let all = usd_per_month(&found);
        // Ten blocks in each of three rounds, at the source and in the target.
        let chain = 6.0 * 10.0 / 2048.0 * 0.05;
        assert!((all - volumes - chain).abs() < 1e-9, "{all}");
    }
}
