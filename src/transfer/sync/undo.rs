//! The blocks that a sync overwrote, as they were: kept durable before the first byte of them is changed.
//!
//! `undo.index` holds one record of 64 bytes per block (index, slot, SHA-256, check), `undo.data` the blocks
//! that were not zeros, one per slot. A record torn by a crash ends the index: its block was not overwritten
//! yet. The first record of a block is the true one, and no second is ever made.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use snapmigrate_models::units::BLOCK_BYTES;

use super::SyncError;
use super::bitmap::Bitmap;
use super::content::Content;
use super::state::Sha;
use super::target::{BLOCK, Target};
use crate::buffers::Aligned;
use crate::transfer::digests;

const RECORD: usize = 64;
/// Slot of a block that was zeros.
const ZEROS: u64 = u64::MAX;
/// Blocks put back between two syncs of the target.
const BATCH: usize = 32;

/// The undo record of one sync.
#[derive(Debug)]
pub struct Undo {
    dir: PathBuf,
    index: File,
    data: File,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    blocks: Bitmap,
    records: u64,
    slots: u64,
}

/// One kept block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    block: u64,
    slot: u64,
    digest: Sha,
}

impl Record {
    fn bytes(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..8].copy_from_slice(&self.block.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.slot.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.digest);
        let check = Sha256::digest(&bytes[..48]);
        bytes[48..].copy_from_slice(&check[..16]);
        bytes
    }

    fn read(bytes: &[u8; RECORD]) -> Option<Self> {
        let number = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(number)
        };
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[16..48]);
        let record = Self {
            block: number(0),
            slot: number(8),
            digest,
        };
        (record.bytes() == *bytes).then_some(record)
    }
}

/// A block as it is before it is overwritten; zeros hold no bytes.
struct Old {
    block: u64,
    digest: Sha,
    bytes: Aligned,
}

impl Old {
    fn is_zeros(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Undo {
    /// Opens or begins the record in `dir` for a volume of `bound` blocks.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn open(dir: &Path, bound: u64) -> Result<Self, SyncError> {
        let undo = Self {
            dir: dir.to_owned(),
            index: file(&dir.join("undo.index"))?,
            data: file(&dir.join("undo.data"))?,
            kept: Mutex::new(Kept {
                blocks: Bitmap::new(bound),
                records: 0,
                slots: 0,
            }),
        };
        let mut kept = Kept {
            blocks: Bitmap::new(bound),
            records: 0,
            slots: 0,
        };
        while let Some(record) = undo.record_at(kept.records)?.filter(|r| r.block < bound) {
            kept.records += 1;
            kept.blocks.insert(record.block);
            if record.slot != ZEROS {
                kept.slots = kept.slots.max(record.slot + 1);
            }
        }
        undo.with_kept(|empty| *empty = kept);
        Ok(undo)
    }

    /// Blocks kept.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.with_kept(|kept| kept.records)
    }

    /// Bytes that they take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.with_kept(|kept| kept.slots * BLOCK_BYTES + kept.records * RECORD as u64)
    }

    /// Keeps blocks as they are now, durable on return; those kept before stay as they are. Returns a block
    /// of `must_be_zeros` that is not.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn keep(
        &self,
        target: &Target,
        blocks: impl Iterator<Item = u64>,
        must_be_zeros: impl Fn(u64) -> bool,
    ) -> Result<Option<u64>, SyncError> {
        let old = self.as_they_are(target, blocks)?;
        let broken = old
            .iter()
            .find(|old| !old.is_zeros() && must_be_zeros(old.block));
        if let Some(old) = broken {
            return Ok(Some(old.block));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = Vec::new();
        let mut slots = kept.slots;
        for old in &old {
            let mut slot = ZEROS;
            if !old.is_zeros() {
                let written = self.data.write_all_at(&old.bytes, slots * BLOCK_BYTES);
                written.map_err(self.failed("write", "undo.data"))?;
                slot = slots;
                slots += 1;
            }
            records.push(Record {
                block: old.block,
                slot,
                digest: old.digest,
            });
        }
        if records.is_empty() {
            return Ok(None);
        }
        if slots > kept.slots {
            let synced = self.data.sync_data();
            synced.map_err(self.failed("sync", "undo.data"))?;
        }
        self.append(kept.records, &records)?;
        kept.records += records.len() as u64;
        kept.slots = slots;
        for record in &records {
            kept.blocks.insert(record.block);
        }
        Ok(None)
    }

    /// Blocks that are not kept yet, read and digested before anyone has to wait for it.
    fn as_they_are(
        &self,
        target: &Target,
        blocks: impl Iterator<Item = u64>,
    ) -> Result<Vec<Old>, SyncError> {
        let is_open = |block: &u64| self.with_kept(|kept| !kept.blocks.contains(*block));
        let open: Vec<u64> = blocks.filter(is_open).collect();
        let mut read = Vec::with_capacity(open.len());
        for block in &open {
            let mut bytes = Aligned::zeroed(BLOCK);
            target.read(*block, &mut bytes)?;
            read.push(bytes);
        }
        let bytes: Vec<&[u8]> = read.iter().map(|bytes| &**bytes).collect();
        let digests = digests::sha256(&bytes);
        let old = |((block, bytes), digest): ((u64, Aligned), Sha)| {
            let is_zeros = bytes.iter().all(|byte| *byte == 0);
            Old {
                block,
                digest,
                bytes: if is_zeros { Aligned::default() } else { bytes },
            }
        };
        Ok(open.into_iter().zip(read).zip(digests).map(old).collect())
    }

    fn append(&self, after: u64, records: &[Record]) -> Result<(), SyncError> {
        let bytes: Vec<u8> = records.iter().flat_map(Record::bytes).collect();
        self.index
            .write_all_at(&bytes, after * RECORD as u64)
            .and_then(|()| self.index.sync_data())
            .map_err(self.failed("write", "undo.index"))
    }

    /// Puts every kept block back, durable and read back on return. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`SyncError::Integrity`] when a kept block is not what was kept, or does not read back.
    pub fn put_back(&self, target: &Target) -> Result<u64, SyncError> {
        let count = self.blocks();
        let mut at = 0;
        while at < count {
            let upto = (at + BATCH as u64).min(count);
            let mut batch = Vec::with_capacity(BATCH);
            for number in at..upto {
                batch.extend(self.record_at(number)?);
            }
            batch.sort_by_key(|record| record.block);
            let contents: Result<Vec<_>, _> = batch.iter().map(|r| self.content(r)).collect();
            target.write(&contents?)?;
            target.sync()?;
            self.check(target, &batch)?;
            at = upto;
        }
        Ok(count)
    }

    fn content(&self, record: &Record) -> Result<(u64, Content), SyncError> {
        if record.slot == ZEROS {
            return Ok((record.block, Content::Zeros));
        }
        let mut old = vec![0; BLOCK];
        self.data
            .read_exact_at(&mut old, record.slot * BLOCK_BYTES)
            .map_err(self.failed("read", "undo.data"))?;
        if Sha::from(Sha256::digest(&old)) != record.digest {
            return Err(SyncError::Integrity(format!(
                "block {} in {} is not what was kept there: the target cannot be taken back with it",
                record.block,
                self.dir.join("undo.data").display()
            )));
        }
        Ok((record.block, Content::Bytes(Bytes::from(old))))
    }

    fn check(&self, target: &Target, batch: &[Record]) -> Result<(), SyncError> {
        let mut now = Aligned::zeroed(BLOCK);
        for record in batch {
            target.read(record.block, &mut now)?;
            if Sha::from(Sha256::digest(&*now)) != record.digest {
                return Err(SyncError::Integrity(format!(
                    "block {} of {} does not read back as it was put back",
                    record.block,
                    target.path().display()
                )));
            }
        }
        Ok(())
    }

    fn record_at(&self, number: u64) -> Result<Option<Record>, SyncError> {
        let mut bytes = [0; RECORD];
        match self.index.read_exact_at(&mut bytes, number * RECORD as u64) {
            Ok(()) => Ok(Record::read(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(self.failed("read", "undo.index")(error)),
        }
    }

    fn failed(
        &self,
        doing: &'static str,
        name: &str,
    ) -> impl FnOnce(io::Error) -> SyncError + use<> {
        SyncError::io(doing, self.dir.join(name))
    }

    fn with_kept<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn file(path: &Path) -> Result<File, SyncError> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(SyncError::io("open", path))
}
