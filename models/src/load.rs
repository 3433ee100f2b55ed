//! How much a volume will write in a future window.
//!
//! The model holds the past in a compact form; [`LoadPaths`] tells it again as sample paths, days
//! ahead and at the gate, where the newest minutes dominate the near future and fade into the
//! rhythm as fast as the volume's own past says. Time is counted in seconds since 1970 UTC. It
//! must not know blocks, deltas or services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dirty::Written;
use crate::observation::WritePeriod;
use crate::units::BLOCK_BYTES;

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
mod periods;
mod quiet;
mod record;
mod streams;
mod surprise;
mod teller;

use clock::LoadClock;
pub use paths::LoadPaths;
use periods::History;
pub(crate) use periods::WEEK_FROM_HOURS;
pub use quiet::{Decision, Outlook, decide, planned};
pub use record::Record;

/// Mean write size from which a period counts as bulk writing (between 24 and 64 KiB on server
/// traces; 32 KiB won).
const BULK_WRITE_BYTES: f64 = 32_768.0;
/// Where the usual writes are far smaller, so is the border: a database whose log is written in
/// sectors flushes its pages in bursts of 12 to 30 KiB that cover fresh blocks.
const LEAST_BULK_WRITE_BYTES: f64 = 8_192.0;
/// A bulk write is so many times larger than the volume's usual one.
const BULK_OVER_USUAL: f64 = 4.0;

const HOUR: f64 = 3600.0;
/// Writes per second of a volume nobody watched, and the log spread of that guess.
const ASSUMED_OPS_PER_SECOND: f64 = 100.0;
const ASSUMED_SPREAD: f64 = 1.2;

/// The load of one volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadModel {
    /// Written per second in each hour of the cycle: 24 of a day or 168 of a week, UTC, the
    /// first one at 1970-01-01 00:00 (a Thursday).
    pub hours: Vec<Written>,
    /// Level over the rhythm where nothing is recorded, as in plans of older versions.
    pub level: f64,
    /// Log standard deviation of that level.
    pub level_spread: f64,
    /// Log scale of one window around it (Student t, 4 degrees of freedom).
    pub burst_spread: f64,
    /// Mean size of small writes, which turns bytes and operations into equivalent operations.
    pub mean_write_bytes: f64,
    /// Exponent of the operations in a small write's measure; the bytes have the rest.
    #[serde(default = "even_share", skip_serializing_if = "is_even_share")]
    pub operations_share: f64,
    /// Mean write size from which a period counts as bulk writing.
    #[serde(
        default = "bulk_write_bytes",
        skip_serializing_if = "is_bulk_write_bytes"
    )]
    pub bulk_write_bytes: f64,
    /// Small writes per second outside bulk writing: they go on beside it.
    #[serde(default, skip_serializing_if = "is_none_usual")]
    pub usual_ops_per_second: f64,
    /// Hours of history behind it.
    pub history_hours: f64,
    /// Bytes written per second, mean of the history.
    pub mean_bytes_per_second: f64,
    /// Operations per second, mean of the history.
    pub mean_ops_per_second: f64,
    /// Where it comes from.
    pub provenance: String,
    /// What was written so far.
    #[serde(default, skip_serializing_if = "Record::is_empty")]
    pub record: Record,
}

/// Bytes and operations count alike.
fn even_share() -> f64 {
    0.5
}

fn bulk_write_bytes() -> f64 {
    BULK_WRITE_BYTES
}

// What is at its default is not written: a plan of an older version keeps its digest.

fn is_even_share(share: &f64) -> bool {
    share.to_bits() == even_share().to_bits()
}

fn is_bulk_write_bytes(bytes: &f64) -> bool {
    bytes.to_bits() == BULK_WRITE_BYTES.to_bits()
}

fn is_none_usual(ops_per_second: &f64) -> bool {
    ops_per_second.to_bits() == 0
}

/// What a small write counts: operations ^ share x (bytes / mean size) ^ (1 - share).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measure {
    mean_write_bytes: f64,
    operations_share: f64,
    bulk_write_bytes: f64,
    usual_ops_per_second: f64,
}

impl LoadModel {
    /// Fits the load to a write history in any order; unusable periods are left out.
    #[must_use]
    pub fn fit(history: &[WritePeriod]) -> Self {
        Self::fit_by(history, even_share())
    }

    /// The same with small writes measured by operations to the power of `operations_share`, 0 to 1,
    /// and bytes to the rest.
    #[must_use]
    pub fn fit_by(history: &[WritePeriod], operations_share: f64) -> Self {
        let periods = History::of(history);
        if periods.0.is_empty() {
            return Self::assumed();
        }
        let bulk_write_bytes = periods.bulk_write_bytes();
        let measure = Measure {
            mean_write_bytes: periods.mean_small_bytes(bulk_write_bytes),
            operations_share,
            bulk_write_bytes,
            usual_ops_per_second: periods.usual_ops_per_second(bulk_write_bytes),
        };
        let hours = periods.rhythm(measure);
        let mut model = Self {
            mean_write_bytes: measure.mean_write_bytes,
            operations_share,
            bulk_write_bytes,
            usual_ops_per_second: measure.usual_ops_per_second,
            history_hours: periods.seconds() / HOUR,
            mean_bytes_per_second: periods.total(|p| p.write_bytes) / periods.seconds(),
            mean_ops_per_second: periods.total(|p| p.write_ops) / periods.seconds(),
            hours,
            ..Self::assumed()
        };
        model.record = Record::of(&periods.entries(measure));
        model.provenance = periods.provenance(history.len());
        model
    }

    /// The load after the newest minutes, in any order; those that began after `now` are a clock's
    /// mistake and left out. Where both tell of the same time the newer one is believed.
    #[must_use]
    pub fn with_recent(&self, recent: &[WritePeriod], now: f64) -> Self {
        let mut fresh = History::of(recent);
        fresh.0.retain(|period| period.start() < now);
        let mut next = self.clone();
        let Some(newest) = fresh.0.last().map(WritePeriod::end) else {
            return next;
        };
        if self.history_hours <= 0.0 {
            next = Self::fit_by(&fresh.0, self.operations_share);
        } else {
            next.record = self.record.joined(&fresh.entries(self.measure()));
        }
        let age = (now - newest).max(0.0);
        next.provenance = format!(
            "{}; {} recent periods measured, the newest {age:.0} s old",
            self.provenance,
            fresh.0.len(),
        );
        next
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
            operations_share: even_share(),
            bulk_write_bytes: BULK_WRITE_BYTES,
            usual_ops_per_second: 0.0,
            history_hours: 0.0,
            mean_bytes_per_second: ASSUMED_OPS_PER_SECOND * 8192.0,
            mean_ops_per_second: ASSUMED_OPS_PER_SECOND,
            record: Record::default(),
            provenance: "write load: assumed (100 writes per second, no write history); metrics \
                         of a few hours would narrow it most"
                .to_owned(),
        }
    }

    /// Bytes and operations of some seconds as written volume.
    #[must_use]
    pub fn written(&self, bytes: f64, ops: f64, seconds: f64) -> Written {
        written(bytes, ops, seconds, self.measure())
    }

    fn measure(&self) -> Measure {
        Measure {
            mean_write_bytes: self.mean_write_bytes,
            operations_share: self.operations_share,
            bulk_write_bytes: self.bulk_write_bytes,
            usual_ops_per_second: self.usual_ops_per_second,
        }
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
        self.observed_each(history, &[(from, to)])[0]
    }

    /// The same for several spans.
    #[must_use]
    pub fn observed_each(&self, history: &[WritePeriod], spans: &[(f64, f64)]) -> Vec<Written> {
        let (periods, clock) = (History::of(history), LoadClock::of(self));
        let span = |(from, to): &(f64, f64)| self.observed_in(&periods, &clock, *from, *to);
        spans.iter().map(span).collect()
    }

    fn observed_in(&self, periods: &History, clock: &LoadClock, from: f64, to: f64) -> Written {
        let mut sum = Written::default();
        let mut at = from;
        for period in &periods.0 {
            let (start, end) = (period.start().max(at), period.end().min(to));
            if end > start {
                sum = sum.plus(clock.written(at, start).scaled(1.0 / self.level));
                let share = (end - start) / f64::from(period.period_seconds);
                sum = sum.plus(period.written(self.measure()).scaled(share));
                at = end;
            }
        }
        sum.plus(clock.written(at, to.max(at)).scaled(1.0 / self.level))
    }
}

/// Splits writing by its mean size. Beside bulk writing the small writes go on at their usual rate, as far
/// as half of the operations allow for them.
fn written(bytes: f64, ops: f64, seconds: f64, measure: Measure) -> Written {
    if !(bytes > 0.0 && ops > 0.0) {
        return Written::default();
    }
    if bytes / ops >= measure.bulk_write_bytes {
        let small = (measure.usual_ops_per_second * seconds).clamp(0.0, ops / 2.0);
        let rest = bytes - small * measure.mean_write_bytes;
        return Written {
            small,
            bulk_blocks: rest.max(0.0) / BLOCK_BYTES as f64,
        };
    }
    let (operations, mean) = (
        2.0 * measure.operations_share,
        measure.mean_write_bytes.max(1.0),
    );
    let rest = 2.0 - operations;
    Written {
        small: (ops.powf(operations) * bytes.powf(rest) / mean.powf(rest)).sqrt(),
        bulk_blocks: 0.0,
    }
}

#[cfg(test)]
mod tests;
