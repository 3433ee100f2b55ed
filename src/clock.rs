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
        /// How it is set on the way: a rehearsal's wall clock may be wrong.
        steps: Steps,
    },
}

/// Most times that a virtual clock is set.
pub const MOST_STEPS: usize = 3;

/// When a virtual clock is set, and by how much.
pub type Steps = [Option<Step>; MOST_STEPS];

/// A wall clock that is set, as an operator or a time service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the clock was made, in time that passes.
    pub after: Duration,
    /// Forward, or backward when negative.
    pub by: TimeDelta,
}

/// Time that has passed since a moment, whatever becomes of the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(tokio::time::Instant);

impl Stopwatch {
    /// Seconds since it was started.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

impl Clock {
    /// A virtual clock that shows `start` now. Must be called inside a runtime with paused time.
    #[must_use]
    pub fn paused(start: DateTime<Utc>) -> Self {
        Self::Paused {
            start,
            origin: tokio::time::Instant::now(),
            steps: Steps::default(),
        }
    }

    /// The same virtual clock, set on the way as `new` says; the system's clock is nobody's to set.
    #[must_use]
    pub const fn stepping(self, new: Steps) -> Self {
        match self {
            Self::System => self,
            Self::Paused { start, origin, .. } => Self::Paused {
                start,
                origin,
                steps: new,
            },
        }
    }

    /// Starts to measure what passes from here on.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch(tokio::time::Instant::now())
    }

    /// The current time, to the millisecond.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self {
            Self::System => DateTime::<Utc>::from(SystemTime::now()),
            Self::Paused {
                start,
                origin,
                steps,
            } => {
                let passed = origin.elapsed();
                let set = steps.iter().flatten().filter(|step| step.after <= passed);
                let set: TimeDelta = set.map(|step| step.by).sum();
                *start + TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX) + set
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
            let longest = if self.may_be_set() {
                LONGEST_SLEEP
            } else {
                left
            };
            tokio::time::sleep(left.min(longest)).await;
        }
    }

    fn may_be_set(&self) -> bool {
        match self {
            Self::System => true,
            Self::Paused { origin, steps, .. } => {
                let passed = origin.elapsed();
                steps.iter().flatten().any(|step| step.after > passed)
            }
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

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_wakes_who_sleeps_until_an_instant() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).expect("a valid instant");
        let step = |after_seconds, by_seconds| {
            Some(Step {
                after: Duration::from_secs(after_seconds),
                by: TimeDelta::seconds(by_seconds),
            })
        };
        let steps = [step(100, 3600), step(200, -7200), None];
        let clock = Clock::paused(start).stepping(steps);
        let stopwatch = clock.stopwatch();
        clock.sleep_until(start + TimeDelta::seconds(3000)).await;
        assert!(
            (100.0..=160.0).contains(&stopwatch.seconds()),
            "noticed within a minute"
        );
        clock.sleep(Duration::from_secs(100)).await;
        assert!(clock.now() < start, "set back");
        clock.sleep_until(start).await;
        assert_eq!(clock.now(), start, "and slept on");
    }
}
