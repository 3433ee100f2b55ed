//! How long a service may answer nothing but errors that pass, and how long to wait between two attempts.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use snapmigrate_models::step::FailureClass;
use tokio::time::{Instant, sleep};

use super::SyncError;
use crate::cloud::CloudError;

/// Longest pause between attempts.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// Patience with one service.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    heard: Mutex<Instant>,
    repeats: AtomicU64,
}

impl Patience {
    /// Ends when nothing is heard for `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            heard: Mutex::new(Instant::now()),
            repeats: AtomicU64::new(0),
        }
    }

    /// The service said something of use.
    pub fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Waits before the next attempt, longer each time; `seed` spreads the calls of one outage.
    ///
    /// # Errors
    /// The error itself when it does not pass, [`SyncError::Stalled`] when it did not pass in time.
    pub async fn back_off(
        &self,
        error: CloudError,
        attempt: &mut u32,
        seed: u64,
    ) -> Result<(), SyncError> {
        match error.class {
            FailureClass::Transient | FailureClass::Unknown => {}
            FailureClass::Permanent | FailureClass::Credentials | FailureClass::Integrity => {
                return Err(error.into());
            }
        }
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.elapsed() > self.limit {
            return Err(SyncError::Stalled {
                seconds: self.limit.as_secs(),
                last: error,
            });
        }
        self.repeats.fetch_add(1, Ordering::Relaxed);
        *attempt += 1;
        sleep(pause(*attempt, seed)).await;
        Ok(())
    }

    /// Attempts after the first ones.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// How long nothing may be heard.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }
}

/// Makes one call until it succeeds or its error does not pass; nothing may be heard for `limit`.
///
/// # Errors
/// As [`Patience::back_off`].
pub async fn patiently<T, F>(limit: Duration, mut call: impl FnMut() -> F) -> Result<T, SyncError>
where
    F: Future<Output = Result<T, CloudError>>,
{
    let patience = Patience::new(limit);
    let mut attempt = 0;
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => patience.back_off(error, &mut attempt, 0).await?,
        }
    }
}

/// Whether the service refused a call because it came too fast.
#[must_use]
pub fn is_throttle(error: &CloudError) -> bool {
    matches!(
        error.code.as_str(),
        "ThrottlingException" | "RequestThrottledException"
    )
}

/// Doubles from 50 ms, spread by the seed so that the calls of one outage do not return as one wave.
fn pause(attempt: u32, seed: u64) -> Duration {
    let whole = Duration::from_millis(50 << attempt.min(10)).min(LONGEST_BACK_OFF);
    let spread = u32::try_from(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).unwrap_or(0);
    whole / 2 + whole / 512 * spread
}
