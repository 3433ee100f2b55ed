//! Compares a device or file with a snapshot, block by block, both sides read in full.
//!
//! Blocks the snapshot does not hold must be zero on the device. Bytes of the device beyond the
//! snapshot's volume are not looked at: a restored volume may be larger.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use snapmigrate_models::format::{Document, hex};
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::step::FailureClass;
use snapmigrate_models::units::{BLOCK_BYTES, Blocks, GIB};
use snapmigrate_models::verify::DeviceVerification;
use tokio::task::JoinSet;

use crate::cloud::{Cloud, CloudError, SnapshotBlock};

/// GetSnapshotBlock calls under way at once. At a few milliseconds each this stays below the 1,000
/// per second and snapshot that the service grants (AWS EBS direct APIs, service quotas).
const READS_IN_FLIGHT: usize = 32;
/// Mismatches that are listed by index.
const LISTED_MISMATCHES: usize = 20;
const BLOCK: usize = 524_288;

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
    /// The snapshot cannot be compared with.
    #[error("snapshot {snapshot} is {state}: only a completed snapshot can be read")]
    NotCompleted {
        /// Snapshot.
        snapshot: SnapshotId,
        /// Its state.
        state: String,
    },
    /// AWS refused or did not answer.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// A task of ours ended early.
    #[error("a block comparison ended early")]
    Task(#[from] tokio::task::JoinError),
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

/// Compares `device` with `snapshot`.
///
/// # Errors
/// [`VerifyError`] when one of the two cannot be read; a difference is no error but a result.
pub async fn verify_device(
    cloud: &Cloud,
    snapshot: &SnapshotId,
    path: &Path,
    extent: Extent,
) -> Result<DeviceVerification, VerifyError> {
    let total = volume_blocks(cloud, snapshot).await?;
    let device = Device::open(path)?;
    device.must_hold(snapshot, total)?;
    let written = cloud.written_blocks(snapshot).await?;
    let blocks_written = written.len() as u64;
    let (compare, zero) = selection(written, total, extent);
    let mut found = Found::default();
    found.zero(&device, &zero)?;
    found.written(cloud, snapshot, &device, compare).await?;
    Ok(found.into_verification(snapshot, path, total, blocks_written))
}

async fn volume_blocks(cloud: &Cloud, snapshot: &SnapshotId) -> Result<u64, VerifyError> {
    let facts = cloud
        .describe_snapshots(std::slice::from_ref(snapshot))
        .await?;
    let facts = facts
        .into_iter()
        .find(|facts| facts.snapshot == *snapshot)
        .ok_or_else(|| CloudError {
            class: FailureClass::Permanent,
            operation: "DescribeSnapshots",
            subject: snapshot.to_string(),
            code: "NotFound".to_owned(),
            message: format!(
                "not found in {}: check the id, the region and the account",
                cloud.region()
            ),
        })?;
    if facts.state != "completed" {
        return Err(VerifyError::NotCompleted {
            snapshot: snapshot.clone(),
            state: facts.state,
        });
    }
    Ok(Blocks::covering(facts.size_gib * GIB).0)
}

/// Blocks to compare with the snapshot's, and blocks that must be zero; both ascending.
fn selection(
    written: Vec<SnapshotBlock>,
    total: u64,
    extent: Extent,
) -> (Vec<SnapshotBlock>, Vec<u64>) {
    let absent = absent(&written, total);
    match extent {
        Extent::All => (written, absent),
        Extent::Sample { blocks, seed } => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            (
                drawn(&mut rng, &written, blocks),
                drawn(&mut rng, &absent, blocks),
            )
        }
    }
}

fn absent(written: &[SnapshotBlock], total: u64) -> Vec<u64> {
    let mut written = written.iter().map(|block| block.block).peekable();
    (0..total)
        .filter(|block| written.next_if_eq(block).is_none())
        .collect()
}

fn drawn<T: Clone>(rng: &mut ChaCha8Rng, from: &[T], count: usize) -> Vec<T> {
    let mut chosen = sample(rng, from.len(), count.min(from.len())).into_vec();
    chosen.sort_unstable();
    chosen
        .into_iter()
        .map(|index| from[index].clone())
        .collect()
}

/// A device or file open for reading.
#[derive(Clone, Debug)]
struct Device {
    path: PathBuf,
    file: Arc<File>,
    bytes: u64,
    is_file: bool,
}

impl Device {
    fn open(path: &Path) -> Result<Self, VerifyError> {
        let failed = |source| VerifyError::Device {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let kind = file.metadata().map_err(failed)?.file_type();
        if kind.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            bytes,
            is_file: kind.is_file(),
        })
    }

    /// A file may end early (what is missing counts as zeros, like a sparse tail), a device may not.
    fn must_hold(&self, snapshot: &SnapshotId, total: u64) -> Result<(), VerifyError> {
        let volume_bytes = total * BLOCK_BYTES;
        if self.is_file || self.bytes >= volume_bytes {
            return Ok(());
        }
        Err(VerifyError::TooSmall {
            path: self.path.clone(),
            snapshot: snapshot.clone(),
            device_bytes: self.bytes,
            volume_bytes,
        })
    }

    /// One block, filled up with zeros behind the end.
    fn read(&self, block: u64) -> Result<Vec<u8>, VerifyError> {
        let mut data = vec![0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let at = block * BLOCK_BYTES + filled as u64;
            match self.file.read_at(&mut data[filled..], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(VerifyError::Device {
                        path: self.path.clone(),
                        source,
                    });
                }
            }
        }
        Ok(data)
    }
}

/// What was found so far: mismatching blocks and the digests of the device's.
#[derive(Debug, Default)]
struct Found {
    compared: u64,
    mismatches: BTreeSet<u64>,
    digests: BTreeMap<u64, [u8; 32]>,
}

/// One block compared: its index, the digest of the device's bytes, and whether both sides agree.
type Compared = (u64, [u8; 32], bool);

impl Found {
    fn zero(&mut self, device: &Device, blocks: &[u64]) -> Result<(), VerifyError> {
        for block in blocks {
            self.compared += 1;
            if device.read(*block)?.iter().any(|byte| *byte != 0) {
                self.mismatches.insert(*block);
            }
        }
        Ok(())
    }

    async fn written(
        &mut self,
        cloud: &Cloud,
        snapshot: &SnapshotId,
        device: &Device,
        blocks: Vec<SnapshotBlock>,
    ) -> Result<(), VerifyError> {
        let mut running: JoinSet<Result<Compared, VerifyError>> = JoinSet::new();
        for block in blocks {
            if running.len() >= READS_IN_FLIGHT
                && let Some(done) = running.join_next().await
            {
                self.take(done??);
            }
            let (cloud, snapshot, device) = (cloud.clone(), snapshot.clone(), device.clone());
            running.spawn(async move { compare(&cloud, &snapshot, &device, &block).await });
        }
        while let Some(done) = running.join_next().await {
            self.take(done??);
        }
        Ok(())
    }

    fn take(&mut self, (block, digest, same): Compared) {
        self.compared += 1;
        self.digests.insert(block, digest);
        if !same {
            self.mismatches.insert(block);
        }
    }

    fn into_verification(
        self,
        snapshot: &SnapshotId,
        path: &Path,
        blocks_total: u64,
        blocks_written: u64,
    ) -> DeviceVerification {
        let mut digest = Sha256::new();
        for (block, of_block) in &self.digests {
            digest.update(block.to_be_bytes());
            digest.update(of_block);
        }
        DeviceVerification {
            format: DeviceVerification::FORMAT.to_owned(),
            snapshot: snapshot.clone(),
            device: path.display().to_string(),
            method: "sha256".to_owned(),
            blocks_total,
            blocks_written,
            blocks_compared: self.compared,
            mismatches: self.mismatches.len() as u64,
            first_mismatches: self
                .mismatches
                .into_iter()
                .take(LISTED_MISMATCHES)
                .collect(),
            digest: hex(&digest.finalize()),
        }
    }
}

async fn compare(
    cloud: &Cloud,
    snapshot: &SnapshotId,
    device: &Device,
    block: &SnapshotBlock,
) -> Result<Compared, VerifyError> {
    let ours = device.read(block.block)?;
    let theirs = cloud.read_block(snapshot, block).await?;
    let digest: [u8; 32] = Sha256::digest(&ours).into();
    let same = digest == <[u8; 32]>::from(Sha256::digest(&theirs));
    Ok((block.block, digest, same))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(blocks: &[u64]) -> Vec<SnapshotBlock> {
        blocks
            .iter()
            .map(|block| SnapshotBlock {
                block: *block,
                token: String::new(),
            })
            .collect()
    }

    #[test]
    fn every_block_is_either_compared_or_must_be_zero() {
        let (compare, zero) = selection(written(&[1, 2, 7]), 9, Extent::All);
        assert_eq!(compare.len(), 3);
        assert_eq!(zero, vec![0, 3, 4, 5, 6, 8]);
    }

    #[test]
    fn a_sample_is_drawn_from_both_sorts_and_repeats_with_its_seed() {
        let all: Vec<u64> = (0..500).map(|block| block * 2).collect();
        let extent = Extent::Sample {
            blocks: 10,
            seed: 4,
        };
        let (compare, zero) = selection(written(&all), 1000, extent);
        assert_eq!((compare.len(), zero.len()), (10, 10));
        assert!(compare.iter().all(|block| block.block % 2 == 0));
        assert!(zero.iter().all(|block| block % 2 == 1));
        assert_eq!(selection(written(&all), 1000, extent).1, zero);
        let (few, none) = selection(written(&[0, 1]), 2, extent);
        assert_eq!((few.len(), none.len()), (2, 0));
    }
}
