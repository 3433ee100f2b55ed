//! The error of curves before any comparison, made from recorded volumes: each counts alike, and how often the
//! band of each holds when it is left out is told beside it.
//!
//! It must not know how a curve or a calibration works inside, nor files.

use std::ops::Range;

use super::replay::Replay;
use super::{LEAST_SCORED_BLOCKS, Protocol, Trace};
use crate::calibration::{Calibration, Prior};
use crate::dirty::DirtyCurve;
use crate::draws::VolumeDraw;
use crate::forecast::volume_model;
use crate::shares::by_shares;

/// Deltas seen, and the time between them over the usual one.
const PROTOCOLS: [(u32, f64); 4] = [(3, 0.5), (3, 1.0), (6, 1.0), (12, 0.5)];
/// Deltas the usual time between them is chosen for.
const USUAL_DELTAS: u32 = 6;
/// Windows as multiples of the delta.
const LAGS: [f64; 6] = [0.5, 1.0, 2.0, 3.0, 6.0, 12.0];
/// How late the newest metrics are.
const METRIC_DELAY_SECONDS: f64 = 120.0;
/// Levels of the band that is judged.
const BAND: [f64; 2] = [0.05, 0.95];

/// What one origin foretold: a curve, and its windows told the writes.
struct Foretold {
    curve: DirtyCurve,
    windows: Vec<Window>,
}

struct Window {
    written: crate::dirty::Written,
    extrapolation: f64,
    blocks: u64,
    log_ratio: f64,
}

/// The origins of one volume, protocol by protocol.
pub struct Errors {
    name: String,
    protocols: Vec<Vec<Foretold>>,
}

/// A table of errors and how it does on volumes it was not made of.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Derived {
    /// The table made of all volumes.
    pub prior: Prior,
    /// Per volume: its name, its windows at six deltas, and the share of them inside the 90 % band made
    /// without it.
    pub held_out: Vec<(String, usize, f64)>,
}

/// How wrong the curve was on one trace, at 3, 6 and 12 deltas.
#[must_use]
pub fn errors(trace: &Trace) -> Errors {
    let usual = Protocol::delta_for(trace.seconds(), USUAL_DELTAS);
    let of = |&(deltas, factor): &(u32, f64)| {
        let delta_seconds = usual * factor;
        let protocol = Protocol {
            delta_seconds,
            deltas,
            lags_seconds: LAGS.iter().map(|lag| lag * delta_seconds).collect(),
            metric_delay_seconds: METRIC_DELAY_SECONDS,
        };
        let replay = Replay::of(trace, &protocol);
        let steps: Vec<u32> = replay.steps().collect();
        let told = |share: Range<usize>| {
            let origins = steps[share].iter().filter_map(|step| replay.origin(*step));
            origins.map(|origin| foretold(&replay, &origin)).collect()
        };
        by_shares(steps.len(), 1, told)
    };
    Errors {
        name: trace.name().to_owned(),
        protocols: PROTOCOLS.iter().map(of).collect(),
    }
}

fn foretold(replay: &Replay<'_>, origin: &super::origin::Origin) -> Foretold {
    let model = volume_model(&replay.bench.inventory, &origin.seen);
    let window = |&(to, blocks): &(f64, u64)| {
        let written = replay.bench.written(&model, origin.at, to);
        let said = model.curve.blocks(written);
        (blocks >= LEAST_SCORED_BLOCKS).then(|| Window {
            written,
            extrapolation: model.curve.extrapolation(written),
            blocks,
            log_ratio: ((blocks as f64 + 0.5) / (said + 0.5)).ln(),
        })
    };
    Foretold {
        windows: origin.windows.iter().filter_map(window).collect(),
        curve: model.curve,
    }
}

/// The table made of these volumes.
#[must_use]
pub fn derived(volumes: &[Errors]) -> Derived {
    let left_out = |out: usize| {
        let others = volumes.iter().enumerate().filter(|(k, _)| *k != out);
        table(&others.map(|(_, volume)| volume).collect::<Vec<_>>())
    };
    let held = |(out, volume): (usize, &Errors)| {
        let prior = left_out(out);
        let usual = PROTOCOLS.iter().position(|p| *p == (USUAL_DELTAS, 1.0));
        let origins = usual.map_or(&[][..], |k| volume.protocols[k].as_slice());
        let inside: Vec<bool> = origins.iter().flat_map(|o| o.held(&prior)).collect();
        let share = inside.iter().filter(|held| **held).count() as f64;
        (
            volume.name.clone(),
            inside.len(),
            share / inside.len().max(1) as f64,
        )
    };
    Derived {
        prior: table(&volumes.iter().collect::<Vec<_>>()),
        held_out: volumes.iter().enumerate().map(held).collect(),
    }
}

impl Foretold {
    /// Whether each window lies inside the band that `prior` and the own deltas give.
    fn held(&self, prior: &Prior) -> Vec<bool> {
        let scores = self.curve.calibration.comparisons();
        let mut curve = self.curve.clone();
        curve.calibration = Calibration::prior().with_scores_by(prior, &scores);
        let inside = |window: &Window| {
            let [low, high] = BAND.map(|level| {
                let draw = VolumeDraw::at(level);
                curve.drawn(window.written, &draw)
            });
            (low..=high).contains(&(window.blocks as f64))
        };
        self.windows.iter().map(inside).collect()
    }
}

/// A value and how much it counts.
type Weighed = (f64, f64);

fn table(volumes: &[&Errors]) -> Prior {
    let prior = Calibration::prior_table();
    let (mut like, mut unlike): (Vec<Weighed>, Vec<Weighed>) = (Vec::new(), Vec::new());
    for volume in volumes {
        let told = volume
            .protocols
            .iter()
            .filter(|origins| scored(origins) > 0);
        let protocols = told.count() as f64;
        for origins in &volume.protocols {
            let weight = 1.0 / (scored(origins) as f64).max(1.0) / protocols;
            for origin in origins {
                let own = origin.curve.calibration.own_scale();
                for window in &origin.windows {
                    let error = window.log_ratio / prior.scale_at(window.extrapolation);
                    like.push((error / own, weight));
                    unlike.push((error, weight));
                }
            }
        }
    }
    // Which way a few volumes erred says nothing of the next one: a row is the mean of itself and its mirror.
    let row = |values: &mut Vec<Weighed>| {
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |level: f64| weighted_quantile(values, level);
        let levels = prior.levels().iter();
        let halves = levels.map(|level| (at(*level) - at(1.0 - level)) / 2.0);
        halves.map(|half| (100.0 * half).round() / 100.0).collect()
    };
    let count = u32::try_from(volumes.len()).unwrap_or(u32::MAX);
    prior.of(count, row(&mut like), row(&mut unlike))
}

fn scored(origins: &[Foretold]) -> usize {
    origins.iter().map(|origin| origin.windows.len()).sum()
}

/// Quantile of ascending values by their weights.
fn weighted_quantile(ascending: &[Weighed], level: f64) -> f64 {
    let all: f64 = ascending.iter().map(|value| value.1).sum();
    let mut below = 0.0;
    let mut values = ascending.iter().filter(|value| {
        below += value.1;
        below >= level * all
    });
    let found = values.next().or(ascending.last());
    found.map_or(0.0, |value| value.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_volume_counts_alike() {
        // One of a thousand values, one of two.
        let mut values: Vec<Weighed> = (0..1000).map(|k| (f64::from(k) / 1000.0, 0.001)).collect();
        values.extend([(5.0, 0.5), (6.0, 0.5)]);
        assert!((weighted_quantile(&values, 0.25) - 0.5).abs() < 0.01);
        assert!((weighted_quantile(&values, 0.7) - 5.0).abs() < 0.01);
        assert!(weighted_quantile(&[], 0.5).abs() < 1e-12);
    }
}
