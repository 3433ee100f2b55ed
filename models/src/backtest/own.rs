//! The origins of a profile: the start of each of its own deltas, judged by the deltas that follow.
//! It must not know what is predicted from them.

use super::origin::{Bench, Origin};
use super::{Backtest, BacktestError, Protocol, of_one, pooled};
use crate::blocks::BlockSet;
use crate::observation::{ObservedDelta, VolumeObservations};
use crate::profile::Profile;
use crate::units::epoch_seconds;

/// Evaluates the forecast on each volume's own deltas: at the start of each, the model sees at most
/// `deltas` earlier ones and the metrics, and predicts the windows that end with the next ones.
///
/// # Errors
/// [`BacktestError::TooFewDeltas`] when no volume has two deltas, one after the other.
pub fn run_profile(
    profile: &Profile,
    deltas: u32,
    metric_delay_seconds: f64,
) -> Result<Backtest, BacktestError> {
    let of_volume = |seen: &VolumeObservations| {
        let own = Own::of(profile, seen, deltas, metric_delay_seconds);
        let predictions: Vec<_> = own
            .origins()
            .iter()
            .flat_map(|origin| own.bench.judge(origin))
            .collect();
        let name = seen.volume.as_str();
        (!predictions.is_empty()).then(|| of_one(name, own.seconds(), own.protocol(), predictions))
    };
    let parts: Vec<Backtest> = profile.volumes.iter().filter_map(of_volume).collect();
    if parts.is_empty() {
        let most = profile
            .volumes
            .iter()
            .map(|volume| volume.deltas.len())
            .max();
        return Err(BacktestError::TooFewDeltas {
            found: most.unwrap_or(0),
        });
    }
    Ok(pooled(parts))
}

/// One volume of a profile.
pub struct Own<'a> {
    /// Where its origins are judged.
    pub bench: Bench,
    seen: &'a VolumeObservations,
    deltas: Vec<&'a ObservedDelta>,
    most: usize,
    metric_delay_seconds: f64,
}

impl<'a> Own<'a> {
    /// Prepares a volume.
    pub fn of(
        profile: &Profile,
        seen: &'a VolumeObservations,
        most: u32,
        metric_delay_seconds: f64,
    ) -> Self {
        let mut deltas: Vec<&ObservedDelta> = seen
            .deltas
            .iter()
            .filter(|delta| delta.to > delta.from)
            .collect();
        deltas.sort_by_key(|delta| (delta.from, delta.to));
        deltas.dedup_by_key(|delta| (delta.from, delta.to));
        let mut periods = seen.writes.clone();
        periods.sort_by_key(|period| (period.start, period.period_seconds));
        let zero = deltas
            .first()
            .map_or(0.0, |delta| epoch_seconds(delta.from));
        Self {
            bench: Bench::new(
                seen.volume.as_str(),
                zero,
                profile.inventory.clone(),
                periods,
            ),
            seen,
            deltas,
            most: most as usize,
            metric_delay_seconds,
        }
    }

    /// Every start of a delta that has an earlier one.
    pub fn origins(&self) -> Vec<Origin> {
        (0..self.deltas.len())
            .filter_map(|index| self.origin(index))
            .collect()
    }

    fn origin(&self, index: usize) -> Option<Origin> {
        let start = self.deltas[index].from;
        let earlier: Vec<&ObservedDelta> = self
            .deltas
            .iter()
            .copied()
            .filter(|delta| delta.to <= start)
            .collect();
        if earlier.is_empty() {
            return None;
        }
        let at = epoch_seconds(start);
        let newest = &earlier[earlier.len().saturating_sub(self.most)..];
        Some(Origin {
            at,
            seen: VolumeObservations {
                volume: self.seen.volume.clone(),
                written_blocks: self.seen.written_blocks,
                writes: self.bench.metrics_until(at - self.metric_delay_seconds),
                deltas: newest.iter().copied().cloned().collect(),
                durations: Vec::new(),
            },
            windows: self.windows(index),
        })
    }

    /// Ends of the windows that are unions of this delta and those that follow without a gap.
    fn windows(&self, index: usize) -> Vec<(f64, u64)> {
        let first = self.deltas[index];
        let mut windows = vec![(epoch_seconds(first.to), first.changed_blocks)];
        let (mut all, mut end) = (first.runs.clone(), first.to);
        for delta in self.deltas[index + 1..]
            .iter()
            .filter(|delta| delta.from >= first.to)
        {
            let known = identified(first) && identified(delta);
            if delta.from != end || !known {
                break;
            }
            all = BlockSet::of([&*all, &*delta.runs].concat());
            end = delta.to;
            windows.push((epoch_seconds(end), all.blocks()));
        }
        windows
    }

    fn seconds(&self) -> f64 {
        let last = self
            .deltas
            .iter()
            .map(|delta| epoch_seconds(delta.to))
            .fold(self.bench.zero, f64::max);
        last - self.bench.zero
    }

    /// What the deltas amount to as a protocol.
    fn protocol(&self) -> Protocol {
        let total: f64 = self.deltas.iter().map(|delta| delta.seconds()).sum();
        Protocol {
            delta_seconds: total / self.deltas.len().max(1) as f64,
            deltas: u32::try_from(self.most).unwrap_or(u32::MAX),
            lags_seconds: Vec::new(),
            metric_delay_seconds: self.metric_delay_seconds,
        }
    }
}

fn identified(delta: &ObservedDelta) -> bool {
    !delta.runs.is_empty() || delta.changed_blocks == 0
}
