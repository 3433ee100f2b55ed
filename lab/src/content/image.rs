//! Real content: bytes in a sparse image file that a loop device may write to at the same time.
//! It must not know lineage, accounts or time.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::blocks::{BLOCK_BYTES, BLOCKS_PER_GIB, BlockSet};
use super::reader::block_of;
use super::{ContentError, extents, reflink};

const GIB: u64 = 1 << 30;

/// The directory of the images: DIR/volumes and DIR/snapshots.
#[derive(Debug)]
pub struct ImageStore {
    dir: PathBuf,
    reflink: bool,
    /// Held while the store exists: two labs over one directory would overwrite each other's images.
    _lock: File,
}

impl ImageStore {
    /// Opens or creates the directory, for this lab alone, and finds out whether its file system can share
    /// extents.
    ///
    /// # Errors
    /// [`ContentError::Io`] when the directory cannot be written, [`ContentError::InUse`] when another lab
    /// holds it.
    pub fn open(dir: &Path) -> Result<Arc<Self>, ContentError> {
        for part in ["volumes", "snapshots"] {
            let path = dir.join(part);
            fs::create_dir_all(&path).map_err(io_error("creating the directory", &path))?;
        }
        let lock = locked(dir)?;
        let reflink = reflink::supported(dir).map_err(io_error("trying a clone", dir))?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            reflink,
            _lock: lock,
        }))
    }

    /// Whether clones share extents and are atomic.
    #[must_use]
    pub fn reflink(&self) -> bool {
        self.reflink
    }

    /// What the operator should know about this directory.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        let dir = self.dir.display();
        (!self.reflink).then(|| {
            format!(
                "{dir} is on a file system without reflinks: snapshots are copies, slower, and a point in time \
                 only while nothing writes to the volume; use xfs or btrfs for atomic clones"
            )
        })
    }

    /// The image file of a volume.
    #[must_use]
    pub fn volume_path(&self, id: &str) -> PathBuf {
        self.dir.join("volumes").join(format!("{id}.img"))
    }

    /// The image file of a snapshot.
    #[must_use]
    pub fn snapshot_path(&self, id: &str) -> PathBuf {
        self.dir.join("snapshots").join(format!("{id}.img"))
    }
}

/// One image file; clones write to the same one.
#[derive(Debug, Clone)]
pub struct Image {
    store: Arc<ImageStore>,
    path: PathBuf,
    file: Arc<File>,
    size_bytes: u64,
}

impl Image {
    /// A new empty volume of `size_gib` GiB.
    ///
    /// # Errors
    /// [`ContentError::Io`] when the file cannot be created.
    pub fn create_volume(
        store: &Arc<ImageStore>,
        id: &str,
        size_gib: u64,
    ) -> Result<Self, ContentError> {
        Self::create(store, store.volume_path(id), size_gib * GIB)
    }

    /// A new empty snapshot of `size_gib` GiB, to be filled block by block.
    ///
    /// # Errors
    /// [`ContentError::Io`] when the file cannot be created.
    pub fn create_snapshot(
        store: &Arc<ImageStore>,
        id: &str,
        size_gib: u64,
    ) -> Result<Self, ContentError> {
        Self::create(store, store.snapshot_path(id), size_gib * GIB)
    }

    /// A volume whose image file exists already.
    ///
    /// # Errors
    /// [`ContentError::Io`] when the file cannot be opened.
    pub fn open_volume(store: &Arc<ImageStore>, id: &str) -> Result<Self, ContentError> {
        Self::open(store, store.volume_path(id))
    }

    /// A snapshot whose image file exists already.
    ///
    /// # Errors
    /// [`ContentError::Io`] when the file cannot be opened.
    pub fn open_snapshot(store: &Arc<ImageStore>, id: &str) -> Result<Self, ContentError> {
        Self::open(store, store.snapshot_path(id))
    }

    /// The image file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Blocks that the image can hold.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.size_bytes.div_ceil(BLOCK_BYTES)
    }

    pub(super) fn clone_snapshot(&self, id: &str) -> Result<Self, ContentError> {
        self.clone_to(self.store.snapshot_path(id), self.size_bytes)
    }

    pub(super) fn clone_volume(&self, id: &str, size_gib: u64) -> Result<Self, ContentError> {
        if size_gib * GIB < self.size_bytes {
            let needed_gib = self.blocks().div_ceil(BLOCKS_PER_GIB);
            return Err(ContentError::TooSmall {
                size_gib,
                needed_gib,
            });
        }
        self.clone_to(self.store.volume_path(id), size_gib * GIB)
    }

    pub(super) fn written_blocks(&self) -> Result<BlockSet, ContentError> {
        let extents = reflink::data_extents(&self.file, self.size_bytes);
        let mut blocks = BlockSet::new();
        for (start, end) in extents.map_err(self.failed("finding the data"))? {
            blocks.insert_range(start / BLOCK_BYTES, end.div_ceil(BLOCK_BYTES));
        }
        Ok(blocks)
    }

    pub(super) fn changed_since(&self, older: &Self) -> Result<BlockSet, ContentError> {
        if self.store.reflink
            && let (Ok(new), Ok(old)) = (
                extents::data_extents(&self.file),
                extents::data_extents(&older.file),
            )
        {
            return Ok(extents::differing_blocks(&new, &old));
        }
        self.changed_bytes_since(older)
    }

    /// The blocks whose bytes differ, found by reading both: the slow way, and the test of the fast one.
    pub(super) fn changed_bytes_since(&self, older: &Self) -> Result<BlockSet, ContentError> {
        let mut changed = BlockSet::new();
        for block in self
            .written_blocks()?
            .union(&older.written_blocks()?)
            .iter()
        {
            if self.read_block(block)? != older.read_block(block)? {
                changed.insert(block);
            }
        }
        Ok(changed)
    }

    pub(super) fn overlay(
        &self,
        id: &str,
        delta: &BlockSet,
        newer: &Self,
    ) -> Result<Self, ContentError> {
        let size_bytes = self.size_bytes.max(newer.size_bytes);
        let result = self.clone_to(self.store.snapshot_path(id), size_bytes)?;
        let written = newer.written_blocks()?;
        for block in delta.iter() {
            let (start, end) = (
                block * BLOCK_BYTES,
                ((block + 1) * BLOCK_BYTES).min(size_bytes),
            );
            let done = if written.contains(block) {
                reflink::copy_range(&newer.file, &result.file, start, end)
            } else {
                reflink::punch_hole(&result.file, start, end)
            };
            done.map_err(result.failed("taking a changed block"))?;
        }
        Ok(result)
    }

    pub(super) fn read_block(&self, block: u64) -> Result<Bytes, ContentError> {
        block_of(&self.file, block).map_err(self.failed("reading"))
    }

    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub(super) fn write_block(&self, block: u64, data: &[u8]) -> Result<(), ContentError> {
        self.file
            .write_all_at(data, block * BLOCK_BYTES)
            .map_err(self.failed("writing"))
    }

    pub(super) fn discard(self) -> Result<(), ContentError> {
        fs::remove_file(&self.path).map_err(self.failed("removing"))
    }

    fn create(
        store: &Arc<ImageStore>,
        path: PathBuf,
        size_bytes: u64,
    ) -> Result<Self, ContentError> {
        let file = reflink::create(&path).map_err(io_error("creating", &path))?;
        file.set_len(size_bytes)
            .map_err(io_error("sizing", &path))?;
        Ok(Self {
            store: Arc::clone(store),
            path,
            file: Arc::new(file),
            size_bytes,
        })
    }

    fn open(store: &Arc<ImageStore>, path: PathBuf) -> Result<Self, ContentError> {
        let file = File::options().read(true).write(true).open(&path);
        let file = file.map_err(io_error("opening", &path))?;
        let size_bytes = file
            .metadata()
            .map_err(io_error("reading the size", &path))?
            .len();
        Ok(Self {
            store: Arc::clone(store),
            path,
            file: Arc::new(file),
            size_bytes,
        })
    }

    fn clone_to(&self, path: PathBuf, size_bytes: u64) -> Result<Self, ContentError> {
        let clone = Self::create(&self.store, path, 0)?;
        let done = if self.store.reflink {
            reflink::share(&self.file, &clone.file)
        } else {
            reflink::copy_sparse(&self.file, &clone.file)
        };
        done.map_err(self.failed("cloning"))?;
        clone
            .file
            .set_len(size_bytes)
            .map_err(clone.failed("sizing"))?;
        Ok(Self {
            size_bytes,
            ..clone
        })
    }

    fn failed(&self, action: &'static str) -> impl Fn(io::Error) -> ContentError {
        io_error(action, &self.path)
    }
}

/// Takes the directory's lock, which the system gives back however this process ends.
fn locked(dir: &Path) -> Result<File, ContentError> {
    let path = dir.join(".lock");
    let file = reflink::create(&path).map_err(io_error("creating the lock", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(ContentError::InUse {
            dir: dir.to_owned(),
        }),
        Err(error) => Err(io_error("locking", &path)(error.into())),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ContentError + use<> {
    let path = path.to_owned();
    move |source| ContentError::Io {
        action,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests;
