//! What a curve may be off by, and one outcome of it.
//!
//! Within what was compared the calibration says it. A curve without identities is at least as wrong as
//! its family was elsewhere; few blocks scatter by their number; and in windows shorter than any delta
//! U is no function of what is written, for data is flushed in bursts: anything between a proportional
//! share of the shortest delta and nearly all of it. It must not know where scores come from.

use super::{DirtyCurve, Growth, Written};
use crate::draws::{VolumeDraw, student4_quantile};

/// Largest |ln| of an error.
const LARGEST: f64 = 4.0;
/// Reaches at which an outcome is held against those of shorter windows.
const REACHES: [f64; 7] = [0.08, 0.25, 0.8, 2.5, 8.0, 25.0, 80.0];
/// Standard deviation of Student's t with 4 degrees of freedom.
const STUDENT4_DEVIATION: f64 = std::f64::consts::SQRT_2;
/// Reach given to a curve that no delta is behind.
const UNMEASURED_REACH: f64 = 3.0;

impl DirtyCurve {
    /// Distinct blocks of a window in one draw; with more writing never fewer.
    #[must_use]
    pub fn drawn(&self, window: Written, draw: &VolumeDraw) -> f64 {
        let (expected, reach) = (self.blocks(window), self.reach(window));
        if !(reach > 0.0 && reach.is_finite()) {
            return expected;
        }
        let outcome = Outcome::of(self, draw.error_level).held(window, expected, reach);
        outcome.min(self.bound_blocks).max(0.0)
    }

    /// How far a window reaches beyond what was observed: 1 for all deltas together. The streams
    /// count by the blocks they dirtied.
    #[must_use]
    pub fn extrapolation(&self, window: Written) -> f64 {
        self.reach(window).max(1e-6)
    }

    fn reach(&self, window: Written) -> f64 {
        let calibrated = self.calibrated();
        let dirtied = self.small_blocks(calibrated).max(1.0);
        let small = if calibrated > 0.0 {
            window.small.max(0.0) / calibrated
        } else {
            0.0
        };
        let bulk = window.bulk_blocks.max(0.0);
        (dirtied * small + bulk) / (dirtied + self.bulk_observed_blocks)
    }

    /// Operational time behind the small writes' curve.
    fn calibrated(&self) -> f64 {
        match &self.growth {
            Growth::Fitted { calibrated, .. } | Growth::Mixture { calibrated, .. } => *calibrated,
            Growth::Heaps { anchor_volume, .. } => anchor_volume * f64::from(self.deltas.max(1)),
        }
    }

    /// Operational time of the shortest delta and its blocks; `None` without identities.
    fn shortest(&self) -> Option<(f64, f64)> {
        let volumes = self.tables.iter().flat_map(|table| &table.volumes);
        let shortest = volumes.copied().filter(|v| *v > 0.0).reduce(f64::min)?;
        Some((shortest, self.small_blocks(shortest)))
    }
}

/// One level of luck.
struct Outcome<'a> {
    curve: &'a DirtyCurve,
    level: f64,
    student: f64,
    shortest: Option<(f64, f64)>,
}

impl<'a> Outcome<'a> {
    fn of(curve: &'a DirtyCurve, level: f64) -> Self {
        let level = level.clamp(1e-6, 1.0 - 1e-6);
        Self {
            curve,
            level,
            student: student4_quantile(level),
            shortest: curve.shortest(),
        }
    }

    /// Expected blocks times the factor, but never fewer than with the same luck in a shorter window:
    /// exact at `REACHES`, and between two of them with the smaller factor where factors fall.
    fn held(&self, window: Written, expected: f64, reach: f64) -> f64 {
        let (mut least, mut before) = (0.0_f64, None);
        for at in REACHES {
            let there = window.scaled(at / reach);
            let blocks = self.curve.blocks(there);
            let next = self.log_error(there, blocks, at).exp();
            if at >= reach {
                return least.max(expected * between(before, (at, next), reach));
            }
            least = least.max(blocks * next);
            // What is held here is the factor the next stretch starts from.
            before = Some((at, least / blocks.max(1e-12)));
        }
        // Beyond the last reach nothing is known of how the error grows.
        least.max(expected * before.map_or(1.0, |(_, was)| was))
    }

    /// Quantile of ln(actual / expected) of a window with `blocks` expected at `reach`.
    fn log_error(&self, window: Written, blocks: f64, reach: f64) -> f64 {
        let measured = self.curve.deltas > 0;
        let reach = if measured { reach } else { UNMEASURED_REACH };
        let learned = self.curve.calibration.log_error(reach, self.level);
        let share = self.unmeasured_share(window, blocks);
        let uncounted = share * self.uncounted(window) * self.student;
        let wider = if learned.abs() < uncounted.abs() {
            uncounted
        } else {
            learned
        };
        let few = self.student / STUDENT4_DEVIATION / (blocks + 1.0).sqrt();
        let error = wider.hypot(few) * wider.signum() + self.within_a_flush(window, blocks);
        error.clamp(-LARGEST, LARGEST)
    }

    /// Share of the small writes, where bulk writing is measured.
    fn unmeasured_share(&self, window: Written, blocks: f64) -> f64 {
        if self.curve.bulk_points.is_empty() {
            return 1.0;
        }
        (self.curve.small_blocks(window.small) / blocks.max(1e-12)).min(1.0)
    }

    /// Log scale of a power of the written volume: what is not known of its height and exponent.
    fn uncounted(&self, window: Written) -> f64 {
        match &self.curve.growth {
            Growth::Heaps {
                anchor_volume,
                exponent_spread,
                ..
            } if window.small > 0.0 => {
                let reach = (window.small / anchor_volume).ln();
                self.curve.spread.hypot(exponent_spread * reach)
            }
            Growth::Heaps { .. } | Growth::Fitted { .. } | Growth::Mixture { .. } => {
                self.curve.spread
            }
        }
    }

    /// In a window shorter than the shortest delta: at low levels towards the proportional share of
    /// that delta, at high ones towards all of it (U is concave on average, and increasing always).
    fn within_a_flush(&self, window: Written, blocks: f64) -> f64 {
        let Some((shortest, whole)) = self.shortest else {
            return 0.0;
        };
        if !(window.small > 0.0 && window.small < shortest) {
            return 0.0;
        }
        let here = self.curve.small_blocks(window.small).max(1e-12);
        let end = if self.level < 0.5 {
            whole * window.small / shortest
        } else {
            whole
        };
        let share = here / blocks.max(here);
        (end.max(1e-12) / here).ln() * (2.0 * self.level - 1.0).abs() * share
    }
}

/// Factor at `reach` between those at two reaches: the smaller one where they fall, so that the
/// outcome rises with the expected blocks; in ln where they rise.
fn between(before: Option<(f64, f64)>, (at, next): (f64, f64), reach: f64) -> f64 {
    match before {
        Some((from, was)) if next > was => {
            let share = (reach / from).ln() / (at / from).ln();
            was * (next / was).powf(share)
        }
        Some(_) | None => next,
    }
}
