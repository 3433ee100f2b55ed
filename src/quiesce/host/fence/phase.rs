//! Where a fence stands, what can happen to it, and what it makes its caller do. Plain values.

use super::Reopening;
use crate::quiesce::host::clock::BootSeconds;
use crate::quiesce::protocol::FenceReply;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where the fence stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The database may serve.
    Open,
    /// The database is being stopped.
    Fencing {
        /// When the lease ends.
        lease_end: BootSeconds,
    },
    /// The database is fenced until the lease ends.
    Leased {
        /// When the lease ends.
        lease_end: BootSeconds,
        /// What the fence found.
        facts: FenceReply,
    },
    /// The database is to serve again and does not do so yet; tried again until it does.
    Releasing {
        /// Why the fence was let go.
        reason: String,
    },
    /// Fenced for good.
    Permanent {
        /// When.
        #[serde(with = "crate::quiesce::protocol::timestamp")]
        committed_at: DateTime<Utc>,
    },
}

/// What can happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The executor asks for the fence.
    FenceAsked {
        /// Its epoch.
        epoch: u64,
        /// Lease from now.
        lease_seconds: f64,
    },
    /// The engine has stopped all writing.
    Stopped(FenceReply),
    /// The engine could not; the database may be in any state.
    StopFailed {
        /// Why.
        reason: String,
    },
    /// The executor commits.
    CommitAsked {
        /// Its epoch.
        epoch: u64,
        /// Wall time, for the record.
        at: DateTime<Utc>,
    },
    /// The executor lets go.
    UnfenceAsked {
        /// Its epoch.
        epoch: u64,
    },
    /// The executor lets a permanent fence go, after the other side was closed for good.
    ReopenAsked(Reopening),
    /// Time has passed.
    Tick,
    /// The engine serves again.
    Released,
}

/// What the caller does next, after the new state is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Stop all writing, then report `Stopped` or `StopFailed`.
    Stop,
    /// Thaw, let the database serve, then report `Released`; on failure try again at the next tick.
    Release,
}
