//! The only `now` of the program: the system's clock, or tokio's paused clock set to a start instant.
//!
//! A paused clock is never combined with sockets, threads or child processes: only rehearsals on
//! the embedded lab use it, on a current-thread runtime.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};

/// Longest single sleep of the system clock: wall time is read again after each, so that a
/// suspended machine or a stepped clock is noticed within a minute.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A source of time, cheap to copy.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Wall time.
    System,
    /// Virtual time: `start` plus what tokio's paused clock has advanced since `origin`.
    Paused {
        /// Virtual instant at `origin`.
        start: DateTime<Utc>,
        /// Tokio instant the clock was made at.
        origin: tokio::time::Instant,
    },
}

impl Clock {
    /// A virtual clock that shows `start` now. Must be called inside a runtime with paused time.
    #[must_use]
    pub fn paused(start: DateTime<Utc>) -> Self {
        Self::Paused {
            start,
            origin: tokio::time::Instant::now(),
        }
    }

    /// The current time, to the millisecond.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self {
            Self::System => DateTime::<Utc>::from(SystemTime::now()),
            Self::Paused { start, origin } => {
                *start + TimeDelta::from_std(origin.elapsed()).unwrap_or(TimeDelta::MAX)
            }
        };
        DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
    }

    /// Returns when `at` has come; at once when it is past.
    pub async fn sleep_until(&self, at: DateTime<Utc>) {
        while let Ok(left) = (at - self.now()).to_std() {
            if left.is_zero() {
                return;
            }
            let capped = if matches!(self, Self::System) {
                left.min(LONGEST_SLEEP)
            } else {
                left
            };
            tokio::time::sleep(capped).await;
        }
    }

    /// Returns after `duration`.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_jumps_to_the_instant_it_sleeps_until() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).expect("a valid instant");
        let clock = Clock::paused(start);
        assert_eq!(clock.now(), start);
        let later = start + TimeDelta::hours(14);
        clock.sleep_until(later).await;
        assert_eq!(clock.now(), later);
        clock.sleep_until(start).await;
        assert_eq!(clock.now(), later);
    }
}
