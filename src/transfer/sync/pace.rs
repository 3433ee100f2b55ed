//! How fast calls may go: unlimited until the service refuses, then at its quota.
//!
//! The service counts per account and per snapshot and answers with two different errors; each gets a
//! pace of its own. It knows neither snapshots nor errors, only calls, refusals and time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Calls that were not made may be made up for within this time: timers fire a millisecond late.
const SLACK: Duration = Duration::from_millis(20);
/// What a refusal at the documented rate takes off it.
const STEP_DOWN: f64 = 0.97;
/// What a while without refusals puts on, up to the documented rate.
const STEP_UP: f64 = 1.01;
/// That while; also how long one refusal speaks for those that follow it.
const WHILE: Duration = Duration::from_secs(1);

/// The pace of one quota.
#[derive(Debug)]
pub struct Pace {
    documented_per_second: f64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    per_second: Option<f64>,
    next: Option<Instant>,
    changed: Option<Instant>,
    refusals: u64,
    waited: Duration,
}

impl Pace {
    /// Unlimited; the first refusal sets it to the documented quota.
    #[must_use]
    pub fn new(documented_per_second: u32) -> Self {
        Self {
            documented_per_second: f64::from(documented_per_second),
            state: Mutex::default(),
        }
    }

    /// At the documented quota from the start.
    #[must_use]
    pub fn held(documented_per_second: u32) -> Self {
        let pace = Self::new(documented_per_second);
        pace.state().per_second = Some(pace.documented_per_second);
        pace
    }

    /// Waits for the turn of one call.
    pub async fn turn(&self) {
        if let Some(at) = self.slot(Instant::now()) {
            sleep_until(at).await;
        }
    }

    fn slot(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        let per_second = state.per_second?;
        if let Some(changed) = state.changed
            && now > changed + WHILE
        {
            state.per_second = Some((per_second * STEP_UP).min(self.documented_per_second));
            state.changed = Some(now);
        }
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        let at = state.next.map_or(now, |next| next.max(earliest));
        state.next = Some(at + Duration::from_secs_f64(1.0 / per_second));
        let wait = at.checked_duration_since(now)?;
        state.waited += wait;
        (!wait.is_zero()).then_some(at)
    }

    /// A call was refused for going too fast.
    pub fn refused(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.refusals += 1;
        let slower = match state.per_second {
            None => self.documented_per_second,
            Some(_) if state.changed.is_some_and(|changed| now < changed + WHILE) => return,
            Some(per_second) => (per_second * STEP_DOWN).max(1.0),
        };
        state.per_second = Some(slower);
        state.changed = Some(now);
    }

    /// Refusals so far.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.state().refusals
    }

    /// The rate it holds to, when there is one.
    #[must_use]
    pub fn per_second(&self) -> Option<f64> {
        self.state().per_second
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn made_in_a_second(pace: &Pace, quota: impl Fn(u32) -> bool) -> u32 {
        let end = Instant::now() + Duration::from_secs(1);
        let mut granted = 0;
        while Instant::now() < end && granted < 100_000 {
            pace.turn().await;
            if quota(granted) {
                granted += 1;
            } else {
                pace.refused();
            }
            tokio::task::yield_now().await;
        }
        granted
    }

    #[tokio::test(start_paused = true)]
    async fn unlimited_until_refused_then_at_the_quota() {
        let pace = Pace::new(1000);
        for _ in 0..5000 {
            pace.turn().await;
        }
        assert_eq!(pace.per_second(), None);
        pace.refused();
        let made = made_in_a_second(&pace, |_| true).await;
        assert!((950..=1030).contains(&made), "{made}");
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_at_the_quota_slow_it_once_a_second_and_it_comes_back() {
        let pace = Pace::held(1000);
        for _ in 0..50 {
            pace.refused();
        }
        assert_eq!(pace.per_second(), Some(970.0));
        assert_eq!(pace.refusals(), 50);
        for _ in 0..8 {
            made_in_a_second(&pace, |_| true).await;
        }
        assert_eq!(pace.per_second(), Some(1000.0));
    }
}
