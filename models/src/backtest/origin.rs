//! One origin after the other: what the product's models say of the windows that follow.
//! It must not give them anything from after the origin.

use super::trace::{EPOCH_SECONDS, METRIC_SECONDS};
use super::{Band, LEAST_SCORED_BLOCKS, Prediction, Protocol, Trace};
use crate::dirty::Written;
use crate::draws::{Draw, draws};
use crate::forecast::{VolumeModel, volume_model, window_blocks};
use crate::ids::{SnapshotId, VolumeId};
use crate::inventory::{Inventory, VolumeFacts};
use crate::observation::{ObservedDelta, VolumeObservations, WritePeriod};
use crate::units::{BLOCK_BYTES, GIB, at_epoch_seconds};

/// Draws behind each band: the p05 and p95 of 400 are good to a tenth of the band's width.
const DRAWS: usize = 400;
/// The forecast's own luck: the same for every origin, so that windows are compared on equal draws.
const SEED: u64 = 1;

/// Every origin of the protocol, each with every lag that ends within the trace.
pub fn predictions(trace: &Trace, protocol: &Protocol) -> Vec<Prediction> {
    let bench = Bench::of(trace, protocol);
    let half = protocol.delta_seconds / 2.0;
    let mut all = Vec::new();
    for step in 2 * protocol.deltas.. {
        let origin = f64::from(step) * half;
        let before = all.len();
        all.extend(bench.at(origin));
        if all.len() == before {
            return all;
        }
    }
    all
}

struct Bench<'a> {
    trace: &'a Trace,
    protocol: &'a Protocol,
    lags: Vec<f64>,
    inventory: Inventory,
    periods: Vec<WritePeriod>,
    draws: Vec<Draw>,
}

impl<'a> Bench<'a> {
    fn of(trace: &'a Trace, protocol: &'a Protocol) -> Self {
        let mut lags = protocol.lags_seconds.clone();
        lags.sort_by(f64::total_cmp);
        lags.dedup();
        Self {
            trace,
            protocol,
            lags,
            inventory: inventory(trace),
            periods: trace.periods(),
            draws: draws(SEED, 1, 1, DRAWS),
        }
    }

    fn at(&self, origin: f64) -> Vec<Prediction> {
        let fits = |lag: &&f64| origin + **lag <= self.trace.seconds();
        let lags: Vec<f64> = self.lags.iter().take_while(fits).copied().collect();
        if lags.is_empty() {
            return Vec::new();
        }
        let seen = self.seen(origin);
        let model = volume_model(&self.inventory, &seen);
        let ends: Vec<f64> = lags.iter().map(|lag| origin + lag).collect();
        let actual = self.trace.counts(origin, &ends);
        let calibrated = self.written(&model, origin - self.calibration_seconds(), origin);
        let lags = lags.iter().zip(actual);
        lags.map(|(&lag, blocks)| {
            let window = self.written(&model, origin, origin + lag);
            let known = model.curve.blocks(window);
            let (from, to) = (EPOCH_SECONDS + origin, EPOCH_SECONDS + origin + lag);
            let forecast = window_blocks(&model, from, from, to, &self.draws);
            let drawn = self
                .draws
                .iter()
                .map(|draw| model.curve.drawn(window, &draw.volumes[0]));
            Prediction {
                trace: self.trace.name().to_owned(),
                start_seconds: self.trace.start_seconds() + origin,
                lag_seconds: lag,
                deltas_used: self.protocol.deltas,
                scored: self.scored(lag, blocks),
                extrapolation: ratio(window, calibrated),
                predicted_bytes: band(forecast),
                predicted_bytes_known_volume: bytes(known),
                known_volume_band_bytes: band(drawn.collect()),
                naive_bytes: bytes(changed(&seen) * lag / self.calibration_seconds()),
                actual_bytes: bytes(blocks as f64),
            }
        })
        .collect()
    }

    fn scored(&self, lag: f64, blocks: u64) -> bool {
        blocks >= LEAST_SCORED_BLOCKS && lag >= self.protocol.delta_seconds / 2.0
    }

    fn calibration_seconds(&self) -> f64 {
        f64::from(self.protocol.deltas) * self.protocol.delta_seconds
    }

    /// What was truly written, by the sums of the minutes.
    fn written(&self, model: &VolumeModel, from: f64, to: f64) -> Written {
        let near = self.minutes(from, to + f64::from(METRIC_SECONDS));
        model
            .load
            .observed(near, EPOCH_SECONDS + from, EPOCH_SECONDS + to)
    }

    /// The minutes that begin at or before `from` and end by `to`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the number of minutes"
    )]
    fn minutes(&self, from: f64, to: f64) -> &[WritePeriod] {
        let index = |at: f64| {
            let minute = (at / f64::from(METRIC_SECONDS)).floor();
            minute.clamp(0.0, self.periods.len() as f64) as usize
        };
        let begin = index(from);
        &self.periods[begin..index(to).max(begin)]
    }

    fn seen(&self, origin: f64) -> VolumeObservations {
        let deltas = (0..self.protocol.deltas).rev();
        let delta = |back: u32| {
            let to = origin - f64::from(back) * self.protocol.delta_seconds;
            self.delta(to - self.protocol.delta_seconds, to)
        };
        VolumeObservations {
            volume: volume(),
            written_blocks: None,
            writes: self
                .minutes(0.0, origin - self.protocol.metric_delay_seconds)
                .to_vec(),
            deltas: deltas.map(delta).collect(),
            durations: Vec::new(),
        }
    }

    fn delta(&self, from: f64, to: f64) -> ObservedDelta {
        let blocks = self.trace.blocks(from, to);
        ObservedDelta {
            from_snapshot: snapshot(from),
            to_snapshot: snapshot(to),
            from: at_epoch_seconds(EPOCH_SECONDS + from),
            to: at_epoch_seconds(EPOCH_SECONDS + to),
            changed_blocks: blocks.len(),
            runs: runs(&blocks),
        }
    }
}

/// Blocks as runs `[first, length]`.
fn runs(blocks: &roaring::RoaringBitmap) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for block in blocks {
        match runs.last_mut() {
            Some(run) if run.0 + run.1 == u64::from(block) => run.1 += 1,
            _ => runs.push((u64::from(block), 1)),
        }
    }
    runs
}

fn changed(seen: &VolumeObservations) -> f64 {
    seen.deltas
        .iter()
        .map(|delta| delta.changed_blocks as f64)
        .sum()
}

fn ratio(window: Written, calibrated: Written) -> f64 {
    let weight = |written: Written| written.small + written.bulk_blocks;
    weight(window) / weight(calibrated).max(1.0)
}

fn bytes(blocks: f64) -> f64 {
    blocks * BLOCK_BYTES as f64
}

fn band(mut blocks: Vec<f64>) -> Band {
    blocks.sort_by(f64::total_cmp);
    let at = |level: f64| bytes(super::score::quantile(&blocks, level).unwrap_or(0.0));
    Band {
        p05: at(0.05),
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
    }
}

fn volume() -> VolumeId {
    "vol-trace".parse().expect("a volume id")
}

fn snapshot(at: f64) -> SnapshotId {
    let name = format!("snap-{at:.0}");
    name.parse().expect("digits make a snapshot id")
}

/// An account with one volume, as large as the trace reaches.
fn inventory(trace: &Trace) -> Inventory {
    Inventory {
        taken_at: at_epoch_seconds(EPOCH_SECONDS),
        account: "000000000000".parse().expect("an account"),
        region: "eu-west-1".parse().expect("a region"),
        instance: None,
        volumes: vec![VolumeFacts {
            volume: volume(),
            zone: "eu-west-1a".parse().expect("a zone"),
            size_gib: trace.end_bytes().div_ceil(GIB),
            volume_type: "gp3".to_owned(),
            iops: None,
            throughput_mib_per_second: None,
            state: "in-use".to_owned(),
            device: None,
            attached_to: None,
            multi_attach: false,
            encrypted: false,
            kms_key: None,
            created_at: None,
            tags: std::collections::BTreeMap::new(),
        }],
        root_volume: None,
        snapshots: Vec::new(),
    }
}
