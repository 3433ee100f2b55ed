//! Choice of the moment to cut over on a trace with addresses: what it cost against the best one.
//!
//! The origin and every half delta of the next six deltas are moments to cut over in. A gate stands at each in turn,
//! knows the deltas up to the origin and the metrics as late as the service shows them, and goes or waits by the rule
//! of `load::quiet`. What a moment costs is the length of a final round by the trace's own blocks: the round before it
//! was taken as late as it could be, so that T = a + U(f - T, f) / r for a fence at f. An error of the curve is common
//! to all moments and left out of their comparison. It must not know files.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use super::replay::Replay;
use super::score::quantile;
use super::{BacktestError, Protocol, Trace, check};
use crate::draws::Draw;
use crate::forecast::{VolumeModel, volume_model};
use crate::load::{Decision, LoadPaths, Outlook, decide, planned};
use crate::shares::by_shares;
use crate::units::epoch_seconds;

/// Moments after the origin, half a delta apart.
const MOMENTS: u32 = 12;
/// Overhead of the final round over the time between snapshots: a minute of five.
const OVERHEAD_SHARE: f64 = 0.2;
/// Rates of a snapshot over the trace's mean rate of dirtying: comfortable, and hardly enough.
const RATE_FACTORS: [f64; 2] = [3.0, 1.5];
/// Paths that a moment is looked at on.
const PATHS: usize = 64;
/// The fixed point is near enough from this relative step on; steps are counted besides.
const NEAR: f64 = 1e-3;
const MOST_STEPS: u32 = 60;

/// Ways to choose among the moments.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MomentChoice {
    /// The origin itself.
    Now,
    /// The forecast's least bad moment, told at the origin.
    Plan,
    /// The forecast with a gate that reads the metrics anew at every moment, as late as they are.
    Gate,
}

/// Seconds of the chosen moment over those of the best one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regret {
    /// Way it was chosen.
    pub choice: MomentChoice,
    /// Snapshot's rate over the mean rate of dirtying.
    pub rate_factor: f64,
    /// The ratio, at least 1.
    pub regret: f64,
}

/// Regrets of one way to choose, over one trace or all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MomentRegret {
    /// The trace; absent for all together.
    pub trace: Option<String>,
    /// Way to choose.
    pub choice: MomentChoice,
    /// Snapshot's rate over the mean rate of dirtying.
    pub rate_factor: f64,
    /// Choices behind the quantiles.
    pub choices: u32,
    /// Seconds of the chosen moment over those of the best: median.
    pub p50: f64,
    /// Nine in ten are at or below.
    pub p90: f64,
    /// Ninety-nine in a hundred are at or below.
    pub p99: f64,
}

/// The regrets of every origin after which all moments lie within the trace.
///
/// # Errors
/// [`BacktestError`] when the protocol is senseless or the trace too short for it.
pub fn moments(trace: &Trace, protocol: &Protocol) -> Result<Vec<Regret>, BacktestError> {
    check(trace, protocol)?;
    let replay = Replay::of(trace, protocol);
    let half = protocol.delta_seconds / 2.0;
    let last = trace.seconds() - half * f64::from(MOMENTS);
    let fits = |step: &u32| half * f64::from(*step) <= last;
    let steps: Vec<u32> = replay.steps().filter(fits).collect();
    let of_share = |share: Range<usize>| {
        let steps = steps[share].iter();
        let asked = steps.filter_map(|step| Some((*step, replay.origin(*step)?)));
        asked
            .flat_map(|(step, origin)| judged(&replay, (trace, protocol), step, &origin))
            .collect()
    };
    Ok(by_shares(steps.len(), 1, of_share))
}

/// The regrets way by way: of each trace, then of all together.
#[must_use]
pub fn moment_regrets(traces: &[(String, Vec<Regret>)]) -> Vec<MomentRegret> {
    let all: Vec<Regret> = traces.iter().flat_map(|(_, one)| one.clone()).collect();
    let each = traces
        .iter()
        .flat_map(|(name, regrets)| rows(Some(name.clone()), regrets));
    each.chain(rows(None, &all)).collect()
}

fn rows(trace: Option<String>, regrets: &[Regret]) -> Vec<MomentRegret> {
    let choices = [MomentChoice::Now, MomentChoice::Plan, MomentChoice::Gate];
    let row = |rate_factor: f64, choice: MomentChoice| {
        let of = |r: &&Regret| r.choice == choice && r.rate_factor == rate_factor;
        let mut found: Vec<f64> = regrets.iter().filter(of).map(|r| r.regret).collect();
        found.sort_by(f64::total_cmp);
        let at = |level: f64| quantile(&found, level);
        Some(MomentRegret {
            trace: trace.clone(),
            choice,
            rate_factor,
            choices: u32::try_from(found.len()).unwrap_or(u32::MAX),
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
        })
    };
    let pairs = RATE_FACTORS
        .iter()
        .flat_map(|factor| choices.map(|choice| (*factor, choice)));
    pairs
        .filter_map(|(factor, choice)| row(factor, choice))
        .collect()
}

fn judged(
    replay: &Replay<'_>,
    (trace, protocol): (&Trace, &Protocol),
    step: u32,
    origin: &Origin,
) -> Vec<Regret> {
    let half = protocol.delta_seconds / 2.0;
    let at = |moment: u32| half * f64::from(step + moment);
    let standing = Standing {
        replay,
        model: volume_model(&replay.bench.inventory, &origin.seen),
        moments: (0..=MOMENTS)
            .map(|m| trace.epoch_seconds() + at(m))
            .collect(),
        delay: protocol.metric_delay_seconds,
    };
    let looks: Vec<LoadPaths> = (0..=MOMENTS as usize).map(|m| standing.load(m)).collect();
    let of_factor = |factor: &f64| {
        let pace = Pace::of(trace, protocol, *factor);
        let truth = |moment: u32| {
            let fence = at(moment);
            pace.seconds(|long| trace.counts(fence - long, &[fence])[0] as f64)
        };
        let seconds: Vec<f64> = (0..=MOMENTS).map(truth).collect();
        let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let at_origin = standing.outlooks(&looks[0], 0, &pace);
        let chosen = [
            (MomentChoice::Now, 0),
            (MomentChoice::Plan, planned(&at_origin).unwrap_or(0)),
            (MomentChoice::Gate, standing.opened(&looks, &pace)),
        ];
        chosen.map(|(choice, moment)| Regret {
            choice,
            rate_factor: *factor,
            regret: seconds[moment] / best,
        })
    };
    RATE_FACTORS.iter().flat_map(of_factor).collect()
}

/// What is known at an origin, and the moments that follow it, in seconds since 1970.
struct Standing<'a> {
    replay: &'a Replay<'a>,
    model: VolumeModel,
    moments: Vec<f64>,
    delay: f64,
}

impl Standing<'_> {
    /// The load as it is seen at a moment.
    fn load(&self, moment: usize) -> LoadPaths {
        let (origin, now) = (self.moments[0], self.moments[moment]);
        let mut recent = self.replay.bench.metrics_until(now - self.delay);
        recent.retain(|period| epoch_seconds(period.start) >= origin - self.delay);
        LoadPaths::of(&self.model.load.with_recent(&recent, now), now)
    }

    /// What the moments from `first` on are expected to cost.
    fn outlooks(&self, load: &LoadPaths, first: usize, pace: &Pace) -> Vec<Outlook> {
        let moments = self.moments[first..].iter();
        moments
            .map(|fence| self.outlook(load, *fence, pace))
            .collect()
    }

    fn outlook(&self, load: &LoadPaths, fence: f64, pace: &Pace) -> Outlook {
        let cost = |draw: &Draw| {
            let blocks = |long: f64| {
                let written = load.drawn(fence - long, fence, draw, &draw.volumes[0]);
                self.model.curve.blocks(written)
            };
            pace.seconds(blocks)
        };
        let draws = self.replay.bench.luck.iter().take(PATHS);
        let mut costs: Vec<f64> = draws.map(cost).collect();
        costs.sort_by(f64::total_cmp);
        let at = |level: f64| quantile(&costs, level).unwrap_or(f64::INFINITY);
        Outlook {
            median: at(0.5),
            high: at(0.9),
        }
    }

    /// The moment in which the gate opens.
    fn opened(&self, looks: &[LoadPaths], pace: &Pace) -> usize {
        let open = |moment: &usize| {
            let outlooks = self.outlooks(&looks[*moment], *moment, pace);
            decide(outlooks[0].median, &outlooks[1..]) == Decision::Go
        };
        let last = self.moments.len() - 1;
        (0..last).find(open).unwrap_or(last)
    }
}

/// How long a final round takes.
struct Pace {
    overhead_seconds: f64,
    blocks_per_second: f64,
    longest_seconds: f64,
}

impl Pace {
    fn of(trace: &Trace, protocol: &Protocol, factor: f64) -> Self {
        let delta = protocol.delta_seconds;
        let mut begins = 0.0;
        let mut blocks = 0;
        while begins + delta <= trace.seconds() {
            blocks += trace.counts(begins, &[begins + delta])[0];
            begins += delta;
        }
        Self {
            overhead_seconds: OVERHEAD_SHARE * delta,
            blocks_per_second: factor * blocks as f64 / begins.max(delta),
            longest_seconds: f64::from(protocol.deltas) * delta,
        }
    }

    /// The least fixed point of T = a + U(T) / r, by iteration from below; as long as all deltas seen at most.
    fn seconds(&self, blocks: impl Fn(f64) -> f64) -> f64 {
        let mut seconds = self.overhead_seconds;
        for _ in 0..MOST_STEPS {
            let moved = blocks(seconds) / self.blocks_per_second.max(1e-9);
            let next = (self.overhead_seconds + moved).min(self.longest_seconds);
            let near = (next - seconds).abs() <= NEAR * seconds;
            seconds = next;
            if near {
                break;
            }
        }
        seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BLOCK_BYTES;

    /// Ten minutes of one block every two seconds, ten of one a minute, in turn.
    fn tides(minutes: u32) -> Trace {
        let mut trace = Trace::new("tides");
        for second in 0..minutes * 60 {
            let every = if second / 600 % 2 == 0 { 2 } else { 60 };
            if second % every == 0 {
                let block = u64::from(second.wrapping_mul(2_654_435_761) % 4096);
                trace
                    .push(f64::from(second), block * BLOCK_BYTES, 8192)
                    .expect("a sound write");
            }
        }
        trace
    }

    fn found() -> Vec<MomentRegret> {
        let protocol = Protocol {
            delta_seconds: 300.0,
            deltas: 6,
            lags_seconds: vec![150.0],
            metric_delay_seconds: 120.0,
        };
        let regrets = moments(&tides(150), &protocol).expect("long enough");
        moment_regrets(&[("tides".to_owned(), regrets)])
    }

    #[test]
    fn the_gate_waits_for_low_tide_and_nothing_beats_the_best_moment() {
        let found = found();
        let p50 = |choice| {
            let of = |r: &&MomentRegret| r.choice == choice && r.trace.is_none();
            let rows: Vec<&MomentRegret> = found.iter().filter(of).collect();
            assert_eq!(rows.len(), RATE_FACTORS.len());
            rows.iter().map(|row| row.p90).fold(0.0, f64::max)
        };
        assert!(
            p50(MomentChoice::Gate) < 0.7 * p50(MomentChoice::Now),
            "{found:?}"
        );
        assert!(found.iter().all(|row| row.p50 >= 1.0 && row.choices > 10));
    }

    #[test]
    fn a_final_round_is_the_fixed_point_of_its_own_length() {
        let pace = Pace {
            overhead_seconds: 60.0,
            blocks_per_second: 2.0,
            longest_seconds: 1800.0,
        };
        // One block a second: T = 60 + T / 2.
        assert!((pace.seconds(|long| long) - 120.0).abs() < 0.5);
        assert!((pace.seconds(|long| 4.0 * long) - 1800.0).abs() < 1e-9);
    }
}
