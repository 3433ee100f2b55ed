//! From profile and policy to a plan: window, number and times of rounds, path, verdict, reasons.
//!
//! Every candidate is played through on the same draws, so that a better one is better by its
//! plan and not by luck. It must not know the cloud, and it changes nothing.

mod alternatives;
mod child;
mod choice;
mod demand;
mod error;
mod fences;
mod keys;
pub(crate) mod levels;
mod oracle;
mod play;
mod rivals;
mod search;
mod verdict;
mod what_if;

use std::collections::BTreeMap;

use crate::calibration::History;
use crate::chain::{Circumstances, Run};
use crate::cost::lines;
use crate::draws::DRAWS;
use crate::forecast::fit_with;
use crate::format::{Document, digest_of};
use crate::ids::SnapshotId;
use crate::inventory::VolumeFacts;
use crate::path::{PathOption, options};
use crate::plan::{Bounds, PathChoice, Place, Plan, PlannedVolume, Window};
use crate::policy::{Policy, TransferPath};
use crate::profile::Profile;
use crate::units::{Quantiles, Timestamp, at_epoch_seconds, epoch_seconds, span};

pub use child::make_child;
pub(crate) use demand::Demand;
pub use error::PlanError;
pub(crate) use play::Play;
pub use rivals::{Comparison, compare};
pub(crate) use search::{Candidate, Found, IN_TIME, Search};

/// Makes the plan for `profile` under `policy`, as of `now`. The same arguments give the same
/// bytes. A chain that does not converge is a plan with that verdict, not an error.
///
/// # Errors
/// [`PlanError`] when the policy contradicts itself or the profile; it names both sides.
pub fn make_plan(
    profile: &Profile,
    policy: &Policy,
    now: Timestamp,
    seed: u64,
) -> Result<Plan, PlanError> {
    make_plan_with(profile, policy, &History::default(), now, seed)
}

/// The same with what earlier migrations taught.
///
/// # Errors
/// As [`make_plan`].
pub fn make_plan_with(
    profile: &Profile,
    policy: &Policy,
    history: &History,
    now: Timestamp,
    seed: u64,
) -> Result<Plan, PlanError> {
    let demand = Demand::of(profile, policy, now)?;
    let model = fit_with(profile, policy, history);
    let search = Search::new(&model, &demand, now, seed)?;
    let found = search.best()?;
    let origin = Origin {
        parent: None,
        root: None,
        profile_digest: digest_of(profile),
        policy,
        now,
        seed,
        draws: DRAWS,
    };
    Ok(draw_up(&origin, &search, &found)?.sealed())
}

/// Where a plan comes from.
pub(crate) struct Origin<'a> {
    pub(crate) parent: Option<String>,
    pub(crate) root: Option<String>,
    pub(crate) profile_digest: String,
    pub(crate) policy: &'a Policy,
    pub(crate) now: Timestamp,
    pub(crate) seed: u64,
    /// Draws behind the forecast.
    pub(crate) draws: usize,
}

/// The plan of a schedule that was found, not sealed yet.
///
/// # Errors
/// [`PlanError`] when it is not affordable.
pub(crate) fn draw_up(
    origin: &Origin<'_>,
    search: &Search<'_>,
    found: &Found,
) -> Result<Plan, PlanError> {
    let (demand, policy) = (search.demand, origin.policy);
    let play = Play::of(search, &found.candidate, origin.seed, origin.draws);
    let verdict = verdict::judge(search, found, &play, policy);
    let spent = play.spending(search.model, demand);
    demand.affordable(&spent)?;
    let bounds = bounds(policy, search, found, &play);
    ends_in_time(&bounds, &found.candidate)?;
    Ok(Plan {
        format: Plan::FORMAT.to_owned(),
        digest: String::new(),
        parent: origin.parent.clone(),
        root: origin.root.clone(),
        name: policy.name.clone(),
        made_at: origin.now,
        seed: origin.seed,
        profile_digest: origin.profile_digest.clone(),
        policy: policy.clone(),
        source: demand.source.clone(),
        target: demand.target.clone(),
        verdict: verdict.verdict,
        binding_constraint: verdict.binding.clone(),
        confidence: search.level,
        forecast: play.forecast(search.model, &spent),
        rounds: play.rounds(&found.candidate, demand.path),
        window: found.candidate.window,
        volumes: planned_volumes(demand),
        paths: path_choices(search, &found.candidate),
        cost: lines(&spent),
        bounds,
        what_if: what_if::what_if(search, found),
        alternatives: alternatives::alternatives(demand, policy, verdict.verdict),
        rationale: verdict.rationale,
        model: search.model.clone(),
    })
}

fn planned_volumes(demand: &Demand) -> Vec<PlannedVolume> {
    let base =
        |facts: &VolumeFacts| -> Option<SnapshotId> { demand.reusable.get(&facts.volume).cloned() };
    let one = |facts: &VolumeFacts| PlannedVolume {
        volume: facts.volume.clone(),
        size_gib: facts.size_gib,
        volume_type: facts.volume_type.clone(),
        target_volume_type: demand.target_type(facts),
        device: facts
            .device
            .clone()
            .unwrap_or_else(|| "/dev/sdf".to_owned()),
        kms_key: facts.kms_key.clone(),
        reusable_base: base(facts),
    };
    demand.facts.iter().map(one).collect()
}

/// A window that opens when the fence would already have to be up is none.
fn ends_in_time(bounds: &Bounds, found: &Candidate) -> Result<(), PlanError> {
    let (last, opens) = (bounds.latest_fence, found.window.start);
    if last > opens {
        return Ok(());
    }
    let at = |time: Timestamp| time.format("%Y-%m-%d %H:%M UTC");
    Err(PlanError::Contradiction {
        one: format!(
            "the fence must be up by {} to end before latest_finish in nine of ten cases",
            at(last)
        ),
        other: format!("no allowed window opens before {}", at(opens)),
        remedy: "move latest_finish or the windows",
    })
}

/// Numbers the gate compares with.
fn bounds(policy: &Policy, search: &Search<'_>, found: &Found, play: &Play) -> Bounds {
    let window = found.candidate.window;
    let downtime = play.forecast_downtime().p90;
    let finish = policy.latest_finish.map(|latest| latest - span(downtime));
    Bounds {
        max_write_downtime_seconds: policy.max_write_downtime_seconds,
        max_write_bytes_per_second: search.highest_write_rate(found),
        max_rounds: policy.max_rounds,
        latest_fence: finish.map_or(window.end, |finish| finish.min(window.end)),
    }
}

/// Every path of every volume, those that apply with their time and price.
fn path_choices(search: &Search<'_>, candidate: &Candidate) -> Vec<PathChoice> {
    let (model, demand) = (search.model, search.demand);
    let mut hops: BTreeMap<(TransferPath, bool), (Quantiles, f64)> = BTreeMap::new();
    let mut choice = |option: &PathOption| {
        let timed = (option.applies && option.path != TransferPath::Clone).then(|| {
            *hops
                .entry((option.path, option.rekeyed))
                .or_insert_with(|| hop(search, candidate, option))
        });
        PathChoice {
            volume: option.volume.clone(),
            path: option.path,
            chosen: option.available && option.path == demand.path,
            reason: option.reason.clone(),
            final_hop_seconds: timed.as_ref().map(|timed| timed.0),
            cost_usd: timed.map(|timed| demand.price(model, option, timed.1)),
        }
    };
    demand.options.iter().map(&mut choice).collect()
}

/// Snapshot and transfer of the final round on a path, and the bytes of all rounds.
fn hop(search: &Search<'_>, candidate: &Candidate, option: &PathOption) -> (Quantiles, f64) {
    let chain = search.chain.under(Circumstances::plain(option.path));
    let draws = search.draws.iter();
    let runs: Vec<Run> = draws
        .map(|draw| chain.run(&candidate.itinerary, draw))
        .collect();
    // Under another key the copy is taken for a full one, as long as the base's.
    let rekeyed = |run: &Run| match option.rekeyed {
        true => run.rounds[0].transfer_seconds,
        false => 0.0,
    };
    let hop = |run: &Run| {
        let last = run.cutover.round;
        last.snapshot_seconds + last.transfer_seconds + rekeyed(run)
    };
    let bytes = |run: &Run| {
        let rounds = run.rounds.iter().skip(1).map(|round| round.delta_bytes);
        rounds.sum::<f64>() + run.cutover.round.delta_bytes
    };
    let mut all_bytes: Vec<f64> = runs.iter().map(bytes).collect();
    let seconds = Quantiles::of(&mut runs.iter().map(hop).collect::<Vec<f64>>());
    (seconds, Quantiles::of(&mut all_bytes).p50)
}

/// A window from two points in time, seconds since 1970.
pub(crate) fn window(start: f64, end: f64) -> Window {
    Window {
        start: at_epoch_seconds(start),
        end: at_epoch_seconds(end),
    }
}

/// The paths of each volume, for the demand.
pub(crate) fn volume_options(
    facts: &[VolumeFacts],
    source: &Place,
    target: &Place,
    policy: &Policy,
) -> Vec<PathOption> {
    facts
        .iter()
        .flat_map(|facts| options(facts, source, target, policy))
        .collect()
}

/// Now, in the models' time.
pub(crate) fn seconds_of(now: Timestamp) -> f64 {
    epoch_seconds(now)
}

#[cfg(test)]
mod tests;
