//! How fast calls may go: unlimited until the service refuses, then at its quota.
//!
//! The service counts per account and per snapshot and answers with two different errors; each gets a
//! pace of its own. It knows neither snapshots nor errors, only calls, refusals and time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Calls that were not made may be made up for within this time: whatever held them back here, timers, a device, other
/// programs, the service's quota went on to fill.
const SLACK: Duration = Duration::from_millis(250);
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

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

    /// A service that counts: so many at once, and refilled at the same number a second.
    struct Bucket {
        tokens: f64,
        at: Instant,
    }

    impl Bucket {
        fn full() -> Self {
            let at = Instant::now();
            Self { tokens: 1000.0, at }
        }

        fn grants(&mut self) -> bool {
            let now = Instant::now();
            let refill = (now - self.at).as_secs_f64() * 1000.0;
            (self.tokens, self.at) = ((self.tokens + refill).min(1000.0), now);
            let granted = self.tokens >= 1.0;
            self.tokens -= f64::from(u8::from(granted));
            granted
        }
    }

    /// Reads one after the other, each on its way for `latency`, with none begun in the first `still` of every half second.
    async fn reader(
        (pace, bucket, granted): (Arc<Pace>, Arc<Mutex<Bucket>>, Arc<AtomicU32>),
        (latency, still): (Duration, Duration),
    ) {
        let begun = Instant::now();
        loop {
            let into_half = Duration::from_millis(
                u64::try_from(begun.elapsed().as_millis() % 500).expect("below 500"),
            );
            if into_half < still {
                sleep_until(Instant::now() + still - into_half).await;
            }
            pace.turn().await;
            sleep_until(Instant::now() + latency / 2).await;
            if bucket.lock().expect("nobody died").grants() {
                granted.fetch_add(1, Ordering::Relaxed);
            } else {
                pace.refused();
            }
            sleep_until(Instant::now() + latency / 2).await;
        }
    }

    /// The share of the quota that is used in ten seconds beyond the first burst, and the share of calls refused.
    async fn share(readers: usize, latency: Duration, still: Duration) -> (f64, f64) {
        let pace = Arc::new(Pace::new(1000));
        let bucket = Arc::new(Mutex::new(Bucket::full()));
        let granted = Arc::new(AtomicU32::new(0));
        let shared = || (Arc::clone(&pace), Arc::clone(&bucket), Arc::clone(&granted));
        let mut all = tokio::task::JoinSet::new();
        (0..readers).for_each(|_| {
            all.spawn(reader(shared(), (latency, still)));
        });
        sleep_until(Instant::now() + Duration::from_secs(10)).await;
        let made = f64::from(granted.load(Ordering::Relaxed));
        ((made - 1000.0) / 10_000.0, pace.refusals() as f64 / made)
    }

    #[tokio::test(start_paused = true)]
    async fn the_quota_is_used_however_the_calls_are_held_back() {
        for (readers, latency, still) in [
            (16, 1, 0),
            (16, 5, 0),
            (16, 2, 60),
            (16, 2, 150),
            (192, 100, 100),
        ] {
            let [latency, still] = [latency, still].map(Duration::from_millis);
            let (used, refused) = share(readers, latency, still).await;
            assert!(
                used > 0.96,
                "{readers} readers, {latency:?}, {still:?} still: {used}"
            );
            assert!(
                refused < 0.05,
                "{readers} readers, {latency:?}, {still:?} still: {refused}"
            );
        }
    }
}
