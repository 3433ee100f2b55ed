//! Calls to the service, repeated as their errors deserve: throttles slow the pace they name, passing errors
//! back off, everything else is final. Slow reads are hedged. It knows neither order nor device.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::step::FailureClass;
use tokio::time::{Instant, timeout};

use super::SyncError;
use super::pace::Pace;
use super::patience::{Patience, is_throttle};
use super::progress::Bound;
use crate::cloud::{BlockBody, Cloud, CloudError, Direct, ListedPage, ListedPair, PageStart};

/// Requests per second and account for listings; fixed (EBS user guide, quotas of the EBS direct APIs).
const LISTS_PER_SECOND: u32 = 50;
/// Blocks per second and snapshot; fixed (same page).
pub const SNAPSHOT_BLOCKS_PER_SECOND: u32 = 1000;
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
/// A read that takes longer hangs: it is given up and repeated.
const READ_HANGS: Duration = Duration::from_secs(12);
/// A read is repeated on another connection after this multiple of a usual one's time.
const HEDGE_FACTOR: u32 = 4;
/// And never before this time.
const HEDGE_FLOOR: Duration = Duration::from_millis(40);
/// Share of a quota that counts as reaching it.
const NEARLY: f64 = 0.8;
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
    patience: Patience,
    times: Mutex<Times>,
    hedges: AtomicU64,
    reads: AtomicU64,
}

/// How long reads take.
#[derive(Debug, Default)]
struct Times {
    usual: Duration,
    fastest: Duration,
}

impl Times {
    fn take(&mut self, took: Duration) {
        if self.usual.is_zero() {
            (self.usual, self.fastest) = (took, took);
        }
        self.usual = (self.usual * 15 + took) / 16;
        // Slowly forgotten: a service may become slower.
        self.fastest = took.min(self.fastest + self.fastest / 256);
    }
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
        Self {
            direct: cloud.direct(),
            pair,
            lists: Pace::held(LISTS_PER_SECOND),
            snapshot: Pace::new(SNAPSHOT_BLOCKS_PER_SECOND),
            account: Pace::new(account_blocks_per_second(cloud)),
            patience: Patience::new(patience),
            times: Mutex::default(),
            hedges: AtomicU64::new(0),
            reads: AtomicU64::new(0),
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
        self.confirm(start, &page).await?;
        Ok(page)
    }

    /// Asks again for a page that would end the listing or shows no list.
    ///
    /// # Errors
    /// As [`Calls::page`].
    pub async fn confirm(&self, start: &PageStart, page: &ListedPage) -> Result<(), SyncError> {
        if page.next.is_some() && page.has_list {
            return Ok(());
        }
        if self.answered(start).await?.agrees_with(page) {
            return Ok(());
        }
        let text =
            "the service answered twice differently what it lists: nothing is claimed; try again";
        Err(SyncError::Integrity(text.to_owned()))
    }

    /// One page as it came, to be confirmed.
    ///
    /// # Errors
    /// As [`Calls::page`], without the difference.
    pub async fn answered(&self, start: &PageStart) -> Result<ListedPage, SyncError> {
        let mut attempt = 0;
        loop {
            self.lists.turn().await;
            match self.direct.page(&self.pair, start).await {
                Ok(page) => {
                    self.patience.hear();
                    return Ok(page);
                }
                Err(error) if is_throttle(&error) => {
                    self.lists.refused();
                    self.patience.hear();
                }
                Err(error) => {
                    let seed = start_seed(start);
                    self.patience.back_off(error, &mut attempt, seed).await?;
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
                    self.patience.hear();
                }
                Err(error) if is_throttle(&error) => {
                    self.snapshot.refused();
                    self.patience.hear();
                }
                Err(error) => self.patience.back_off(error, &mut attempt, block).await?,
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
        let read = self.direct.block(&self.pair.second, block, token);
        let body = timeout(READ_HANGS, read).await;
        let body = body.unwrap_or_else(|_| Err(hangs(&self.pair.second, block)))?;
        self.took(asked.elapsed());
        Ok(body)
    }

    fn hedge_after(&self) -> Duration {
        let usual = self.usual();
        if usual.is_zero() {
            return self.patience.limit();
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

    fn took(&self, took: Duration) {
        self.patience.hear();
        self.times(|times| times.take(took));
    }

    fn times<T>(&self, act: impl FnOnce(&mut Times) -> T) -> T {
        act(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Time of a usual read at present.
    #[must_use]
    pub fn usual(&self) -> Duration {
        self.times(|times| times.usual)
    }

    /// Time of the fastest reads of late; zero before the first.
    #[must_use]
    pub fn fastest(&self) -> Duration {
        self.times(|times| times.fastest)
    }

    /// What holds reads back when nothing of ours does: a quota only while they come nearly as fast as it allows.
    #[must_use]
    pub fn bound(&self, blocks_per_second: f64) -> Bound {
        let reached = |pace: &Pace| {
            let allowed = pace.per_second();
            allowed.is_some_and(|allowed| blocks_per_second > NEARLY * allowed)
        };
        if reached(&self.snapshot) {
            Bound::SnapshotQuota
        } else if reached(&self.account) {
            Bound::AccountQuota
        } else {
            Bound::Network
        }
    }

    /// Whether blocks wait for buffers rather than for the service.
    #[must_use]
    pub fn are_out_of_buffers(&self) -> bool {
        self.direct.is_out_of_buffers()
    }

    /// How often what happened so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            reads: self.reads.load(Ordering::Relaxed),
            hedges: self.hedges.load(Ordering::Relaxed),
            repeats: self.patience.repeats(),
        }
    }
}

/// Blocks that an account may read, and write, per second in this region.
#[must_use]
pub fn account_blocks_per_second(cloud: &Cloud) -> u32 {
    if FAST_REGIONS.contains(&cloud.region().as_str()) {
        FAST_BLOCKS_PER_SECOND
    } else {
        ACCOUNT_BLOCKS_PER_SECOND
    }
}

fn hangs(snapshot: &SnapshotId, block: u64) -> CloudError {
    CloudError {
        class: FailureClass::Transient,
        operation: "GetSnapshotBlock",
        subject: format!("{snapshot} block {block}"),
        code: "timeout".to_owned(),
        message: format!("no whole block within {} s", READ_HANGS.as_secs()),
    }
}

fn start_seed(start: &PageStart) -> u64 {
    match start {
        PageStart::Block(block) => *block,
        PageStart::Token(token) => token.len() as u64,
    }
}
