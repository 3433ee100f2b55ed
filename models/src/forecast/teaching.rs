//! What the rounds, the fresh write rate and the observed durations teach the plan's models. It must not know draws or
//! clocks.

use crate::calibration::Score;
use crate::dirty::{self, DirtyCurve, Interval, Written};
use crate::evidence::{Evidence, MeasuredRound};
use crate::ids::{Region, VolumeId};
use crate::load::{LoadModel, LoadPaths};
use crate::observation::{ObservedDuration, ServiceStep, WritePeriod};
use crate::plan::Plan;
use crate::policy::TransferPath;
use crate::units::{BLOCK_BYTES, GIB, Timestamp, at_epoch_seconds, epoch_seconds, span};

use super::gate::path_of;
use super::{FittedModel, VolumeModel, provenance};
use crate::service::{Setting, after_unclean_start, learned};

/// The fresh rate speaks of so many seconds.
const FRESH_SECONDS: u32 = 300;

/// Rounds whose deltas are held against their forecasts, the newest.
const SCORED_ROUNDS: usize = 4;
/// A forecast of fewer blocks, that comes true as such, says nothing of the curve.
const LEAST_BLOCKS: f64 = 15.0;

/// Where the plan's migration runs.
fn setting(plan: &Plan) -> Setting {
    Setting {
        source: (plan.source.region.clone(), plan.source.zone.clone()),
        target: (plan.target.region.clone(), plan.target.zone.clone()),
        volume_types: plan.volumes.iter().map(|v| v.volume_type.clone()).collect(),
    }
}

/// The plan's models after the evidence.
pub(super) fn taught(plan: &Plan, evidence: &Evidence, now: Timestamp) -> FittedModel {
    let mut rounds: Vec<&MeasuredRound> = evidence.rounds.iter().collect();
    rounds.sort_by_key(|round| (round.at, round.index));
    let mut volumes: Vec<VolumeModel> = plan
        .model
        .volumes
        .iter()
        .map(|volume| with_rounds(volume, &rounds, size_blocks(plan, volume)))
        .collect();
    let fresh = with_watched(&mut volumes, evidence, now);
    let durations = durations(plan, evidence, &rounds);
    let mut services = learned(&plan.model.services, &durations, &setting(plan));
    if let Some(seconds) = evidence.unclean_start_seconds {
        after_unclean_start(&mut services, seconds);
    }
    let mut model = FittedModel {
        volumes,
        services,
        ..plan.model.clone()
    };
    model.provenance = provenance(&model);
    model.provenance.extend(fresh);
    model
}

/// The volume's curve after its deltas in the rounds; the base tells how many blocks are written.
fn with_rounds(volume: &VolumeModel, rounds: &[&MeasuredRound], size_blocks: f64) -> VolumeModel {
    let mut next = volume.clone();
    let mut intervals = Vec::new();
    for (position, round) in rounds.iter().enumerate() {
        let Some(delta) = round
            .deltas
            .iter()
            .find(|delta| delta.volume == volume.volume)
        else {
            continue;
        };
        if position == 0 && round.index == 0 {
            next.base_blocks = delta.changed_blocks as f64;
            // A database grows: what is written today does not bound what will be.
            next.curve.bound_blocks = size_blocks.max(next.base_blocks).max(1.0);
        } else if let Some(before) = position.checked_sub(1).map(|before| rounds[before].at) {
            let written = written_between(&volume.volume, &volume.load, round, before);
            intervals.push(Interval {
                written,
                changed_blocks: delta.changed_blocks,
                runs: &delta.runs,
            });
        }
    }
    let scores = round_scores(&next.curve, &intervals);
    next.curve = dirty::refit(&next.curve, &intervals);
    next.curve.calibration = volume.curve.calibration.with_scores(&scores);
    next
}

/// Each of the newest rounds' deltas against the curve as it was before that round.
fn round_scores(curve: &DirtyCurve, intervals: &[Interval<'_>]) -> Vec<Score> {
    let first = intervals.len().saturating_sub(SCORED_ROUNDS);
    let score = |index: usize| {
        let before = dirty::refit(curve, &intervals[..index]);
        let (written, changed) = (intervals[index].written, intervals[index].changed_blocks);
        let said = before.blocks(written);
        let tells = before.deltas > 0 && said.max(changed as f64) >= LEAST_BLOCKS;
        tells.then(|| Score {
            extrapolation: before.extrapolation(written),
            log_ratio: ((changed as f64 + 0.5) / (said + 0.5)).ln(),
        })
    };
    (first..intervals.len()).filter_map(score).collect()
}

/// Blocks the volume can hold.
fn size_blocks(plan: &Plan, volume: &VolumeModel) -> f64 {
    let planned = plan.volumes.iter().find(|p| p.volume == volume.volume);
    planned.map_or(volume.curve.bound_blocks, |planned| {
        planned.size_gib.saturating_mul(GIB / BLOCK_BYTES) as f64
    })
}

/// What a round says was written since the one before; else what the rhythm expects.
fn written_between(
    id: &VolumeId,
    load: &LoadModel,
    round: &MeasuredRound,
    before: Timestamp,
) -> Written {
    let (from, to) = (epoch_seconds(before), epoch_seconds(round.at));
    let told = round.writes.iter().find(|writes| &writes.volume == id);
    told.filter(|writes| !writes.periods.is_empty())
        .map_or_else(
            || LoadPaths::of(load, from).expected(from, to),
            |writes| load.observed(&writes.periods, from, to),
        )
}

/// The loads after everything that was read of their writing; where only the group's fresh rate
/// was, each volume has its usual share of it. Says so.
fn with_watched(
    volumes: &mut [VolumeModel],
    evidence: &Evidence,
    now: Timestamp,
) -> Option<String> {
    let usual = volumes.iter().map(|v| usual_rate(&v.load));
    let usual = usual.fold((0.0, 0.0), |sum, rate| (sum.0 + rate.0, sum.1 + rate.1));
    let fresh = fresh_factors(evidence, usual);
    for volume in volumes.iter_mut() {
        let read = evidence.recent_writes.iter();
        let read = read.filter(|writes| writes.volume == volume.volume);
        let mut periods: Vec<WritePeriod> = read.flat_map(|w| w.periods.clone()).collect();
        if let Some(factors) = fresh.filter(|_| periods.is_empty()) {
            periods.push(share_of(factors, &volume.load, now));
        }
        volume.load = volume.load.with_recent(&periods, epoch_seconds(now));
    }
    fresh.map(|(bytes, ops)| {
        format!("write load: measured (fresh rate, {bytes:.2} of the mean in bytes, {ops:.2} in operations)")
    })
}

/// The group's fresh rate over its mean, in bytes and operations.
fn fresh_factors(evidence: &Evidence, usual: (f64, f64)) -> Option<(f64, f64)> {
    let positive = |rate: Option<f64>| rate.filter(|rate| rate.is_finite() && *rate > 0.0);
    let bytes = positive(evidence.fresh_write_bytes_per_second)? / usual.0.max(1e-9);
    let ops = positive(evidence.fresh_write_ops_per_second);
    Some((bytes, ops.map_or(bytes, |ops| ops / usual.1.max(1e-9))))
}

/// A volume's share of the fresh rate.
fn share_of(factors: (f64, f64), load: &LoadModel, now: Timestamp) -> WritePeriod {
    let (bytes, ops) = usual_rate(load);
    let seconds = f64::from(FRESH_SECONDS);
    WritePeriod {
        start: now - span(seconds),
        period_seconds: FRESH_SECONDS,
        write_bytes: bytes * factors.0 * seconds,
        write_ops: ops * factors.1 * seconds,
    }
}

/// Mean bytes and operations per second.
fn usual_rate(load: &LoadModel) -> (f64, f64) {
    (load.mean_bytes_per_second, load.mean_ops_per_second)
}

/// Durations of the evidence; those of rounds as a whole where it has no single ones.
fn durations(plan: &Plan, evidence: &Evidence, rounds: &[&MeasuredRound]) -> Vec<ObservedDuration> {
    let mut all = evidence.durations.clone();
    let has = |step| {
        evidence
            .durations
            .iter()
            .any(|duration| duration.step == step)
    };
    let (snapshots, copies) = (has(ServiceStep::Snapshot), has(ServiceStep::Copy));
    for round in rounds {
        let largest = round.deltas.iter().map(|delta| delta.changed_blocks).max();
        let Some(moved) = largest.map(|blocks| blocks.saturating_mul(BLOCK_BYTES)) else {
            continue;
        };
        let one = |step, region: &Region, seconds| ObservedDuration {
            step,
            moved_bytes: Some(moved),
            seconds,
            ended_at: at_epoch_seconds(epoch_seconds(round.at) + seconds),
            region: region.clone(),
            volume_type: None,
            zone: None,
            from_region: None,
        };
        let copies = copies || path_of(plan) != TransferPath::Copy;
        all.extend(
            round
                .snapshot_seconds
                .filter(|_| !snapshots)
                .map(|s| one(ServiceStep::Snapshot, &plan.source.region, s)),
        );
        all.extend(
            round
                .transfer_seconds
                .filter(|_| !copies)
                .map(|s| one(ServiceStep::Copy, &plan.target.region, s)),
        );
    }
    all
}
