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

/// The record and the snapshot to put into: those of an interrupted run, or new ones.
pub(super) async fn start(run: &Run<'_>, size_gib: u64) -> Result<(State, SnapshotId), SyncError> {
    let dir = &run.request.state_dir;
    let found = match run.request.forget {
        true => None,
        false => State::found(dir)?,
    };
    let mut attempt = 0;
    if let Some(found) = found {
        must_be_ours(run, &found)?;
        attempt = found.attempt;
        let snapshot = found.identity.parse().map_err(|_| unreadable(run))?;
        if is_usable(run.target, &snapshot).await? {
            return Ok((State::open(dir, found)?, snapshot));
        }
        attempt += 1;
    }
    begin(run, size_gib, attempt).await
}

async fn begin(
    run: &Run<'_>,
    size_gib: u64,
    first_attempt: u32,
) -> Result<(State, SnapshotId), SyncError> {
    let direct = run.target.direct();
    for attempt in first_attempt..first_attempt + ATTEMPTS {
        let wanted = wanted(run, size_gib, attempt);
        let snapshot = patiently(run.request.patience, || direct.start(&wanted)).await?;
        let state = state_of(run.target, &snapshot).await?;
        // The same token names the same snapshot, also one that failed or was completed without its record.
        if matches!(state.as_deref(), None | Some("pending")) {
            let header = header(run, size_gib, attempt, &snapshot);
            return Ok((State::begin(&run.request.state_dir, header)?, snapshot));
        }
    }
    Err(unreadable(run))
}

fn wanted(run: &Run<'_>, size_gib: u64, attempt: u32) -> SnapshotStart {
    let request = run.request;
    let pair = format!("{}..{}", request.from, request.to);
    let about = format!("{pair} {} {} {attempt}", request.onto, run.target.region());
    SnapshotStart {
        size_gib,
        parent: request.onto.clone(),
        token: hex(&Sha256::digest(about)),
        description: format!("{} put onto {} by snapmigrate", request.to, request.onto),
        tags: Tags::from([("snapmigrate:sync".to_owned(), pair)]),
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

/// Whether an interrupted run's snapshot can be gone on with, or is complete.
async fn is_usable(target: &Cloud, snapshot: &SnapshotId) -> Result<bool, SyncError> {
    let state = state_of(target, snapshot).await?;
    Ok(matches!(state.as_deref(), Some("pending" | "completed")))
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
