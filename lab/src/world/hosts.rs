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

use super::{ROOT_DEVICE, Snapshot, Volume, World};
use crate::clock::seconds_between;

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
struct Drives<'a>(
    &'a mut BTreeMap<String, Volume>,
    &'a BTreeMap<String, Snapshot>,
);

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

    fn snapshot(
        &self,
        (account, region): (&str, &str),
        id: &str,
        at: DateTime<Utc>,
    ) -> Option<&Content> {
        let found = self.1.get(id).filter(|snapshot| {
            snapshot.shared_with(account) && snapshot.region == region && snapshot.usable(at)
        });
        found.and_then(|snapshot| snapshot.content.as_ref())
    }

    fn loaded(&self, volume: &str, at: DateTime<Utc>) -> f64 {
        let Some(volume) = self
            .0
            .get(volume)
            .filter(|volume| at < volume.initialized_at)
        else {
            return 1.0;
        };
        let all = seconds_between(volume.available_at, volume.initialized_at);
        (seconds_between(volume.available_at, at) / all.max(1e-3)).clamp(0.0, 1.0)
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
            host.advance(now, &mut Drives(&mut self.volumes, &self.snapshots));
        }
        self.watch_writers(now);
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
        let (reply, took) = host.handle(
            now,
            &mut Drives(&mut self.volumes, &self.snapshots),
            request,
        );
        self.watch_writers(now);
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use chrono::TimeDelta;

    use super::*;
    use crate::world::{Ground, Settings, Storage};

    const SCENARIO: &str = r#"
format = "snapmigrate.scenario/1"
name = "small"
seed = 1
start = "2026-11-02T08:00:00Z"
[source]
account = "111111111111"
region = "us-east-1"
zone = "us-east-1a"
instance = "i-0db00000000000001"
[target]
account = "222222222222"
region = "eu-west-1"
zone = "eu-west-1a"
instance = "i-0db00000000000002"
[[volumes]]
id = "vol-0data000000000001"
device = "/dev/sdf"
size_gib = 40
written_gib = 20
  [[volumes.workload]]
  kind = "hot_set"
  ops_per_second = 5
  [[volumes.snapshots]]
  age_hours = 2
  duration_seconds = 600
  [[volumes.snapshots]]
  age_hours = 1
  duration_seconds = 60
"#;

    fn world(text: &str) -> Result<World, LabError> {
        let scenario = Scenario::parse(text)?;
        let settings = Settings {
            rates: true,
            snapshot_spacing: true,
            time_scale: 1.0,
            latency_ms: None,
            loop_devices: false,
            any_instance: false,
        };
        let (start, seed, salt, storage) = (scenario.start, 1, 0, Storage::Traced);
        World::from_scenario(
            &scenario,
            Ground {
                start,
                seed,
                salt,
                settings,
                storage,
            },
        )
    }

    #[test]
    fn past_snapshots_hold_the_past() {
        let world = world(SCENARIO).unwrap();
        let mut past = world.snapshots.values().collect::<Vec<_>>();
        past.sort_by_key(|snapshot| snapshot.start_time);
        let [first, second] = past[..] else {
            panic!("two snapshots")
        };
        assert_eq!((first.incremental, second.incremental), (false, true));
        assert_eq!(first.full_bytes, first.delta_bytes);
        assert!(second.delta_bytes > 0 && second.delta_bytes < second.full_bytes / 2);
        let content = &world.volumes["vol-0data000000000001"].content;
        let since = |s: &super::super::Snapshot| {
            content.changed_since(s.content.as_ref().unwrap()).unwrap()
        };
        assert!(since(first).len() > since(second).len());
        assert!(!since(second).is_empty());
    }

    #[test]
    fn history_and_recording_meet_without_a_gap() {
        let mut world = world(SCENARIO).unwrap();
        world.advance(world.start + TimeDelta::minutes(10)).unwrap();
        let writer = world.volumes["vol-0data000000000001"]
            .workload
            .as_ref()
            .unwrap();
        let minutes = writer.metrics(
            world.start - TimeDelta::days(2),
            world.now + TimeDelta::hours(1),
        );
        assert_eq!(minutes.len(), 2 * 1440 + 10);
        assert!(
            minutes
                .windows(2)
                .all(|pair| pair[1].at - pair[0].at == TimeDelta::minutes(1))
        );
        assert!(minutes.iter().all(|minute| minute.write_ops > 0));
    }

    #[test]
    fn one_host_serves_and_an_unknown_one_says_so() {
        let mut world = world(SCENARIO).unwrap();
        assert_eq!(world.serving_hosts(), 1);
        let request = json!({ "id": 4, "protocol": 1, "op": "inspect" });
        let (reply, _) = world.host("i-0db00000000000001", &request);
        assert_eq!(
            reply["ok"]["mounts"][0]["volume"], "vol-0data000000000001",
            "{reply}"
        );
        let (reply, _) = world.host("i-0db00000000000009", &request);
        assert_eq!(
            (reply["id"].as_u64(), reply["error"]["code"].as_str()),
            (Some(4), Some("device"))
        );
    }

    #[test]
    fn an_audit_needs_volumes_and_a_writer() {
        let world = world(SCENARIO).unwrap();
        let volume = "vol-0data000000000001".to_owned();
        let whole = world.audit(&[(volume.clone(), volume.clone())]).unwrap();
        assert_eq!((whole.mismatches, whole.digest.len()), (0, 64));
        assert!(whole.blocks_compared >= 20 * 2048);
        assert!(world.audit(&[(volume, "vol-none".to_owned())]).is_err());
    }

    #[test]
    fn a_malformed_process_is_named() {
        let error = world(&SCENARIO.replace("hot_set", "hotset")).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            error.to_string().contains("vol-0data000000000001") && cause.contains("hotset"),
            "{error}: {cause}"
        );
    }
}
