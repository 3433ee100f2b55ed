//! Calls to the service, repeated as their errors deserve: throttles slow the pace they name, passing errors
//! back off, everything else is final. Slow reads are hedged. It knows neither order nor device.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use snapmigrate_models::step::FailureClass;
use tokio::time::{Instant, sleep, timeout};

use super::SyncError;
use super::pace::Pace;
use crate::cloud::{BlockBody, Cloud, CloudError, Direct, ListedPage, ListedPair, PageStart};

/// Requests per second and account for listings; fixed (EBS user guide, quotas of the EBS direct APIs).
const LISTS_PER_SECOND: u32 = 50;
/// Blocks per second and snapshot; fixed (same page).
const SNAPSHOT_BLOCKS_PER_SECOND: u32 = 1000;
/// Blocks per second and account in most regions (same page).
const ACCOUNT_BLOCKS_PER_SECOND: u32 = 1000;
/// And in these (same page).
const FAST_BLOCKS_PER_SECOND: u32 = 5000;
const FAST_REGIONS: [&str; 5] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "ap-southeast-1",
    "eu-west-1",
];
/// Longest pause between attempts.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// A read is repeated on another connection after this multiple of a usual one's time.
const HEDGE_FACTOR: u32 = 4;
/// And never before this time.
const HEDGE_FLOOR: Duration = Duration::from_millis(40);
/// One hedge is granted for so many reads, so that a slow service is not slowed further.
const READS_PER_HEDGE: u64 = 25;

/// The calls of one sync.
#[derive(Debug)]
pub struct Calls {
    direct: Direct,
    pair: ListedPair,
    lists: Pace,
    /// Pace of the snapshot.
    pub snapshot: Pace,
    /// Pace of the account.
    pub account: Pace,
    patience: Duration,
    heard: Mutex<Heard>,
    hedges: AtomicU64,
    reads: AtomicU64,
    repeats: AtomicU64,
}

#[derive(Debug)]
struct Heard {
    at: Instant,
    usual: Duration,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Blocks read.
    pub reads: u64,
    /// Second requests for a slow block.
    pub hedges: u64,
    /// Calls sent again after an error that passes.
    pub repeats: u64,
}

impl Calls {
    /// Calls about a pair, given up when nothing is heard for `patience`.
    #[must_use]
    pub fn new(cloud: &Cloud, pair: ListedPair, patience: Duration) -> Self {
        let fast = FAST_REGIONS.contains(&cloud.region().as_str());
        let account = if fast {
            FAST_BLOCKS_PER_SECOND
        } else {
            ACCOUNT_BLOCKS_PER_SECOND
        };
        Self {
            direct: cloud.direct(),
            pair,
            lists: Pace::held(LISTS_PER_SECOND),
            snapshot: Pace::new(SNAPSHOT_BLOCKS_PER_SECOND),
            account: Pace::new(account),
            patience,
            heard: Mutex::new(Heard {
                at: Instant::now(),
                usual: Duration::ZERO,
            }),
            hedges: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
        }
    }

    /// One page of the listing. What would end it, or shows no list, is asked twice: one altered byte in an
    /// answer must not hide blocks.
    ///
    /// # Errors
    /// [`SyncError::Cloud`] for what does not pass, [`SyncError::Stalled`] for what did not pass in time,
    /// [`SyncError::Integrity`] when the two answers differ.
    pub async fn page(&self, start: &PageStart) -> Result<ListedPage, SyncError> {
        let page = self.answered(start).await?;
        if page.next.is_some() && page.has_list {
            return Ok(page);
        }
        if self.answered(start).await?.agrees_with(&page) {
            return Ok(page);
        }
        let text =
            "the service answered twice differently what it lists: nothing is claimed; try again";
        Err(SyncError::Integrity(text.to_owned()))
    }

    async fn answered(&self, start: &PageStart) -> Result<ListedPage, SyncError> {
        let mut attempt = 0;
        loop {
            self.lists.turn().await;
            match self.direct.page(&self.pair, start).await {
                Ok(page) => {
                    self.hear(None);
                    return Ok(page);
                }
                Err(error) if is_throttle(&error) => {
                    self.lists.refused();
                    self.hear(None);
                }
                Err(error) => {
                    self.back_off(error, &mut attempt, start_seed(start))
                        .await?
                }
            }
        }
    }

    /// The bytes of one block of the second snapshot, not checked yet.
    ///
    /// # Errors
    /// As [`Calls::page`].
    pub async fn block(&self, block: u64, token: &str) -> Result<BlockBody, SyncError> {
        let mut attempt = 0;
        loop {
            match self.hedged(block, token).await {
                Ok(body) => {
                    self.reads.fetch_add(1, Ordering::Relaxed);
                    return Ok(body);
                }
                Err(error) if error.code == "ThrottlingException" => {
                    self.account.refused();
                    self.hear(None);
                }
                Err(error) if is_throttle(&error) => {
                    self.snapshot.refused();
                    self.hear(None);
                }
                Err(error) => self.back_off(error, &mut attempt, block).await?,
            }
        }
    }

    async fn hedged(&self, block: u64, token: &str) -> Result<BlockBody, CloudError> {
        self.turns().await;
        let first = self.read(block, token);
        tokio::pin!(first);
        if let Ok(answer) = timeout(self.hedge_after(), &mut first).await {
            return answer;
        }
        if !self.may_hedge() {
            return first.await;
        }
        let second = async {
            self.turns().await;
            self.read(block, token).await
        };
        tokio::pin!(second);
        // Whichever answers with bytes; an error of one leaves the other its chance.
        tokio::select! {
            answer = &mut first => match answer { Ok(body) => Ok(body), Err(_) => second.await },
            answer = &mut second => match answer { Ok(body) => Ok(body), Err(_) => first.await },
        }
    }

    async fn turns(&self) {
        self.account.turn().await;
        self.snapshot.turn().await;
    }

    async fn read(&self, block: u64, token: &str) -> Result<BlockBody, CloudError> {
        let asked = Instant::now();
        let body = self.direct.block(&self.pair.second, block, token).await?;
        self.hear(Some(asked.elapsed()));
        Ok(body)
    }

    fn hedge_after(&self) -> Duration {
        let usual = self.heard(|heard| heard.usual);
        if usual.is_zero() {
            return self.patience;
        }
        (usual * HEDGE_FACTOR).max(HEDGE_FLOOR)
    }

    /// Hedges are for a service that answers slowly, not for one that is asked too fast.
    fn may_hedge(&self) -> bool {
        let spent = self.hedges.load(Ordering::Relaxed);
        let granted = spent <= self.reads.load(Ordering::Relaxed) / READS_PER_HEDGE;
        if granted {
            self.hedges.fetch_add(1, Ordering::Relaxed);
        }
        granted
    }

    async fn back_off(
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
        if self.heard(|heard| heard.at.elapsed()) > self.patience {
            return Err(SyncError::Stalled {
                seconds: self.patience.as_secs(),
                last: error,
            });
        }
        self.repeats.fetch_add(1, Ordering::Relaxed);
        *attempt += 1;
        sleep(pause(*attempt, seed)).await;
        Ok(())
    }

    fn hear(&self, took: Option<Duration>) {
        self.heard(|heard| {
            heard.at = Instant::now();
            let Some(took) = took else { return };
            heard.usual = if heard.usual.is_zero() {
                took
            } else {
                (heard.usual * 15 + took) / 16
            };
        });
    }

    /// Time of a usual read at present.
    #[must_use]
    pub fn usual(&self) -> Duration {
        self.heard(|heard| heard.usual)
    }

    /// How often what happened so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            reads: self.reads.load(Ordering::Relaxed),
            hedges: self.hedges.load(Ordering::Relaxed),
            repeats: self.repeats.load(Ordering::Relaxed),
        }
    }

    fn heard<T>(&self, act: impl FnOnce(&mut Heard) -> T) -> T {
        act(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_throttle(error: &CloudError) -> bool {
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

fn start_seed(start: &PageStart) -> u64 {
    match start {
        PageStart::Block(block) => *block,
        PageStart::Token(token) => token.len() as u64,
    }
}
