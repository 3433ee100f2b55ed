//! The EBS direct APIs' verbs that read: list, compare and fetch blocks of snapshots.
//!
//! It must not know paging, tokens or any wire format. Where the service gives a reason beside the
//! exception, the error's code is `EXCEPTION/REASON`, e.g. `ValidationException/UNRELATED_SNAPSHOTS`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::caller::Caller;
use crate::content::{BlockSet, Content, Reader};
use crate::error::ApiError;

use super::{Snapshot, World, content_failed};

/// What was found about snapshots once and is asked for page after page.
#[derive(Debug, Clone, Default)]
pub(super) struct Comparisons {
    written: BTreeMap<String, Arc<BlockSet>>,
    changed: BTreeMap<(String, String), ChangedBlocks>,
}

/// The difference of two snapshots. A changed block that is not in `first` is new in the second one;
/// one that is not in `second` exists only in the first one.
#[derive(Debug, Clone)]
pub struct ChangedBlocks {
    /// Blocks that differ.
    pub changed: Arc<BlockSet>,
    /// All blocks of the first snapshot.
    pub first: Arc<BlockSet>,
    /// All blocks of the second snapshot.
    pub second: Arc<BlockSet>,
    /// All blocks of either: what a listing has to scan.
    pub scanned: Arc<BlockSet>,
}

impl World {
    /// A completed snapshot that the caller may read.
    ///
    /// # Errors
    /// `ResourceNotFoundException/SNAPSHOT_NOT_FOUND` (404), `AccessDeniedException/UNAUTHORIZED_ACCOUNT`
    /// (403), `ValidationException/INVALID_SNAPSHOT_ID` while it is not completed.
    pub fn readable_snapshot(&self, caller: &Caller, id: &str) -> Result<&Snapshot, ApiError> {
        let snapshot = self.direct_snapshot(caller, id)?;
        if !snapshot.usable(self.now) {
            let message = format!("The snapshot '{id}' is not completed.");
            return Err(ApiError::client(
                "ValidationException/INVALID_SNAPSHOT_ID",
                message,
            ));
        }
        Ok(snapshot)
    }

    /// The blocks that hold data in a snapshot.
    ///
    /// # Errors
    /// As [`World::readable_snapshot`].
    pub fn snapshot_blocks(
        &mut self,
        caller: &Caller,
        id: &str,
    ) -> Result<Arc<BlockSet>, ApiError> {
        self.readable_snapshot(caller, id)?;
        self.written_blocks_of(id)
    }

    /// The blocks that differ between two snapshots of one family.
    ///
    /// # Errors
    /// As [`World::readable_snapshot`], and `ValidationException/UNRELATED_SNAPSHOTS`.
    pub fn changed_blocks(
        &mut self,
        caller: &Caller,
        first: &str,
        second: &str,
    ) -> Result<ChangedBlocks, ApiError> {
        let one = self.readable_snapshot(caller, first)?;
        let other = self.readable_snapshot(caller, second)?;
        if one.family != other.family {
            let message = format!("The snapshots '{first}' and '{second}' are not related.");
            return Err(ApiError::client(
                "ValidationException/UNRELATED_SNAPSHOTS",
                message,
            ));
        }
        self.difference(first, second)
    }

    /// Looks up a snapshot's block, to be read when the world is let go.
    ///
    /// # Errors
    /// As [`World::readable_snapshot`], and `ValidationException/INVALID_BLOCK`.
    pub fn snapshot_block(
        &self,
        caller: &Caller,
        id: &str,
        block: u64,
    ) -> Result<Reader, ApiError> {
        let content = content_of(self.readable_snapshot(caller, id)?)?;
        if block >= content.blocks() {
            let message = format!("Block {block} is beyond the end of the snapshot '{id}'.");
            return Err(ApiError::client(
                "ValidationException/INVALID_BLOCK",
                message,
            ));
        }
        content.reader(block).map_err(content_failed)
    }

    /// A snapshot that the caller may use through the direct APIs, whatever its state.
    pub(super) fn direct_snapshot(&self, caller: &Caller, id: &str) -> Result<&Snapshot, ApiError> {
        let here = self
            .snapshots
            .get(id)
            .filter(|s| s.exists() && s.region == caller.region);
        let Some(snapshot) = here else {
            let message = format!("The snapshot '{id}' does not exist.");
            let code = "ResourceNotFoundException/SNAPSHOT_NOT_FOUND";
            return Err(ApiError::with_status(code, message, 404));
        };
        if !snapshot.shared_with(&caller.account) {
            let message = format!("Account {} may not use '{id}'.", caller.account);
            let code = "AccessDeniedException/UNAUTHORIZED_ACCOUNT";
            return Err(ApiError::with_status(code, message, 403));
        }
        Ok(snapshot)
    }

    pub(super) fn forget_comparisons(&mut self, id: &str) {
        self.comparisons.written.remove(id);
        self.comparisons
            .changed
            .retain(|(first, second), _| first != id && second != id);
    }

    pub(super) fn written_blocks_of(&mut self, id: &str) -> Result<Arc<BlockSet>, ApiError> {
        if let Some(known) = self.comparisons.written.get(id) {
            return Ok(known.clone());
        }
        let content = content_of(&self.snapshots[id])?;
        let blocks = Arc::new(content.written_blocks().map_err(content_failed)?);
        self.comparisons
            .written
            .insert(id.to_owned(), blocks.clone());
        Ok(blocks)
    }

    fn difference(&mut self, first: &str, second: &str) -> Result<ChangedBlocks, ApiError> {
        let key = (first.to_owned(), second.to_owned());
        if let Some(known) = self.comparisons.changed.get(&key) {
            return Ok(known.clone());
        }
        let one = content_of(&self.snapshots[first])?;
        let other = content_of(&self.snapshots[second])?;
        let changed = Arc::new(other.changed_since(one).map_err(content_failed)?);
        let (first, second) = (
            self.written_blocks_of(first)?,
            self.written_blocks_of(second)?,
        );
        let scanned = Arc::new(first.union(&second));
        let blocks = ChangedBlocks {
            changed,
            first,
            second,
            scanned,
        };
        self.comparisons.changed.insert(key, blocks.clone());
        Ok(blocks)
    }
}

fn content_of(snapshot: &Snapshot) -> Result<&Content, ApiError> {
    let gone = || ApiError::internal(format!("The data of '{}' is gone.", snapshot.id));
    snapshot.content.as_ref().ok_or_else(gone)
}
