//! The rhythm of the day or week times a level, as running sums. It must not know chance.

use crate::dirty::Written;

use super::{HOUR, LoadModel};

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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a remainder below the cycle"
)]
pub(super) fn hour_slot(at: f64, cycle: usize) -> usize {
    ((at / HOUR).floor().rem_euclid(cycle as f64) as usize).min(cycle - 1)
}
