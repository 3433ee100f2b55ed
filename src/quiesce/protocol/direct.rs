//! What the path `direct` asks of a target's host, and its answers: a device brought from one snapshot's content to
//! another's, held until it is mounted.

use super::{ErrorCode, timestamp};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The ability that a host names in its `hello` when it can do all of this.
pub const SYNC_ABILITY: &str = "sync";

/// What `sync` needs to read snapshots with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// Region of both snapshots.
    pub region: String,
    /// Endpoint of every service instead of AWS's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// Short-lived and read-only: kept in memory, never written anywhere.
    pub credentials: Credentials,
}

/// Temporary credentials of a role.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// `ASIA...`.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// Belongs to temporary credentials.
    pub session_token: String,
    /// When they end.
    #[serde(with = "timestamp")]
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credentials(until {})", self.expires_at)
    }
}

/// How far a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseState {
    /// Nothing was ever asked for it here.
    Unknown,
    /// It is being written.
    Running,
    /// It holds `to`, is held against everyone else, and nobody wrote to it since.
    Held,
    /// The last attempt ended early; asked again it goes on where that one ended.
    Failed,
    /// It is no base any more: `trouble` says why.
    Broken,
}

/// Answer to `sync` and `sync_status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaseReply {
    /// How far it is.
    pub state: BaseState,
    /// Snapshot it held before; null when every block is written.
    pub from: Option<String>,
    /// Snapshot it holds, or is to hold.
    pub to: Option<String>,
    /// Blocks known to differ and blocks of them that are durable, while it runs.
    pub progress: Option<BaseProgress>,
    /// What was done, once it holds `to`.
    pub done: Option<BaseDone>,
    /// Why it failed or is no base.
    pub trouble: Option<BaseTrouble>,
}

/// How far a sync is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct BaseProgress {
    /// Blocks known to differ.
    pub changed_blocks: u64,
    /// Of them, blocks written, durable and read back.
    pub done_blocks: u64,
    /// Blocks received per second of late.
    pub blocks_per_second: f64,
}

/// What a sync did: the three sets by their sizes, and a digest over the blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseDone {
    /// Blocks that the listing showed.
    pub changed_blocks: u64,
    /// Blocks written.
    pub written_blocks: u64,
    /// Blocks read back with the digest that was written.
    pub read_back_blocks: u64,
    /// Of the written ones, blocks that an interrupted attempt had made durable.
    pub resumed_blocks: u64,
    /// `sha256`, or `block_versions` where there are no bytes.
    pub method: String,
    /// Digest over index and digest of every changed block, ascending.
    pub digest: String,
    /// When it was first asked for.
    #[serde(with = "timestamp")]
    pub started_at: DateTime<Utc>,
    /// When all of it was durable and read back.
    #[serde(with = "timestamp")]
    pub finished_at: DateTime<Utc>,
}

/// Why a device does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseTrouble {
    /// What kind of error.
    pub code: ErrorCode,
    /// What happened, to which thing, what to do.
    pub message: String,
}

/// Answer to `release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseReply {
    /// Whether the device was held or being written.
    pub released: bool,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let credentials = Credentials {
            access_key_id: "ASIAKEY".into(),
            secret_access_key: "hush".into(),
            session_token: "token".into(),
            expires_at: DateTime::UNIX_EPOCH,
        };
        let shown = format!("{credentials:?}");
        for secret in ["ASIAKEY", "hush", "token"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let wire = serde_json::to_string(&credentials).unwrap();
        assert_eq!(
            serde_json::from_str::<Credentials>(&wire).unwrap(),
            credentials
        );
    }
}
