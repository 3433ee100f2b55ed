//! What is asked for, checked against itself and against what there is. Contradictions end here.

use std::collections::BTreeMap;

use crate::cost::Spending;
use crate::forecast::FittedModel;
use crate::ids::{Region, SnapshotId, VolumeId};
use crate::inventory::{Inventory, SnapshotFacts, VolumeFacts};
use crate::limits::LIMITS;
use crate::path::PathOption;
use crate::plan::Place;
use crate::policy::{Hours, Policy, TransferPath};
use crate::profile::Profile;
use crate::units::{Quantiles, Timestamp};

use super::{PlanError, volume_options};

/// A policy that makes sense for a profile.
pub(crate) struct Demand {
    pub(crate) source: Place,
    pub(crate) target: Place,
    pub(crate) options: Vec<PathOption>,
    pub(crate) path: TransferPath,
    pub(crate) hours: Vec<Hours>,
    pub(crate) reusable: BTreeMap<VolumeId, SnapshotId>,
    /// Oldest point in time among the reusable snapshots.
    pub(crate) reusable_at: Option<Timestamp>,
    pub(crate) latest_finish: Option<Timestamp>,
    /// The fence may not come later than in the plan that this one takes the place of.
    pub(super) fence_by: Option<Timestamp>,
    pub(crate) max_rounds: usize,
    pub(crate) limit_seconds: f64,
    pub(crate) confidence: f64,
    budget_usd: Option<f64>,
    /// Delta bytes of the rounds that stand already.
    moved_bytes: Vec<f64>,
    target_volume_type: Option<String>,
    /// The volumes, in order of their ids.
    pub(super) facts: Vec<VolumeFacts>,
    /// Size and target type of each volume.
    pub(super) volumes: Vec<(u64, String)>,
}

impl Demand {
    pub(crate) fn of(
        profile: &Profile,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Self, PlanError> {
        policy.validate()?;
        over_by(policy, now)?;
        places(&profile.inventory, policy)?;
        volumes(profile)?;
        let base = reusable(profile, now);
        Self::standing(&profile.inventory, policy, base)
    }

    /// The same for volumes that are known to be measured, with the snapshots that serve as base and their
    /// oldest point in time.
    pub(crate) fn standing(
        inventory: &Inventory,
        policy: &Policy,
        (reusable, reusable_at): (BTreeMap<VolumeId, SnapshotId>, Option<Timestamp>),
    ) -> Result<Self, PlanError> {
        let zone = policy.zone()?;
        let (source, target) = places(inventory, policy)?;
        let mut facts = inventory.volumes.clone();
        facts.sort_by(|a, b| a.volume.cmp(&b.volume));
        let options = volume_options(&facts, &source, &target, policy);
        let path = common_path(&facts, &options)?;
        super::keys::fit(&facts, &source, &target, policy)?;
        let mut demand = Self {
            source,
            target,
            options,
            path,
            hours: policy
                .windows
                .iter()
                .map(|window| window.hours(zone))
                .collect::<Result<_, _>>()?,
            reusable,
            reusable_at,
            latest_finish: policy.latest_finish,
            fence_by: None,
            max_rounds: (policy.max_rounds as usize).min(crate::draws::MAX_ROUNDS),
            limit_seconds: policy.max_write_downtime_seconds,
            confidence: policy.confidence,
            budget_usd: policy.budget_usd,
            moved_bytes: Vec::new(),
            target_volume_type: policy.target.volume_type.clone(),
            volumes: Vec::new(),
            facts,
        };
        let facts = demand.facts.iter();
        demand.volumes = facts.map(|f| (f.size_gib, demand.target_type(f))).collect();
        demand.free_of_charge()?;
        Ok(demand)
    }

    /// Type of the restored volume.
    pub(crate) fn target_type(&self, facts: &VolumeFacts) -> String {
        self.target_volume_type
            .clone()
            .unwrap_or_else(|| facts.volume_type.clone())
    }

    /// Base and rounds that stand, to which what is planned is added.
    pub(crate) fn spending(&self, model: &FittedModel) -> Spending {
        let base = Spending::base(model, &self.volumes, self.path, self.between_regions());
        let moved = self.moved_bytes.iter();
        moved.fold(base, |spent, bytes| spent.with_round(*bytes))
    }

    /// There is time left.
    pub(crate) fn in_time(&self, policy: &Policy, now: Timestamp) -> Result<(), PlanError> {
        over_by(policy, now)
    }

    /// `begun` links of the chain stand already, the base among them, and moved so much.
    pub(crate) fn goes_on(&mut self, begun: usize, moved_bytes: Vec<f64>) {
        self.max_rounds = self
            .max_rounds
            .saturating_sub(begun.saturating_sub(1))
            .max(1);
        self.moved_bytes = moved_bytes;
    }

    pub(crate) fn price(&self, model: &FittedModel, option: &PathOption, delta_bytes: f64) -> f64 {
        let spent = Spending::base(model, &self.volumes, option.path, self.between_regions());
        let again = match option.rekeyed {
            true => spent.stored_again_usd(),
            false => 0.0,
        };
        spent.with_round(delta_bytes).usd() + again
    }

    fn between_regions(&self) -> bool {
        self.source.region != self.target.region
    }

    fn free_of_charge(&self) -> Result<(), PlanError> {
        match self.budget_usd {
            Some(budget) if budget <= 0.0 => Err(PlanError::Contradiction {
                one: format!("budget_usd is {budget}"),
                other: format!(
                    "every path, {:?} too, stores snapshots that are paid for",
                    self.path
                ),
                remedy: "raise budget_usd or leave it out",
            }),
            _ => Ok(()),
        }
    }

    /// The budget covers the median cost.
    pub(crate) fn affordable(&self, spent: &[Spending]) -> Result<(), PlanError> {
        let cost = Quantiles::of(&mut spent.iter().map(Spending::usd).collect::<Vec<f64>>());
        match self.budget_usd {
            Some(budget) if cost.p50 > budget => Err(PlanError::Contradiction {
                one: format!("budget_usd is {budget:.2}"),
                other: format!("the migration is expected to cost {:.2} USD", cost.p50),
                remedy: "raise budget_usd, or plan fewer or smaller volumes",
            }),
            _ => Ok(()),
        }
    }
}

/// The present leaves time for it.
fn over_by(policy: &Policy, now: Timestamp) -> Result<(), PlanError> {
    match policy.latest_finish {
        Some(latest) if latest <= now => Err(PlanError::Contradiction {
            one: format!("latest_finish is {latest}"),
            other: format!("it is {now} already"),
            remedy: "move latest_finish",
        }),
        _ => Ok(()),
    }
}

fn places(inventory: &Inventory, policy: &Policy) -> Result<(Place, Place), PlanError> {
    let first = inventory
        .volumes
        .iter()
        .min_by(|a, b| a.volume.cmp(&b.volume));
    let Some(first) = first else {
        let subject = inventory.instance.as_ref().map_or_else(
            || format!("account {} in {}", inventory.account, inventory.region),
            |instance| format!("instance {instance}"),
        );
        return Err(PlanError::NoVolumes { subject });
    };
    let source = Place {
        account: inventory.account.clone(),
        region: inventory.region.clone(),
        zone: first.zone.clone(),
        instance: inventory.instance.clone(),
    };
    let target = &policy.target;
    let target = Place {
        account: target.account.clone(),
        region: target.region.clone(),
        zone: target.zone.clone(),
        instance: target.instance.clone(),
    };
    zone_in_region(&target)?;
    let same = (&source.account, &source.zone) == (&target.account, &target.zone);
    if same && (target.instance.is_none() || target.instance == source.instance) {
        return Err(PlanError::Contradiction {
            one: format!(
                "the target is account {}, zone {}",
                target.account, target.zone
            ),
            other: "that is where the volumes are already".into(),
            remedy: "name another account, zone or instance under [target]",
        });
    }
    Ok((source, target))
}

/// A zone's name begins with its region's and ends with a letter of its own, that of a local zone with a place and
/// a number between them.
fn zone_in_region(target: &Place) -> Result<(), PlanError> {
    let region: &Region = &target.region;
    let own = target.zone.as_str().strip_prefix(region.as_str());
    let is_letter = |text: &str| text.len() == 1 && text.bytes().all(|b| b.is_ascii_lowercase());
    let is_local = |text: &str| {
        let ends = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        text.starts_with('-')
            && ends.ends_with(|c: char| c.is_ascii_digit())
            && is_letter(&text[ends.len()..])
    };
    if own.is_some_and(|own| is_letter(own) || is_local(own)) {
        return Ok(());
    }
    Err(PlanError::Contradiction {
        one: format!("target.zone is {}", target.zone),
        other: format!("target.region is {region}"),
        remedy: "name a zone of that region",
    })
}

fn volumes(profile: &Profile) -> Result<(), PlanError> {
    let inventory = &profile.inventory;
    if inventory.volumes.len() >= LIMITS.volumes_per_set {
        return Err(PlanError::Contradiction {
            one: format!("the group has {} data volumes", inventory.volumes.len()),
            other: format!(
                "one snapshot set holds {} with the root volume",
                LIMITS.volumes_per_set
            ),
            remedy: "detach volumes that do not belong to the database",
        });
    }
    for facts in &inventory.volumes {
        let problem = |problem: String, remedy| {
            Err(PlanError::Volume {
                volume: facts.volume.clone(),
                problem,
                remedy,
            })
        };
        if !matches!(facts.state.as_str(), "in-use" | "available") {
            return problem(
                format!("is in state {:?}", facts.state),
                "repair or replace it first",
            );
        }
        if facts.multi_attach {
            return problem(
                "has Multi-Attach".into(),
                "turn it off: one host's freeze does not stop the others",
            );
        }
        if inventory.instance.is_some() && facts.attached_to != inventory.instance {
            return problem("is not attached to the instance".into(), "measure again");
        }
        if !profile
            .volumes
            .iter()
            .any(|seen| seen.volume == facts.volume)
        {
            return problem(
                "is in the inventory but was not measured".into(),
                "measure again",
            );
        }
    }
    let stray = profile
        .volumes
        .iter()
        .find(|v| !inventory.volumes.iter().any(|f| f.volume == v.volume));
    match stray {
        Some(seen) => Err(PlanError::Volume {
            volume: seen.volume.clone(),
            problem: "was measured but is not in the inventory".into(),
            remedy: "measure again",
        }),
        None => Ok(()),
    }
}

/// One path for the whole group: the first in preference that every volume can take.
fn common_path(facts: &[VolumeFacts], options: &[PathOption]) -> Result<TransferPath, PlanError> {
    let can = |volume: &VolumeId, path| {
        options
            .iter()
            .any(|o| o.volume == *volume && o.path == path && o.available)
    };
    let all = |path: &TransferPath| facts.iter().all(|facts| can(&facts.volume, *path));
    if let Some(path) = crate::path::PREFERRED.into_iter().find(all) {
        return Ok(path);
    }
    let stuck = facts
        .iter()
        .find(|f| !crate::path::PATHS.iter().any(|path| can(&f.volume, *path)));
    let volume = stuck.or(facts.first()).map(|facts| facts.volume.clone());
    let Some(volume) = volume else {
        return Err(PlanError::NoVolumes {
            subject: "the profile".into(),
        });
    };
    let own = options.iter().filter(|option| option.volume == volume);
    let words: Vec<String> = own
        .map(|o| format!("{}: {}", format!("{:?}", o.path).to_lowercase(), o.reason))
        .collect();
    Err(PlanError::NoPath {
        volume,
        reasons: words.join("; "),
    })
}

/// Snapshots of an hour's age difference may serve together as base; older than a week they are
/// too far from today's content to be worth it.
const REUSABLE_DAYS: i64 = 7;

/// The newest completed snapshot of every volume, when all have one of the present size.
fn reusable(
    profile: &Profile,
    now: Timestamp,
) -> (BTreeMap<VolumeId, SnapshotId>, Option<Timestamp>) {
    let inventory = &profile.inventory;
    let fit = |facts: &VolumeFacts, s: &SnapshotFacts| {
        s.volume == facts.volume
            && s.state == "completed"
            && s.storage_tier == "standard"
            && s.size_gib == facts.size_gib
            && s.encrypted == facts.encrypted
            && s.started_at <= now
            && now - s.started_at <= chrono::TimeDelta::days(REUSABLE_DAYS)
    };
    let newest = |facts: &VolumeFacts| {
        inventory
            .snapshots
            .iter()
            .filter(|s| fit(facts, s))
            .max_by_key(|s| s.started_at)
    };
    let chosen: Option<Vec<&SnapshotFacts>> = inventory.volumes.iter().map(newest).collect();
    let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty()) else {
        return (BTreeMap::new(), None);
    };
    let oldest = chosen.iter().map(|snapshot| snapshot.started_at).min();
    (
        chosen
            .into_iter()
            .map(|s| (s.volume.clone(), s.snapshot.clone()))
            .collect(),
        oldest,
    )
}
