//! Waiting for the service: growing pauses through the clock, shorter behind the fence.

use std::time::Duration;

use chrono::TimeDelta;
use snapmigrate_models::units::Timestamp;

use super::failure::Failure;
use crate::clock::{Clock, Stopwatch};

/// Pauses while the source serves: EC2 asks for growing intervals (EC2 API, throttling).
const UNHURRIED: (f64, f64) = (15.0, 300.0);

/// Pauses behind the fence, where each is downtime: far below the Describe budget of 20 per second.
const HURRIED: (f64, f64) = (2.0, 10.0);

/// A pause is this share of what was waited so far.
const SHARE: f64 = 0.05;

/// Lease that must be left when a wait behind the fence gives up.
const RESERVE_SECONDS: i64 = 30;

/// One wait.
pub(super) struct Poll {
    clock: Clock,
    since: Stopwatch,
    deadline: Option<Timestamp>,
    bounds: (f64, f64),
}

impl Poll {
    /// `deadline` is the end of the lease, when there is one.
    pub(super) fn new(clock: Clock, deadline: Option<Timestamp>) -> Self {
        let bounds = if deadline.is_some() {
            HURRIED
        } else {
            UNHURRIED
        };
        Self {
            clock,
            since: clock.stopwatch(),
            deadline,
            bounds,
        }
    }

    /// Restoring a volume takes seconds: short pauses in any case.
    pub(super) fn hurried(self) -> Self {
        Self {
            bounds: HURRIED,
            ..self
        }
    }

    pub(super) fn waited_seconds(&self) -> f64 {
        self.since.seconds()
    }

    /// Pauses once.
    ///
    /// # Errors
    /// A transient failure when the lease is about to end: what follows is decided from that.
    pub(super) async fn pause(&self, what: &str) -> Result<(), Failure> {
        let seconds = (self.waited_seconds() * SHARE).clamp(self.bounds.0, self.bounds.1);
        let left = self
            .deadline
            .map(|end| end - TimeDelta::seconds(RESERVE_SECONDS) - self.clock.now());
        if left.is_some_and(|left| left <= TimeDelta::zero()) {
            let waited = self.waited_seconds();
            return Err(Failure::transient(format!(
                "{what} after {waited:.0} s and the lease ends"
            )));
        }
        let seconds = left.map_or(seconds, |left| seconds.min(left.as_seconds_f64()));
        self.clock
            .sleep(Duration::from_secs_f64(seconds.max(0.001)))
            .await;
        Ok(())
    }
}
