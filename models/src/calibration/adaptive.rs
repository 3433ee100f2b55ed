//! Recent misses: adaptive conformal inference, one tail at a time (Gibbs and Candes, NeurIPS 2021).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tail that is watched on each side: the interval of 90 %.
pub(super) const TAIL: f64 = 0.05;
/// Step of the update, as in the paper's experiments up to a factor of 4.
const STEP: f64 = 0.02;
/// One miss is what was promised: the interval widens when the tail falls below this share.
const ALLOWED_SHARE: f64 = 0.6;
/// A tail shrinks at most to this share: beyond it the scores themselves must widen the table.
const LEAST_SHARE: f64 = 0.1;

/// Tails that would have been missed as often as promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Misses {
    /// Below the interval.
    low: f64,
    /// Above it.
    high: f64,
}

impl Default for Misses {
    fn default() -> Self {
        Self {
            low: TAIL,
            high: TAIL,
        }
    }
}

impl Misses {
    /// After one more comparison: a miss takes from the tail, a hit gives back.
    pub(super) fn after(self, below: bool, above: bool) -> Self {
        let step = |tail: f64, missed: bool| {
            let error = if missed { 1.0 } else { 0.0 };
            (tail + STEP * (TAIL - error)).clamp(LEAST_SHARE * TAIL, TAIL)
        };
        Self {
            low: step(self.low, below),
            high: step(self.high, above),
        }
    }

    /// The level to read off instead of `level`, never a narrower one.
    pub(super) fn level(self, level: f64) -> f64 {
        let share = |tail: f64| (tail / TAIL / ALLOWED_SHARE).min(1.0);
        if level < 0.5 {
            level * share(self.low)
        } else {
            1.0 - (1.0 - level) * share(self.high)
        }
    }
}
