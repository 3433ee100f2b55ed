//! Puts blocks into a snapshot under way, repeated as their errors deserve: throttles slow the pace they name,
//! passing errors back off, everything else is final.

use std::time::Duration;

use bytes::Bytes;
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::step::FailureClass;

use super::SyncError;
use super::calls::{SNAPSHOT_BLOCKS_PER_SECOND, account_blocks_per_second};
use super::pace::Pace;
use super::patience::{Patience, is_throttle};
use super::state::Sha;
use crate::cloud::{Cloud, CloudError, Direct};

/// The puts of one snapshot.
#[derive(Debug)]
pub struct Puts {
    direct: Direct,
    into: SnapshotId,
    /// Pace of the snapshot.
    pub snapshot: Pace,
    /// Pace of the account.
    pub account: Pace,
    patience: Patience,
}

impl Puts {
    /// Puts into a snapshot, given up when nothing is heard for `patience`.
    #[must_use]
    pub fn new(cloud: &Cloud, into: SnapshotId, patience: Duration) -> Self {
        Self {
            direct: cloud.direct(),
            into,
            snapshot: Pace::new(SNAPSHOT_BLOCKS_PER_SECOND),
            account: Pace::new(account_blocks_per_second(cloud)),
            patience: Patience::new(patience),
        }
    }

    /// Puts one block; on return the service has confirmed its digest.
    ///
    /// # Errors
    /// [`SyncError::Cloud`] for what does not pass, [`SyncError::Stalled`] for what did not pass in time.
    pub async fn put(&self, block: u64, bytes: &Bytes, digest: &Sha) -> Result<(), SyncError> {
        let mut attempt = 0;
        loop {
            self.account.turn().await;
            self.snapshot.turn().await;
            let bytes = bytes.clone();
            match self.direct.put(&self.into, block, bytes, digest).await {
                Ok(()) => {
                    self.patience.hear();
                    return Ok(());
                }
                Err(error) if error.code == "ThrottlingException" => {
                    self.account.refused();
                    self.patience.hear();
                }
                Err(error) if is_throttle(&error) => {
                    self.snapshot.refused();
                    self.patience.hear();
                }
                Err(error) => {
                    let error = passing(error);
                    self.patience.back_off(error, &mut attempt, block).await?;
                }
            }
        }
    }

    /// Calls sent again after an error that passes.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.patience.repeats()
    }
}

/// The service says so of a body that it could not read: it is to be sent again (EBS direct APIs, error retries).
fn passing(error: CloudError) -> CloudError {
    if error.message.contains("Failed to read block data") {
        return CloudError {
            class: FailureClass::Transient,
            ..error
        };
    }
    error
}
