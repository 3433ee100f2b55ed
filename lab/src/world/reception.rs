//! The EBS direct APIs' verbs that write: start a snapshot, put its blocks, complete it.
//! It must not know any wire format; error codes as in `direct`.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use crate::caller::Caller;
use crate::content::{BLOCK_BYTES, Content};
use crate::error::ApiError;

use super::keys::{default_key, key_arn};
use super::tokens::Seen;
use super::{Origin, Outcome, Snapshot, Tags, World, content_failed, tags};

/// Most unfinished snapshots of StartSnapshot per account and region (EBS user guide, quotas).
const MAX_RECEIVING: usize = 100;

/// StartSnapshot.
#[derive(Debug, Clone, Default)]
pub struct StartSnapshotRequest {
    /// Size of the volume it stands for, in GiB.
    pub volume_size_gib: u64,
    /// The snapshot whose blocks it begins with.
    pub parent: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// Its description.
    pub description: String,
    /// Makes a repeated request answer with the same snapshot.
    pub client_token: Option<String>,
    /// Whether to encrypt it; not to be given with a parent.
    pub encrypted: Option<bool>,
    /// The key to encrypt it with.
    pub kms_key: Option<String>,
    /// Minutes after the last block until it is cancelled (10 to 4320, 60 when absent).
    pub timeout_minutes: Option<u32>,
}

/// What has arrived for a snapshot.
#[derive(Debug, Clone)]
pub(super) struct Reception {
    timeout: TimeDelta,
    digests: BTreeMap<u64, [u8; 32]>,
}

impl World {
    /// Starts a snapshot that is written block by block; returns its id.
    ///
    /// # Errors
    /// `ValidationException/INVALID_PARAMETER_VALUE` and `/INVALID_VOLUME_SIZE`, `ConflictException`,
    /// `ConcurrentLimitExceededException`, and as [`World::readable_snapshot`] for the parent.
    pub fn start_snapshot(
        &mut self,
        caller: &Caller,
        request: &StartSnapshotRequest,
    ) -> Result<String, ApiError> {
        let described = format!("{request:?}");
        let token = request.client_token.clone().unwrap_or_default();
        if !token.is_empty() {
            match self.snapshot_tokens.look(caller, &token, &described) {
                Seen::Same(id) => return Ok(id),
                Seen::Different => return Err(token_conflict()),
                Seen::New => {}
            }
        }
        self.check_start(caller, request)?;
        let id = self.ids.next("snap");
        let snapshot = self.receiving_snapshot(caller, request, &id)?;
        let timeout = TimeDelta::minutes(i64::from(request.timeout_minutes.unwrap_or(60)));
        self.receiving.insert(
            id.clone(),
            Reception {
                timeout,
                digests: BTreeMap::new(),
            },
        );
        self.snapshots.insert(id.clone(), snapshot);
        if !token.is_empty() {
            self.snapshot_tokens
                .remember(caller, &token, described, &id);
        }
        Ok(id)
    }

    fn check_start(&self, caller: &Caller, request: &StartSnapshotRequest) -> Result<(), ApiError> {
        tags::check(&request.tags).map_err(|error| invalid(&error.message))?;
        if !(1..=65_536).contains(&request.volume_size_gib) {
            return Err(bad_size("VolumeSize must be between 1 and 65536 GiB."));
        }
        if !(10..=4320).contains(&request.timeout_minutes.unwrap_or(60)) {
            return Err(invalid("Timeout must be between 10 and 4320 minutes."));
        }
        if let Some(parent) = &request.parent {
            if request.encrypted.is_some() || request.kms_key.is_some() {
                return Err(invalid("Encryption can't be given with ParentSnapshotId."));
            }
            if self.readable_snapshot(caller, parent)?.volume_size_gib > request.volume_size_gib {
                return Err(bad_size(
                    "VolumeSize is smaller than the parent snapshot's.",
                ));
            }
        }
        let open = self
            .receiving
            .keys()
            .filter_map(|id| self.snapshots.get(id));
        let mine = open.filter(|s| s.owner == caller.account && s.region == caller.region);
        if mine.count() >= MAX_RECEIVING {
            let message = "You have reached the limit of pending snapshots.";
            return Err(ApiError::client(
                "ConcurrentLimitExceededException",
                message,
            ));
        }
        Ok(())
    }

    fn receiving_snapshot(
        &mut self,
        caller: &Caller,
        request: &StartSnapshotRequest,
        id: &str,
    ) -> Result<Snapshot, ApiError> {
        let parent = request
            .parent
            .as_ref()
            .and_then(|parent| self.snapshots.get(parent));
        let size_gib = request.volume_size_gib;
        let content = match parent.and_then(|parent| parent.content.as_ref()) {
            Some(content) => grown_clone(content, id, size_gib),
            None => self.storage.snapshot(id, size_gib),
        }
        .map_err(content_failed)?;
        let own_key = || match &request.kms_key {
            Some(named) => key_arn(caller, named),
            None => default_key(caller),
        };
        let kms_key = match parent {
            Some(parent) => parent.kms_key.clone(),
            None => request
                .encrypted
                .unwrap_or(request.kms_key.is_some())
                .then(own_key),
        };
        let family = parent.map_or_else(|| format!("family/{id}"), |parent| parent.family.clone());
        let minutes = i64::from(request.timeout_minutes.unwrap_or(60));
        Ok(Snapshot {
            id: id.to_owned(),
            owner: caller.account.clone(),
            region: caller.region.clone(),
            volume_id: super::COPIED_VOLUME_ID.to_owned(),
            volume_size_gib: size_gib,
            description: request.description.clone(),
            tags: request.tags.clone(),
            kms_key,
            start_time: self.now,
            visible_at: self.seen_from(id),
            family,
            origin: Origin::Direct,
            outcome: Outcome::Receiving {
                until: self.now + TimeDelta::minutes(minutes),
            },
            content: Some(content),
            full_bytes: 0,
            delta_bytes: 0,
            incremental: request.parent.is_some(),
            permissions: Default::default(),
            promised_minutes: None,
            archived: false,
            deleted_at: None,
        })
    }

    /// Writes one block; `digest` is its SHA-256, already compared with the data.
    ///
    /// # Errors
    /// `ValidationException/INVALID_SNAPSHOT_ID` when the snapshot takes no blocks (any more),
    /// `/INVALID_BLOCK`, and as [`World::readable_snapshot`].
    pub fn put_snapshot_block(
        &mut self,
        caller: &Caller,
        id: &str,
        block: u64,
        data: &[u8],
        digest: [u8; 32],
    ) -> Result<(), ApiError> {
        self.check_receiving(caller, id)?;
        let now = self.now;
        let (snapshot, reception) = self.reception(id)?;
        let content = snapshot
            .content
            .as_mut()
            .expect("a receiving snapshot has content");
        if block >= content.blocks() {
            let message = format!("Block {block} is beyond the end of the snapshot '{id}'.");
            return Err(ApiError::client(
                "ValidationException/INVALID_BLOCK",
                message,
            ));
        }
        content.write_block(block, data).map_err(|error| {
            ApiError::client("ValidationException/INVALID_BLOCK", error.to_string())
        })?;
        reception.digests.insert(block, digest);
        snapshot.outcome = Outcome::Receiving {
            until: now + reception.timeout,
        };
        Ok(())
    }

    /// Completes a snapshot; it is `completed` some time later. `aggregate` is the SHA-256 over the
    /// digests of all blocks put, in ascending order of their index.
    ///
    /// # Errors
    /// `ValidationException/INVALID_PARAMETER_VALUE` when the count or the aggregate differs, and as
    /// [`World::put_snapshot_block`].
    pub fn complete_snapshot(
        &mut self,
        caller: &Caller,
        id: &str,
        changed_blocks: u64,
        aggregate: Option<[u8; 32]>,
    ) -> Result<(), ApiError> {
        self.check_receiving(caller, id)?;
        let (_, reception) = self.reception(id)?;
        let put = reception.digests.len() as u64;
        if put != changed_blocks {
            return Err(invalid(&format!(
                "ChangedBlocksCount is {changed_blocks}, not {put}."
            )));
        }
        if aggregate.is_some_and(|aggregate| aggregate != linear(&reception.digests)) {
            return Err(invalid(
                "The checksum does not match the blocks that were put.",
            ));
        }
        self.receiving.remove(id);
        let takes = self.takes(
            &format!("complete/{id}"),
            self.service.direct.complete_seconds,
        );
        let (from, until) = (self.now, self.now + takes);
        let full_bytes = self.written_blocks_of(id)?.bytes();
        let snapshot = self.snapshots.get_mut(id).expect("checked before");
        snapshot.full_bytes = full_bytes;
        snapshot.delta_bytes = put * BLOCK_BYTES;
        snapshot.outcome = Outcome::Work {
            from,
            ready: until,
            until,
            bend: 1.0,
            failure: None,
        };
        Ok(())
    }

    fn check_receiving(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let snapshot = self.direct_snapshot(caller, id)?;
        match snapshot.outcome {
            Outcome::Receiving { until } if self.now < until => Ok(()),
            Outcome::Receiving { .. } | Outcome::Waiting | Outcome::Work { .. } => {
                let message = format!("The snapshot '{id}' is not open for writing.");
                Err(ApiError::client(
                    "ValidationException/INVALID_SNAPSHOT_ID",
                    message,
                ))
            }
        }
    }

    fn reception(&mut self, id: &str) -> Result<(&mut Snapshot, &mut Reception), ApiError> {
        let lost = || ApiError::internal(format!("The snapshot '{id}' is not being received."));
        let snapshot = self.snapshots.get_mut(id).ok_or_else(lost)?;
        Ok((snapshot, self.receiving.get_mut(id).ok_or_else(lost)?))
    }
}

fn grown_clone(
    parent: &Content,
    id: &str,
    size_gib: u64,
) -> Result<Content, crate::content::ContentError> {
    match parent {
        Content::Traced(map) => map.grown_to(size_gib).map(Content::Traced),
        Content::Real(_) => parent.freeze_clone(id),
    }
}

/// CompleteSnapshot's LINEAR aggregate: SHA-256 over the blocks' raw digests in ascending order.
fn linear(digests: &BTreeMap<u64, [u8; 32]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    digests.values().for_each(|digest| hash.update(digest));
    hash.finalize().into()
}

fn token_conflict() -> ApiError {
    let message = "The client token was used with other parameters.";
    ApiError::with_status("ConflictException", message, 409)
}

fn invalid(message: &str) -> ApiError {
    ApiError::client("ValidationException/INVALID_PARAMETER_VALUE", message)
}

fn bad_size(message: &str) -> ApiError {
    ApiError::client("ValidationException/INVALID_VOLUME_SIZE", message)
}
