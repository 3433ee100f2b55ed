//! A plan that goes on from what really happened: the parent's rounds stand, the models are taught by them, and the
//! rest of the chain is searched anew under the same policy.
//!
//! Only before the fence. It reads no journal itself: what happened is told as progress.

use std::collections::BTreeMap;

use crate::chain::Itinerary;
use crate::draws::{DRAWS, SEARCH_DRAWS};
use crate::evidence::Evidence;
use crate::forecast::Taught;
use crate::inventory::{Inventory, VolumeFacts};
use crate::plan::{Plan, PlannedRound, PlannedVolume, RoundKind};
use crate::policy::TransferPath;
use crate::progress::{Progress, RoundProgress};
use crate::units::{Quantiles, Timestamp, epoch_seconds};

use super::demand::Demand;
use super::search::Search;
use super::{Origin, PlanError, draw_up};

/// The plan that follows `parent` after `progress`, as of `now`: it names the parent's digest, keeps to its policy
/// with the limits that the operator moved since, and continues its chain, so that the same journal can go on with it.
/// Its fence comes no later than `fence_by`, when that is given.
///
/// # Errors
/// [`PlanError`] when the migration is over, behind the fence or in the middle of a step that may have made
/// something, and when the rest cannot be planned.
pub fn make_child(
    parent: &Plan,
    progress: &Progress,
    now: Timestamp,
    seed: u64,
    fence_by: Option<Timestamp>,
) -> Result<Plan, PlanError> {
    progress
        .may_adopt()
        .map_err(|reason| PlanError::Contradiction {
            one: "a child plan was asked for".to_owned(),
            other: reason,
            remedy: "go on with `execute` and the plan of the journal",
        })?;
    let parent = &Plan {
        policy: progress.limits.over(&parent.policy)?,
        ..parent.clone()
    };
    let evidence = Evidence::of(parent, progress);
    let taught = Taught::of(parent, &evidence, now);
    let stood = Stood::of(parent, progress, &evidence, &taught, now);
    let model = taught.into_model();
    let mut demand = Demand::standing(&inventory(parent, now), &parent.policy, none_reusable())?;
    demand.in_time(&parent.policy, now)?;
    demand.fence_by = fence_by;
    demand.goes_on(stood.rounds.len(), stood.moved_bytes());
    let base = stood.base.clone();
    let search = Search::from_base(
        &model,
        &demand,
        base,
        (epoch_seconds(now), seed),
        SEARCH_DRAWS,
    );
    search.base_in_time()?;
    let found = search.best()?;
    let origin = Origin {
        parent: Some(parent.digest.clone()),
        root: Some(parent.chain_digest().to_owned()),
        profile_digest: parent.profile_digest.clone(),
        policy: &parent.policy,
        now,
        seed,
        draws: DRAWS,
    };
    let mut plan = draw_up(&origin, &search, &found)?;
    plan.volumes.clone_from(&parent.volumes);
    plan.rounds = stood.continued(plan.rounds);
    plan.rationale.insert(0, stood.words(parent));
    Ok(plan.sealed())
}

/// What stands of the chain.
struct Stood {
    base: Itinerary,
    /// The next link is a full one: a base like the first.
    anew: bool,
    /// Rounds that were begun, as they came.
    rounds: Vec<PlannedRound>,
    /// How many of them are in the target.
    landed: usize,
}

impl Stood {
    fn of(
        parent: &Plan,
        progress: &Progress,
        evidence: &Evidence,
        taught: &Taught<'_>,
        now: Timestamp,
    ) -> Self {
        let path = parent
            .rounds
            .first()
            .map_or(TransferPath::Copy, |round| round.path);
        let begun: Vec<(u32, &RoundProgress)> = progress
            .rounds
            .iter()
            .filter(|(_, round)| round.point_in_time().is_some())
            .map(|(index, round)| (*index, round))
            .collect();
        let is_landed = |(_, round): &&(u32, &RoundProgress)| landed(parent, path, round);
        let remaining = || taught.next_round_seconds(evidence, now, parent.seed);
        let all_landed = begun.iter().all(|one| is_landed(&one));
        let lost = progress.without_base.is_some();
        let last = begun.last().copied();
        // A full one that is under way as a snapshot is the base that is to be copied; otherwise one is still to come.
        let base = match lost {
            true if all_landed => base(None, false, now, &remaining),
            true => base(last.map(|(_, round)| (0, round)), false, now, &remaining),
            false => base(last, all_landed, now, &remaining),
        };
        Self {
            base,
            anew: lost && all_landed,
            landed: begun.iter().filter(is_landed).count(),
            rounds: begun
                .iter()
                .map(|(index, round)| as_it_came(*index, round, path))
                .collect(),
        }
    }

    fn moved_bytes(&self) -> Vec<f64> {
        let deltas = self.rounds.iter().skip(1);
        deltas.map(|round| round.delta_bytes.p50).collect()
    }

    /// The rounds that stand, and those of the plan behind them; the plan's own base is the last that stands.
    fn continued(&self, planned: Vec<PlannedRound>) -> Vec<PlannedRound> {
        if self.rounds.is_empty() {
            return planned;
        }
        let next = self.rounds.last().map_or(0, |round| round.index + 1);
        let stands = usize::from(!self.anew);
        let later = planned.into_iter().skip(stands).zip(next..);
        let later = later.map(|(round, index)| PlannedRound { index, ..round });
        self.rounds.iter().cloned().chain(later).collect()
    }

    fn words(&self, parent: &Plan) -> String {
        let under_way = self.rounds.len() - self.landed;
        let from = match self.anew {
            true => "what the next one builds on is gone, so that it is as large as the base",
            false => "the chain goes on from the last of them",
        };
        format!(
            "child of plan {}: {} of its rounds are in the target, {under_way} under way; their deltas and durations \
             taught the models, and {from}",
            parent.digest.get(..12).unwrap_or(&parent.digest),
            self.landed
        )
    }
}

/// The last round that was begun is what the next delta starts from, wherever it is by now.
fn base(
    last: Option<(u32, &RoundProgress)>,
    all_landed: bool,
    now: Timestamp,
    remaining: &dyn Fn() -> f64,
) -> Itinerary {
    let now = epoch_seconds(now);
    let Some((index, round)) = last else {
        return Itinerary {
            base_at: now,
            ..Itinerary::default()
        };
    };
    let base_at = round.point_in_time().map_or(now, epoch_seconds);
    match (index, all_landed) {
        (_, true) => Itinerary {
            base_at,
            transfer_from: Some(now),
            landed: true,
            ..Itinerary::default()
        },
        // The base itself is under way: as slow as the models say, from when it was begun.
        (0, false) => Itinerary {
            base_at,
            transfer_from: (!round.completed.is_empty()).then_some(now),
            ..Itinerary::default()
        },
        (_, false) => Itinerary {
            base_at,
            transfer_from: Some((base_at + remaining()).max(now)),
            landed: true,
            ..Itinerary::default()
        },
    }
}

/// Its data is in the target.
fn landed(plan: &Plan, path: TransferPath, round: &RoundProgress) -> bool {
    let in_place = path == TransferPath::Share && plan.source.account == plan.target.account;
    (in_place && !round.completed.is_empty()) || round.transfer_seconds().is_some()
}

fn as_it_came(index: u32, round: &RoundProgress, path: TransferPath) -> PlannedRound {
    let exact = |value: Option<f64>| Quantiles::exact(value.unwrap_or(0.0));
    PlannedRound {
        index,
        kind: match index {
            0 => RoundKind::Base,
            _ => RoundKind::Round,
        },
        start: round.point_in_time().unwrap_or_default(),
        path,
        delta_bytes: exact(round.delta_bytes().map(|bytes| bytes as f64)),
        snapshot_seconds: exact(round.snapshot_seconds()),
        transfer_seconds: exact(round.transfer_seconds()),
    }
}

fn none_reusable() -> (
    BTreeMap<crate::ids::VolumeId, crate::ids::SnapshotId>,
    Option<Timestamp>,
) {
    (BTreeMap::new(), None)
}

/// The volumes as the parent saw them: what became of them since is for the check to say.
fn inventory(parent: &Plan, now: Timestamp) -> Inventory {
    let source = &parent.source;
    let volume = |planned: &PlannedVolume| VolumeFacts {
        volume: planned.volume.clone(),
        zone: source.zone.clone(),
        size_gib: planned.size_gib,
        volume_type: planned.volume_type.clone(),
        iops: None,
        throughput_mib_per_second: None,
        state: "in-use".to_owned(),
        device: Some(planned.device.clone()),
        attached_to: source.instance.clone(),
        multi_attach: false,
        encrypted: planned.kms_key.is_some(),
        kms_key: planned.kms_key.clone(),
        created_at: None,
        tags: BTreeMap::new(),
    };
    Inventory {
        taken_at: now,
        account: source.account.clone(),
        region: source.region.clone(),
        instance: source.instance.clone(),
        volumes: parent.volumes.iter().map(volume).collect(),
        root_volume: None,
        snapshots: Vec::new(),
    }
}
