//! What a comparison has found: digests in an unnamed file, at 32 x their block's index, and what differs.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use snapmigrate_models::format::hex;

use crate::transfer::sync::SyncError;
use crate::transfer::sync::parts::{Bitmap, Sha};

const SHA_BYTES: u64 = 32;
/// Digests read at once.
const CHUNK_BLOCKS: u64 = 10_240;
/// Mismatches that are listed by index.
const LISTED_MISMATCHES: usize = 20;

/// Digests and differences.
#[derive(Debug)]
pub(super) struct Ledger {
    digests: File,
    differing: Mutex<Bitmap>,
}

impl Ledger {
    /// For a volume of `total` blocks.
    pub(super) fn new(total: u64) -> Result<Self, SyncError> {
        let dir = std::env::temp_dir();
        let digests = unnamed(&dir).map_err(SyncError::io("make a file in", dir))?;
        Ok(Self {
            digests,
            differing: Mutex::new(Bitmap::new(total)),
        })
    }

    pub(super) fn differs(&self, block: u64) {
        let mut differing = self
            .differing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        differing.insert(block);
    }

    /// How many blocks differ, and the first of them.
    pub(super) fn mismatches(&self) -> (u64, Vec<u64>) {
        let differing = self
            .differing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let first: BTreeSet<u64> = differing.iter().take(LISTED_MISMATCHES).collect();
        (differing.count(), first.into_iter().collect())
    }

    pub(super) fn note(&self, done: &[(u64, Sha)]) -> Result<(), SyncError> {
        for run in done.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
            let bytes: Vec<u8> = run.iter().flat_map(|(_, digest)| *digest).collect();
            self.digests
                .write_all_at(&bytes, run[0].0 * SHA_BYTES)
                .map_err(failed("write"))?;
        }
        Ok(())
    }

    /// SHA-256 over index (big-endian) and digest of each of these blocks, ascending.
    pub(super) fn aggregate(&self, blocks: &Bitmap) -> Result<String, SyncError> {
        let mut aggregate = Sha256::new();
        let mut chunk = Vec::new();
        let mut from = 0;
        for block in blocks.iter() {
            if chunk.is_empty() || block >= from + CHUNK_BLOCKS {
                from = block;
                let blocks = CHUNK_BLOCKS.min(blocks.bound() - from);
                chunk = self.chunk(from, blocks)?;
            }
            let at = usize::try_from((block - from) * SHA_BYTES).expect("within the chunk");
            aggregate.update(block.to_be_bytes());
            aggregate.update(&chunk[at..at + 32]);
        }
        Ok(hex(&aggregate.finalize()))
    }

    fn chunk(&self, from: u64, blocks: u64) -> Result<Vec<u8>, SyncError> {
        let mut chunk = vec![0; usize::try_from(blocks * SHA_BYTES).unwrap_or(0)];
        let mut filled = 0;
        while filled < chunk.len() {
            let at = from * SHA_BYTES + filled as u64;
            match self.digests.read_at(&mut chunk[filled..], at) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) => return Err(failed("read")(error)),
            }
        }
        Ok(chunk)
    }
}

/// A file that ends with this process, whatever ends that.
fn unnamed(dir: &Path) -> std::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    if let Ok(opened) = rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        return Ok(File::from(opened));
    }
    let path = dir.join(format!("snapmigrate-verify-{}", std::process::id()));
    let mut options = File::options();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn failed(doing: &'static str) -> impl FnOnce(std::io::Error) -> SyncError {
    SyncError::io(doing, std::env::temp_dir())
}
