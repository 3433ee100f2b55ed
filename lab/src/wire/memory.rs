//! What the wire itself remembers: how often each action was called, the key of its tokens, and checksums of blocks.
//!
//! Must not know what any action does.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::token::Sealer;

/// How often each action was called, by service and action.
pub type Calls = BTreeMap<(String, String), u64>;

/// Most block checksums kept (about 300 MiB); beyond it they are computed afresh.
const DIGESTS_MAX: usize = 4_000_000;

/// SHA-256 digests of a completed snapshot's blocks, which never change, by block index.
type Digests = BTreeMap<u64, [u8; 32]>;

#[derive(Debug, Default)]
struct Kept {
    by_snapshot: BTreeMap<String, Digests>,
    count: usize,
}

/// The wire's own state; one per lab.
#[derive(Debug)]
pub struct Memory {
    sealer: Sealer,
    calls: Mutex<Counted>,
    digests: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Counted {
    calls: Calls,
    total: u64,
}

impl Memory {
    /// Begins with no calls; tokens follow from the seed.
    pub fn new(seed: u64) -> Memory {
        Memory {
            sealer: Sealer::new(seed),
            calls: Mutex::default(),
            digests: Mutex::default(),
        }
    }

    /// Seals and opens this lab's tokens.
    pub fn sealer(&self) -> Sealer {
        self.sealer
    }

    /// How often each action was called so far, refused calls included.
    pub fn calls(&self) -> Calls {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .calls
            .clone()
    }

    /// Counts one call and returns its request id, in the shape of a UUID.
    pub(super) fn count(&self, service: &str, action: &str) -> String {
        let mut counted = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *counted
            .calls
            .entry((service.to_owned(), action.to_owned()))
            .or_insert(0) += 1;
        counted.total += 1;
        format!("00000000-0000-4000-8000-{:012x}", counted.total)
    }
    /// The digest of a completed snapshot's block, computed on its first use.
    pub(super) fn digest(
        &self,
        snapshot: &str,
        block: u64,
        compute: impl FnOnce() -> [u8; 32],
    ) -> [u8; 32] {
        let kept = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = kept
            .by_snapshot
            .get(snapshot)
            .and_then(|known| known.get(&block))
        {
            return *digest;
        }
        drop(kept);
        let digest = compute();
        let mut kept = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.count < DIGESTS_MAX {
            kept.by_snapshot
                .entry(snapshot.to_owned())
                .or_default()
                .insert(block, digest);
            kept.count += 1;
        }
        digest
    }
}
