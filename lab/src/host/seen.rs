//! What an observer sees of a host who asks nobody. Changes nothing.

use chrono::{DateTime, Utc};

use super::fence::Fence;
use super::{SimulatedHost, State};

impl SimulatedHost {
    /// Whether a client's commit would be accepted at the last instant this host was advanced to. At no instant may
    /// two hosts of one database say so.
    #[must_use]
    pub fn serving(&self) -> bool {
        self.state == State::Running && self.guard.fence == Fence::None
    }

    /// The instance it is.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Whether a fence stands, leased or for good.
    #[must_use]
    pub fn fenced(&self) -> bool {
        self.guard.fence != Fence::None
    }

    /// Whether the file systems are frozen.
    #[must_use]
    pub const fn frozen(&self) -> bool {
        self.guard.freeze.is_some()
    }

    /// The longest that they were frozen.
    #[must_use]
    pub const fn longest_freeze_seconds(&self) -> f64 {
        self.guard.longest_freeze_seconds
    }

    /// The longest that a fence stood under a lease, one that stands at `at` included.
    #[must_use]
    pub fn longest_lease_seconds(&self, at: DateTime<Utc>) -> f64 {
        self.guard.longest_lease_seconds(at)
    }

    /// The volumes that its database was brought up from.
    pub fn mounted(&self) -> impl Iterator<Item = &str> {
        self.mounts.iter().map(|mount| mount.volume.as_str())
    }

    /// The tick after which the source wrote nothing more, once its fence stands: what an audit replays up to.
    #[must_use]
    pub fn fence_tick(&self) -> Option<u32> {
        (self.guard.fence != Fence::None).then_some(self.applied)
    }
}
