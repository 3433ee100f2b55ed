//! The snapshot under way: started once per request, found again after an interruption, awaited at the end.

use std::time::Duration;

use sha2::{Digest, Sha256};
use snapmigrate_models::format::{Document, hex};
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::units::{Blocks, GIB};
use tokio::time::{Instant, sleep};

use super::Run;
use crate::cloud::{Cloud, CloudError, SnapshotStart, Tags};
use crate::transfer::sync::SyncError;
use crate::transfer::sync::patience::patiently;
use crate::transfer::sync::state::{Header, Phase, State};

/// How long the service keeps an unfinished snapshot after its last block: a day to come back to it.
const TIMEOUT_MINUTES: i32 = 24 * 60;
/// Snapshots of one request that may have failed before.
const ATTEMPTS: u32 = 10;
/// Longest pause between two looks at a snapshot that completes.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What is put into.
pub(super) struct Started {
    /// The record.
    pub(super) state: State,
    /// The snapshot.
    pub(super) snapshot: SnapshotId,
    /// It is complete already and its record was lost: nothing may be put, everything must be read.
    pub(super) adopted: bool,
}

/// The record and the snapshot to put into: those of an interrupted run, one whose record was lost, or new ones.
pub(super) async fn start(run: &Run<'_>, size_gib: u64) -> Result<Started, SyncError> {
    let dir = &run.request.state_dir;
    let found = match run.request.forget {
        true => None,
        false => State::found(dir)?,
    };
    let Some(found) = found else {
        return match made_before(run).await? {
            Some(snapshot) => started(run, size_gib, (0, snapshot), true),
            None => begin(run, size_gib, 0).await,
        };
    };
    must_be_ours(run, &found)?;
    let attempt = found.attempt;
    let snapshot = found.identity.parse().map_err(|_| unreadable(run))?;
    match state_of(run.target, &snapshot).await?.as_deref() {
        Some(state @ ("pending" | "completed")) => Ok(Started {
            // Whoever completes a snapshot notes that before.
            adopted: state == "completed" && found.phase == Phase::Running,
            state: State::open(dir, found)?,
            snapshot,
        }),
        _ => begin(run, size_gib, attempt + 1).await,
    }
}

/// A completed snapshot of this very request, whose record was lost.
async fn made_before(run: &Run<'_>) -> Result<Option<SnapshotId>, SyncError> {
    if run.request.forget {
        return Ok(None);
    }
    let mut found = run.target.snapshots_tagged(&tags(run)).await?;
    found.retain(|facts| facts.state == "completed" && facts.storage_tier != "archive");
    found.sort_by(|a, b| (a.started_at, &a.snapshot).cmp(&(b.started_at, &b.snapshot)));
    Ok(found.into_iter().next().map(|facts| facts.snapshot))
}

async fn begin(run: &Run<'_>, size_gib: u64, first_attempt: u32) -> Result<Started, SyncError> {
    let direct = run.target.direct();
    for attempt in first_attempt..first_attempt + ATTEMPTS {
        let wanted = wanted(run, size_gib, attempt);
        let snapshot = patiently(run.request.patience, || direct.start(&wanted)).await?;
        let state = state_of(run.target, &snapshot).await?;
        // The same token names the same snapshot, also one that failed or was completed without its record.
        match state.as_deref() {
            None | Some("pending") => return started(run, size_gib, (attempt, snapshot), false),
            Some("completed") if !run.request.forget => {
                return started(run, size_gib, (attempt, snapshot), true);
            }
            Some(_) => {}
        }
    }
    Err(unreadable(run))
}

fn started(
    run: &Run<'_>,
    size_gib: u64,
    (attempt, snapshot): (u32, SnapshotId),
    adopted: bool,
) -> Result<Started, SyncError> {
    let header = header(run, size_gib, attempt, &snapshot);
    Ok(Started {
        state: State::begin(&run.request.state_dir, header)?,
        snapshot,
        adopted,
    })
}

fn pair(run: &Run<'_>) -> String {
    format!("{}..{}", run.request.from, run.request.to)
}

fn tags(run: &Run<'_>) -> Tags {
    Tags::from([
        ("snapmigrate:sync".to_owned(), pair(run)),
        ("snapmigrate:onto".to_owned(), run.request.onto.to_string()),
    ])
}

fn wanted(run: &Run<'_>, size_gib: u64, attempt: u32) -> SnapshotStart {
    let request = run.request;
    let about = format!(
        "{} {} {} {attempt}",
        pair(run),
        request.onto,
        run.target.region()
    );
    SnapshotStart {
        size_gib,
        parent: request.onto.clone(),
        token: hex(&Sha256::digest(about)),
        description: format!("{} put onto {} by snapmigrate", request.to, request.onto),
        tags: tags(run),
        timeout_minutes: TIMEOUT_MINUTES,
    }
}

fn header(run: &Run<'_>, size_gib: u64, attempt: u32, snapshot: &SnapshotId) -> Header {
    Header {
        format: Header::FORMAT.to_owned(),
        from: Some(run.request.from.clone()),
        to: run.request.to.clone(),
        volume_blocks: Blocks::covering(size_gib * GIB).0,
        target: target_name(run),
        identity: snapshot.to_string(),
        found_bytes: 0,
        undo: false,
        phase: Phase::Running,
        seal: None,
        attempt,
    }
}

fn target_name(run: &Run<'_>) -> String {
    format!("{} in {}", run.request.onto, run.target.region())
}

fn must_be_ours(run: &Run<'_>, found: &Header) -> Result<(), SyncError> {
    let pair = (found.from.as_ref(), &found.to);
    if found.target == target_name(run) && pair == (Some(&run.request.from), &run.request.to) {
        return Ok(());
    }
    Err(SyncError::State {
        dir: run.request.state_dir.clone(),
        what: format!(
            "is of {} onto {}: name another --state, or give it up with --forget",
            found.to, found.target
        ),
    })
}

fn unreadable(run: &Run<'_>) -> SyncError {
    SyncError::State {
        dir: run.request.state_dir.clone(),
        what: format!(
            "names no snapshot that can be written: the last {ATTEMPTS} of this request were completed \
             without their record or failed; delete them and begin with --forget"
        ),
    }
}

/// `None` when it is not visible: deleted, or started seconds ago.
async fn state_of(target: &Cloud, snapshot: &SnapshotId) -> Result<Option<String>, SyncError> {
    match target
        .describe_snapshots(std::slice::from_ref(snapshot))
        .await
    {
        Ok(found) => Ok(found.into_iter().next().map(|facts| facts.state)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_absent(error: &CloudError) -> bool {
    matches!(error.code.as_str(), "NotFound" | "InvalidSnapshot.NotFound")
}

/// Waits until a snapshot is completed; not visible it may be for `patience`.
pub(super) async fn completed(
    target: &Cloud,
    snapshot: &SnapshotId,
    patience: Duration,
) -> Result<(), SyncError> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        let state = state_of(target, snapshot).await?;
        match state.as_deref() {
            Some("completed") => return Ok(()),
            Some("pending") => {}
            None if begun.elapsed() < patience => {}
            other => {
                return Err(SyncError::NotReadable {
                    snapshot: snapshot.clone(),
                    state: other.unwrap_or("gone").to_owned(),
                    hint: "the service gave it up; the same command begins another one",
                });
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
