//! The simulated database hosts of the world: lends them its volumes, and compares what they wrote with what arrived.
//! It must not know the host protocol, nor use lineage to compare.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::audit::{Audit, AuditPair, audit};
use crate::content::Content;
use crate::error::LabError;
use crate::host::{Attached, Disks, HostSetup, Role, SimulatedHost};
use crate::scenario::{Scenario, VolumeSpec};
use crate::workload::{Workload, WorkloadSetup};

use super::{ROOT_DEVICE, Volume, World};

/// With what the writers of a world begin.
pub(super) struct Begin<'a> {
    /// When they begin, at or before the lab's start.
    pub since: DateTime<Utc>,
    /// The lab's seed.
    pub seed: u64,
    /// Where relative trace paths start.
    pub base_dir: &'a Path,
}

/// The world's volumes, lent to a host.
struct Drives<'a>(&'a mut BTreeMap<String, Volume>);

impl Disks for Drives<'_> {
    fn attached(&self, instance: &str, at: DateTime<Utc>) -> Vec<Attached> {
        let all = self.0.values();
        let mut attached = all
            .filter_map(|volume| attached_volume(volume, instance, at))
            .collect::<Vec<_>>();
        attached.sort_by(|one, other| one.device.cmp(&other.device));
        attached
    }

    fn content(&self, volume: &str) -> Option<&Content> {
        self.0.get(volume).map(|volume| &volume.content)
    }

    fn disk(&mut self, volume: &str) -> Option<(&mut Content, Option<&mut Workload>)> {
        let volume = self.0.get_mut(volume)?;
        Some((&mut volume.content, volume.workload.as_mut()))
    }
}

impl World {
    /// Gives a data volume of the scenario its writer, and what it held before the writer began.
    pub(super) fn add_writer(
        &mut self,
        spec: &VolumeSpec,
        begin: &Begin<'_>,
    ) -> Result<(), LabError> {
        let setup = WorkloadSetup {
            seed: begin.seed,
            volume: &spec.id,
            size_gib: spec.size_gib,
            written_gib: spec.written_gib,
            start: begin.since,
            base_dir: begin.base_dir,
        };
        let writer = Workload::new(&setup, &spec.workload)?;
        if let Some(volume) = self.volumes.get_mut(&spec.id) {
            if let Content::Traced(map) = &mut volume.content {
                *map = writer.initial_content();
            }
            volume.workload = Some(writer);
        }
        Ok(())
    }

    /// Sets up the source's and the target's host.
    pub(super) fn add_hosts(&mut self, scenario: &Scenario, since: DateTime<Utc>, seed: u64) {
        for (place, role) in [
            (&scenario.source, Role::Source),
            (&scenario.target, Role::Target),
        ] {
            let instance = place.instance.clone();
            let setup = HostSetup {
                instance: instance.clone(),
                role,
                start: since,
                seed,
            };
            self.hosts
                .insert(instance, SimulatedHost::new(&setup, &self.database));
        }
    }

    /// Lets the hosts' writers write and their watchdogs act until `now`.
    pub(super) fn advance_hosts(&mut self, now: DateTime<Utc>) {
        for host in self.hosts.values_mut() {
            host.advance(now, &mut Drives(&mut self.volumes));
        }
    }

    /// One request of the host protocol to the host of an instance, with the time it takes.
    pub(crate) fn host(&mut self, instance: &str, request: &Value) -> (Value, Duration) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(instance) else {
            let message = format!("no database host is simulated on {instance}");
            let error =
                json!({ "code": "device", "message": message, "state": "there is no host" });
            return (
                json!({ "id": request["id"], "error": error }),
                Duration::ZERO,
            );
        };
        let (reply, took) = host.handle(now, &mut Drives(&mut self.volumes), request);
        (reply, took.div_f64(self.settings.time_scale))
    }

    /// How many of the hosts would accept a client's commit now: never more than one.
    pub fn serving_hosts(&self) -> usize {
        self.hosts.values().filter(|host| host.serving()).count()
    }

    /// Compares target volumes with the logs of their sources' writers: up to the fence where the source is fenced,
    /// else up to the time that the target's own content names.
    pub(crate) fn audit(&self, pairs: &[(String, String)]) -> Result<Audit, LabError> {
        let pair = |(source, target): &(String, String)| {
            let (from, to) = (self.known(source)?, self.known(target)?);
            let log = from.workload.as_ref().ok_or_else(|| unknown(source))?.log();
            let host = from
                .attachment
                .as_ref()
                .and_then(|a| self.hosts.get(&a.instance));
            let through = host.and_then(SimulatedHost::fence_tick);
            Ok(AuditPair {
                log,
                through,
                target: &to.id,
                content: &to.content,
            })
        };
        let pairs = pairs
            .iter()
            .map(pair)
            .collect::<Result<Vec<_>, LabError>>()?;
        Ok(audit(&pairs)?)
    }

    fn known(&self, id: &str) -> Result<&Volume, LabError> {
        self.volumes.get(id).ok_or_else(|| unknown(id))
    }
}

fn unknown(id: &str) -> LabError {
    LabError::Unknown {
        entity: format!("volume {id} (with a writer, where it is a source)"),
    }
}

fn attached_volume(volume: &Volume, instance: &str, at: DateTime<Utc>) -> Option<Attached> {
    let attachment = volume.attachment.as_ref()?;
    let here = attachment.instance == instance && attachment.device != ROOT_DEVICE;
    (here && attachment.word(at) == Some("attached")).then(|| Attached {
        volume: volume.id.clone(),
        device: attachment.device.clone(),
    })
}
