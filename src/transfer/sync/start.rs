//! Begins, takes up and takes back: from what was asked and what is found to a running engine and a report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use snapmigrate_models::format::Document;
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::inventory::SnapshotFacts;
use snapmigrate_models::sync::{
    ReadBackMode, SyncAction, SyncBlocks, SyncCalls, SyncReport, SyncSeconds, SyncUndo,
};
use snapmigrate_models::units::{BLOCK_BYTES, Blocks, GIB};

use super::SyncError;
use super::batch::Desk;
use super::calls::Calls;
use super::engine::Engine;
use super::index::Index;
use super::progress::Progress;
use super::record;
use super::state::Phase;
use super::target::{ReadBack, Target};
use super::undo::Undo;
use crate::cloud::{Cloud, ListedPair};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the target holds; absent: anything.
    pub from: Option<SnapshotId>,
    /// What it is to hold.
    pub to: SnapshotId,
    /// Device or file.
    pub target: PathBuf,
    /// Where the record is kept.
    pub state_dir: PathBuf,
    /// Whether overwritten blocks are kept.
    pub undo: bool,
    /// Whether written blocks are read back.
    pub read_back: bool,
    /// Listings at once; one relies on nothing but the pages themselves.
    pub listers: u64,
    /// How long nothing may be heard.
    pub patience: Duration,
    /// Whether the record of another sync is thrown away.
    pub forget: bool,
}

/// Brings the target to the snapshot's content, or takes up where an interrupted run of the same ended.
///
/// # Errors
/// [`SyncError`]. Unless it says so, what was written so far is kept and the same request goes on from there.
pub async fn sync(
    cloud: &Cloud,
    request: &Request,
    watch: &mut dyn FnMut(&Progress),
) -> Result<SyncReport, SyncError> {
    let begun = Instant::now();
    let (from_blocks, blocks) = sizes(cloud, request).await?;
    let target = Target::open(&request.target)?;
    must_hold(&target, &request.to, blocks)?;
    let state = record::state(request, &target, blocks)?;
    target.grow(blocks * BLOCK_BYTES)?;
    let undo = match state.header.undo {
        true => Some(Undo::open(&request.state_dir, blocks)?),
        false => None,
    };
    let done = state.done()?;
    let resumed = done.count();
    let pair = ListedPair {
        first: request.from.clone(),
        second: request.to.clone(),
    };
    let calls = Arc::new(Calls::new(cloud, pair, request.patience));
    let desk = Arc::new(Desk::new(target, state, undo, request.read_back));
    let mut engine = Engine::new(
        Arc::clone(&desk),
        Arc::clone(&calls),
        Index::new(done),
        (request.listers, from_blocks),
        watch,
    );
    let ran = engine.run().await;
    let (index, counts) = engine.into_parts();
    ran?;
    if let Some(stray) = index.stray() {
        return Err(SyncError::Integrity(format!(
            "block {stray} was written by an earlier run but the listing does not show it: nothing is \
             claimed; begin afresh with --forget"
        )));
    }
    let (tally, changed) = (calls.tally(), index.changed().count());
    let digest = desk.state.aggregate(index.changed())?;
    let mut report = SyncReport {
        format: SyncReport::FORMAT.to_owned(),
        action: SyncAction::Sync,
        from: request.from.clone(),
        to: request.to.clone(),
        target: request.target.display().to_string(),
        onto: None,
        method: "sha256".to_owned(),
        read_back: read_back_mode(&desk),
        volume_blocks: blocks,
        blocks: SyncBlocks {
            changed,
            only_in_first: index.emptied(),
            written: index.done(),
            read_back: if request.read_back { index.done() } else { 0 },
            resumed,
            cleared: desk.cleared(),
        },
        proved: request.read_back && index.done() == changed,
        digest,
        seconds: SyncSeconds {
            listing: counts.listing_seconds,
            total: 0.0,
        },
        calls: SyncCalls {
            pages: counts.pages,
            blocks_read: tally.reads,
            hedged: tally.hedges,
            repeated: tally.repeats,
            corrupt: counts.corrupt,
            throttled_by_snapshot: calls.snapshot.refusals(),
            throttled_by_account: calls.account.refusals(),
            in_flight_max: counts.in_flight_max as u64,
        },
        undo: kept(desk.undo.as_ref(), &request.state_dir),
    };
    complete(desk, Phase::Complete)?;
    report.seconds.total = begun.elapsed().as_secs_f64();
    Ok(report)
}

fn complete(desk: Arc<Desk>, phase: Phase) -> Result<(), SyncError> {
    let mut desk =
        Arc::into_inner(desk).expect("all threads of the sync have ended and let the desk go");
    desk.target.sync()?;
    let seal = desk.target.seal();
    desk.state.enter(phase, seal)
}

fn read_back_mode(desk: &Desk) -> ReadBackMode {
    match (desk.read_back, desk.target.read_back()) {
        (false, _) => ReadBackMode::Off,
        (true, ReadBack::Direct) => ReadBackMode::Direct,
        (true, ReadBack::Cached) => ReadBackMode::Cached,
    }
}

pub(super) fn kept(undo: Option<&Undo>, dir: &Path) -> Option<SyncUndo> {
    undo.map(|undo| SyncUndo {
        directory: dir.display().to_string(),
        blocks: undo.blocks(),
        bytes: undo.bytes(),
    })
}

/// Blocks of the volumes: of the first (none without one) and of the second.
async fn sizes(cloud: &Cloud, request: &Request) -> Result<(u64, u64), SyncError> {
    let mut wanted: Vec<SnapshotId> = request.from.iter().cloned().collect();
    wanted.push(request.to.clone());
    wanted.sort();
    wanted.dedup();
    let (mut from, mut to) = (0, 0);
    for facts in readable(cloud, &wanted).await? {
        let blocks = Blocks::covering(facts.size_gib * GIB).0;
        if Some(&facts.snapshot) == request.from.as_ref() {
            from = blocks;
        }
        if facts.snapshot == request.to {
            to = blocks;
        }
    }
    Ok((from.min(to), to))
}

/// What is known of these snapshots, all of which must be readable.
///
/// # Errors
/// [`SyncError::NotReadable`] for a pending or archived one, [`SyncError::Cloud`].
pub async fn readable(
    cloud: &Cloud,
    wanted: &[SnapshotId],
) -> Result<Vec<SnapshotFacts>, SyncError> {
    let found = cloud.describe_snapshots(wanted).await?;
    for facts in &found {
        if facts.storage_tier == "archive" {
            return Err(SyncError::NotReadable {
                snapshot: facts.snapshot.clone(),
                state: "archived".to_owned(),
                hint: "restore it from the archive first; that takes up to 72 hours",
            });
        }
        if facts.state != "completed" {
            return Err(SyncError::NotReadable {
                snapshot: facts.snapshot.clone(),
                state: facts.state.clone(),
                hint: "only a completed snapshot can be read; wait for it or name another",
            });
        }
    }
    Ok(found)
}

fn must_hold(target: &Target, to: &SnapshotId, blocks: u64) -> Result<(), SyncError> {
    if !target.is_device() || target.found_bytes() >= blocks * BLOCK_BYTES {
        return Ok(());
    }
    Err(SyncError::TooSmall {
        path: target.path().to_owned(),
        snapshot: to.clone(),
        device_bytes: target.found_bytes(),
        blocks,
    })
}
