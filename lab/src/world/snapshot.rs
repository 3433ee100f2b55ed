//! A snapshot: what it holds, where it came from, and what it looks like at a given time.
//! It must not know how long anything takes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::caller::Caller;
use crate::clock::seconds_between;
use crate::content::Content;

/// The volume id that every copied snapshot shows (EC2 API reference: "arbitrary, do not use").
pub const COPIED_VOLUME_ID: &str = "vol-ffffffff";

/// Which copies queue behind and build on each other: one lineage into one account and region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyRoute {
    /// The source snapshot's family.
    pub family: String,
    /// The destination's account.
    pub account: String,
    /// The destination's region.
    pub region: String,
}

/// Where a snapshot came from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// Taken of a volume, perhaps in a set.
    Volume,
    /// Copied from another snapshot.
    Copy {
        /// The snapshot it was made from.
        source: String,
        /// The region that one is in.
        source_region: String,
        /// Its queue; none for copies that move no data.
        route: Option<CopyRoute>,
    },
    /// Written block by block through the EBS direct APIs.
    Direct,
}

/// How far it is.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A copy behind another one of its route.
    Waiting,
    /// Blocks still arrive through the EBS direct APIs; cancelled at `until` when none comes.
    Receiving {
        /// When it is cancelled.
        until: DateTime<Utc>,
    },
    /// Work from `from`; done at `until` (held at 99 % from `ready` for the rest of its set).
    Work {
        /// When work begins.
        from: DateTime<Utc>,
        /// When its own data is there.
        ready: DateTime<Utc>,
        /// When it ends.
        until: DateTime<Utc>,
        /// Bends the progress over time; 1 is linear.
        bend: f64,
        /// The StateMessage it ends with when it fails.
        failure: Option<String>,
    },
}

/// The states a snapshot can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Data still moves.
    Pending,
    /// All there.
    Completed,
    /// Failed.
    Error,
}

impl State {
    /// The word of the API.
    pub fn word(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Completed => "completed",
            State::Error => "error",
        }
    }
}

/// A snapshot as it looks at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// Progress in percent.
    pub percent: u8,
    /// When it completed.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub message: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// The account that owns it.
    pub owner: String,
    /// The region it is in.
    pub region: String,
    /// The volume it was taken of, or `vol-ffffffff`.
    pub volume_id: String,
    /// Size of that volume, in GiB.
    pub volume_size_gib: u64,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The key it is encrypted with.
    pub kms_key: Option<String>,
    /// The point in time it holds.
    pub start_time: DateTime<Utc>,
    /// From when describes know it.
    pub visible_at: DateTime<Utc>,
    /// Snapshots of one family share blocks and can be compared.
    pub family: String,
    /// Where it came from.
    pub origin: Origin,
    /// How far it is.
    pub outcome: Outcome,
    /// What it holds; none before a copy begins and after its data is freed.
    pub content: Option<Content>,
    /// Bytes of all blocks ever written.
    pub full_bytes: u64,
    /// Bytes that had to move for it.
    pub delta_bytes: u64,
    /// Whether it moved only what changed since another one.
    pub incremental: bool,
    /// Accounts that may create volumes from it; `all` when public.
    pub permissions: BTreeSet<String>,
    /// The promised duration of a time-based copy, in minutes.
    pub promised_minutes: Option<u32>,
    /// Whether it is in the archive tier.
    pub archived: bool,
    /// When it was deleted. Deleted snapshots are kept while others need their data.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Snapshot {
    /// What it looks like at `at`.
    pub fn status(&self, at: DateTime<Utc>) -> Status {
        let pending = |percent| Status {
            state: State::Pending,
            percent,
            completed_at: None,
            message: None,
        };
        match &self.outcome {
            Outcome::Waiting => pending(0),
            Outcome::Receiving { until } if at >= *until => Status {
                state: State::Error,
                percent: 0,
                completed_at: None,
                message: Some("The snapshot was not completed within its timeout.".to_owned()),
            },
            Outcome::Receiving { .. } => pending(0),
            Outcome::Work {
                from,
                ready,
                until,
                bend,
                ..
            } if at < *until => pending(percent(*from, *ready, at, *bend)),
            Outcome::Work {
                failure: Some(message),
                ..
            } => Status {
                state: State::Error,
                percent: 0,
                completed_at: None,
                message: Some(message.clone()),
            },
            Outcome::Work {
                until,
                failure: None,
                ..
            } => Status {
                state: State::Completed,
                percent: 100,
                completed_at: Some(*until),
                message: None,
            },
        }
    }

    /// When its work ends, once that is known.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        match &self.outcome {
            Outcome::Waiting => None,
            Outcome::Receiving { until } | Outcome::Work { until, .. } => Some(*until),
        }
    }

    /// Whether it exists (was not deleted) at the time.
    pub fn exists(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// Whether it can be used: it exists, is completed and not archived.
    pub fn usable(&self, at: DateTime<Utc>) -> bool {
        self.exists() && !self.archived && self.status(at).state == State::Completed
    }

    /// Whether the account may see it: its owner and those with createVolumePermission.
    pub fn shared_with(&self, account: &str) -> bool {
        self.owner == account
            || self.permissions.contains("all")
            || self.permissions.contains(account)
    }

    /// Whether the caller sees it, at `at`, in its region.
    pub fn visible_to(&self, caller: &Caller, at: DateTime<Utc>) -> bool {
        self.exists()
            && self.region == caller.region
            && self.shared_with(&caller.account)
            && at >= self.visible_at
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=99"
)]
fn percent(from: DateTime<Utc>, ready: DateTime<Utc>, at: DateTime<Utc>, bend: f64) -> u8 {
    let total = seconds_between(from, ready).max(1e-3);
    let share = (seconds_between(from, at) / total).clamp(0.0, 1.0);
    (share.powf(bend) * 100.0).floor().clamp(0.0, 99.0) as u8
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn progress_never_reaches_100_before_the_end() {
        let from = DateTime::UNIX_EPOCH;
        let ready = from + TimeDelta::seconds(100);
        assert_eq!(percent(from, ready, from, 1.0), 0);
        assert_eq!(percent(from, ready, from + TimeDelta::seconds(50), 1.0), 50);
        assert_eq!(
            percent(from, ready, from + TimeDelta::seconds(500), 1.0),
            99
        );
    }
}
