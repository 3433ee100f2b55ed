//! The origins of a trace: every half delta, as if snapshots had been taken all along.
//! It must not know what is predicted from them.

use std::ops::Range;

use super::origin::{Bench, Origin};
use super::{Prediction, Protocol, Trace};
use crate::ids::{SnapshotId, VolumeId};
use crate::inventory::{Inventory, VolumeFacts};
use crate::observation::{ObservedDelta, VolumeObservations};
use crate::shares::by_shares;
use crate::units::{GIB, at_epoch_seconds};

/// Every origin of the protocol, each with every lag that ends within the trace.
pub fn predictions(trace: &Trace, protocol: &Protocol) -> Vec<Prediction> {
    let replay = Replay::of(trace, protocol);
    let steps: Vec<u32> = replay.steps().collect();
    let judged = |share: Range<usize>| {
        let origins = steps[share].iter().filter_map(|step| replay.origin(*step));
        origins
            .flat_map(|origin| replay.bench.judge(&origin))
            .collect()
    };
    by_shares(steps.len(), 1, judged)
}

/// A trace with its protocol.
pub struct Replay<'a> {
    /// Where its origins are judged.
    pub bench: Bench,
    trace: &'a Trace,
    protocol: &'a Protocol,
    lags: Vec<f64>,
}

impl<'a> Replay<'a> {
    /// Prepares a replay.
    pub fn of(trace: &'a Trace, protocol: &'a Protocol) -> Self {
        let mut lags = protocol.lags_seconds.clone();
        lags.sort_by(f64::total_cmp);
        lags.dedup();
        let zero = trace.epoch_seconds() - trace.start_seconds();
        Self {
            bench: Bench::new(trace.name(), zero, inventory(trace), trace.periods()),
            trace,
            protocol,
            lags,
        }
    }

    /// Half deltas from the trace's start at which all deltas are there and the shortest lag ends in time.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = u32> + use<> {
        let half = self.protocol.delta_seconds / 2.0;
        let shortest = self.lags.first().copied().unwrap_or(f64::INFINITY);
        let last = ((self.trace.seconds() - shortest) / half).floor();
        (2 * self.protocol.deltas)..=whole(last)
    }

    /// The origin of one of the steps.
    pub fn origin(&self, step: u32) -> Option<Origin> {
        let from = f64::from(step) * self.protocol.delta_seconds / 2.0;
        let ends: Vec<f64> = self
            .lags
            .iter()
            .map(|lag| from + lag)
            .filter(|end| *end <= self.trace.seconds())
            .collect();
        if ends.is_empty() {
            return None;
        }
        let counts = self.trace.counts(from, &ends);
        let at = self.epoch(from);
        Some(Origin {
            at,
            seen: self.seen(from),
            windows: ends
                .into_iter()
                .map(|end| self.epoch(end))
                .zip(counts)
                .collect(),
        })
    }

    fn epoch(&self, at: f64) -> f64 {
        self.trace.epoch_seconds() + at
    }

    fn seen(&self, from: f64) -> VolumeObservations {
        let delta = |back: u32| {
            let to = from - f64::from(back) * self.protocol.delta_seconds;
            self.delta(to - self.protocol.delta_seconds, to)
        };
        VolumeObservations {
            volume: volume(),
            written_blocks: None,
            writes: self
                .bench
                .metrics_until(self.epoch(from - self.protocol.metric_delay_seconds)),
            deltas: (0..self.protocol.deltas).rev().map(delta).collect(),
            durations: Vec::new(),
        }
    }

    fn delta(&self, from: f64, to: f64) -> ObservedDelta {
        let blocks = self.trace.blocks(from, to);
        ObservedDelta {
            from_snapshot: snapshot(from),
            to_snapshot: snapshot(to),
            from: at_epoch_seconds(self.epoch(from)),
            to: at_epoch_seconds(self.epoch(to)),
            changed_blocks: blocks.blocks(),
            runs: blocks,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a u32 holds"
)]
fn whole(steps: f64) -> u32 {
    steps.clamp(0.0, 4e9) as u32
}

fn volume() -> VolumeId {
    "vol-trace".parse().expect("a volume id")
}

fn snapshot(at: f64) -> SnapshotId {
    let name = format!("snap-{:.0}", at * 1000.0);
    name.parse().expect("digits make a snapshot id")
}

/// An account with one volume, as large as the trace reaches.
fn inventory(trace: &Trace) -> Inventory {
    let facts = VolumeFacts {
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
    };
    Inventory {
        taken_at: at_epoch_seconds(trace.epoch_seconds()),
        account: "000000000000".parse().expect("an account"),
        region: "eu-west-1".parse().expect("a region"),
        instance: None,
        volumes: vec![facts],
        root_volume: None,
        snapshots: Vec::new(),
    }
}
