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
            FailureClass::Transient | FailureClass::Unknown | FailureClass::Interrupted => {}
            FailureClass::Permanent
            | FailureClass::Credentials
            | FailureClass::Integrity
            | FailureClass::Lineage
            | FailureClass::Gone => {
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(300);

    fn lost(class: FailureClass) -> CloudError {
        CloudError {
            class,
            operation: "GetSnapshotBlock",
            subject: "snap-1 block 7".to_owned(),
            code: "connection".to_owned(),
            message: "the connection was refused".to_owned(),
        }
    }

    /// A service that is gone for so long: what became of a call to it, and after how many seconds.
    async fn gone_for(seconds: u64, class: FailureClass) -> (Result<(), SyncError>, u64) {
        let begun = Instant::now();
        let call = || async move {
            match begun.elapsed() < Duration::from_secs(seconds) {
                true => Err(lost(class)),
                false => Ok(()),
            }
        };
        let answer = patiently(LIMIT, call).await;
        (answer, begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn minutes_without_the_service_are_waited_out() {
        let (answer, seconds) = gone_for(290, FailureClass::Transient).await;
        assert!(answer.is_ok(), "{answer:?}");
        assert!((290..=295).contains(&seconds), "{seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_outage_is_told_with_its_last_error() {
        let (answer, seconds) = gone_for(3600, FailureClass::Transient).await;
        let stalled = matches!(&answer, Err(SyncError::Stalled { seconds: 300, last }) if last.code == "connection");
        assert!(stalled, "{answer:?}");
        assert!((300..=306).contains(&seconds), "{seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_is_not_waited_for() {
        let (answer, seconds) = gone_for(3600, FailureClass::Permanent).await;
        assert!(matches!(answer, Err(SyncError::Cloud(_))), "{answer:?}");
        assert_eq!(seconds, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_heard_something_begins_to_wait_anew() {
        let patience = Patience::new(LIMIT);
        tokio::time::advance(Duration::from_secs(299)).await;
        patience.hear();
        tokio::time::advance(Duration::from_secs(299)).await;
        let mut attempt = 0;
        let passed = patience.back_off(lost(FailureClass::Transient), &mut attempt, 7);
        assert!(passed.await.is_ok());
        assert_eq!((attempt, patience.repeats()), (1, 1));
    }
}
