//! What is done with blocks on threads that may block: check, keep what was there, write, make durable, read
//! back, note. It knows no network and decides nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::units::BLOCK_BYTES;

use super::SyncError;
use super::bitmap::Bitmap;
use super::content::Content;
use super::state::{Sha, State};
use super::target::{BLOCK, Target};
use super::undo::Undo;
use crate::buffers::Aligned;
use crate::transfer::digests;

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
    /// Written; not durable yet.
    pub good: Vec<Fresh>,
    /// Not what their checksum says; not written.
    pub corrupt: Vec<u64>,
}

/// A block that was written and is to be made durable, read back and noted.
#[derive(Debug)]
pub struct Fresh {
    /// Index.
    pub block: u64,
    /// SHA-256 of what was written.
    pub digest: Sha,
    /// What was written, if it is to be read back: comparing bytes costs a tenth of computing a digest.
    pub content: Option<Content>,
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
        let mut digests = Vec::with_capacity(batch.len());
        let mut new = Vec::new();
        let found = self.digests(&batch);
        for (arrived, digest) in batch.into_iter().zip(found) {
            let Some(digest) = digest else {
                written.corrupt.push(arrived.block);
                continue;
            };
            if arrived.is_new {
                new.push(arrived.block);
            }
            digests.push(digest);
            contents.push((arrived.block, arrived.content));
        }
        let hashed = Instant::now();
        self.keep(contents.iter().map(|(block, _)| *block), &new)?;
        self.target.write(&contents)?;
        let fresh = |((block, content), digest)| Fresh {
            block,
            digest,
            content: self.read_back.then_some(content),
        };
        written.good = contents.into_iter().zip(digests).map(fresh).collect();
        self.spend(hashed - begun, hashed.elapsed());
        Ok(written)
    }

    /// The digest of each block, none where it is not the promised one.
    fn digests(&self, batch: &[Arrived]) -> Vec<Option<Sha>> {
        let bytes = |arrived: &Arrived| match &arrived.content {
            Content::Zeros => None,
            Content::Bytes(bytes) => Some(bytes.clone()),
        };
        let bytes: Vec<Bytes> = batch.iter().filter_map(bytes).collect();
        let bytes: Vec<&[u8]> = bytes.iter().map(AsRef::as_ref).collect();
        let mut computed = digests::sha256(&bytes).into_iter();
        let digest = |arrived: &Arrived| match &arrived.content {
            Content::Zeros => Some(self.zeros),
            Content::Bytes(bytes) => computed
                .next()
                .filter(|digest| bytes.len() == BLOCK && arrived.promised == Some(*digest)),
        };
        batch.iter().map(digest).collect()
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
    pub fn settle(&self, mut written: Vec<Fresh>) -> Result<Vec<u64>, SyncError> {
        let begun = Instant::now();
        written.sort_unstable_by_key(|fresh| fresh.block);
        self.target.sync()?;
        let mut comparing = Duration::ZERO;
        if self.read_back {
            comparing = self.compare(&mut written)?;
        }
        let noted: Vec<(u64, Sha)> = written.iter().map(|f| (f.block, f.digest)).collect();
        self.state.note(&noted)?;
        self.spend(comparing, begun.elapsed().saturating_sub(comparing));
        Ok(noted.into_iter().map(|(block, _)| block).collect())
    }

    /// Reads back what was written; returns the time that comparing took, without reading.
    fn compare(&self, written: &mut [Fresh]) -> Result<Duration, SyncError> {
        let mut comparing = Duration::ZERO;
        let mut now = Aligned::zeroed(BLOCK);
        for fresh in written {
            self.target.read(fresh.block, &mut now)?;
            let read = Instant::now();
            // What was compared needs its memory no longer.
            if !fresh.content.take().is_some_and(|content| content.is(&now)) {
                return Err(self.reads_wrong(fresh.block));
            }
            comparing += read.elapsed();
        }
        Ok(comparing)
    }

    fn reads_wrong(&self, block: u64) -> SyncError {
        SyncError::Integrity(format!(
            "block {block} of {} does not read back as it was written: the device is not to be trusted",
            self.target.path().display()
        ))
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

/// A desk that several threads work at.
pub type SharedDesk = Arc<Desk>;
