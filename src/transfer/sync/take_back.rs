//! Takes a sync back: every overwritten block becomes what it was.

use std::path::Path;
use std::time::Instant;

use snapmigrate_models::format::Document;
use snapmigrate_models::sync::{
    ReadBackMode, SyncAction, SyncBlocks, SyncCalls, SyncReport, SyncSeconds,
};
use snapmigrate_models::units::BLOCK_BYTES;

use super::SyncError;
use super::record::must_be_untouched;
use super::start::kept;
use super::state::{Phase, State};
use super::target::{ReadBack, Target};
use super::undo::Undo;

/// Puts every block back that the recorded sync of this target overwrote.
///
/// # Errors
/// [`SyncError::State`] when there is nothing to take back or it is another target's.
pub fn undo(path: &Path, dir: &Path) -> Result<SyncReport, SyncError> {
    let begun = Instant::now();
    let refuse = |what: &str| SyncError::State {
        dir: dir.to_owned(),
        what: what.to_owned(),
    };
    let found = State::found(dir)?
        .ok_or_else(|| refuse("does not exist: there is nothing to take back"))?;
    if !found.undo {
        return Err(refuse(
            "keeps no overwritten blocks: the sync was run without an undo record",
        ));
    }
    if found.phase == Phase::Undone {
        return Err(refuse("has been taken back already"));
    }
    let target = Target::open(path)?;
    if target.identity() != found.identity {
        return Err(refuse(&format!(
            "is of {} ({}), not of {} ({})",
            found.target,
            found.identity,
            path.display(),
            target.identity()
        )));
    }
    if found.phase == Phase::Complete {
        must_be_untouched(&found, &found.to, &target)?;
    }
    let blocks = found.volume_blocks;
    let undo = Undo::open(dir, blocks)?;
    let mut state = State::open(dir, found)?;
    state.enter(Phase::Undoing, None)?;
    let count = undo.put_back(&target)?;
    if !target.is_device() && state.header.found_bytes < blocks * BLOCK_BYTES {
        target.resize(state.header.found_bytes)?;
        target.sync()?;
    }
    let read_back = match target.read_back() {
        ReadBack::Direct => ReadBackMode::Direct,
        ReadBack::Cached => ReadBackMode::Cached,
    };
    state.enter(Phase::Undone, target.seal())?;
    Ok(SyncReport {
        format: SyncReport::FORMAT.to_owned(),
        action: SyncAction::Undo,
        from: state.header.from.clone(),
        to: state.header.to.clone(),
        target: path.display().to_string(),
        onto: None,
        method: "sha256".to_owned(),
        read_back,
        volume_blocks: blocks,
        blocks: SyncBlocks {
            changed: count,
            written: count,
            read_back: count,
            ..SyncBlocks::default()
        },
        proved: true,
        digest: String::new(),
        seconds: SyncSeconds {
            listing: 0.0,
            total: begun.elapsed().as_secs_f64(),
        },
        calls: SyncCalls::default(),
        undo: kept(Some(&undo), dir),
    })
}
