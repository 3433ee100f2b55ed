//! From observations to quantiles of every delta, duration, clock and the cost.
//!
//! `fit` turns a profile into models that live in the plan; `at_gate` brings their forecast up to
//! date with what the rounds measured. It must not know the schedule search.

mod clock;
mod gate;
mod sound;
mod spread;
mod teaching;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, History};
use crate::dirty::{self, DirtyCurve, Interval, Written};
use crate::draws::Draw;
pub use crate::evidence::{Evidence, MeasuredRound, VolumePeriods};
use crate::ids::VolumeId;
use crate::inventory::Inventory;
use crate::load::{LoadModel, LoadPaths};
use crate::observation::{ObservedDelta, VolumeObservations};
use crate::policy::Policy;
use crate::profile::Profile;
use crate::service::{self, ServiceModel, Setting};
use crate::units::{BLOCK_BYTES, GIB, epoch_seconds};

pub(crate) use clock::widened;
pub use gate::{Taught, at_gate, parts_at_gate};
pub use spread::{SpreadInput, SpreadShare, shares};

/// The fitted models of one consistency group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FittedModel {
    /// One per data volume, in order of ids.
    pub volumes: Vec<VolumeModel>,
    /// One per service step.
    pub services: Vec<ServiceModel>,
    /// A database is fenced, flushed and recovered.
    pub database: bool,
    /// What a stop of the database writes, when the operator stated it: joins the final delta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush_bytes: Option<f64>,
    /// How the forecasts of earlier migrations turned out: ln(actual / P50) over ln(P90 / P50).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clock_scores: Vec<f64>,
    /// Where every input comes from: measured (how many points), prior (source) or assumed.
    pub provenance: Vec<String>,
}

/// What was learned of one volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeModel {
    /// Volume.
    pub volume: VolumeId,
    /// Blocks a full snapshot moves.
    pub base_blocks: f64,
    /// Distinct blocks dirtied as a function of what is written.
    pub curve: DirtyCurve,
    /// What will be written when.
    pub load: LoadModel,
}

/// Fits the models to a profile. Total: what is missing widens the forecast and is said.
#[must_use]
pub fn fit(profile: &Profile, policy: &Policy) -> FittedModel {
    fit_with(profile, policy, &History::default())
}

/// The same with what earlier migrations taught.
#[must_use]
pub fn fit_with(profile: &Profile, policy: &Policy, history: &History) -> FittedModel {
    let known = Calibration::prior().with_scores(&history.curve);
    let mut volumes: Vec<VolumeModel> = profile
        .volumes
        .iter()
        .map(|seen| taught_volume(&profile.inventory, seen, &known))
        .collect();
    volumes.sort_by(|a, b| a.volume.cmp(&b.volume));
    let own = profile.volumes.iter().flat_map(|v| &v.durations);
    let durations: Vec<_> = history.durations.iter().chain(own).cloned().collect();
    let setting = setting(&profile.inventory, policy);
    let services = service::learned(&service::priors(), &durations, &setting);
    let mut model = FittedModel {
        volumes,
        services,
        database: policy.database.is_some(),
        flush_bytes: policy.flush_mib.map(|mib| mib as f64 * 1_048_576.0),
        clock_scores: history.clock_scores(),
        provenance: Vec::new(),
    };
    model.provenance = provenance(&model);
    model.provenance.extend(remembered(history));
    model
}

/// How much of earlier migrations went into it.
fn remembered(history: &History) -> Option<String> {
    let (durations, clocks) = (history.durations.len(), history.clocks.len());
    (durations + clocks > 0).then(|| {
        format!(
            "earlier migrations: {durations} durations of service steps, {clocks} write downtimes"
        )
    })
}

/// Where the migration runs.
fn setting(inventory: &Inventory, policy: &Policy) -> Setting {
    let first = inventory.volumes.first();
    let zone = first.map_or_else(|| policy.target.zone.clone(), |facts| facts.zone.clone());
    Setting {
        source: (inventory.region.clone(), zone),
        target: (policy.target.region.clone(), policy.target.zone.clone()),
        volume_types: inventory
            .volumes
            .iter()
            .map(|facts| facts.volume_type.clone())
            .collect(),
    }
}

/// What is learned of one volume. Total: what is missing widens its forecast and is said.
#[must_use]
pub fn volume_model(inventory: &Inventory, seen: &VolumeObservations) -> VolumeModel {
    taught_volume(inventory, seen, &Calibration::prior())
}

/// The same, with the error of curves as `known` from elsewhere.
fn taught_volume(
    inventory: &Inventory,
    seen: &VolumeObservations,
    known: &Calibration,
) -> VolumeModel {
    let load = LoadModel::fit(&seen.writes);
    let size_blocks = size_blocks(inventory, seen);
    let (base_blocks, base_words) = base_blocks(inventory, seen, size_blocks);
    // A database grows: nothing but the volume's size bounds what it may write.
    let bound_blocks = size_blocks.unwrap_or(base_blocks).max(base_blocks);
    let (deltas, left_out) = sound::sound_deltas(seen);
    let load = by_own_measure(load, seen, &deltas, bound_blocks);
    let intervals = intervals(&load, seen, &deltas);
    let mut curve = dirty::fit(&intervals, bound_blocks, load.minute());
    let scores = dirty::own_scores(&intervals, bound_blocks, load.minute());
    curve.calibration = known.with_scores(&scores);
    let words = [Some(base_words.to_owned()), left_out];
    for words in words.into_iter().flatten() {
        curve.provenance = format!("{}; {words}", curve.provenance);
    }
    VolumeModel {
        volume: seen.volume.clone(),
        base_blocks,
        curve,
        load,
    }
}

/// Shares of the operations in the measure of small writes that are weighed.
const SHARES: [f64; 3] = [0.0, 0.5, 1.0];
/// How the measures' mean errors on own deltas move their weights (softmax; stacking as in the curve).
const WEIGHT_PER_ERROR: f64 = 20.0;

/// The load in the measure of writing that would have foretold the volume's own deltas: bytes where pages are
/// flushed, operations where single writes scatter, anything between where neither is clearly better.
fn by_own_measure(
    load: LoadModel,
    seen: &VolumeObservations,
    deltas: &[&ObservedDelta],
    bound_blocks: f64,
) -> LoadModel {
    let measured = |share: f64| {
        let model = LoadModel {
            operations_share: share,
            ..load.clone()
        };
        intervals(&model, seen, deltas)
    };
    let errors = dirty::foresights(&SHARES.map(measured), bound_blocks);
    let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
    let weight = |error: &f64| (WEIGHT_PER_ERROR * (least - error)).exp();
    let weights: Vec<f64> = errors.iter().map(weight).collect();
    let weighed = weights
        .iter()
        .zip(SHARES)
        .map(|(weight, share)| weight * share);
    let share = weighed.sum::<f64>() / weights.iter().sum::<f64>();
    if share.to_bits() == load.operations_share.to_bits() {
        return load;
    }
    LoadModel::fit_by(&seen.writes, share)
}

/// The deltas with what was written meanwhile.
fn intervals<'a>(
    load: &LoadModel,
    seen: &VolumeObservations,
    deltas: &[&'a ObservedDelta],
) -> Vec<Interval<'a>> {
    let span = |delta: &&ObservedDelta| (epoch_seconds(delta.from), epoch_seconds(delta.to));
    let spans: Vec<(f64, f64)> = deltas.iter().map(span).collect();
    let written = load.observed_each(&seen.writes, &spans);
    let interval = |(delta, written): (&&'a ObservedDelta, Written)| Interval {
        written,
        changed_blocks: delta.changed_blocks,
        runs: &delta.runs,
    };
    deltas.iter().zip(written).map(interval).collect()
}

/// Distinct 512 KiB blocks written between `from` and `to` (seconds since 1970) when the model's load
/// goes as in `load`; one number per draw, in their order. Each draw speaks of its first volume.
#[must_use]
pub fn window_blocks(
    model: &VolumeModel,
    load: &LoadPaths,
    from: f64,
    to: f64,
    draws: &[Draw],
) -> Vec<f64> {
    let one = |draw: &Draw| {
        let own = draw.volumes.first()?;
        Some(model.curve.drawn(load.drawn(from, to, draw, own), own))
    };
    draws.iter().filter_map(one).collect()
}

/// Blocks a volume can hold; none when the inventory does not know it.
fn size_blocks(inventory: &Inventory, seen: &VolumeObservations) -> Option<f64> {
    let mut volumes = inventory.volumes.iter();
    let facts = volumes.find(|facts| facts.volume == seen.volume)?;
    Some(facts.size_gib.saturating_mul(GIB / BLOCK_BYTES) as f64)
}

/// Written blocks as a snapshot told them; else the newest snapshot's full size; else the size.
fn base_blocks(
    inventory: &Inventory,
    seen: &VolumeObservations,
    size_blocks: Option<f64>,
) -> (f64, &'static str) {
    let limit = |blocks: f64| size_blocks.map_or(blocks, |size| blocks.min(size));
    let told = inventory
        .snapshots
        .iter()
        .rev()
        .filter(|s| s.volume == seen.volume);
    let told = told
        .filter_map(|s| s.full_bytes)
        .next()
        .map(|bytes| (bytes / BLOCK_BYTES) as f64);
    match seen
        .written_blocks
        .map(|blocks| blocks as f64)
        .or(told)
        .filter(|blocks| *blocks > 0.0)
    {
        Some(blocks) => (
            limit(blocks),
            "written blocks: measured (a snapshot's full size)",
        ),
        None => (
            size_blocks.unwrap_or(0.0),
            "written blocks: assumed (the whole volume; a snapshot with its full size would tell)",
        ),
    }
}

/// One line per input of the forecast.
pub(crate) fn provenance(model: &FittedModel) -> Vec<String> {
    let per_volume = model.volumes.iter().flat_map(|volume| {
        let name = &volume.volume;
        [
            format!("{name}: {}", volume.curve.provenance),
            format!("{name}: {}", volume.curve.calibration.provenance()),
            format!("{name}: {}", volume.load.provenance),
        ]
    });
    per_volume
        .chain(model.services.iter().map(ServiceModel::provenance))
        .chain(flush_words(model))
        .chain(clock::words(&model.clock_scores))
        .collect()
}

/// What is assumed of the pages the database holds in memory.
fn flush_words(model: &FittedModel) -> Option<String> {
    let stated = |bytes: f64| {
        format!(
            "shutdown flush: stated ({:.0} MiB join the final delta)",
            bytes / 1_048_576.0
        )
    };
    model.database.then(|| {
        model.flush_bytes.map_or_else(
            || {
                "shutdown flush: assumed (a CHECKPOINT before the last round and before the fence, so the \
                 final delta holds what was dirtied between them; flush_mib states another)"
                    .to_owned()
            },
            stated,
        )
    })
}

#[cfg(test)]
mod tests;
