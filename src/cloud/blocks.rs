//! Blocks of snapshots through the EBS direct APIs: which were written or changed, and their bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::step::FailureClass;

use super::error::classify;
use super::{Cloud, CloudError};

/// Most blocks one page may cover (EBS direct APIs, MaxResults).
pub(super) const PAGE_BLOCKS: i32 = 10_000;

/// A set of block indices as ascending runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockRuns {
    /// Runs `[first, length]`, ascending, never touching.
    pub runs: Vec<(u64, u64)>,
    /// Blocks in all runs.
    pub blocks: u64,
}

impl BlockRuns {
    /// Adds a block above all the others.
    pub fn push(&mut self, block: u64) {
        self.blocks += 1;
        match self.runs.last_mut() {
            Some((first, length)) if *first + *length == block => *length += 1,
            _ => self.runs.push((block, 1)),
        }
    }
}

/// A written block of a snapshot and the token that reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotBlock {
    /// Index in units of 512 KiB.
    pub block: u64,
    /// Opaque; valid for seven days or until the next listing.
    pub token: String,
}

impl Cloud {
    /// Blocks that differ between two snapshots of one lineage, in either direction; all written
    /// blocks of `second` without a `first`. An empty page is not the end: only a missing token is.
    ///
    /// # Errors
    /// [`CloudError`]; `Integrity` when the listing is not ascending.
    pub async fn changed_runs(
        &self,
        first: Option<&SnapshotId>,
        second: &SnapshotId,
    ) -> Result<BlockRuns, CloudError> {
        let Some(first) = first else {
            let mut runs = BlockRuns::default();
            self.written_blocks(second)
                .await?
                .iter()
                .for_each(|written| runs.push(written.block));
            return Ok(runs);
        };
        const CALL: &str = "ListChangedBlocks";
        let subject = format!("{first}..{second}");
        let mut runs = BlockRuns::default();
        let mut next = None;
        let mut last = None;
        loop {
            let request = self.ebs.list_changed_blocks().max_results(PAGE_BLOCKS);
            let request = request.first_snapshot_id(first.as_str());
            let request = request
                .second_snapshot_id(second.as_str())
                .set_next_token(next);
            let page = request
                .send()
                .await
                .map_err(|error| classify(CALL, &subject, &error))?;
            for changed in page.changed_blocks() {
                runs.push(ascending(CALL, &subject, &mut last, changed.block_index())?);
            }
            next = page.next_token().map(ToOwned::to_owned);
            if next.is_none() {
                return Ok(runs);
            }
        }
    }

    /// All written blocks of a snapshot with their tokens, ascending.
    ///
    /// # Errors
    /// [`CloudError`]; `Integrity` when the listing is not ascending.
    pub async fn written_blocks(
        &self,
        snapshot: &SnapshotId,
    ) -> Result<Vec<SnapshotBlock>, CloudError> {
        const CALL: &str = "ListSnapshotBlocks";
        let subject = snapshot.as_str();
        let mut found = Vec::new();
        let mut next = None;
        let mut last = None;
        loop {
            let request = self.ebs.list_snapshot_blocks().max_results(PAGE_BLOCKS);
            let request = request.snapshot_id(subject).set_next_token(next);
            let page = request
                .send()
                .await
                .map_err(|error| classify(CALL, subject, &error))?;
            for written in page.blocks() {
                let block = ascending(CALL, subject, &mut last, written.block_index())?;
                let token = written.block_token().unwrap_or_default().to_owned();
                found.push(SnapshotBlock { block, token });
            }
            next = page.next_token().map(ToOwned::to_owned);
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// One page of the written blocks of a snapshot, ascending, and what continues the listing. An
    /// empty page is not the end: only a missing continuation is.
    ///
    /// # Errors
    /// [`CloudError`]; `Integrity` when the page is not ascending.
    pub async fn written_page(
        &self,
        snapshot: &SnapshotId,
        continued: Option<String>,
    ) -> Result<(Vec<SnapshotBlock>, Option<String>), CloudError> {
        const CALL: &str = "ListSnapshotBlocks";
        let subject = snapshot.as_str();
        let request = self.ebs.list_snapshot_blocks().max_results(PAGE_BLOCKS);
        let page = request
            .snapshot_id(subject)
            .set_next_token(continued)
            .send()
            .await;
        let page = page.map_err(|error| classify(CALL, subject, &error))?;
        let mut last = None;
        let mut found = Vec::new();
        for written in page.blocks() {
            let block = ascending(CALL, subject, &mut last, written.block_index())?;
            let token = written.block_token().unwrap_or_default().to_owned();
            found.push(SnapshotBlock { block, token });
        }
        Ok((found, page.next_token().map(ToOwned::to_owned)))
    }

    /// The 512 KiB of a block, checked against the checksum that came with them.
    ///
    /// # Errors
    /// [`CloudError`]; `Integrity` when the checksum does not match.
    pub async fn read_block(
        &self,
        snapshot: &SnapshotId,
        wanted: &SnapshotBlock,
    ) -> Result<Bytes, CloudError> {
        const CALL: &str = "GetSnapshotBlock";
        let subject = format!("{snapshot} block {}", wanted.block);
        let request = self.ebs.get_snapshot_block().snapshot_id(snapshot.as_str());
        let request = request.set_block_index(i32::try_from(wanted.block).ok());
        let answer = request.block_token(&wanted.token).send().await;
        let answer = answer.map_err(|error| classify(CALL, &subject, &error))?;
        let promised = answer.checksum().unwrap_or_default().to_owned();
        let data = answer
            .block_data
            .collect()
            .await
            .map_err(|error| CloudError {
                class: FailureClass::Transient,
                ..integrity(CALL, &subject, &format!("the body broke off: {error}"))
            })?;
        let data = data.into_bytes();
        if STANDARD.encode(Sha256::digest(&data)) == promised {
            return Ok(data);
        }
        Err(integrity(
            CALL,
            &subject,
            "the bytes do not match their SHA-256 checksum",
        ))
    }
}

pub(super) fn ascending(
    operation: &'static str,
    subject: &str,
    last: &mut Option<u64>,
    index: Option<i32>,
) -> Result<u64, CloudError> {
    let block = index.and_then(|index| u64::try_from(index).ok());
    let block = block.ok_or_else(|| integrity(operation, subject, "a block without an index"))?;
    if last.is_some_and(|last| last >= block) {
        return Err(integrity(
            operation,
            subject,
            &format!("block {block} is out of order"),
        ));
    }
    *last = Some(block);
    Ok(block)
}

pub(super) fn integrity(operation: &'static str, subject: &str, message: &str) -> CloudError {
    CloudError {
        class: FailureClass::Integrity,
        operation,
        subject: subject.to_owned(),
        code: "integrity".to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_blocks_join_into_runs() {
        let mut runs = BlockRuns::default();
        [1, 2, 3, 7, 9, 10]
            .into_iter()
            .for_each(|block| runs.push(block));
        assert_eq!(
            runs,
            BlockRuns {
                runs: vec![(1, 3), (7, 1), (9, 2)],
                blocks: 6
            }
        );
    }

    #[test]
    fn a_listing_out_of_order_is_an_integrity_error() {
        let mut last = Some(4);
        let error = ascending("ListChangedBlocks", "a..b", &mut last, Some(4)).map_err(|e| e.class);
        assert_eq!(error, Err(FailureClass::Integrity));
    }
}
