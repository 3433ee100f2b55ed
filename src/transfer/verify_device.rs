//! Compares a device or file with a snapshot, block by block, both sides read in full or a sample of them.
//!
//! Blocks the snapshot does not hold must be zero on the device. Bytes of the device beyond the snapshot's
//! volume are not looked at: a restored volume may be larger. Memory does not grow with the volume's blocks
//! beyond four bits each; digests wait in an unnamed file for their turn in the aggregate.

mod device;
mod ledger;
mod sample;
mod zeros;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use snapmigrate_models::format::Document;
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::units::{BLOCK_BYTES, Blocks, GIB};
use snapmigrate_models::verify::DeviceVerification;

use super::sync::parts::{Bitmap, Calls, Index, Sha, Source, Sweep, Work, readable};
use super::sync::{Progress, SyncError};
use crate::cloud::{Cloud, CloudError, ListedPair};
use device::Device;
use ledger::Ledger;

/// Listings at once: at 400 ms a page 20 make the quota of 50 requests per second.
const LISTERS: u64 = 24;
/// How long the service may answer nothing but errors that pass.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The device cannot be read.
    #[error("cannot read {}", path.display())]
    Device {
        /// Device or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The device ends before the snapshot's volume does.
    #[error(
        "{} holds {device_bytes} bytes, the volume of {snapshot} {volume_bytes}: name the device restored \
         from that snapshot",
        path.display()
    )]
    TooSmall {
        /// Device or file.
        path: PathBuf,
        /// Snapshot.
        snapshot: SnapshotId,
        /// Size of the device.
        device_bytes: u64,
        /// Size of the snapshot's volume.
        volume_bytes: u64,
    },
    /// The snapshot cannot be read, or not any more.
    #[error(transparent)]
    Snapshot(SyncError),
}

impl From<SyncError> for VerifyError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Io { path, source, .. } => Self::Device { path, source },
            error => Self::Snapshot(error),
        }
    }
}

impl From<CloudError> for VerifyError {
    fn from(error: CloudError) -> Self {
        Self::Snapshot(error.into())
    }
}

/// How much to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every block.
    All,
    /// That many blocks the snapshot holds and as many it does not, drawn with a seed.
    Sample {
        /// Blocks of either sort.
        blocks: usize,
        /// Seed of the draw.
        seed: u64,
    },
}

/// Compares `device` with `snapshot`, and tells `watch` how far it is.
///
/// # Errors
/// [`VerifyError`] when one of the two cannot be read; a difference is no error but a result.
pub async fn verify_device(
    cloud: &Cloud,
    snapshot: &SnapshotId,
    path: &Path,
    extent: Extent,
    watch: &mut dyn FnMut(&Progress),
) -> Result<DeviceVerification, VerifyError> {
    let facts = readable(cloud, std::slice::from_ref(snapshot)).await?;
    let size_gib = facts.first().map_or(0, |facts| facts.size_gib);
    let total = Blocks::covering(size_gib * GIB).0;
    let device = Arc::new(Device::open(path)?);
    device.must_hold(snapshot, total)?;
    let pair = ListedPair {
        first: None,
        second: snapshot.clone(),
    };
    let calls = Arc::new(Calls::new(cloud, pair, PATIENCE));
    let ledger = Arc::new(Ledger::new(total).map_err(VerifyError::from)?);
    let work = Arc::new(Compare {
        device: Arc::clone(&device),
        ledger: Arc::clone(&ledger),
    });
    let (source, written) = match extent {
        Extent::All => {
            let index = Index::new(Bitmap::new(total));
            (Source::listed(&calls, index, LISTERS), None)
        }
        Extent::Sample { blocks, seed } => {
            let (index, written) = sample::draw(&calls, total, (blocks, seed), LISTERS).await?;
            (Source::chosen(&calls, index), Some(written))
        }
    };
    let swept = Sweep::new(calls, source, work, watch).run().await?;
    let compared = swept.index.changed().clone();
    let written = written.unwrap_or_else(|| compared.clone());
    let zero = match extent {
        Extent::All => None,
        Extent::Sample { blocks, seed } => Some(sample::absent(&written, blocks, seed)),
    };
    let zeros = zeros::check(&device, &ledger, &written, zero).await?;
    let (mismatches, first_mismatches) = ledger.mismatches();
    Ok(DeviceVerification {
        format: DeviceVerification::FORMAT.to_owned(),
        snapshot: snapshot.clone(),
        device: path.display().to_string(),
        method: "sha256".to_owned(),
        blocks_total: total,
        blocks_written: written.count(),
        blocks_compared: compared.count() + zeros,
        mismatches,
        first_mismatches,
        digest: ledger.aggregate(&compared)?,
    })
}

/// Compares each block of the snapshot, whose digest was checked, with the device's bytes.
struct Compare {
    device: Arc<Device>,
    ledger: Arc<Ledger>,
}

impl Work for Compare {
    async fn block(&self, block: u64, content: Option<(Bytes, Sha)>) -> Result<Sha, SyncError> {
        let (device, ledger) = (Arc::clone(&self.device), Arc::clone(&self.ledger));
        let compared = tokio::task::spawn_blocking(move || match content {
            Some((bytes, digest)) => match device.digest_unless(block, &bytes)? {
                None => Ok(digest),
                Some(other) => {
                    ledger.differs(block);
                    Ok(other)
                }
            },
            None => Ok(Sha::default()),
        });
        super::sync::parts::ended(compared.await)?
    }

    fn note(&self, done: &[(u64, Sha)]) -> Result<(), SyncError> {
        self.ledger.note(done)
    }
}

/// Bytes where a block begins.
const fn at(block: u64) -> u64 {
    block * BLOCK_BYTES
}
