//! One origin: what the product's models say of the windows that follow, and what came.
//! It must not know whether a trace or a profile is behind it.

use super::rivals::Rivals;
use super::score::quantile;
use super::{Band, LEAST_SCORED_BLOCKS, Prediction};
use crate::dirty::Written;
use crate::draws::{Draw, draws};
use crate::forecast::{VolumeModel, volume_model, window_blocks};
use crate::inventory::Inventory;
use crate::load::LoadPaths;
use crate::observation::{ObservedDelta, VolumeObservations, WritePeriod};
use crate::units::{BLOCK_BYTES, epoch_seconds};

/// Draws behind each band: the p05 and p95 of 400 are good to a tenth of the band's width.
const DRAWS: usize = 400;
/// The forecast's own luck: the same for every origin, so that windows are compared on equal draws.
const SEED: u64 = 1;

/// What is seen at one origin, and what follows. Times are seconds since 1970.
#[derive(Debug)]
pub struct Origin {
    /// When the forecast is made; every window begins here.
    pub at: f64,
    /// What was measured before.
    pub seen: VolumeObservations,
    /// Ends of the windows, ascending, with their distinct changed blocks.
    pub windows: Vec<(f64, u64)>,
}

/// Everything an origin is judged by.
#[derive(Debug)]
pub struct Bench {
    /// Name for the predictions.
    pub name: String,
    /// What `start_seconds` of a prediction counts from.
    pub zero: f64,
    /// The account as it stands.
    pub inventory: Inventory,
    /// All metrics, oldest first, those after each origin too.
    pub periods: Vec<WritePeriod>,
    /// The draws behind every band, the same at every origin.
    pub luck: Vec<Draw>,
}

/// The models at one origin.
pub struct Asked<'a> {
    bench: &'a Bench,
    origin: &'a Origin,
    model: VolumeModel,
    load: LoadPaths,
    rivals: Rivals,
    calibrated: Written,
}

impl Bench {
    /// A bench for one volume.
    pub fn new(name: &str, zero: f64, inventory: Inventory, periods: Vec<WritePeriod>) -> Self {
        Self {
            name: name.to_owned(),
            zero,
            inventory,
            periods,
            luck: draws(SEED, 1, 1, DRAWS),
        }
    }

    /// The metrics that are there `delay` seconds before `at`.
    pub fn metrics_until(&self, at: f64) -> Vec<WritePeriod> {
        let known = self.periods.iter();
        known
            .take_while(|period| end(period) <= at)
            .copied()
            .collect()
    }

    /// Every window of an origin.
    pub fn judge(&self, origin: &Origin) -> Vec<Prediction> {
        let asked = Asked::of(self, origin);
        let windows = origin.windows.iter();
        windows
            .map(|&(to, blocks)| asked.prediction(to, blocks))
            .collect()
    }

    /// What was truly written, by the metrics around the window.
    pub fn written(&self, model: &VolumeModel, from: f64, to: f64) -> Written {
        let begin = self.periods.partition_point(|period| end(period) <= from);
        let after = self
            .periods
            .partition_point(|period| epoch_seconds(period.start) < to);
        let near = &self.periods[begin..after.max(begin)];
        model.load.observed(near, from, to)
    }
}

impl<'a> Asked<'a> {
    /// Fits the product's models and their rivals to what was seen.
    pub fn of(bench: &'a Bench, origin: &'a Origin) -> Self {
        let model = volume_model(&bench.inventory, &origin.seen);
        let volume_of = |delta: &ObservedDelta| {
            bench.written(&model, epoch_seconds(delta.from), epoch_seconds(delta.to))
        };
        let written: Vec<Written> = origin.seen.deltas.iter().map(volume_of).collect();
        let calibrated = written
            .iter()
            .fold(Written::default(), |sum, one| sum.plus(*one));
        let rivals = Rivals::of(&origin.seen.deltas, &written);
        Self {
            bench,
            origin,
            load: LoadPaths::of(&model.load, origin.at),
            model,
            rivals,
            calibrated,
        }
    }

    fn prediction(&self, to: f64, blocks: u64) -> Prediction {
        let at = self.origin.at;
        let window = self.bench.written(&self.model, at, to);
        Prediction {
            trace: self.bench.name.clone(),
            start_seconds: at - self.bench.zero,
            lag_seconds: to - at,
            deltas_used: u32::try_from(self.origin.seen.deltas.len()).unwrap_or(u32::MAX),
            scored: blocks >= LEAST_SCORED_BLOCKS && to - at >= self.rivals.delta_seconds() / 2.0,
            extrapolation: weight(window) / weight(self.calibrated).max(1.0),
            predicted_bytes: self.forecast(to),
            predicted_bytes_known_volume: bytes(self.model.curve.blocks(window)),
            known_volume_band_bytes: self.known(window),
            naive_bytes: bytes(self.rivals.mean_rate(to - at)),
            constant_rate_bytes: bytes(self.rivals.last_rate(to - at)),
            exponential_bytes: bytes(self.rivals.exponential(weight(window))),
            power_law_bytes: bytes(self.rivals.power_law(weight(window))),
            actual_bytes: bytes(blocks as f64),
        }
    }

    /// With the forecast of the write volume.
    pub fn forecast(&self, to: f64) -> Band {
        let at = self.origin.at;
        band(window_blocks(
            &self.model,
            &self.load,
            at,
            to,
            &self.bench.luck,
        ))
    }

    /// Rate times time.
    pub fn naive_bytes(&self, to: f64) -> f64 {
        bytes(self.rivals.mean_rate(to - self.origin.at))
    }

    fn known(&self, window: Written) -> Band {
        let luck = self.bench.luck.iter();
        band(
            luck.map(|draw| self.model.curve.drawn(window, &draw.volumes[0]))
                .collect(),
        )
    }
}

fn end(period: &WritePeriod) -> f64 {
    epoch_seconds(period.start) + f64::from(period.period_seconds)
}

/// Both streams as one number, for ratios and for models of one family.
pub fn weight(written: Written) -> f64 {
    written.small + written.bulk_blocks
}

/// Blocks as bytes.
pub fn bytes(blocks: f64) -> f64 {
    blocks * BLOCK_BYTES as f64
}

fn band(mut blocks: Vec<f64>) -> Band {
    blocks.sort_by(f64::total_cmp);
    let at = |level: f64| bytes(quantile(&blocks, level).unwrap_or(0.0));
    Band {
        p05: at(0.05),
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
    }
}
