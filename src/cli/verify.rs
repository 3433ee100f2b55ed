//! `verify`: a device or file against a snapshot, block by block.

use std::path::PathBuf;

use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::verify::DeviceVerification;

use super::sync::teller;
use super::{CliError, ConnectionArgs, Exit, Kind, Ui, runtime};
use crate::clock::Clock;
use crate::cloud::{self, Transport};
use crate::transfer::verify_device::{Extent, VerifyError, verify_device};
use crate::view;

/// Compare a device or file with a snapshot, block by block.
///
/// Reads both sides in full; blocks the snapshot does not hold must be zero. The snapshot is read
/// with the source's connection flags.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 1 when a block differs.

Examples:
  snapmigrate verify --snapshot snap-0abc /dev/nvme1n1
  snapmigrate verify --snapshot snap-0abc image.raw --sample 1000 --source-region eu-west-1")]
pub struct Args {
    /// Snapshot to compare with.
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: SnapshotId,
    /// Device or file.
    #[arg(value_name = "DEVICE_OR_FILE")]
    device: PathBuf,
    /// Compare only this many blocks that the snapshot holds, and as many that it does not.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Seed of the sample.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Compares and shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let found = runtime::threads(compare(args, ui))??;
    ui.show(&found, view::device)?;
    Ok(if found.mismatches == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn compare(args: &Args, ui: &Ui) -> Result<DeviceVerification, CliError> {
    let extent = args.sample.map_or(Extent::All, |blocks| Extent::Sample {
        blocks,
        seed: args.seed,
    });
    let cloud = cloud::connect(
        &args.connection.source(),
        &Transport::Network,
        Clock::System,
    )
    .await;
    let cloud = cloud.map_err(|error| failed(VerifyError::from(error)))?;
    let watch = &mut teller(ui);
    verify_device(&cloud, &args.snapshot, &args.device, extent, watch)
        .await
        .map_err(failed)
}

fn failed(error: VerifyError) -> CliError {
    let kind = match &error {
        VerifyError::Device { .. } | VerifyError::TooSmall { .. } => Kind::Usage,
        VerifyError::Snapshot(_) => Kind::Failed,
    };
    CliError::new(kind, "nothing was compared").caused_by(error)
}
