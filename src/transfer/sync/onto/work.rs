//! What becomes of each block: put into the new snapshot, or read from it and compared.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::transfer::sync::SyncError;
use crate::transfer::sync::puts::Puts;
use crate::transfer::sync::state::{Sha, State};
use crate::transfer::sync::sweep::Work;
use crate::transfer::sync::target::BLOCK;

/// A block of zeros and its digest.
fn zeros() -> (Bytes, Sha) {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    (Bytes::from_static(&ZEROS), Sha256::digest(ZEROS).into())
}

/// Puts blocks; into a snapshot that is complete nothing is put, and only what it must hold is noted.
pub(super) struct Writing {
    state: Arc<State>,
    puts: Option<Arc<Puts>>,
    zeros: (Bytes, Sha),
}

impl Writing {
    pub(super) fn new(state: Arc<State>, puts: Option<Arc<Puts>>) -> Self {
        Self {
            state,
            puts,
            zeros: zeros(),
        }
    }
}

impl Work for Writing {
    async fn block(&self, block: u64, content: Option<(Bytes, Sha)>) -> Result<Sha, SyncError> {
        let (bytes, digest) = content.unwrap_or_else(|| self.zeros.clone());
        if let Some(puts) = &self.puts {
            puts.put(block, &bytes, &digest).await?;
        }
        Ok(digest)
    }

    fn note(&self, done: &[(u64, Sha)]) -> Result<(), SyncError> {
        self.state.note(done)
    }
}

/// Compares blocks with what was put.
pub(super) struct ReadAgain {
    state: Arc<State>,
    zeros: Sha,
}

impl ReadAgain {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            zeros: zeros().1,
        }
    }

    /// A block that the completed snapshot does not hold.
    pub(super) fn must_be_zeros(&self, block: u64) -> Result<(), SyncError> {
        self.must_be(block, self.zeros)
    }

    fn must_be(&self, block: u64, found: Sha) -> Result<(), SyncError> {
        if self.state.digest(block)? == found {
            return Ok(());
        }
        Err(SyncError::Integrity(format!(
            "block {block} of {} does not read back as it was put: delete that snapshot",
            self.state.header.identity
        )))
    }
}

impl Work for ReadAgain {
    async fn block(&self, block: u64, content: Option<(Bytes, Sha)>) -> Result<Sha, SyncError> {
        let digest = content.map_or(self.zeros, |(_, digest)| digest);
        self.must_be(block, digest)?;
        Ok(digest)
    }

    fn note(&self, _: &[(u64, Sha)]) -> Result<(), SyncError> {
        Ok(())
    }
}
