//! `sync`: a device or file from one snapshot's content to another's, or back.

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use snapmigrate_models::format::Document;
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::sync::{HydrationReport, SyncReport};

use super::{CliError, ConnectionArgs, Exit, Kind, Ui, runtime};
use crate::clock::Clock;
use crate::cloud::{self, Cloud, CloudError, Connection, Transport};
use crate::transfer::hydrate::{self, Hydrated, Hydration};
use crate::transfer::sync::{self, OntoRequest, Progress, Request, SyncError};
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
  snapmigrate sync --undo /dev/nvme1n1
  snapmigrate sync --hydrate /dev/nvme1n1
  snapmigrate sync --from snap-0base --to snap-0final --onto snap-0copy --target-region eu-west-1"
)]
pub struct Args {
    /// Snapshot whose content the target gets.
    #[arg(long, value_name = "SNAPSHOT", required_unless_present_any = ["undo", "hydrate"])]
    to: Option<SnapshotId>,
    /// Snapshot whose content the target holds: only what differs is transferred.
    #[arg(long, value_name = "SNAPSHOT")]
    from: Option<SnapshotId>,
    /// Block device or file; a file is made when missing.
    #[arg(value_name = "DEVICE_OR_FILE", required_unless_present = "onto")]
    target: Option<PathBuf>,
    /// Make a snapshot at the target instead: this one, which holds there what --from holds, with what changed.
    #[arg(long, value_name = "SNAPSHOT", requires = "from", conflicts_with_all = ["target", "undo"])]
    onto: Option<SnapshotId>,
    /// Only read the device once in full, so that a volume made from a snapshot has fetched all its blocks.
    #[arg(long, conflicts_with_all = ["to", "from", "undo"])]
    hydrate: bool,
    /// With --hydrate: read at most so many MiB per second.
    #[arg(long, value_name = "MIB", requires = "hydrate")]
    limit: Option<u64>,
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
    if let (true, Some(device)) = (args.hydrate, &args.target) {
        ui.show(&hydrated(args, device, ui)?, view::hydration)?;
        return Ok(Exit::Done);
    }
    let done = match (&args.to, &args.onto, &args.target) {
        (Some(to), Some(onto), _) => runtime::threads(put(args, to, onto, ui))??,
        (Some(to), None, Some(target)) => runtime::threads(bring(args, to, target, ui))??,
        (None, _, Some(target)) => sync::undo(target, &state_dir(args, target)?).map_err(failed)?,
        (_, _, None) => return Err(CliError::usage("neither a target nor --onto is named")),
    };
    ui.show(&done, view::sync)?;
    Ok(Exit::Done)
}

async fn bring(
    args: &Args,
    to: &SnapshotId,
    target: &Path,
    ui: &Ui,
) -> Result<SyncReport, CliError> {
    let cloud = connected(&args.connection.source()).await?;
    let request = Request {
        from: args.from.clone(),
        to: to.clone(),
        target: target.to_owned(),
        state_dir: state_dir(args, target)?,
        undo: (args.from.is_some() || args.undo_record) && !args.no_undo_record,
        read_back: !args.no_read_back,
        listers: args.list_segments,
        patience: Duration::from_secs(args.give_up_after),
        forget: args.forget,
    };
    sync::sync(&cloud, &request, &mut teller(ui))
        .await
        .map_err(failed)
}

async fn put(
    args: &Args,
    to: &SnapshotId,
    onto: &SnapshotId,
    ui: &Ui,
) -> Result<SyncReport, CliError> {
    let source = connected(&args.connection.source()).await?;
    let target = connected(&args.connection.target(source.region())).await?;
    let from = args.from.clone();
    let from = from.ok_or_else(|| CliError::usage("--onto needs --from"))?;
    let name = format!("{from}-{to}-{onto}-{}", target.region());
    let state_dir = match &args.state {
        Some(dir) => dir.clone(),
        None => state_home()?.join(name),
    };
    let request = OntoRequest {
        from,
        to: to.clone(),
        onto: onto.clone(),
        state_dir,
        read_back: !args.no_read_back,
        listers: args.list_segments,
        patience: Duration::from_secs(args.give_up_after),
        forget: args.forget,
    };
    sync::onto((&source, &target), &request, &mut teller(ui))
        .await
        .map_err(failed)
}

fn hydrated(args: &Args, device: &Path, ui: &Ui) -> Result<HydrationReport, CliError> {
    let wanted = Hydration {
        device: device.to_owned(),
        readers: hydrate::READERS,
        bytes_per_second: args.limit.map(|mib| mib << 20),
        record: Some(state_dir(args, device)?.join("hydration.json")),
    };
    let mut told = Instant::now();
    let watch = &mut |now: &Hydrated| {
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            ui.note(&view::hydration_progress(now));
        }
    };
    let done = hydrate::hydrate(&wanted, &AtomicBool::new(false), watch).map_err(failed)?;
    // A device that is read again later is asked for it: the record is of one interrupted run.
    let _ = wanted.record.as_ref().map(std::fs::remove_file);
    Ok(HydrationReport {
        format: HydrationReport::FORMAT.to_owned(),
        device: device.display().to_string(),
        total_bytes: done.total_bytes,
        read_bytes: done.done_bytes,
        resumed_bytes: done.resumed_bytes,
        bytes_per_second: done.bytes_per_second,
    })
}

async fn connected(connection: &Connection) -> Result<Cloud, CliError> {
    let cloud = cloud::connect(connection, &Transport::Network, Clock::System).await;
    cloud.map_err(|error| failed(error.into()))
}

/// Tells progress now and then.
pub(super) fn teller(ui: &Ui) -> impl FnMut(&Progress) + use<'_> {
    let mut told = Instant::now();
    move |now| {
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            ui.note(&view::sync_progress(now));
        }
    }
}

fn state_dir(args: &Args, target: &Path) -> Result<PathBuf, CliError> {
    match &args.state {
        Some(dir) => Ok(dir.clone()),
        None => default_state(target),
    }
}

/// Beside a file; for a device where programs keep their state.
fn default_state(target: &Path) -> Result<PathBuf, CliError> {
    if !is_device(target) {
        let mut name = target.as_os_str().to_owned();
        name.push(".sync");
        return Ok(PathBuf::from(name));
    }
    let name = target.to_string_lossy().replace('/', "-");
    Ok(state_home()?.join(name.trim_matches('-')))
}

/// Where programs keep their state.
fn state_home() -> Result<PathBuf, CliError> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let base = variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| {
            CliError::usage("neither XDG_STATE_HOME nor HOME is set: name --state DIR")
        })?;
    Ok(base.join("snapmigrate/sync"))
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
        SyncError::Io { path, .. } if is_device(path) => Some(
            "the device failed or was detached: when it is back, the same command goes on where this one ended",
        ),
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
             ebs:GetSnapshotBlock, for encrypted snapshots also kms:Decrypt; with --onto at the target also \
             ebs:StartSnapshot, ebs:PutSnapshotBlock, ebs:CompleteSnapshot, ec2:CreateTags and for its key \
             kms:GenerateDataKey*, kms:ReEncrypt* and kms:CreateGrant",
        ),
        _ => None,
    }
}
