//! The lab's clock: a start instant plus the time tokio has counted since.
//!
//! In process tokio's clock is paused, so the lab's time is virtual; a server runs it at wall pace.
//! It must not know what happens in the world.

use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// Time in the lab: `start`, and tokio's clock from there.
#[derive(Debug)]
pub struct LabClock {
    start: DateTime<Utc>,
    origin: OnceLock<Instant>,
}

impl LabClock {
    /// A clock that shows `start` now, when made inside a runtime; made outside of one it shows `start`
    /// when it is first read, as a runtime's paused clock can't be seen from outside.
    pub fn starting_at(start: DateTime<Utc>) -> LabClock {
        let clock = LabClock {
            start,
            origin: OnceLock::new(),
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            clock.now();
        }
        clock
    }

    /// A clock at wall pace, starting now. The only reader of the wall clock in the lab.
    pub fn wall() -> LabClock {
        let clock = LabClock::starting_at(Utc::now());
        // Not when it is first read: until then a lab that nobody asks would fall behind the wall.
        clock.now();
        clock
    }

    /// The instant the clock started at.
    pub fn start(&self) -> DateTime<Utc> {
        self.start
    }

    /// The time in the lab, to the millisecond.
    pub fn now(&self) -> DateTime<Utc> {
        let origin = *self.origin.get_or_init(Instant::now);
        let elapsed_ms = i64::try_from(origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.start + TimeDelta::milliseconds(elapsed_ms)
    }

    /// Waits for a duration of the lab's time.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A duration in seconds as chrono's type, to the millisecond; never negative.
#[expect(
    clippy::cast_possible_truncation,
    reason = "bounded to about 300 years just before"
)]
pub fn seconds(seconds: f64) -> TimeDelta {
    TimeDelta::milliseconds((seconds.clamp(0.0, 1e10) * 1000.0).round() as i64)
}

/// Seconds from `earlier` to `later` (negative when `later` is the earlier one).
pub fn seconds_between(earlier: DateTime<Utc>, later: DateTime<Utc>) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds over centuries fit 53 bits"
    )]
    let milliseconds = (later - earlier).num_milliseconds() as f64;
    milliseconds / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_the_paused_clock() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).expect("a valid instant");
        let clock = LabClock::starting_at(start);
        assert_eq!(clock.now(), start);
        clock.sleep(Duration::from_secs(50_000)).await;
        assert_eq!(clock.now(), start + TimeDelta::seconds(50_000));
    }
}
