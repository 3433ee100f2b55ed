//! How far a revert is. Plain values.

use crate::step::TargetPosition;
use crate::units::Timestamp;

/// How far a revert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevertState {
    /// The target's fence was asked for; without an answer it may stand.
    Asked,
    /// The target accepts no commit, under a lease.
    Leased,
    /// The target serves again: this attempt is over.
    Released,
    /// The target never serves again: the point of no return is passed.
    Closed,
    /// The source serves.
    Reopened,
}

/// One attempt to go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// Number of the target's fence, under which the source is to serve.
    pub epoch: u64,
    /// How far it is.
    pub state: RevertState,
    /// When the target's fence was asked for.
    pub asked_at: Timestamp,
    /// When it took effect, and our last probe commit the target accepted.
    pub fenced: Option<(Timestamp, Timestamp)>,
    /// What the target holds.
    pub position: Option<TargetPosition>,
    /// Why it is called off, once it is.
    pub called_off: Option<String>,
    /// How the target came to be closed for good, and when.
    pub closed: Option<(Timestamp, TargetClosed)>,
    /// The source serves.
    pub reopened: Option<Reopened>,
}

/// How it is known that the target never serves again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetClosed {
    /// Its host made the fence permanent.
    Committed,
    /// Its instance is in this state and the volumes are taken from it.
    Isolated {
        /// `stopped` or `terminated`.
        state: String,
    },
}

/// The source serves again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reopened {
    /// When its database served.
    pub reopened_at: Timestamp,
    /// Our first commit it accepted.
    pub first_source_write: Timestamp,
    /// Position after it.
    pub lsn: String,
    /// Its timeline.
    pub timeline: u32,
}

/// Both hosts as they were asked last, until it is acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevertCheck {
    /// The target as it serves; absent when its host does not answer.
    pub target: Option<TargetPosition>,
    /// Why it does not answer.
    pub trouble: Option<String>,
}
