//! What a volume will write, as sample paths prepared for many questions about windows.
//!
//! It must not know blocks, deltas or services.

use crate::dirty::Written;
use crate::draws::{Draw, VolumeDraw};

use super::{HOUR, LoadModel, hour_slot};

/// A burst stays within this, in ln: so that a longer window never holds less writing.
const LOG_BURST_LIMIT: f64 = 1.5;
/// A factor on writing stays within this, in ln.
const LOG_FACTOR_LIMIT: f64 = 4.0;

/// A load as seen from one moment.
#[derive(Clone, Debug)]
pub struct LoadPaths {
    clock: LoadClock,
    level_spread: f64,
    burst_spread: f64,
}

impl LoadPaths {
    /// Prepares the paths of `model` as seen at `issued_at`, seconds since 1970.
    #[must_use]
    pub fn of(model: &LoadModel, _issued_at: f64) -> Self {
        Self {
            clock: LoadClock::of(model),
            level_spread: model.level_spread,
            burst_spread: model.burst_spread,
        }
    }

    /// The centre of what is written between two points in time; zero when they are not in order.
    #[must_use]
    pub fn expected(&self, from: f64, to: f64) -> Written {
        self.clock.written(from, to)
    }

    /// Written between two points in time on one draw; zero when they are not in order.
    #[must_use]
    pub fn drawn(&self, from: f64, to: f64, draw: &Draw, own: &VolumeDraw) -> Written {
        let hours = ((to - from) / HOUR).max(1.0);
        let level = self.level_spread * (0.8 * draw.level + 0.6 * own.level);
        let burst = (self.burst_spread * draw.burst).clamp(-LOG_BURST_LIMIT, LOG_BURST_LIMIT)
            / hours.sqrt();
        let factor = (level + burst)
            .clamp(-LOG_FACTOR_LIMIT, LOG_FACTOR_LIMIT)
            .exp();
        self.expected(from, to).scaled(factor)
    }
}

/// The rhythm times the level, prepared for questions about windows.
#[derive(Clone, Debug)]
pub(super) struct LoadClock {
    hours: Vec<Written>,
    /// Written from the cycle's start to each hour, with the level.
    until: Vec<Written>,
    level: f64,
}

impl LoadClock {
    /// Prepares the sums over the cycle.
    pub(super) fn of(model: &LoadModel) -> Self {
        let mut until = vec![Written::default()];
        for hour in &model.hours {
            let sum = until.last().copied().unwrap_or_default();
            until.push(sum.plus(hour.scaled(HOUR)));
        }
        Self {
            hours: model.hours.clone(),
            until,
            level: model.level,
        }
    }

    /// Expected writing between two points in time; zero when they are not in order.
    pub(super) fn written(&self, from: f64, to: f64) -> Written {
        if self.hours.is_empty() || to.is_nan() || from.is_nan() || to <= from {
            return Written::default();
        }
        let (a, b) = (self.cumulative(from), self.cumulative(to));
        Written {
            small: (b.small - a.small).max(0.0) * self.level,
            bulk_blocks: (b.bulk_blocks - a.bulk_blocks).max(0.0) * self.level,
        }
    }

    /// From the beginning of time, cycle by cycle.
    fn cumulative(&self, at: f64) -> Written {
        let cycle = self.hours.len();
        let length = cycle as f64 * HOUR;
        let cycles = (at / length).floor();
        let slot = hour_slot(at, cycle);
        let inside = at - cycles * length - slot as f64 * HOUR;
        self.until[cycle]
            .scaled(cycles)
            .plus(self.until[slot])
            .plus(self.hours[slot].scaled(inside))
    }
}
