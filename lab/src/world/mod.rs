//! The simulated cloud: accounts, instances, volumes, snapshots, and what time does to them.
//!
//! It must not know any wire format, nor read a clock: every verb is told the time by `advance`.

mod admit;
mod archive;
mod attach;
mod build;
mod chance;
mod copies;
mod create;
mod delete;
mod direct;
mod hosts;
mod ids;
mod instance;
mod keys;
mod limits;
mod lineage;
mod loops;
mod meter;
mod metrics;
mod observe;
mod parameters;
mod promises;
mod reception;
mod share;
mod snapshot;
mod snapshots;
mod storage;
mod strangers;
mod tags;
mod timing;
mod tokens;
mod view;
mod volume;
mod zones;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::error::ApiError;
use crate::host::SimulatedHost;
use crate::scenario::{Database, FaultSpec, Service};

pub use admit::{Admission, Admit};
pub use attach::AttachRequest;
pub use build::Ground;
pub use chance::Chance;
pub use copies::CopyRequest;
pub use create::CreateVolumeRequest;
pub use direct::ChangedBlocks;
pub use ids::Ids;
pub use instance::{Instance, ROOT_DEVICE};
pub(crate) use keys::default_key;
pub use limits::{Limits, request_limit_exceeded};
pub use metrics::{Metric, MetricPoint};
pub use observe::{HostSeen, Observation, Thing};
pub use parameters::Parameter;
pub use reception::StartSnapshotRequest;
pub use share::ShareRequest;
pub use snapshot::{COPIED_VOLUME_ID, CopyRoute, Origin, Outcome, Snapshot, State, Status};
pub use snapshots::{SetRequest, SnapshotRequest};
pub use storage::Storage;
pub use tags::Tags;
pub use view::{Glance, missing_instance, missing_snapshot, missing_volume};
pub use volume::{Attachment, Volume};
pub use zones::{REGIONS, Zone, zones_of};

/// How this lab is run, beside what the scenario says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether rates are limited: token buckets, EBS direct quotas.
    pub rates: bool,
    /// Whether snapshots of a volume must be 15 seconds apart.
    pub snapshot_spacing: bool,
    /// What service times are divided by (1 in process).
    pub time_scale: f64,
    /// Latency of every request in milliseconds, where the scenario does not draw it.
    pub latency_ms: Option<u64>,
    /// Whether attached volumes get loop devices.
    pub loop_devices: bool,
    /// Whether any account may attach to any well-formed instance id.
    pub any_instance: bool,
}

/// Everything that exists in the lab, at the time it was last advanced to.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) now: DateTime<Utc>,
    pub(crate) start: DateTime<Utc>,
    pub(crate) service: Service,
    pub(crate) database: Database,
    pub(crate) faults: FaultSpec,
    pub(crate) settings: Settings,
    pub(crate) storage: Storage,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    hosts: BTreeMap<String, SimulatedHost>,
    /// Copies that wait behind another one, in the order they were asked for.
    waiting: Vec<String>,
    receiving: BTreeMap<String, reception::Reception>,
    comparisons: direct::Comparisons,
    parameters: BTreeMap<(String, String, String), Parameter>,
    volume_tokens: tokens::Tokens,
    snapshot_tokens: tokens::Tokens,
    limits: Limits,
    chance: Chance,
    ids: Ids,
    two_writers_at: Option<DateTime<Utc>>,
}

impl World {
    /// The time the world was last advanced to.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// When the world began.
    pub fn start(&self) -> DateTime<Utc> {
        self.start
    }

    /// How this lab is run.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How long the simulated service takes.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// How a simulated database host behaves.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The volume with the id.
    pub fn volume(&self, id: &str) -> Option<&Volume> {
        self.volumes.get(id)
    }

    /// The volume with the id, to write to.
    pub fn volume_mut(&mut self, id: &str) -> Option<&mut Volume> {
        self.volumes.get_mut(id)
    }

    /// The instance with the id.
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.get(id)
    }

    /// The snapshot with the id, deleted ones that others need included.
    pub fn snapshot(&self, id: &str) -> Option<&Snapshot> {
        self.snapshots.get(id)
    }

    /// The volumes attached to an instance now, by device name.
    pub fn attached_to(&self, instance: &str) -> Vec<&Volume> {
        let mut volumes: Vec<&Volume> = self
            .volumes
            .values()
            .filter(|volume| self.is_attached(volume, instance))
            .collect();
        volumes.sort_by_key(|volume| volume.attachment.as_ref().map(|a| a.device.clone()));
        volumes
    }

    fn is_attached(&self, volume: &Volume, instance: &str) -> bool {
        volume
            .attached(self.now)
            .is_some_and(|attachment| attachment.instance == instance)
    }

    /// Lets time pass until `now`: writes of all whole seconds are applied, copies that waited begin.
    ///
    /// # Errors
    /// `InternalError` when a volume's content can't be read or written.
    pub fn advance(&mut self, now: DateTime<Utc>) -> Result<(), ApiError> {
        let now = now.max(self.now);
        self.advance_hosts(now);
        self.begin_waiting_copies(now)?;
        self.read_meters(now);
        self.now = now;
        Ok(())
    }
}

/// A content error as the service would show it.
pub(crate) fn content_failed(error: impl std::fmt::Display) -> ApiError {
    ApiError::internal(format!("An internal error has occurred: {error}"))
}
