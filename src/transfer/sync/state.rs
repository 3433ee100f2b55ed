//! What a sync leaves on disk so that it can be taken up again, taken back, or refused.
//!
//! A directory with `sync.json` (what is synced onto what, and how far), `digests` (32 bytes per block at
//! 32 x its index: the SHA-256 of what is durable and was read back, zeros where nothing is yet) and the
//! undo record. A digest is written only after the block it speaks of is durable, so that it is journal and
//! bitmap in one. It knows no network.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use snapmigrate_models::format::{Document, hex};
use snapmigrate_models::ids::SnapshotId;

use super::SyncError;
use super::bitmap::Bitmap;

pub use crate::transfer::digests::Sha;

/// Bytes of a digest on disk.
const SHA_BYTES: u64 = 32;
/// Digests read at once: one page of the listing's worth.
const CHUNK: usize = 10_240 * 32;
const HEADER: &str = "sync.json";

/// How far a sync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Blocks are being written; the target holds neither content.
    Running,
    /// All blocks are put; the service is asked to complete the snapshot.
    Completing,
    /// The target holds the second snapshot's content.
    Complete,
    /// The overwritten blocks are being put back.
    Undoing,
    /// The target holds what it held before.
    Undone,
}

/// What is synced onto what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// `snapmigrate.sync-state/1`.
    pub format: String,
    /// What the target held.
    pub from: Option<SnapshotId>,
    /// What it is to hold.
    pub to: SnapshotId,
    /// Blocks of the volume of `to`.
    pub volume_blocks: u64,
    /// Device or file as it was named.
    pub target: String,
    /// What tells it from others of that name.
    pub identity: String,
    /// Its size before.
    pub found_bytes: u64,
    /// Whether overwritten blocks are kept.
    pub undo: bool,
    /// How far it is.
    pub phase: Phase,
    /// Changes whenever someone else writes to the target afterwards.
    #[serde(default)]
    pub seal: Option<String>,
    /// Which snapshot of the same request this is, when earlier ones failed; only of a snapshot put onto another.
    #[serde(default)]
    pub attempt: u32,
}

impl Document for Header {
    const FORMAT: &'static str = "snapmigrate.sync-state/1";
}

/// The open state directory.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
    digests: File,
    /// What is synced onto what.
    pub header: Header,
}

impl State {
    /// What an earlier run left in `dir`, if any.
    ///
    /// # Errors
    /// [`SyncError::State`] when it cannot be read as what it should be.
    pub fn found(dir: &Path) -> Result<Option<Header>, SyncError> {
        let path = dir.join(HEADER);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SyncError::io("read", path)(error)),
        };
        Header::from_json(&text)
            .map(Some)
            .map_err(|error| SyncError::State {
                dir: dir.to_owned(),
                what: format!("is unreadable ({error}): remove the directory to begin afresh"),
            })
    }

    /// Begins afresh in `dir`; whatever was there is removed first.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn begin(dir: &Path, header: Header) -> Result<Self, SyncError> {
        fs::create_dir_all(dir).map_err(SyncError::io("make", dir))?;
        for name in [HEADER, "digests", "undo.index", "undo.data"] {
            match fs::remove_file(dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(SyncError::io("remove", dir.join(name))(error));
                }
                _ => {}
            }
        }
        let mut state = Self::open(dir, header)?;
        state.save()?;
        Ok(state)
    }

    /// Takes up what was begun in `dir`.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn open(dir: &Path, header: Header) -> Result<Self, SyncError> {
        let path = dir.join("digests");
        let digests = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(SyncError::io("open", &path))?;
        digests
            .set_len(header.volume_blocks * SHA_BYTES)
            .map_err(SyncError::io("resize", &path))?;
        Ok(Self {
            dir: dir.to_owned(),
            digests,
            header,
        })
    }

    /// Makes a new phase durable.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn enter(&mut self, phase: Phase, seal: Option<String>) -> Result<(), SyncError> {
        (self.header.phase, self.header.seal) = (phase, seal);
        self.save()
    }

    fn save(&mut self) -> Result<(), SyncError> {
        let (path, new) = (self.dir.join(HEADER), self.dir.join("sync.json.new"));
        let failed = || SyncError::io("write", path.clone());
        let file = File::create(&new).map_err(failed())?;
        file.write_all_at(self.header.to_json().as_bytes(), 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&new, &path))
            .and_then(|()| File::open(&self.dir)?.sync_all())
            .map_err(failed())
    }

    /// Blocks that are durable and were read back.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn done(&self) -> Result<Bitmap, SyncError> {
        let mut done = Bitmap::new(self.header.volume_blocks);
        let end = self.header.volume_blocks * SHA_BYTES;
        let mut chunk = vec![0; CHUNK];
        let mut at = 0;
        while let Some(from) = self.next_data(at)?.filter(|from| *from < end) {
            let from = from / SHA_BYTES * SHA_BYTES;
            let length = CHUNK.min(usize::try_from(end - from).unwrap_or(CHUNK));
            self.read(&mut chunk[..length], from)?;
            for (index, digest) in chunk[..length].chunks_exact(32).enumerate() {
                if digest.iter().any(|byte| *byte != 0) {
                    done.insert(from / SHA_BYTES + index as u64);
                }
            }
            at = from + length as u64;
        }
        Ok(done)
    }

    fn next_data(&self, from: u64) -> Result<Option<u64>, SyncError> {
        match rustix::fs::seek(&self.digests, SeekFrom::Data(from)) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NXIO) => Ok(None),
            Err(error) => Err(self.failed("read")(error.into())),
        }
    }

    fn read(&self, into: &mut [u8], from: u64) -> Result<(), SyncError> {
        self.digests
            .read_exact_at(into, from)
            .map_err(self.failed("read"))
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(io::Error) -> SyncError + use<> {
        SyncError::io(doing, self.dir.join("digests"))
    }

    /// Notes blocks that are durable; they stay noted whatever happens after the return.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn note(&self, blocks: &[(u64, Sha)]) -> Result<(), SyncError> {
        for run in blocks.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
            let bytes: Vec<u8> = run.iter().flat_map(|(_, digest)| *digest).collect();
            self.digests
                .write_all_at(&bytes, run[0].0 * SHA_BYTES)
                .map_err(self.failed("write"))?;
        }
        self.digests.sync_data().map_err(self.failed("sync"))
    }

    /// The digest of one block; zeros when it is not noted.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn digest(&self, block: u64) -> Result<Sha, SyncError> {
        let mut digest = [0; 32];
        self.read(&mut digest, block * SHA_BYTES)?;
        Ok(digest)
    }

    /// SHA-256 over index (big-endian) and digest of each of these blocks, ascending: as `verify` computes it.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn aggregate(&self, blocks: &Bitmap) -> Result<String, SyncError> {
        let mut aggregate = Sha256::new();
        self.each(blocks, |block, digest| {
            aggregate.update(block.to_be_bytes());
            aggregate.update(digest);
        })?;
        Ok(hex(&aggregate.finalize()))
    }

    /// SHA-256 over the digests of these blocks, ascending: the checksum that CompleteSnapshot takes (EBS direct
    /// APIs, aggregation method LINEAR).
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn linear(&self, blocks: &Bitmap) -> Result<Sha, SyncError> {
        let mut aggregate = Sha256::new();
        self.each(blocks, |_, digest| aggregate.update(digest))?;
        Ok(aggregate.finalize().into())
    }

    fn each(&self, blocks: &Bitmap, mut take: impl FnMut(u64, &[u8])) -> Result<(), SyncError> {
        let mut chunk = vec![0; CHUNK];
        let (mut from, mut length) = (0, 0);
        for block in blocks.iter() {
            let at = block * SHA_BYTES;
            if at >= from + length {
                from = at;
                let end = self.header.volume_blocks * SHA_BYTES;
                length = (CHUNK as u64).min(end - from);
                let wanted = usize::try_from(length).unwrap_or(CHUNK);
                self.read(&mut chunk[..wanted], from)?;
            }
            let at = usize::try_from(at - from).expect("within the chunk");
            take(block, &chunk[at..at + 32]);
        }
        Ok(())
    }
}
