//! Compares two immutable snapshots, one on each side, block by block, by SHA-256 of their bytes.
//!
//! Both listings are merged page by page and blocks are fetched a few at a time, so memory does not
//! grow with the volume. A block that only one side holds must be zero there.

use std::collections::VecDeque;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use snapmigrate_models::ids::{SnapshotId, VolumeId};
use tokio::task::JoinHandle;

use crate::cloud::{Cloud, CloudError, SnapshotBlock};

/// Blocks under way at once: each holds up to two times 512 KiB, and at a few milliseconds a read
/// this stays below the 1,000 per second and snapshot that the service grants (AWS EBS direct APIs,
/// service quotas).
const IN_FLIGHT: usize = 32;

/// Two snapshots of one volume that must hold the same.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Source volume: its name goes into the digest.
    pub volume: VolumeId,
    /// At the source.
    pub source: SnapshotId,
    /// In the target.
    pub target: SnapshotId,
    /// The final delta as runs `[first, length]`, ascending.
    pub delta_runs: Vec<(u64, u64)>,
}

impl Pair {
    fn changed(&self, block: u64) -> bool {
        let after = self
            .delta_runs
            .partition_point(|(first, _)| *first <= block);
        let run = after
            .checked_sub(1)
            .and_then(|run| self.delta_runs.get(run));
        run.is_some_and(|(first, length)| block < first + length)
    }

    fn changed_blocks(&self) -> u64 {
        self.delta_runs.iter().map(|(_, length)| length).sum()
    }
}

/// Running totals over all volumes.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Blocks that at least one side holds.
    pub blocks_compared: u64,
    /// Blocks that differ.
    pub mismatches: u64,
    /// Blocks of the final delta that were read back from the target; one that neither side holds
    /// any more counts, because the listings say so of both.
    pub delta_read_back: u64,
    digest: Sha256,
}

impl Comparison {
    /// SHA-256 over volume, index and SHA-256 of each compared block of the target, in order.
    #[must_use]
    pub fn digest(self) -> String {
        snapmigrate_models::format::hex(&self.digest.finalize())
    }

    /// Adds one volume.
    ///
    /// # Errors
    /// [`CloudError`]; `Integrity` when a block's bytes do not match their own checksum.
    pub async fn add(
        &mut self,
        source: &Cloud,
        target: &Cloud,
        pair: &Pair,
    ) -> Result<(), CloudError> {
        self.digest.update(pair.volume.as_str().as_bytes());
        let mut merge = Merge {
            source: Listing::new(source, &pair.source),
            target: Listing::new(target, &pair.target),
        };
        let mut reads = Reads::default();
        let mut held = 0;
        while let Some(both) = merge.next().await? {
            if pair.changed(both.block) {
                held += 1;
                self.delta_read_back += u64::from(both.target.is_some());
            }
            reads.start(source.clone(), target.clone(), pair.clone(), both);
            if reads.0.len() >= IN_FLIGHT {
                self.count(reads.next().await?);
            }
        }
        while !reads.0.is_empty() {
            self.count(reads.next().await?);
        }
        // A changed block that neither side holds any more is zero on both: their listings say so.
        self.delta_read_back += pair.changed_blocks().saturating_sub(held);
        Ok(())
    }

    fn count(&mut self, read: Option<Compared>) {
        let Some(compared) = read else { return };
        self.blocks_compared += 1;
        self.mismatches += u64::from(!compared.equal);
        self.digest.update(compared.block.to_le_bytes());
        self.digest.update(compared.target);
    }
}

/// Where a block is held.
struct Both {
    block: u64,
    source: Option<SnapshotBlock>,
    target: Option<SnapshotBlock>,
}

struct Compared {
    block: u64,
    equal: bool,
    target: [u8; 32],
}

async fn compare(
    source: &Cloud,
    target: &Cloud,
    pair: &Pair,
    both: Both,
) -> Result<Compared, CloudError> {
    let left = read(source, &pair.source, both.source.as_ref());
    let right = read(target, &pair.target, both.target.as_ref());
    let (left, right) = tokio::try_join!(left, right)?;
    let equal = match (&left, &right) {
        (Some(left), Some(right)) => left == right,
        (Some(only), None) | (None, Some(only)) => only.iter().all(|byte| *byte == 0),
        (None, None) => true,
    };
    let target = Sha256::digest(right.as_deref().unwrap_or_default()).into();
    Ok(Compared {
        block: both.block,
        equal,
        target,
    })
}

async fn read(
    cloud: &Cloud,
    snapshot: &SnapshotId,
    block: Option<&SnapshotBlock>,
) -> Result<Option<Bytes>, CloudError> {
    match block {
        Some(block) => cloud.read_block(snapshot, block).await.map(Some),
        None => Ok(None),
    }
}

/// Comparisons under way, oldest first; aborted when dropped.
#[derive(Default)]
struct Reads(VecDeque<JoinHandle<Result<Compared, CloudError>>>);

impl Reads {
    fn start(&mut self, source: Cloud, target: Cloud, pair: Pair, both: Both) {
        let task = async move { compare(&source, &target, &pair, both).await };
        self.0.push_back(tokio::spawn(task));
    }

    async fn next(&mut self) -> Result<Option<Compared>, CloudError> {
        let Some(oldest) = self.0.pop_front() else {
            return Ok(None);
        };
        let compared = oldest
            .await
            .expect("a comparison neither panics nor is aborted while awaited");
        compared.map(Some)
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Two listings in step.
struct Merge<'a> {
    source: Listing<'a>,
    target: Listing<'a>,
}

impl Merge<'_> {
    async fn next(&mut self) -> Result<Option<Both>, CloudError> {
        let left = self.source.peek().await?;
        let right = self.target.peek().await?;
        let Some(block) = left.into_iter().chain(right).min() else {
            return Ok(None);
        };
        Ok(Some(Both {
            block,
            source: if left == Some(block) {
                self.source.take()
            } else {
                None
            },
            target: if right == Some(block) {
                self.target.take()
            } else {
                None
            },
        }))
    }
}

/// Written blocks of a snapshot, a page at a time.
struct Listing<'a> {
    cloud: &'a Cloud,
    snapshot: &'a SnapshotId,
    page: VecDeque<SnapshotBlock>,
    next: Option<String>,
    ended: bool,
}

impl<'a> Listing<'a> {
    fn new(cloud: &'a Cloud, snapshot: &'a SnapshotId) -> Self {
        Self {
            cloud,
            snapshot,
            page: VecDeque::new(),
            next: None,
            ended: false,
        }
    }

    async fn peek(&mut self) -> Result<Option<u64>, CloudError> {
        while self.page.is_empty() && !self.ended {
            let (page, next) = self
                .cloud
                .written_page(self.snapshot, self.next.take())
                .await?;
            self.ended = next.is_none();
            (self.page, self.next) = (page.into(), next);
        }
        Ok(self.page.front().map(|block| block.block))
    }

    fn take(&mut self) -> Option<SnapshotBlock> {
        self.page.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_in_the_runs_of_the_delta() {
        let pair = Pair {
            volume: "vol-0a".parse().expect("a volume id"),
            source: "snap-0a".parse().expect("a snapshot id"),
            target: "snap-0b".parse().expect("a snapshot id"),
            delta_runs: vec![(3, 2), (9, 1)],
        };
        let changed: Vec<u64> = (0..12).filter(|block| pair.changed(*block)).collect();
        assert_eq!(changed, [3, 4, 9]);
        assert_eq!(pair.changed_blocks(), 3);
    }
}
