//! A write history as the metrics gave it, put in order. It must not know forecasts.

use crate::dirty::Written;
use crate::observation::WritePeriod;
use crate::units::epoch_seconds;

use super::clock::hour_slot;
use super::record::Entry;
use super::{BULK_OVER_USUAL, BULK_WRITE_BYTES, HOUR, LEAST_BULK_WRITE_BYTES, Measure, written};

const DAY: f64 = 24.0 * HOUR;
/// A longer period tells nothing of the rhythm (CloudWatch offers up to a day).
const LONGEST_PERIOD_SECONDS: u32 = 86_400;
/// Hours of history from which the rhythm of the week is told from that of the day: two weeks, but for a day. Metrics
/// come minutes late and have gaps, so that two weeks asked for are never two weeks told.
pub(crate) const WEEK_FROM_HOURS: f64 = 13.0 * 24.0;
/// A slot's mean is drawn towards the overall mean as if by this many more hours.
const SLOT_WEIGHT_HOURS: f64 = 1.0;
/// Share of unknown time that is worth a word.
const TELLING_GAP: f64 = 0.1;

impl WritePeriod {
    pub(super) fn start(&self) -> f64 {
        epoch_seconds(self.start)
    }

    pub(super) fn end(&self) -> f64 {
        self.start() + f64::from(self.period_seconds)
    }

    pub(super) fn written(&self, measure: Measure) -> Written {
        let seconds = f64::from(self.period_seconds);
        written(self.write_bytes, self.write_ops, seconds, measure)
    }
}

/// Usable periods, oldest first, none twice.
pub(super) struct History(pub(super) Vec<WritePeriod>);

impl History {
    pub(super) fn of(history: &[WritePeriod]) -> Self {
        let sound = |p: &&WritePeriod| {
            let numbers = [p.write_bytes, p.write_ops];
            (1..=LONGEST_PERIOD_SECONDS).contains(&p.period_seconds)
                && numbers
                    .iter()
                    .all(|n| n.is_finite() && *n >= 0.0 && *n < 1e18)
        };
        let mut periods: Vec<WritePeriod> = history.iter().filter(sound).copied().collect();
        // Of two that tell of the same time the finer one counts, then the one that saw more.
        periods.sort_by(|a, b| {
            let key = |p: &WritePeriod| (p.start, p.period_seconds);
            let more = b.write_bytes.total_cmp(&a.write_bytes);
            key(a)
                .cmp(&key(b))
                .then(more)
                .then(b.write_ops.total_cmp(&a.write_ops))
        });
        let mut until = f64::NEG_INFINITY;
        periods.retain(|period| {
            let fresh = period.start() >= until;
            until = if fresh { period.end() } else { until };
            fresh
        });
        Self(periods)
    }

    pub(super) fn entries(&self, measure: Measure) -> Vec<Entry> {
        let one = |p: &WritePeriod| {
            let written = p.written(measure);
            let seconds = f64::from(p.period_seconds);
            Entry {
                start: p.start(),
                seconds,
                written,
                calm_seconds: if written.bulk_blocks > 0.0 && written.small <= 0.0 {
                    0.0
                } else {
                    seconds
                },
            }
        };
        self.0.iter().map(one).collect()
    }

    pub(super) fn seconds(&self) -> f64 {
        self.total(|period| f64::from(period.period_seconds))
            .max(1.0)
    }

    pub(super) fn total(&self, part: impl Fn(&WritePeriod) -> f64) -> f64 {
        self.0.iter().map(part).sum()
    }

    /// Mean write size from which a period is bulk writing for this volume.
    pub(super) fn bulk_write_bytes(&self) -> f64 {
        let written = self.0.iter().filter(|p| p.write_ops > 0.0);
        let mut sizes: Vec<f64> = written.map(|p| p.write_bytes / p.write_ops).collect();
        sizes.sort_by(f64::total_cmp);
        let usual = sizes
            .get(sizes.len() / 2)
            .copied()
            .unwrap_or(BULK_WRITE_BYTES);
        (BULK_OVER_USUAL * usual).clamp(LEAST_BULK_WRITE_BYTES, BULK_WRITE_BYTES)
    }

    pub(super) fn mean_small_bytes(&self, bulk_write_bytes: f64) -> f64 {
        let small = || {
            self.0
                .iter()
                .filter(|p| p.write_bytes < bulk_write_bytes * p.write_ops)
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

    /// Operations per second outside bulk writing.
    pub(super) fn usual_ops_per_second(&self, bulk_write_bytes: f64) -> f64 {
        let calm = |p: &&WritePeriod| p.write_bytes <= bulk_write_bytes * p.write_ops;
        let (ops, seconds) = self.0.iter().filter(calm).fold((0.0, 0.0), |sum, p| {
            (sum.0 + p.write_ops, sum.1 + f64::from(p.period_seconds))
        });
        ops / f64::max(seconds, 1.0)
    }

    /// Mean written volume per second in each hour of the cycle.
    pub(super) fn rhythm(&self, measure: Measure) -> Vec<Written> {
        let cycle = if self.seconds() / HOUR >= WEEK_FROM_HOURS {
            168
        } else {
            24
        };
        let all = self
            .0
            .iter()
            .fold(Written::default(), |sum, p| sum.plus(p.written(measure)));
        let mean = all.scaled(1.0 / self.seconds());
        let weight = SLOT_WEIGHT_HOURS * HOUR;
        let mut slots = vec![(mean.scaled(weight), weight); cycle];
        for period in &self.0 {
            let middle = period.start() + f64::from(period.period_seconds) / 2.0;
            let slot = &mut slots[hour_slot(middle, cycle)];
            slot.0 = slot.0.plus(period.written(measure));
            slot.1 += f64::from(period.period_seconds);
        }
        slots
            .into_iter()
            .map(|(sum, seconds)| sum.scaled(1.0 / seconds))
            .collect()
    }

    /// What is known and what is missing, of `given` periods.
    pub(super) fn provenance(&self, given: usize) -> String {
        let count = self.0.len();
        let hours = self.seconds() / HOUR;
        let mut words = vec![format!(
            "write load: measured ({count} periods, {hours:.1} h)"
        )];
        if given > count {
            words.push(format!("{} unusable ones left out", given - count));
        }
        words.push(match self.seconds() {
            s if s >= WEEK_FROM_HOURS * HOUR => "rhythm of the week".to_owned(),
            s if s >= 2.0 * DAY => "rhythm of the day".to_owned(),
            _ => "no rhythm of the day yet: metrics of two days would show it".to_owned(),
        });
        let unknown = 1.0 - self.seconds() / self.length().max(1.0);
        if unknown > TELLING_GAP {
            let percent = unknown * 100.0;
            words.push(format!("{percent:.0} % of its time is unknown"));
        }
        if self.total(|p| p.write_bytes) <= 0.0 {
            words.push("nothing was written: what it writes when it wakes is assumed".to_owned());
        }
        if self.0.last().is_some_and(|p| p.period_seconds > 60) {
            words.push("one-minute metrics would narrow the near future".to_owned());
        }
        words.join("; ")
    }

    /// From the beginning of the first period to the end of the last, in seconds.
    fn length(&self) -> f64 {
        match (self.0.first(), self.0.last()) {
            (Some(first), Some(last)) => last.end() - first.start(),
            _ => 0.0,
        }
    }
}
