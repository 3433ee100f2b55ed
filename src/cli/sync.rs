//! `sync`: a device or file from one snapshot's content to another's, or back.

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use snapmigrate_models::ids::SnapshotId;

use super::{CliError, ConnectionArgs, Exit, Kind, Ui, runtime};
use crate::clock::Clock;
use crate::cloud::{self, CloudError, Transport};
use crate::transfer::sync::{self, Progress, Request, SyncError};
use crate::view;

/// Listings at once: at 400 ms a page 20 make the quota of 50 requests per second.
const LISTERS: u64 = 24;
/// Progress is told so often.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Bring a device or file to a snapshot's content: all of it, or exactly what changed since another.
///
/// Reads with the EBS direct APIs and the source's connection flags. Every block is checked against its
/// SHA-256, written, made durable and read back. After an interruption, the same command goes on where it
/// ended. A delta keeps the blocks it overwrites, so that --undo can put them back.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Refused with exit code 3: a device in use, or one that cannot hold --from.

Examples:
  snapmigrate sync --to snap-0base /dev/nvme1n1
  snapmigrate sync --from snap-0base --to snap-0final /dev/nvme1n1
  snapmigrate sync --undo /dev/nvme1n1"
)]
pub struct Args {
    /// Snapshot whose content the target gets.
    #[arg(long, value_name = "SNAPSHOT", required_unless_present = "undo")]
    to: Option<SnapshotId>,
    /// Snapshot whose content the target holds: only what differs is transferred.
    #[arg(long, value_name = "SNAPSHOT")]
    from: Option<SnapshotId>,
    /// Block device or file; a file is made when missing.
    #[arg(value_name = "DEVICE_OR_FILE")]
    target: PathBuf,
    /// Put back what the last sync of this target overwrote.
    #[arg(long, conflicts_with_all = ["to", "from"])]
    undo: bool,
    /// Directory of the record for resuming and undoing [default: FILE.sync beside a file, for a device
    /// snapmigrate/sync/NAME below XDG_STATE_HOME or ~/.local/state].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Keep overwritten blocks also without --from.
    #[arg(long, conflicts_with = "no_undo_record")]
    undo_record: bool,
    /// Keep no overwritten blocks: faster, but no way back.
    #[arg(long)]
    no_undo_record: bool,
    /// Do not read back what was written: faster, but no proof.
    #[arg(long)]
    no_read_back: bool,
    /// Listings at once; 1 relies on nothing but the pages themselves.
    #[arg(long, value_name = "N", default_value_t = LISTERS, value_parser = clap::value_parser!(u64).range(1..=64))]
    list_segments: u64,
    /// Give up when nothing was received for this long.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    give_up_after: u64,
    /// Throw away the record of an unfinished or finished sync of this target.
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Syncs or takes back, and shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let state_dir = match &args.state {
        Some(dir) => dir.clone(),
        None => default_state(&args.target)?,
    };
    let done = match &args.to {
        Some(to) => runtime::threads(bring(args, to, state_dir, ui))??,
        None => sync::undo(&args.target, &state_dir).map_err(failed)?,
    };
    ui.show(&done, view::sync)?;
    Ok(Exit::Done)
}

async fn bring(
    args: &Args,
    to: &SnapshotId,
    state_dir: PathBuf,
    ui: &Ui,
) -> Result<snapmigrate_models::sync::SyncReport, CliError> {
    let connection = args.connection.source();
    let cloud = cloud::connect(&connection, &Transport::Network, Clock::System).await;
    let cloud = cloud.map_err(|error| failed(error.into()))?;
    let request = Request {
        from: args.from.clone(),
        to: to.clone(),
        target: args.target.clone(),
        state_dir,
        undo: (args.from.is_some() || args.undo_record) && !args.no_undo_record,
        read_back: !args.no_read_back,
        listers: args.list_segments,
        patience: Duration::from_secs(args.give_up_after),
        forget: args.forget,
    };
    let mut told = Instant::now();
    let mut watch = |now: &Progress| {
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            ui.note(&view::sync_progress(now));
        }
    };
    sync::sync(&cloud, &request, &mut watch)
        .await
        .map_err(failed)
}

/// Beside a file; for a device where programs keep their state.
fn default_state(target: &Path) -> Result<PathBuf, CliError> {
    if !is_device(target) {
        let mut name = target.as_os_str().to_owned();
        name.push(".sync");
        return Ok(PathBuf::from(name));
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let base = variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| {
            CliError::usage("neither XDG_STATE_HOME nor HOME is set: name --state DIR")
        })?;
    let name = target.to_string_lossy().replace('/', "-");
    Ok(base.join("snapmigrate/sync").join(name.trim_matches('-')))
}

/// Whether it is a block device, whatever its name: `/dev/shm` holds files.
fn is_device(target: &Path) -> bool {
    std::fs::metadata(target).is_ok_and(|found| found.file_type().is_block_device())
}

fn failed(error: SyncError) -> CliError {
    let kind = match &error {
        SyncError::InUse { .. } | SyncError::WrongBase { .. } => Kind::Refused,
        SyncError::NotATarget { .. } | SyncError::TooSmall { .. } | SyncError::State { .. } => {
            Kind::Usage
        }
        SyncError::Io { .. }
        | SyncError::NotReadable { .. }
        | SyncError::Integrity(_)
        | SyncError::Stalled { .. }
        | SyncError::Cloud(_) => Kind::Failed,
    };
    let hint = hint(&error);
    let failed = CliError::new(kind, "the target is not in sync").caused_by(error);
    match hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

fn hint(error: &SyncError) -> Option<&'static str> {
    match error {
        SyncError::Cloud(error) => cloud_hint(error),
        SyncError::Stalled { .. } => Some("the same command goes on where this one ended"),
        SyncError::Io { source, .. } if source.kind() == ErrorKind::StorageFull => {
            Some("make room; the same command goes on where this one ended")
        }
        _ => None,
    }
}

fn cloud_hint(error: &CloudError) -> Option<&'static str> {
    match error.code.as_str() {
        "ValidationException/UNRELATED_SNAPSHOTS" => Some(
            "name two snapshots of one volume, both in this region: a copy and its original in another \
             region cannot be compared",
        ),
        code if code.starts_with("AccessDenied") || code == "UnauthorizedOperation" => Some(
            "sync needs ec2:DescribeSnapshots, ebs:ListSnapshotBlocks, ebs:ListChangedBlocks and \
             ebs:GetSnapshotBlock, for encrypted snapshots also kms:Decrypt",
        ),
        _ => None,
    }
}
