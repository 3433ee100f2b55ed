//! The forecast at the gate: the plan's models, taught by the rounds and the fresh write rate.

use crate::calibration::Score;
use crate::chain::{Chain, Circumstances, Cutover, Nominal, Signs, Since};
use crate::cost::Spending;
use crate::dirty::{self, DirtyCurve, Interval, Written};
use crate::draws::{DRAWS, Draw, GLANCE_DRAWS, SEARCH_DRAWS, draws, outcomes};
use crate::evidence::{Evidence, MeasuredRound};
use crate::ids::{Region, VolumeId};
use crate::load::{LoadModel, LoadPaths};
use crate::observation::{ObservedDuration, ServiceStep, WritePeriod};
use crate::plan::{Forecast, Plan};
use crate::policy::TransferPath;
use crate::units::{BLOCK_BYTES, GIB, Quantiles, Timestamp, at_epoch_seconds, epoch_seconds, span};

use super::{FittedModel, VolumeModel, provenance, shares, widened};
use crate::service::{Setting, after_unclean_start, learned};

/// The fresh rate speaks of so many seconds.
const FRESH_SECONDS: u32 = 300;

/// Rounds whose deltas are held against their forecasts, the newest.
const SCORED_ROUNDS: usize = 4;
/// A forecast of fewer blocks, that comes true as such, says nothing of the curve.
const LEAST_BLOCKS: f64 = 15.0;

/// Forecast of a cutover that starts now, from everything measured so far. Falls back to the
/// plan's knowledge wherever the evidence is silent; `seed` fixes every draw.
#[must_use]
pub fn at_gate(plan: &Plan, evidence: &Evidence, now: Timestamp, seed: u64) -> Forecast {
    simulated(
        plan,
        &taught(plan, evidence, now),
        (evidence, now),
        seed,
        DRAWS,
    )
}

/// What each of `steps` will take of a cutover that starts now, on fewer draws: to be held against what came.
#[must_use]
pub fn parts_at_gate(
    plan: &Plan,
    (evidence, now): (&Evidence, Timestamp),
    steps: &[ServiceStep],
) -> Vec<Quantiles> {
    let model = taught(plan, evidence, now);
    let seconds = epoch_seconds(now);
    let chain = Chain::of(&model, Circumstances::plain(path_of(plan)), seconds);
    let since = last_round(plan, evidence, now);
    let play =
        |draw: &Draw| chain.cutover(since, seconds + chain.checkpoint_seconds(draw), 0, draw);
    let ends = outcomes(plan.seed, chain.volumes(), 1, GLANCE_DRAWS, play);
    let part = |step: &ServiceStep| {
        let seconds = ends.iter().map(|end| end.seconds_of(*step));
        Quantiles::of(&mut seconds.collect::<Vec<f64>>())
    };
    steps.iter().map(part).collect()
}

/// The plan's models after what was measured so far: taught once, asked several times while the
/// next step is weighed.
#[derive(Clone, Debug)]
pub struct Taught<'a> {
    plan: &'a Plan,
    model: FittedModel,
}

impl<'a> Taught<'a> {
    /// Teaches the models of `plan`.
    #[must_use]
    pub fn of(plan: &'a Plan, evidence: &Evidence, now: Timestamp) -> Self {
        Self {
            plan,
            model: taught(plan, evidence, now),
        }
    }

    /// The models themselves.
    pub(crate) fn into_model(self) -> FittedModel {
        self.model
    }

    /// Forecast of a cutover at `at`, as [`at_gate`] but on fewer draws. Of the evidence only the point
    /// in time of the last round may differ from what the models were taught.
    #[must_use]
    pub fn glance(&self, evidence: &Evidence, at: Timestamp, seed: u64) -> Forecast {
        simulated(self.plan, &self.model, (evidence, at), seed, GLANCE_DRAWS)
    }

    /// Seconds that one more round takes at the median if it starts at `now`, until it is seen in the target: its
    /// snapshot and transfer by the forecast, and what the executor needed besides in the rounds so far (looks,
    /// the listing of a large volume, the flush). For the decision whether it is worth its time.
    #[must_use]
    pub fn next_round_seconds(&self, evidence: &Evidence, now: Timestamp, seed: u64) -> f64 {
        let chain = Chain::of(
            &self.model,
            Circumstances::plain(path_of(self.plan)),
            epoch_seconds(now),
        );
        let since = last_round(self.plan, evidence, now);
        let besides = besides(&evidence.rounds);
        let play = |draw: &Draw| {
            let round = chain.round(since, epoch_seconds(now), 0, draw);
            let looks = round.unseen_seconds;
            round.seconds() - looks + besides.unwrap_or(looks)
        };
        let all = draws(seed, chain.volumes(), 1, SEARCH_DRAWS);
        Quantiles::of(&mut all.iter().map(play).collect::<Vec<f64>>()).p50
    }
}

/// What rounds took beyond snapshot and transfer, at the median; none before one did.
fn besides(rounds: &[MeasuredRound]) -> Option<f64> {
    let rounds = rounds.iter().filter(|round| round.index > 0);
    let mut seen: Vec<f64> = rounds.filter_map(|round| round.besides_seconds).collect();
    (!seen.is_empty()).then(|| Quantiles::of(&mut seen).p50)
}

fn simulated(
    plan: &Plan,
    model: &FittedModel,
    (evidence, now): (&Evidence, Timestamp),
    seed: u64,
    count: usize,
) -> Forecast {
    let seconds = epoch_seconds(now);
    let chain = Chain::of(model, Circumstances::plain(path_of(plan)), seconds);
    let since = last_round(plan, evidence, now);
    let cutover =
        |draw: &Draw| chain.cutover(since, seconds + chain.checkpoint_seconds(draw), 0, draw);
    let (ends, signs): (Vec<Cutover>, Vec<Signs>) = if count < DRAWS {
        // Fewer do not tell what the spread comes from.
        (
            outcomes(seed, chain.volumes(), 1, count, cutover),
            Vec::new(),
        )
    } else {
        let hop = nominal(&chain, since, seconds, &cutover, seed);
        let play = |draw: &Draw| (cutover(draw), chain.signs(&hop, draw));
        let both = outcomes(seed, chain.volumes(), 1, count, play);
        both.into_iter().unzip()
    };
    let column = |part: &dyn Fn(&Cutover) -> f64| {
        Quantiles::of(&mut ends.iter().map(part).collect::<Vec<f64>>())
    };
    let downtimes: Vec<f64> = ends.iter().map(|end| end.write_downtime_seconds).collect();
    let write_downtime_seconds = widened(column(&|end| end.write_downtime_seconds), model);
    let spent = Spending::so_far(plan, model, evidence);
    Forecast {
        freeze_seconds: column(&|end| end.freeze_seconds),
        write_downtime_seconds,
        read_downtime_seconds: if model.database {
            write_downtime_seconds
        } else {
            Quantiles::exact(0.0)
        },
        final_delta_bytes: column(&|end| end.round.delta_bytes),
        cost_usd: column(&|end| spent.with_round(end.round.delta_bytes).usd()),
        spread: match signs.is_empty() {
            true => Vec::new(),
            false => shares(&downtimes, &signs),
        },
        provenance: model.provenance.clone(),
    }
}

/// The hop at hand at the median of its bytes.
fn nominal(
    chain: &Chain,
    since: Since,
    fence: f64,
    cutover: &(impl Fn(&Draw) -> Cutover + Sync),
    seed: u64,
) -> Nominal {
    let bytes = |draw: &Draw| cutover(draw).round.delta_bytes;
    let mut bytes = outcomes(seed, chain.volumes(), 1, SEARCH_DRAWS, bytes);
    chain.nominal(since, fence, Quantiles::of(&mut bytes).p50)
}

/// The path of the plan's last hop.
fn path_of(plan: &Plan) -> TransferPath {
    plan.rounds
        .last()
        .map_or(TransferPath::Copy, |round| round.path)
}

/// Point in time the last completed round holds; the base's planned start before any round.
fn last_round(plan: &Plan, evidence: &Evidence, now: Timestamp) -> Since {
    let last = evidence.rounds.iter().max_by_key(|round| round.at);
    let planned = plan.rounds.first().map(|round| round.start);
    let at = evidence
        .last_round_at
        .or(last.map(|round| round.at))
        .or(planned)
        .unwrap_or(plan.made_at)
        .min(now);
    // A round that is only weighed comes after a CHECKPOINT, as every round before a cutover does.
    let weighed = last.is_none_or(|round| round.at < at);
    if weighed || last.is_some_and(|round| round.flushed) {
        Since::flushed(epoch_seconds(at))
    } else {
        Since::unflushed(epoch_seconds(at))
    }
}

/// Where the plan's migration runs.
fn setting(plan: &Plan) -> Setting {
    Setting {
        source: (plan.source.region.clone(), plan.source.zone.clone()),
        target: (plan.target.region.clone(), plan.target.zone.clone()),
        volume_types: plan.volumes.iter().map(|v| v.volume_type.clone()).collect(),
    }
}

/// The plan's models after the evidence.
fn taught(plan: &Plan, evidence: &Evidence, now: Timestamp) -> FittedModel {
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
