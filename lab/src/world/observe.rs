//! What an observer sees who asks nobody: who would accept a commit, what is frozen, what lies in the accounts.
//!
//! It reads the world and nothing else. It must not know what any executor wanted, journaled or was told, so that
//! it can contradict one.

use chrono::{DateTime, Utc};

use crate::content::Content;
use crate::host::SimulatedHost;

use super::{Volume, World};

/// The world as it is at an instant, with what was seen on the way there.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The instant.
    pub at: DateTime<Utc>,
    /// The hosts, in the order of their instances.
    pub hosts: Vec<HostSeen>,
    /// The first instant at which more than one host would have accepted a commit.
    pub two_writers_at: Option<DateTime<Utc>>,
    /// Every snapshot that is not deleted.
    pub snapshots: Vec<Thing>,
    /// Every volume that is not deleted.
    pub volumes: Vec<Thing>,
    /// Faults of the scenario that struck so far.
    pub faults_struck: u64,
}

/// A host as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct HostSeen {
    /// Its instance.
    pub instance: String,
    /// Whether a client's commit would be accepted.
    pub serving: bool,
    /// Whether a fence stands, leased or for good.
    pub fenced: bool,
    /// Whether its file systems are frozen.
    pub frozen: bool,
    /// The longest that they were frozen.
    pub longest_freeze_seconds: f64,
    /// The longest that a fence stood under a lease.
    pub longest_lease_seconds: f64,
    /// What its database runs on: the volume that it was made from, or itself, and the one it runs on.
    pub database_volumes: Vec<(String, String)>,
}

/// Something that exists and costs money.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    /// Its id.
    pub id: String,
    /// The account that pays.
    pub owner: String,
    /// Whether it is being used by an instance.
    pub attached: bool,
}

impl World {
    /// Looks whether more than one host would accept a commit: after everything that may change a host.
    pub(super) fn watch_writers(&mut self, at: DateTime<Utc>) {
        if self.two_writers_at.is_none() && self.serving_hosts() > 1 {
            self.two_writers_at = Some(at);
        }
    }

    /// What there is to see.
    pub fn observe(&self) -> Observation {
        let existing = self.snapshots.values().filter(|snapshot| snapshot.exists());
        let snapshots = existing.map(|snapshot| Thing {
            id: snapshot.id.clone(),
            owner: snapshot.owner.clone(),
            attached: false,
        });
        let volumes = self.volumes.values().map(|volume| Thing {
            id: volume.id.clone(),
            owner: volume.owner.clone(),
            attached: volume.attachment.is_some(),
        });
        Observation {
            at: self.now,
            hosts: self.hosts.values().map(|host| self.seen(host)).collect(),
            two_writers_at: self.two_writers_at,
            snapshots: snapshots.collect(),
            volumes: volumes.collect(),
            faults_struck: self.chance.struck(),
        }
    }

    fn seen(&self, host: &SimulatedHost) -> HostSeen {
        let origin = |volume: &str| match &self.volumes.get(volume)?.content {
            Content::Traced(map) => Some((map.origin().to_owned(), volume.to_owned())),
            Content::Real(_) => None,
        };
        // Where nothing was brought up, the database runs on what its writer writes to.
        let nothing_brought = host.mounted().next().is_none();
        let here = |volume: &&Volume| {
            let at = volume
                .attachment
                .as_ref()
                .map(|held| held.instance.as_str());
            at == Some(host.instance()) && volume.workload.is_some()
        };
        let written = self.volumes.values().filter(here);
        let own = written
            .filter(|_| nothing_brought)
            .map(|volume| (volume.id.clone(), volume.id.clone()));
        HostSeen {
            instance: host.instance().to_owned(),
            serving: host.serving(),
            fenced: host.fenced(),
            frozen: host.frozen(),
            longest_freeze_seconds: host.longest_freeze_seconds(),
            longest_lease_seconds: host.longest_lease_seconds(self.now),
            database_volumes: host.mounted().filter_map(origin).chain(own).collect(),
        }
    }
}
