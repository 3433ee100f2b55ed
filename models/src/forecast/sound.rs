//! Which deltas of a profile a curve may be fitted to, and what is said of the others.
//!
//! A profile can come from anywhere: deltas out of order, told twice, between snapshots of another lineage. It must
//! not know curves.

use crate::observation::{ObservedDelta, VolumeObservations};
use crate::units::{BLOCK_BYTES, epoch_seconds};

/// Share of a delta's time that must be told by the metrics for them to contradict it.
const TOLD_SHARE: f64 = 0.95;
/// A write touches the two blocks it may straddle and as many as it is long.
const BLOCKS_PER_WRITE: f64 = 2.0;
/// Metrics are sums of whole periods: a delta may hold this many times what they tell, and a few blocks more.
const SLACK: (f64, f64) = (1.5, 100.0);

/// The usable deltas in order of time, and words for the others.
pub(super) fn sound_deltas(seen: &VolumeObservations) -> (Vec<&ObservedDelta>, Option<String>) {
    let mut deltas: Vec<&ObservedDelta> = seen.deltas.iter().filter(|d| d.to > d.from).collect();
    let backwards = seen.deltas.len() - deltas.len();
    // Of such as overlap the finer ones count.
    deltas.sort_by_key(|delta| (delta.to, std::cmp::Reverse(delta.from)));
    let mut until = None;
    let before = deltas.len();
    deltas.retain(|delta| {
        let after = until.is_none_or(|end| delta.from >= end);
        until = if after { Some(delta.to) } else { until };
        after
    });
    let overlapping = before - deltas.len();
    let before = deltas.len();
    deltas.retain(|delta| can_be(seen, delta));
    let words = left_out([
        (backwards, "end before they begin"),
        (overlapping, "overlap others"),
        (
            before - deltas.len(),
            "hold more blocks than the writes of their time can have touched, as those of another lineage do",
        ),
    ]);
    (deltas, words)
}

fn left_out(groups: [(usize, &str); 3]) -> Option<String> {
    let groups = groups.iter().filter(|(count, _)| *count > 0);
    let each: Vec<String> = groups
        .map(|(count, why)| format!("{count} {why}"))
        .collect();
    (!each.is_empty()).then(|| {
        format!(
            "deltas left out: {}; two snapshots of this volume, taken one after the other, would replace them",
            each.join(", ")
        )
    })
}

/// Whether the metrics allow for so many blocks; yes where they do not tell.
fn can_be(seen: &VolumeObservations, delta: &ObservedDelta) -> bool {
    let (from, to) = (epoch_seconds(delta.from), epoch_seconds(delta.to));
    let (mut told, mut bytes, mut writes) = (0.0, 0.0, 0.0);
    for period in &seen.writes {
        let (start, end) = (epoch_seconds(period.start), epoch_seconds(period.until()));
        let common = (end.min(to) - start.max(from)).max(0.0);
        if common > 0.0 {
            told += common;
            bytes += period.write_bytes;
            writes += period.write_ops;
        }
    }
    let most = SLACK.0 * (bytes / BLOCK_BYTES as f64 + BLOCKS_PER_WRITE * writes) + SLACK.1;
    let known = told >= TOLD_SHARE * (to - from) && most.is_finite();
    !known || delta.changed_blocks as f64 <= most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{now, profile};
    use crate::observation::WritePeriod;
    use crate::units::span;

    /// An hour of one write a second, and deltas of its halves.
    fn seen(changed_blocks: [u64; 2]) -> VolumeObservations {
        let mut seen = profile(1, 100, 0.2).volumes.remove(0);
        let period = |k: u32| WritePeriod {
            start: now() - span(f64::from(60 * (60 - k))),
            period_seconds: 60,
            write_bytes: 60.0 * 4096.0,
            write_ops: 60.0,
        };
        seen.writes = (0..60).map(period).collect();
        let delta = |(k, changed_blocks): (usize, u64)| ObservedDelta {
            from_snapshot: "snap-01".parse().expect("a snapshot"),
            to_snapshot: "snap-02".parse().expect("a snapshot"),
            from: now() - span(1800.0 * (2 - k) as f64),
            to: now() - span(1800.0 * (1 - k) as f64),
            changed_blocks,
            runs: crate::blocks::BlockSet::default(),
        };
        seen.deltas = changed_blocks.into_iter().enumerate().map(delta).collect();
        seen
    }

    #[test]
    fn a_delta_that_its_writes_cannot_have_made_is_left_out_and_said() {
        let seen = seen([900, 900_000]);
        let (deltas, words) = sound_deltas(&seen);
        assert_eq!(deltas.len(), 1);
        let words = words.expect("one is left out");
        assert!(words.contains("1 hold more blocks"), "{words}");
    }

    #[test]
    fn without_metrics_nothing_contradicts_a_delta() {
        let mut seen = seen([900, 900_000]);
        seen.writes.drain(30..);
        let (deltas, words) = sound_deltas(&seen);
        assert_eq!((deltas.len(), words), (2, None));
    }
}
