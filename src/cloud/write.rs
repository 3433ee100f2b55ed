//! Snapshots written block by block: start, put, complete, each call sent once.

use aws_sdk_ebs::primitives::ByteStream;
use aws_sdk_ebs::types::{ChecksumAggregationMethod, ChecksumAlgorithm, Tag};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use snapmigrate_models::ids::SnapshotId;

use super::direct::{BLOCK_BYTES, refused};
use super::{CloudError, Direct, Tags};

/// A snapshot to be started on top of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotStart {
    /// Size of the volume it stands for, in GiB.
    pub size_gib: u64,
    /// Completed snapshot whose blocks it begins with; its encryption is inherited.
    pub parent: SnapshotId,
    /// The same token makes the same snapshot, up to 64 characters.
    pub token: String,
    /// For people.
    pub description: String,
    /// Tags.
    pub tags: Tags,
    /// Minutes after the last block until it is cancelled, 10 to 4,320 (EBS direct APIs, StartSnapshot).
    pub timeout_minutes: i32,
}

impl Direct {
    /// Starts a snapshot, or names the one that the same token started.
    ///
    /// # Errors
    /// [`CloudError`]; code `ConflictException` when the token was used with other parameters.
    pub async fn start(&self, start: &SnapshotStart) -> Result<SnapshotId, CloudError> {
        const CALL: &str = "StartSnapshot";
        let parent = start.parent.as_str();
        let tags = start.tags.iter();
        let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
        let request = self.client().start_snapshot();
        let request = request
            .set_volume_size(i64::try_from(start.size_gib).ok())
            .parent_snapshot_id(parent)
            .client_token(&start.token)
            .description(&start.description)
            .set_tags(Some(tags.collect()))
            .timeout(start.timeout_minutes);
        let answer = request.send().await;
        let answer = answer.map_err(|error| refused(CALL, parent, &error))?;
        let id = answer.snapshot_id().and_then(|id| id.parse().ok());
        id.ok_or_else(|| CloudError::incomplete(CALL, parent, "snapshot id"))
    }

    /// Puts one block; a block put before is replaced.
    ///
    /// # Errors
    /// [`CloudError`], its code with the reason behind a slash where the service gives one.
    pub async fn put(
        &self,
        snapshot: &SnapshotId,
        block: u64,
        bytes: Bytes,
        digest: &[u8; 32],
    ) -> Result<(), CloudError> {
        let request = self.client().put_snapshot_block();
        let request = request
            .snapshot_id(snapshot.as_str())
            .set_block_index(i32::try_from(block).ok())
            .block_data(ByteStream::from(bytes))
            .data_length(BLOCK_BYTES)
            .checksum(STANDARD.encode(digest))
            .checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256);
        let answer = request.send().await;
        answer.map(|_| ()).map_err(|error| {
            refused(
                "PutSnapshotBlock",
                &format!("{snapshot} block {block}"),
                &error,
            )
        })
    }

    /// Completes a snapshot of `blocks` blocks; it is `completed` some time later. `aggregate` is the SHA-256
    /// over the blocks' digests in ascending order of their index (EBS direct APIs, method LINEAR).
    ///
    /// # Errors
    /// [`CloudError`], as for [`Direct::put`].
    pub async fn complete(
        &self,
        snapshot: &SnapshotId,
        blocks: u64,
        aggregate: &[u8; 32],
    ) -> Result<(), CloudError> {
        let request = self.client().complete_snapshot();
        let request = request
            .snapshot_id(snapshot.as_str())
            .set_changed_blocks_count(i32::try_from(blocks).ok())
            .checksum(STANDARD.encode(aggregate))
            .checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256)
            .checksum_aggregation_method(ChecksumAggregationMethod::ChecksumAggregationLinear);
        let answer = request.send().await;
        answer
            .map(|_| ())
            .map_err(|error| refused("CompleteSnapshot", snapshot.as_str(), &error))
    }
}
