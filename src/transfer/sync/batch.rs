//! What is done with blocks on threads that may block: check, keep what was there, write, make durable, read
//! back, note. It knows no network and decides nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::units::BLOCK_BYTES;

use super::SyncError;
use super::aligned::Aligned;
use super::bitmap::Bitmap;
use super::state::{Sha, State};
use super::target::{BLOCK, Content, Target};
use super::undo::Undo;

/// Blocks of one gap that are cleared at once.
const CLEARED_AT_ONCE: u64 = 32;

/// A block that is to be written.
#[derive(Debug)]
pub struct Arrived {
    /// Index.
    pub block: u64,
    /// What it becomes.
    pub content: Content,
    /// SHA-256 that came with the bytes; zeros need none.
    pub promised: Option<Sha>,
    /// What was there before must be zeros.
    pub is_new: bool,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Written {
    /// Written, with their digests; not durable yet.
    pub good: Vec<(u64, Sha)>,
    /// Not what their checksum says; not written.
    pub corrupt: Vec<u64>,
}

/// What the threads share.
#[derive(Debug)]
pub struct Desk {
    /// The device or file.
    pub target: Target,
    /// The record on disk.
    pub state: State,
    /// Where overwritten blocks are kept, if they are.
    pub undo: Option<Undo>,
    /// Whether what was written is read back.
    pub read_back: bool,
    zeros: Sha,
    spent: Mutex<Spent>,
    cleared: AtomicU64,
}

/// Time spent by all threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Computing digests.
    pub hashing: Duration,
    /// Waiting for the device and the record.
    pub device: Duration,
}

impl Desk {
    /// A desk with nothing on it.
    #[must_use]
    pub fn new(target: Target, state: State, undo: Option<Undo>, read_back: bool) -> Self {
        Self {
            target,
            state,
            undo,
            read_back,
            zeros: Sha256::digest(vec![0; BLOCK]).into(),
            spent: Mutex::default(),
            cleared: AtomicU64::new(0),
        }
    }

    /// Checks and writes a batch.
    ///
    /// # Errors
    /// [`SyncError`] of the target and the record; [`SyncError::WrongBase`] when a block that must have been
    /// zeros is not. A block with wrong bytes is no error but named.
    pub fn write(&self, mut batch: Vec<Arrived>) -> Result<Written, SyncError> {
        let begun = Instant::now();
        batch.sort_by_key(|arrived| arrived.block);
        let mut written = Written::default();
        let mut contents = Vec::with_capacity(batch.len());
        let mut new = Vec::new();
        for arrived in batch {
            let digest = match &arrived.content {
                Content::Zeros => Some(self.zeros),
                Content::Bytes(bytes) => checked(bytes, arrived.promised),
            };
            let Some(digest) = digest else {
                written.corrupt.push(arrived.block);
                continue;
            };
            if arrived.is_new {
                new.push(arrived.block);
            }
            written.good.push((arrived.block, digest));
            contents.push((arrived.block, arrived.content));
        }
        let hashed = Instant::now();
        self.keep(contents.iter().map(|(block, _)| *block), &new)?;
        self.target.write(&contents)?;
        self.spend(hashed - begun, hashed.elapsed());
        Ok(written)
    }

    fn keep(&self, blocks: impl Iterator<Item = u64>, new: &[u64]) -> Result<(), SyncError> {
        let Some(undo) = &self.undo else {
            return Ok(());
        };
        let is_new = |block: u64| new.binary_search(&block).is_ok();
        match (
            undo.keep(&self.target, blocks, is_new)?,
            &self.state.header.from,
        ) {
            (Some(block), Some(from)) => Err(self.wrong_base(from, block)),
            _ => Ok(()),
        }
    }

    fn wrong_base(&self, from: &SnapshotId, block: u64) -> SyncError {
        SyncError::WrongBase {
            path: self.target.path().to_owned(),
            snapshot: from.clone(),
            found: format!(
                "block {block} is not zeros, but {from} does not hold it; what was written can be taken \
                 back with --undo"
            ),
        }
    }

    /// Makes written blocks durable, reads them back and notes them.
    ///
    /// # Errors
    /// [`SyncError::Integrity`] when one does not read back as it was written.
    pub fn settle(&self, mut written: Vec<(u64, Sha)>) -> Result<Vec<u64>, SyncError> {
        let begun = Instant::now();
        written.sort_unstable_by_key(|(block, _)| *block);
        self.target.sync()?;
        let mut hashing = Duration::ZERO;
        if self.read_back {
            let mut now = Aligned::zeroed(BLOCK);
            for (block, digest) in &written {
                self.target.read(*block, &mut now)?;
                let read = Instant::now();
                if Sha::from(Sha256::digest(&*now)) != *digest {
                    return Err(SyncError::Integrity(format!(
                        "block {block} of {} does not read back as it was written: the device is not to be \
                         trusted",
                        self.target.path().display()
                    )));
                }
                hashing += read.elapsed();
            }
        }
        self.state.note(&written)?;
        self.spend(hashing, begun.elapsed().saturating_sub(hashing));
        Ok(written.into_iter().map(|(block, _)| block).collect())
    }

    /// Makes every block from `from` on that is not in `listed` zeros, if it is not already.
    ///
    /// # Errors
    /// [`SyncError`] of the target and the record.
    pub fn clear_gaps(&self, listed: &Bitmap, from: u64) -> Result<(), SyncError> {
        let mut at = listed.next_absent(from);
        while at < listed.bound() {
            let end = listed.next(at).unwrap_or(listed.bound());
            self.clear_gap(at, end)?;
            at = listed.next_absent(end);
        }
        if self.cleared() > 0 {
            self.target.sync()?;
        }
        Ok(())
    }

    fn clear_gap(&self, from: u64, end: u64) -> Result<(), SyncError> {
        let mut at = from;
        let mut now = Aligned::zeroed(BLOCK);
        while at < end {
            let data = self.target.next_data(at * BLOCK_BYTES)?;
            let Some(data) = data
                .map(|byte| byte / BLOCK_BYTES)
                .filter(|block| *block < end)
            else {
                return Ok(());
            };
            at = data.max(at);
            let upto = (at + CLEARED_AT_ONCE).min(end);
            let mut dirty = Vec::new();
            for block in at..upto {
                self.target.read(block, &mut now)?;
                if now.iter().any(|byte| *byte != 0) {
                    dirty.push(block);
                }
            }
            self.keep(dirty.iter().copied(), &[])?;
            self.cleared
                .fetch_add(dirty.len() as u64, Ordering::Relaxed);
            let zeros: Vec<_> = dirty
                .into_iter()
                .map(|block| (block, Content::Zeros))
                .collect();
            self.target.write(&zeros)?;
            at = upto;
        }
        Ok(())
    }

    /// Blocks cleared so far.
    #[must_use]
    pub fn cleared(&self) -> u64 {
        self.cleared.load(Ordering::Relaxed)
    }

    /// Time spent so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spend(&self, hashing: Duration, device: Duration) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.hashing += hashing;
        spent.device += device;
    }
}

/// The digest of a whole block, when it is the promised one.
fn checked(bytes: &[u8], promised: Option<Sha>) -> Option<Sha> {
    let digest: Sha = Sha256::digest(bytes).into();
    (bytes.len() == BLOCK && promised == Some(digest)).then_some(digest)
}

/// A desk that several threads work at.
pub type SharedDesk = Arc<Desk>;
