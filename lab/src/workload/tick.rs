//! The grid of one virtual second on which writes happen. It must not know what is written.

use chrono::{DateTime, TimeDelta, Utc};

/// Numbers the seconds since the lab's start: tick 2 is the first second, 1 is what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    start: DateTime<Utc>,
}

impl Grid {
    /// The grid of a lab that starts at `start`.
    #[must_use]
    pub fn new(start: DateTime<Utc>) -> Self {
        Self { start }
    }

    /// The last tick whose second is over at `now`; 1 before the first.
    #[must_use]
    pub fn complete(&self, now: DateTime<Utc>) -> u32 {
        let seconds = (now - self.start).num_seconds().max(0);
        u32::try_from(seconds).unwrap_or(u32::MAX - 2) + 1
    }

    /// The UTC second in which the tick's second begins.
    #[must_use]
    pub fn second(&self, tick: u32) -> i64 {
        self.start.timestamp() + i64::from(tick) - 2
    }

    /// When the tick's second is over.
    #[must_use]
    pub fn end(&self, tick: u32) -> DateTime<Utc> {
        self.start + TimeDelta::seconds(i64::from(tick) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_counts_once_it_is_over() {
        let start = DateTime::from_timestamp(1_000, 500_000_000).expect("a time");
        let grid = Grid::new(start);
        assert_eq!(grid.complete(start), 1);
        assert_eq!(grid.complete(start + TimeDelta::milliseconds(999)), 1);
        assert_eq!(grid.complete(start + TimeDelta::seconds(1)), 2);
        assert_eq!(
            (grid.second(2), grid.end(2)),
            (1_000, start + TimeDelta::seconds(1))
        );
    }
}
