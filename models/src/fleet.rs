//! Many instances under limits they share: when each one's base begins, and when each is cut over.
//!
//! ```text
//! fit and search on few draws -> place one after the other -> confirm on many draws -> a plan each, and their order
//! ```
//!
//! Replicas of one failure domain are never cut over at the same time. Every instance is handled once, so that the
//! work grows with their number. It must not know files or the cloud.

mod calendar;
mod document;
mod place;
mod shared;
mod walk;

use std::collections::BTreeMap;

use crate::calibration::History;
use crate::chain::Itinerary;
use crate::forecast::{FittedModel, fit_with};
use crate::format::{Document, digest_of};
use crate::ids::InstanceId;
use crate::limits::LIMITS;
use crate::plan::Plan;
use crate::policy::{FleetMember, FleetPolicy, Policy, PolicyError};
use crate::profile::Profile;
use crate::schedule::{Demand, Origin, PlanError, Search, draw_up};
use crate::shares::by_shares;
use crate::units::{Quantiles, Timestamp, at_epoch_seconds, epoch_seconds};

use calendar::Calendar;
pub use document::{FleetPlan, LimitUse, PlannedInstance, RefusedInstance, UseStep};
use place::{Grounds, Placed};
pub use walk::check;

/// Draws on which the instances are placed, the same for all of them.
const SHARED_DRAWS: usize = 32;
/// Draws on which each chosen schedule is confirmed.
const CONFIRMED_DRAWS: usize = 1000;
/// Instances in hand at a time: prepared loads take megabytes each.
const IN_HAND: usize = 32;

/// What was measured of an instance, or why that cannot be told.
pub type Profiles<'a> = dyn Fn(&InstanceId) -> Result<Profile, String> + Sync + 'a;

/// Why a fleet cannot be planned at all.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The policy names no instances.
    #[error("the policy names no instances under [[fleet.instances]]; name at least one")]
    Empty,
    /// The keys of one instance cannot be used.
    #[error("instance {instance}: its policy cannot be used")]
    Member {
        /// Instance.
        instance: InstanceId,
        /// Why.
        source: PolicyError,
    },
    /// Wishes that exclude each other.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Plans every instance that the policy's `[fleet]` names, as of `now`. `keep` is handed each one's executable plan
/// as soon as it is made. The same arguments give the same bytes. An instance that has no plan is named with its
/// reason and does not keep the others from theirs.
///
/// # Errors
/// [`FleetError`] when the policy cannot be used, or the budget does not cover the plans.
pub fn plan_fleet(
    policy: &Policy,
    profiles: &Profiles<'_>,
    now: Timestamp,
    seed: u64,
    keep: &mut dyn FnMut(&Plan),
) -> Result<FleetPlan, FleetError> {
    let fleet = policy.fleet.as_ref().ok_or(FleetError::Empty)?;
    let members = members(policy, fleet)?;
    let mut grounds = Grounds {
        fleet,
        now: epoch_seconds(now),
        calendar: Calendar::from(epoch_seconds(now)),
        domains: BTreeMap::new(),
    };
    let (mut planned, mut refused) = (Vec::new(), Vec::new());
    for some in members.chunks(IN_HAND) {
        for (member, made) in some
            .iter()
            .zip(some_planned(some, profiles, &mut grounds, seed))
        {
            match made {
                Ok((plan, placed)) => {
                    keep(&plan);
                    planned.push(line(member, &plan, &placed));
                }
                Err(reason) => refused.push(RefusedInstance {
                    instance: member.instance.clone(),
                    reason,
                }),
            }
        }
    }
    let found = finished(policy, now, seed, planned, refused, &grounds.calendar);
    affordable(policy, &found)?;
    Ok(found)
}

/// An instance with its own policy.
struct Member {
    instance: InstanceId,
    domain: Option<String>,
    policy: Policy,
}

impl Member {
    fn domain_name(&self) -> &str {
        self.domain.as_deref().unwrap_or(self.instance.as_str())
    }
}

/// In the order in which they are placed: the most pressed first, then one of each domain, then the next of each,
/// so that the replicas of a domain are far apart.
fn members(policy: &Policy, fleet: &FleetPolicy) -> Result<Vec<Member>, FleetError> {
    let mut within: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ordered = Vec::new();
    for (position, member) in fleet.instances.iter().enumerate() {
        let own = one(policy, member)?;
        let domain = member.domain.as_deref().unwrap_or(member.instance.as_str());
        let place = within.entry(domain).or_default();
        *place += 1;
        let latest = own.policy.latest_finish;
        ordered.push(((latest.is_none(), latest, *place, position), own));
    }
    if ordered.is_empty() {
        return Err(FleetError::Empty);
    }
    ordered.sort_by_key(|(key, _)| *key);
    Ok(ordered.into_iter().map(|(_, member)| member).collect())
}

fn one(policy: &Policy, member: &FleetMember) -> Result<Member, FleetError> {
    let failed = |source| FleetError::Member {
        instance: member.instance.clone(),
        source,
    };
    Ok(Member {
        instance: member.instance.clone(),
        domain: member.domain.clone(),
        policy: policy.of_member(member).map_err(failed)?,
    })
}

/// What stands behind the search for one instance.
struct Basis {
    demand: Demand,
    model: FittedModel,
    profile_digest: String,
}

type Made = Result<(Plan, Placed), String>;

/// Searched side by side, placed one after the other, confirmed side by side.
fn some_planned(
    members: &[Member],
    profiles: &Profiles<'_>,
    grounds: &mut Grounds<'_>,
    seed: u64,
) -> Vec<Made> {
    let now = at_epoch_seconds(grounds.now);
    let bases: Vec<Result<Basis, String>> = by_shares(members.len(), 1, |share| {
        members[share]
            .iter()
            .map(|member| basis(member, profiles, now))
            .collect()
    });
    let searched: Vec<Option<Search<'_>>> = by_shares(bases.len(), 1, |share| {
        let share = bases[share].iter().map(|basis| basis.as_ref().ok());
        share
            .map(|basis| basis.map(|basis| search(basis, epoch_seconds(now), seed)))
            .collect()
    });
    let mut placed = Vec::new();
    for ((member, basis), search) in members.iter().zip(&bases).zip(searched) {
        placed.push(match (basis, search) {
            (Err(reason), _) => Err(reason.clone()),
            (Ok(_), None) => Err("it was not searched".to_owned()),
            (Ok(_), Some(mut search)) => {
                let found = grounds.place(&mut search, member.domain_name());
                found.map(|found| (search, found))
            }
        });
    }
    by_shares(placed.len(), 1, |share| {
        let one = |index: usize| {
            let (search, found) = placed[index].as_ref().map_err(Clone::clone)?;
            let basis = bases[index].as_ref().map_err(Clone::clone)?;
            confirmed(&members[index], basis, search, found, (now, seed))
        };
        share.map(one).collect()
    })
}

fn basis(member: &Member, profiles: &Profiles<'_>, now: Timestamp) -> Result<Basis, String> {
    let profile = profiles(&member.instance)?;
    if profile.inventory.instance.as_ref() != Some(&member.instance) {
        let of = profile
            .inventory
            .instance
            .as_ref()
            .map_or("no instance", InstanceId::as_str);
        return Err(format!("its profile is that of {of}"));
    }
    let demand = Demand::of(&profile, &member.policy, now).map_err(|error| error.to_string())?;
    Ok(Basis {
        demand,
        model: fit_with(&profile, &member.policy, &History::default()),
        profile_digest: digest_of(&profile),
    })
}

fn search(basis: &Basis, now: f64, seed: u64) -> Search<'_> {
    let base = Itinerary {
        base_at: basis.demand.reusable_at.map_or(now, epoch_seconds),
        transfer_from: basis.demand.reusable_at.map(|_| now),
        ..Itinerary::default()
    };
    Search::from_base(&basis.model, &basis.demand, base, (now, seed), SHARED_DRAWS)
}

/// The executable plan of an instance that was placed.
fn confirmed(
    member: &Member,
    basis: &Basis,
    search: &Search<'_>,
    placed: &Placed,
    (now, seed): (Timestamp, u64),
) -> Made {
    let origin = Origin {
        parent: None,
        root: None,
        profile_digest: basis.profile_digest.clone(),
        policy: &member.policy,
        now,
        seed,
        draws: CONFIRMED_DRAWS,
    };
    let plan = draw_up(&origin, search, &placed.found);
    let mut plan = plan.map_err(|error| error.to_string())?;
    if let Some(base) = plan.rounds.first_mut() {
        base.start = at_epoch_seconds(placed.base_start);
    }
    plan.rationale.push(place_words(member, placed));
    Ok((plan.sealed(), placed.clone()))
}

fn place_words(member: &Member, placed: &Placed) -> String {
    let why = placed
        .waited_for
        .as_ref()
        .map_or_else(String::new, |limit| {
            format!(", not before, because others take the {limit}")
        });
    format!(
        "fleet: the base begins {}{why}; no other instance of {} is cut over before {}",
        at_epoch_seconds(placed.base_start).format("%Y-%m-%d %H:%M UTC"),
        member.domain_name(),
        at_epoch_seconds(placed.over_by).format("%Y-%m-%d %H:%M UTC"),
    )
}

fn line(member: &Member, plan: &Plan, placed: &Placed) -> PlannedInstance {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let base = plan.rounds.first();
    let taken = base.map_or(0.0, |base| {
        base.snapshot_seconds.p90 + base.transfer_seconds.p90
    });
    PlannedInstance {
        order: 0,
        instance: member.instance.clone(),
        domain: member.domain.clone(),
        plan_digest: plan.digest.clone(),
        verdict: plan.verdict,
        volumes: count(plan.volumes.len()),
        rounds: count(placed.found.candidate.itinerary.rounds.len()),
        base_start: at_epoch_seconds(placed.base_start),
        base_ready: at_epoch_seconds(placed.base_start + taken),
        waited_for: placed.waited_for.clone(),
        window: plan.window,
        over_by: at_epoch_seconds(placed.over_by),
        write_downtime_seconds: plan.forecast.write_downtime_seconds,
        cost_usd: plan.forecast.cost_usd,
    }
}

fn finished(
    policy: &Policy,
    now: Timestamp,
    seed: u64,
    mut instances: Vec<PlannedInstance>,
    refused: Vec<RefusedInstance>,
    calendar: &Calendar,
) -> FleetPlan {
    instances.sort_by(|a, b| (a.window.start, &a.instance).cmp(&(b.window.start, &b.instance)));
    for (one, order) in instances.iter_mut().zip(1..) {
        one.order = order;
    }
    let sum = |level: fn(&Quantiles) -> f64| instances.iter().map(|one| level(&one.cost_usd)).sum();
    let cost_usd = Quantiles {
        p50: sum(|cost| cost.p50),
        p90: sum(|cost| cost.p90),
        p99: sum(|cost| cost.p99),
    };
    let limits = calendar.uses();
    let start = instances.iter().map(|one| one.base_start).min();
    let end = instances.iter().map(|one| one.over_by).max();
    let plan = FleetPlan {
        format: FleetPlan::FORMAT.to_owned(),
        digest: String::new(),
        name: policy.name.clone(),
        made_at: now,
        seed,
        policy: policy.clone(),
        binding_constraint: binding(&instances, &limits),
        span: crate::plan::Window {
            start: start.unwrap_or(now),
            end: end.unwrap_or(now),
        },
        instances,
        refused,
        cost_usd,
        limits,
    };
    plan.sealed()
}

/// The limit that most instances wait for.
fn binding(instances: &[PlannedInstance], limits: &[LimitUse]) -> String {
    let snapshots: u64 = instances
        .iter()
        .map(|one| u64::from(one.volumes) * (u64::from(one.rounds) + 2))
        .sum();
    if snapshots > LIMITS.snapshots_per_region {
        return format!(
            "the number of snapshots: the chains have up to {snapshots} in all, and a region holds {}: clean up \
             after each cutover, or have the quota raised",
            LIMITS.snapshots_per_region
        );
    }
    let waiting = |limit: &LimitUse| {
        let waits = |one: &&PlannedInstance| one.waited_for.as_ref() == Some(&limit.limit);
        instances.iter().filter(waits).count()
    };
    let most = limits.iter().max_by_key(|limit| waiting(limit));
    match most.map(|limit| (limit, waiting(limit))) {
        Some((limit, count)) if count > 0 => format!(
            "{}: {:.0} {} are allowed at once, {count} of {} instances wait for them, {:.0} h they are taken up",
            limit.limit,
            limit.allowed,
            limit.unit,
            instances.len(),
            limit.full_hours
        ),
        _ => "none of the shared limits: every base begins at once".to_owned(),
    }
}

fn affordable(policy: &Policy, found: &FleetPlan) -> Result<(), PlanError> {
    match policy.budget_usd {
        Some(budget) if found.cost_usd.p50 > budget => Err(PlanError::Contradiction {
            one: format!("budget_usd is {budget:.2}"),
            other: format!(
                "the {} instances are expected to cost {:.2} USD together",
                found.instances.len(),
                found.cost_usd.p50
            ),
            remedy: "raise budget_usd, or plan fewer instances",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
