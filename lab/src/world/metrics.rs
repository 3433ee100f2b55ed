//! What CloudWatch knows of a volume: sums per minute, while it is attached and once they are there.
//! It must not know queries, periods or any wire format.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::caller::Caller;
use crate::workload::MinuteSample;

use super::World;

/// The AWS/EBS metrics that the lab keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Bytes written.
    VolumeWriteBytes,
    /// Write operations completed.
    VolumeWriteOps,
}

/// One minute's sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricPoint {
    /// The minute's start.
    pub at: DateTime<Utc>,
    /// The sum over the minute.
    pub sum: f64,
}

impl World {
    /// A volume's sums for the whole minutes in `from..to`; empty for a volume that the caller does not
    /// own, and for minutes that CloudWatch did not have yet at `as_of`. How late a volume's minutes
    /// show up is drawn once per volume, so what was seen once is seen again.
    pub fn metric_minutes(
        &self,
        caller: &Caller,
        volume: &str,
        metric: Metric,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        as_of: DateTime<Utc>,
    ) -> Vec<MetricPoint> {
        if self.own_volume(caller, volume).is_err() {
            return Vec::new();
        }
        let mut rng = self.chance.stream(&format!("metric/{volume}"));
        let delay = self.scaled(self.service.metric_delay_seconds.draw(&mut rng));
        let known = (as_of - delay).min(to);
        let (first, end) = (floor_minute(from), floor_minute(known));
        self.minute_sums(volume, metric, first, end)
    }

    /// Where the device is looked at, its counters are the whole truth: no writer and no past is made up for it.
    fn minute_sums(
        &self,
        volume: &str,
        metric: Metric,
        first: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Vec<MetricPoint> {
        let volume = self.volumes.get(volume);
        let writer = volume.and_then(|volume| volume.workload.as_ref());
        let written = || writer.map_or_else(Vec::new, |writer| writer.metrics(first, end));
        let samples = match volume.and_then(|volume| volume.meter.as_ref()) {
            Some(meter) => meter.samples(first, end),
            None => written(),
        };
        let point = |sample: MinuteSample| MetricPoint {
            at: sample.at,
            sum: sum(metric, sample),
        };
        samples.into_iter().map(point).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a minute's bytes fit 53 bits")]
fn sum(metric: Metric, sample: MinuteSample) -> f64 {
    match metric {
        Metric::VolumeWriteBytes => sample.write_bytes as f64,
        Metric::VolumeWriteOps => sample.write_ops as f64,
    }
}

fn floor_minute(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at)
}
