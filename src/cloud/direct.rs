//! The EBS direct APIs call by call, for a caller that paces, repeats and hedges by itself.
//!
//! Nothing is repeated here: a throttle must reach the caller's governor.

use std::sync::Arc;

use aws_sdk_ebs::config::StalledStreamProtectionConfig;
use aws_sdk_ebs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ebs::operation::complete_snapshot::CompleteSnapshotError;
use aws_sdk_ebs::operation::get_snapshot_block::GetSnapshotBlockError;
use aws_sdk_ebs::operation::list_changed_blocks::ListChangedBlocksError;
use aws_sdk_ebs::operation::list_snapshot_blocks::ListSnapshotBlocksError;
use aws_sdk_ebs::operation::put_snapshot_block::PutSnapshotBlockError;
use aws_sdk_ebs::operation::start_snapshot::StartSnapshotError;
use aws_sdk_ebs::types::error::ValidationException;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::retry::RetryConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::step::FailureClass;

use super::blocks::{PAGE_BLOCKS, ascending, integrity};
use super::carrier::Carrier;
use super::error::classify;
use super::{Cloud, CloudError};
use crate::buffers::{BLOCK, Pool};

/// Bytes of a block (EBS direct APIs, block size).
pub(super) const BLOCK_BYTES: i32 = 524_288;

/// What is listed: the blocks of one snapshot, or those in which two of one lineage differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPair {
    /// The earlier content; absent: nothing.
    pub first: Option<SnapshotId>,
    /// The later content, whose blocks are read.
    pub second: SnapshotId,
}

/// Where a page of a listing begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageStart {
    /// At this block index or the next one listed.
    Block(u64),
    /// Where an earlier page ended; its token lives 60 minutes (EBS direct APIs, FAQ).
    Token(String),
}

/// A block that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBlock {
    /// Index in units of 512 KiB.
    pub block: u64,
    /// Reads it from the second snapshot; absent: only the first holds it, and it must become zeros.
    pub token: Option<Box<str>>,
    /// The first snapshot does not hold it: there it reads as zeros.
    pub is_new: bool,
}

/// One page. An empty one is not the end: only a missing `next` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPage {
    /// Ascending.
    pub blocks: Vec<ListedBlock>,
    /// Continues the listing.
    pub next: Option<String>,
    /// Whether the answer held a list at all, be it an empty one.
    pub has_list: bool,
}

/// A block's bytes as they came, unchecked.
#[derive(Clone, Debug)]
pub struct BlockBody {
    /// SHA-256 that the service sent with them.
    pub promised: [u8; 32],
    /// The bytes, in an aligned buffer of their own: the connection's buffers are free again.
    pub bytes: Bytes,
}

/// The EBS direct APIs of one side, each call sent once.
#[derive(Clone, Debug)]
pub struct Direct {
    client: aws_sdk_ebs::Client,
    pool: Arc<Pool>,
}

impl Cloud {
    /// The EBS direct APIs without repetition: for transfers that govern their own rate.
    #[must_use]
    pub fn direct(&self) -> Direct {
        let pool = Arc::<Pool>::default();
        let config = self.ebs.config();
        // A block is whole when its answer is handed over: nothing is left that could stall.
        let mut governed = config
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(ordinary) = config.http_client().filter(|_| self.is_networked) {
            governed = governed.http_client(Carrier::new(ordinary, Arc::clone(&pool)));
        }
        Direct {
            client: aws_sdk_ebs::Client::from_conf(governed.build()),
            pool,
        }
    }
}

impl ListedPage {
    /// Whether another answer to the same question says the same.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let sort = |listed: &ListedBlock| (listed.block, listed.token.is_some(), listed.is_new);
        self.next.is_none() == other.next.is_none()
            && self
                .blocks
                .iter()
                .map(sort)
                .eq(other.blocks.iter().map(sort))
    }
}

impl Direct {
    /// Whether blocks wait for buffers: what was read fills all of them.
    #[must_use]
    pub fn is_out_of_buffers(&self) -> bool {
        self.pool.is_empty()
    }

    pub(super) const fn client(&self) -> &aws_sdk_ebs::Client {
        &self.client
    }

    /// One page of a listing.
    ///
    /// # Errors
    /// [`CloudError`], its code with the reason behind a slash where the service gives one; `Integrity`
    /// when the page is not ascending.
    pub async fn page(
        &self,
        pair: &ListedPair,
        start: &PageStart,
    ) -> Result<ListedPage, CloudError> {
        match &pair.first {
            Some(first) => self.changed_page(first, &pair.second, start).await,
            None => self.written_page(&pair.second, start).await,
        }
    }

    async fn changed_page(
        &self,
        first: &SnapshotId,
        second: &SnapshotId,
        start: &PageStart,
    ) -> Result<ListedPage, CloudError> {
        const CALL: &str = "ListChangedBlocks";
        let subject = format!("{first}..{second}");
        let (index, token) = parameters(start);
        let request = self.client.list_changed_blocks().max_results(PAGE_BLOCKS);
        let request = request.first_snapshot_id(first.as_str());
        let request = request.second_snapshot_id(second.as_str());
        let request = request
            .set_starting_block_index(index)
            .set_next_token(token);
        let page = request.send().await;
        let page = page.map_err(|error| refused(CALL, &subject, &error))?;
        let has_list = page.changed_blocks.is_some();
        let found = page
            .changed_blocks
            .unwrap_or_default()
            .into_iter()
            .map(|changed| {
                let is_new = changed.first_block_token.is_none();
                (changed.block_index, changed.second_block_token, is_new)
            });
        listed(CALL, &subject, found, (page.next_token, has_list))
    }

    async fn written_page(
        &self,
        snapshot: &SnapshotId,
        start: &PageStart,
    ) -> Result<ListedPage, CloudError> {
        const CALL: &str = "ListSnapshotBlocks";
        let (index, token) = parameters(start);
        let request = self.client.list_snapshot_blocks().max_results(PAGE_BLOCKS);
        let request = request.snapshot_id(snapshot.as_str());
        let request = request
            .set_starting_block_index(index)
            .set_next_token(token);
        let page = request.send().await;
        let page = page.map_err(|error| refused(CALL, snapshot.as_str(), &error))?;
        let has_list = page.blocks.is_some();
        let found = page.blocks.unwrap_or_default().into_iter().map(|written| {
            let token = written.block_token.unwrap_or_default();
            (written.block_index, Some(token), false)
        });
        listed(CALL, snapshot.as_str(), found, (page.next_token, has_list))
    }

    /// The bytes of a block, not checked yet.
    ///
    /// # Errors
    /// [`CloudError`]; `Transient` when the body broke off or came without a checksum.
    pub async fn block(
        &self,
        snapshot: &SnapshotId,
        block: u64,
        token: &str,
    ) -> Result<BlockBody, CloudError> {
        const CALL: &str = "GetSnapshotBlock";
        let subject = || format!("{snapshot} block {block}");
        let request = self.client.get_snapshot_block();
        let request = request.snapshot_id(snapshot.as_str()).block_token(token);
        let request = request.set_block_index(i32::try_from(block).ok());
        let answer = request.send().await;
        let mut answer = answer.map_err(|error| refused(CALL, &subject(), &error))?;
        let broken = |what: &str| CloudError {
            class: FailureClass::Transient,
            ..integrity(CALL, &subject(), what)
        };
        let promised = answer.checksum().and_then(digest);
        let promised = promised.ok_or_else(|| broken("the answer has no SHA-256 checksum"))?;
        let bytes = self.gathered(&mut answer.block_data).await;
        let bytes = bytes.map_err(|error| broken(&error.to_string()))?;
        Ok(BlockBody { promised, bytes })
    }

    /// One piece is as it was carried, in a buffer of the pool; pieces are put together in one.
    async fn gathered(&self, body: &mut ByteStream) -> Result<Bytes, Gathering> {
        let first = body.next().await.transpose()?.unwrap_or_default();
        if first.len() == BLOCK {
            return match body.next().await {
                None => Ok(first),
                Some(_) => Err(TOO_LONG.into()),
            };
        }
        let mut buffer = self.pool.lend().await;
        buffer.put(&first).ok_or(TOO_LONG)?;
        while let Some(piece) = body.next().await {
            buffer.put(&piece?).ok_or(TOO_LONG)?;
        }
        Ok(Bytes::from_owner(buffer))
    }
}

type Gathering = Box<dyn std::error::Error + Send + Sync>;
const TOO_LONG: &str = "the answer is longer than a block";

fn parameters(start: &PageStart) -> (Option<i32>, Option<String>) {
    match start {
        PageStart::Block(block) => (i32::try_from(*block).ok(), None),
        PageStart::Token(token) => (None, Some(token.clone())),
    }
}

fn listed(
    operation: &'static str,
    subject: &str,
    found: impl Iterator<Item = (Option<i32>, Option<String>, bool)>,
    (next, has_list): (Option<String>, bool),
) -> Result<ListedPage, CloudError> {
    let mut last = None;
    let mut blocks = Vec::new();
    for (index, token, is_new) in found {
        let block = ascending(operation, subject, &mut last, index)?;
        blocks.push(ListedBlock {
            block,
            token: token.map(String::into_boxed_str),
            is_new,
        });
    }
    Ok(ListedPage {
        blocks,
        next,
        has_list,
    })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The class of an error, its code with the reason that a `ValidationException` carries.
pub(super) fn refused<E>(
    operation: &'static str,
    subject: &str,
    error: &SdkError<E, HttpResponse>,
) -> CloudError
where
    E: ProvideErrorMetadata + Invalid + std::error::Error + 'static,
{
    let mut sorted = classify(operation, subject, error);
    let invalid = error.as_service_error().and_then(Invalid::invalid);
    if let Some(reason) = invalid.and_then(ValidationException::reason) {
        sorted.code = format!("ValidationException/{}", reason.as_str());
    }
    sorted
}

/// An operation's error that may be a `ValidationException`.
pub(super) trait Invalid {
    fn invalid(&self) -> Option<&ValidationException>;
}

/// Their errors differ in type only.
macro_rules! may_be_invalid {
    ($($error:ty),+) => {$(
        impl Invalid for $error {
            fn invalid(&self) -> Option<&ValidationException> {
                match self {
                    Self::ValidationException(invalid) => Some(invalid),
                    _ => None,
                }
            }
        }
    )+};
}

may_be_invalid!(
    CompleteSnapshotError,
    GetSnapshotBlockError,
    ListChangedBlocksError,
    ListSnapshotBlocksError,
    PutSnapshotBlockError,
    StartSnapshotError
);
