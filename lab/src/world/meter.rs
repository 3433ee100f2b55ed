//! What was really written to a byte-holding volume: its loop device's counters, summed by minute as
//! CloudWatch would. It must not know who writes, nor who asks.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::clock::seconds_between;
use crate::workload::{MinuteSample, Written};

/// Least time between two looks at the counters.
const SECONDS_BETWEEN_LOOKS: f64 = 1.0;

/// The minutes of one device since it was attached.
#[derive(Debug, Clone)]
pub struct DeviceMeter {
    at: DateTime<Utc>,
    total: Written,
    minutes: BTreeMap<i64, (f64, f64)>,
}

impl DeviceMeter {
    /// Begins at `now` with the device's counters as they are.
    pub fn new(now: DateTime<Utc>, total: Written) -> DeviceMeter {
        DeviceMeter {
            at: now,
            total,
            minutes: BTreeMap::new(),
        }
    }

    /// Whether it is time for another look.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        seconds_between(self.at, now) >= SECONDS_BETWEEN_LOOKS
    }

    /// Takes what the counters grew by since the last look as written evenly in between.
    #[expect(clippy::cast_precision_loss, reason = "counters are far below 2^53")]
    pub fn observe(&mut self, now: DateTime<Utc>, total: Written) {
        let bytes = total.bytes.saturating_sub(self.total.bytes) as f64;
        let ops = total.ops.saturating_sub(self.total.ops) as f64;
        let span = seconds_between(self.at, now).max(1e-3);
        let (first, last) = (minute_of(self.at), minute_of(now));
        for minute in first..=last {
            let from = start_of(minute).max(self.at);
            let to = start_of(minute + 1).min(now);
            let share = (seconds_between(from, to) / span).max(0.0);
            let sums = self.minutes.entry(minute).or_insert((0.0, 0.0));
            sums.0 += bytes * share;
            sums.1 += ops * share;
        }
        (self.at, self.total) = (now, total);
    }

    /// The whole minutes in `first..end` that were looked at to their end.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sums of counters are not negative and far below 2^53"
    )]
    pub fn samples(&self, first: DateTime<Utc>, end: DateTime<Utc>) -> Vec<MinuteSample> {
        let known = minute_of(end).min(minute_of(self.at));
        let sample = |(minute, (bytes, ops)): (&i64, &(f64, f64))| MinuteSample {
            at: start_of(*minute),
            write_bytes: bytes.round() as u64,
            write_ops: ops.round() as u64,
        };
        let from = minute_of(first).min(known);
        self.minutes.range(from..known).map(sample).collect()
    }
}

fn minute_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

fn start_of(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(minute * 60, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn growth_is_spread_over_the_minutes_it_happened_in() {
        let start = DateTime::UNIX_EPOCH + TimeDelta::seconds(30);
        let mut meter = DeviceMeter::new(
            start,
            Written {
                ops: 5,
                bytes: 1000,
            },
        );
        meter.observe(
            start + TimeDelta::seconds(120),
            Written {
                ops: 17,
                bytes: 13_000,
            },
        );
        let samples = meter.samples(DateTime::UNIX_EPOCH, start + TimeDelta::hours(1));
        let sums: Vec<(u64, u64)> = samples
            .iter()
            .map(|s| (s.write_bytes, s.write_ops))
            .collect();
        assert_eq!(sums, [(3000, 3), (6000, 6)], "the third minute is not over");
    }
}
