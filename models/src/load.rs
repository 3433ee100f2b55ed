//! How much a volume will write in a future window: a rhythm of the day or week times a level.
//!
//! Time is counted in seconds since 1970 UTC. It must not know blocks, deltas or services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dirty::Written;
use crate::observation::WritePeriod;
use crate::units::{BLOCK_BYTES, epoch_seconds};

mod bulk;
mod clock;
mod cycle;
mod experts;
mod ledger;
mod luck;
mod origins;
mod panel;
mod past;
mod paths;
mod record;
mod surprise;
mod teller;

use clock::LoadClock;
pub use paths::LoadPaths;
use record::Entry;
pub use record::Record;

/// Mean write size above which a period counts as bulk writing (between 24 and 64 KiB on server
/// traces; 32 KiB won).
pub const BULK_WRITE_BYTES: f64 = 32_768.0;

const HOUR: f64 = 3600.0;
/// Hours of history from which the rhythm of the week is told from that of the day.
const WEEK_FROM_HOURS: f64 = 14.0 * 24.0;
/// A slot's mean is drawn towards the overall mean as if by this many more hours.
const SLOT_WEIGHT_HOURS: f64 = 1.0;
/// Writes per second of a volume nobody watched, and the log spread of that guess.
const ASSUMED_OPS_PER_SECOND: f64 = 100.0;
const ASSUMED_SPREAD: f64 = 1.2;
/// Log spread of a level that a day of history supports, and its floor.
const DAY_SPREAD: f64 = 0.15;
const LEAST_SPREAD: f64 = 0.05;

/// The load of one volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadModel {
    /// Written per second in each hour of the cycle: 24 of a day or 168 of a week, UTC, the
    /// first one at 1970-01-01 00:00 (a Thursday).
    pub hours: Vec<Written>,
    /// Recent level over the rhythm.
    pub level: f64,
    /// Log standard deviation of that level over the next day.
    pub level_spread: f64,
    /// Log scale of one window around it (Student t, 4 degrees of freedom).
    pub burst_spread: f64,
    /// Mean size of small writes, which turns bytes and operations into equivalent operations.
    pub mean_write_bytes: f64,
    /// Hours of history behind it.
    pub history_hours: f64,
    /// Bytes written per second, mean of the history.
    pub mean_bytes_per_second: f64,
    /// Operations per second, mean of the history.
    pub mean_ops_per_second: f64,
    /// Where it comes from.
    pub provenance: String,
    /// What was written so far.
    #[serde(default)]
    pub record: Record,
}

impl LoadModel {
    /// Fits the load to a write history in any order; unusable periods are left out.
    #[must_use]
    pub fn fit(history: &[WritePeriod]) -> Self {
        let periods = History::of(history);
        if periods.0.is_empty() {
            return Self::assumed();
        }
        let hours = periods.rhythm();
        let mut model = Self {
            mean_write_bytes: periods.mean_small_bytes(),
            history_hours: periods.seconds() / HOUR,
            mean_bytes_per_second: periods.total(|p| p.write_bytes) / periods.seconds(),
            mean_ops_per_second: periods.total(|p| p.write_ops) / periods.seconds(),
            hours,
            ..Self::assumed()
        };
        model.record = Record::of(&periods.entries(&model));
        model.level = periods.recent_level(&model);
        (model.level_spread, model.burst_spread) = periods.spreads(&model);
        model.provenance = format!(
            "write load: measured ({} periods, {:.1} h), rhythm of the {}",
            periods.0.len(),
            model.history_hours,
            if model.hours.len() == 168 {
                "week"
            } else {
                "day"
            },
        );
        model
    }

    fn assumed() -> Self {
        Self {
            hours: vec![
                Written {
                    small: ASSUMED_OPS_PER_SECOND,
                    bulk_blocks: 0.0
                };
                24
            ],
            level: 1.0,
            level_spread: ASSUMED_SPREAD,
            burst_spread: 0.3,
            mean_write_bytes: 8192.0,
            history_hours: 0.0,
            mean_bytes_per_second: ASSUMED_OPS_PER_SECOND * 8192.0,
            mean_ops_per_second: ASSUMED_OPS_PER_SECOND,
            record: Record::default(),
            provenance: "write load: assumed (100 writes per second, no write history); metrics \
                         of a few hours would narrow it most"
                .to_owned(),
        }
    }

    /// Bytes and operations of some time as written volume.
    #[must_use]
    pub fn written(&self, bytes: f64, ops: f64) -> Written {
        written(bytes, ops, self.mean_write_bytes)
    }

    /// What is written in a mean minute.
    #[must_use]
    pub fn minute(&self) -> Written {
        let sum = self
            .hours
            .iter()
            .fold(Written::default(), |sum, hour| sum.plus(*hour));
        sum.scaled(60.0 * self.level / self.hours.len().max(1) as f64)
    }

    /// Written between the two snapshots of an observed delta: the history where there is one,
    /// the rhythm elsewhere.
    #[must_use]
    pub fn observed(&self, history: &[WritePeriod], from: f64, to: f64) -> Written {
        let periods = History::of(history);
        let clock = LoadClock::of(self);
        let mut sum = Written::default();
        let mut at = from;
        for period in &periods.0 {
            let (start, end) = (period.start().max(at), period.end().min(to));
            if end > start {
                sum = sum.plus(clock.written(at, start).scaled(1.0 / self.level));
                let share = (end - start) / f64::from(period.period_seconds);
                sum = sum.plus(
                    self.written(period.write_bytes, period.write_ops)
                        .scaled(share),
                );
                at = end;
            }
        }
        sum.plus(clock.written(at, to.max(at)).scaled(1.0 / self.level))
    }
}

/// Splits writing by its mean size; the split is continuous in both arguments' scale.
fn written(bytes: f64, ops: f64, mean_write_bytes: f64) -> Written {
    if !(bytes > 0.0 && ops > 0.0) {
        return Written::default();
    }
    if bytes / ops >= BULK_WRITE_BYTES {
        return Written {
            small: 0.0,
            bulk_blocks: bytes / BLOCK_BYTES as f64,
        };
    }
    Written {
        small: (ops * bytes / mean_write_bytes.max(1.0)).sqrt(),
        bulk_blocks: 0.0,
    }
}

impl WritePeriod {
    fn start(&self) -> f64 {
        epoch_seconds(self.start)
    }

    fn end(&self) -> f64 {
        self.start() + f64::from(self.period_seconds)
    }
}

/// Usable periods, oldest first, none twice.
struct History(Vec<WritePeriod>);

impl History {
    fn of(history: &[WritePeriod]) -> Self {
        let sound = |p: &&WritePeriod| {
            let numbers = [p.write_bytes, p.write_ops];
            p.period_seconds > 0
                && numbers
                    .iter()
                    .all(|n| n.is_finite() && *n >= 0.0 && *n < 1e18)
        };
        let mut periods: Vec<WritePeriod> = history.iter().filter(sound).copied().collect();
        periods.sort_by_key(|period| (period.start, period.period_seconds));
        let mut until = f64::NEG_INFINITY;
        periods.retain(|period| {
            let fresh = period.start() >= until;
            until = if fresh { period.end() } else { until };
            fresh
        });
        Self(periods)
    }

    fn entries(&self, model: &LoadModel) -> Vec<Entry> {
        let one = |p: &WritePeriod| {
            let written = model.written(p.write_bytes, p.write_ops);
            let seconds = f64::from(p.period_seconds);
            Entry {
                start: p.start(),
                seconds,
                written,
                calm_seconds: if written.bulk_blocks > 0.0 {
                    0.0
                } else {
                    seconds
                },
            }
        };
        self.0.iter().map(one).collect()
    }

    fn seconds(&self) -> f64 {
        self.total(|period| f64::from(period.period_seconds))
            .max(1.0)
    }

    fn total(&self, part: impl Fn(&WritePeriod) -> f64) -> f64 {
        self.0.iter().map(part).sum()
    }

    fn mean_small_bytes(&self) -> f64 {
        let small = || {
            self.0
                .iter()
                .filter(|p| p.write_bytes < BULK_WRITE_BYTES * p.write_ops)
        };
        let (bytes, ops): (f64, f64) = small().fold((0.0, 0.0), |sum, p| {
            (sum.0 + p.write_bytes, sum.1 + p.write_ops)
        });
        if ops > 0.0 && bytes > 0.0 {
            bytes / ops
        } else {
            8192.0
        }
    }

    /// Mean written volume per second in each hour of the cycle.
    fn rhythm(&self) -> Vec<Written> {
        let size = self.mean_small_bytes();
        let cycle = if self.seconds() / HOUR >= WEEK_FROM_HOURS {
            168
        } else {
            24
        };
        let all = self.0.iter().fold(Written::default(), |sum, p| {
            sum.plus(written(p.write_bytes, p.write_ops, size))
        });
        let mean = all.scaled(1.0 / self.seconds());
        let weight = SLOT_WEIGHT_HOURS * HOUR;
        let mut slots = vec![(mean.scaled(weight), weight); cycle];
        for period in &self.0 {
            let middle = period.start() + f64::from(period.period_seconds) / 2.0;
            let slot = &mut slots[hour_slot(middle, cycle)];
            slot.0 = slot
                .0
                .plus(written(period.write_bytes, period.write_ops, size));
            slot.1 += f64::from(period.period_seconds);
        }
        slots
            .into_iter()
            .map(|(sum, seconds)| sum.scaled(1.0 / seconds))
            .collect()
    }

    /// Hourly sums as ln(actual / rhythm), oldest first.
    fn residuals(&self, model: &LoadModel) -> Vec<f64> {
        let mut hours: std::collections::BTreeMap<i64, (f64, f64)> =
            std::collections::BTreeMap::new();
        let cycle = model.hours.len();
        for period in &self.0 {
            let seconds = f64::from(period.period_seconds);
            let middle = period.start() + seconds / 2.0;
            let seen = weight_of(model.written(period.write_bytes, period.write_ops));
            let slot = weight_of(model.hours[hour_slot(middle, cycle)]) * seconds;
            let hour = hours
                .entry(
                    (period.start
                        + chrono::TimeDelta::seconds(i64::from(period.period_seconds / 2)))
                    .timestamp()
                    .div_euclid(3600),
                )
                .or_default();
            *hour = (hour.0 + seen, hour.1 + slot);
        }
        let floor = |pair: &(f64, f64)| 0.02 * pair.1 + 1e-9;
        hours
            .values()
            .map(|pair| ((pair.0 + floor(pair)) / (pair.1 + floor(pair))).ln())
            .collect()
    }

    /// Half of the last day's deviation is expected to last.
    fn recent_level(&self, model: &LoadModel) -> f64 {
        let residuals = self.residuals(model);
        let last = &residuals[residuals.len().saturating_sub(24)..];
        (0.5 * median(last)).clamp(-1.4, 1.4).exp()
    }

    /// Spread of the level (of day means) and of one hour around it.
    fn spreads(&self, model: &LoadModel) -> (f64, f64) {
        let residuals = self.residuals(model);
        let hour = robust_spread(&residuals).max(LEAST_SPREAD);
        let days: Vec<f64> = residuals.chunks(24).map(median).collect();
        let level = robust_spread(&days).max(LEAST_SPREAD);
        let lacking = DAY_SPREAD
            * (24.0 / residuals.len().max(1) as f64)
                .sqrt()
                .clamp(0.3, 4.0);
        (level.hypot(lacking), (hour / 1.4).min(1.0))
    }
}

/// One number for both streams, for ratios.
fn weight_of(written: Written) -> f64 {
    written.small + written.bulk_blocks
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// 1.4826 times the median absolute deviation, the standard deviation of a normal.
fn robust_spread(values: &[f64]) -> f64 {
    let centre = median(values);
    let deviations: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    1.4826 * median(&deviations)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a remainder below the cycle"
)]
fn hour_slot(at: f64, cycle: usize) -> usize {
    ((at / HOUR).floor().rem_euclid(cycle as f64) as usize).min(cycle - 1)
}

#[cfg(test)]
mod tests;
