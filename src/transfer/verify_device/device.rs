//! The device or file that is compared: read past the page cache where the system allows it.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::units::BLOCK_BYTES;

use super::{VerifyError, at};
use crate::buffers::Aligned;
use crate::transfer::sync::SyncError;
use crate::transfer::sync::parts::Sha;

const BLOCK: usize = 524_288;

/// A device or file open for reading.
#[derive(Debug)]
pub(super) struct Device {
    path: PathBuf,
    file: File,
    direct: Option<File>,
    bytes: u64,
    is_file: bool,
    /// Buffers that are free at present.
    free: Mutex<Vec<Aligned>>,
}

impl Device {
    pub(super) fn open(path: &Path) -> Result<Self, VerifyError> {
        let failed = |source| VerifyError::Device {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let kind = file.metadata().map_err(failed)?.file_type();
        if kind.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC;
        let direct = rustix::fs::open(path, flags, Mode::empty());
        Ok(Self {
            path: path.to_owned(),
            file,
            direct: direct.ok().map(File::from),
            bytes,
            is_file: kind.is_file(),
            free: Mutex::default(),
        })
    }

    /// A file may end early (what is missing counts as zeros, like a sparse tail), a device may not.
    pub(super) fn must_hold(&self, snapshot: &SnapshotId, total: u64) -> Result<(), VerifyError> {
        let volume_bytes = total * BLOCK_BYTES;
        if self.is_file || self.bytes >= volume_bytes {
            return Ok(());
        }
        Err(VerifyError::TooSmall {
            path: self.path.clone(),
            snapshot: snapshot.clone(),
            device_bytes: self.bytes,
            volume_bytes,
        })
    }

    /// The digest of a block that does not hold `expected`; `None` when it does.
    pub(super) fn digest_unless(
        &self,
        block: u64,
        expected: &[u8],
    ) -> Result<Option<Sha>, SyncError> {
        let free = self.free().pop();
        let mut now = free.unwrap_or_else(Self::buffer);
        self.read(block, &mut now)?;
        let other = (*now != *expected).then(|| Sha256::digest(&*now).into());
        self.free().push(now);
        Ok(other)
    }

    fn free(&self) -> MutexGuard<'_, Vec<Aligned>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a block is zeros; `buffer` is for its bytes.
    pub(super) fn is_zeros(&self, block: u64, buffer: &mut Aligned) -> Result<bool, SyncError> {
        self.read(block, buffer)?;
        Ok(buffer.iter().all(|byte| *byte == 0))
    }

    /// The first block at `from` or above that may hold something, as far as the file system knows.
    pub(super) fn next_data(&self, from: u64) -> Option<u64> {
        if !self.is_file {
            return Some(from);
        }
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(at(from))) {
            Ok(found) => Some(found / BLOCK_BYTES),
            Err(Errno::NXIO) => None,
            Err(_) => Some(from),
        }
    }

    /// A buffer for one block.
    pub(super) fn buffer() -> Aligned {
        Aligned::zeroed(BLOCK)
    }

    /// One block, filled up with zeros behind the end.
    fn read(&self, block: u64, into: &mut Aligned) -> Result<(), SyncError> {
        let mut filled = 0;
        let mut file = self.direct.as_ref().unwrap_or(&self.file);
        while filled < BLOCK {
            match file.read_at(&mut into[filled..BLOCK], at(block) + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An odd end cannot be read past the page cache.
                Err(error)
                    if error.kind() == io::ErrorKind::InvalidInput && self.direct.is_some() =>
                {
                    file = &self.file;
                }
                Err(error) => return Err(SyncError::io("read", &self.path)(error)),
            }
        }
        into[filled..BLOCK].fill(0);
        Ok(())
    }
}
