//! A source, a target and two volumes without a cloud.
#![expect(clippy::unwrap_used, reason = "tests")]

mod base;
mod cutover;
mod fencing;
mod laws;

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::workload::WorkloadSetup;

const SOURCE: &str = "i-source";
const TARGET: &str = "i-target";

/// Volumes without a cloud: (content, writer, instance).
struct Shelf(BTreeMap<String, (Content, Option<Workload>, String)>);

impl Disks for Shelf {
    fn attached(&self, instance: &str, _at: DateTime<Utc>) -> Vec<Attached> {
        let here = self.0.iter().filter(|(_, (_, _, at))| at == instance);
        here.map(|(id, _)| Attached {
            volume: id.clone(),
            device: format!("/dev/{id}"),
        })
        .collect()
    }

    fn content(&self, volume: &str) -> Option<&Content> {
        self.0.get(volume).map(|(content, _, _)| content)
    }

    fn snapshot(&self, _: (&str, &str), id: &str, _: DateTime<Utc>) -> Option<&Content> {
        self.content(id)
    }

    fn loaded(&self, _: &str, _: DateTime<Utc>) -> f64 {
        0.0
    }

    fn disk(&mut self, volume: &str) -> Option<(&mut Content, Option<&mut Workload>)> {
        self.0
            .get_mut(volume)
            .map(|(content, writer, _)| (content, writer.as_mut()))
    }
}

struct Bench {
    now: DateTime<Utc>,
    shelf: Shelf,
    source: SimulatedHost,
    target: SimulatedHost,
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_793_606_400, 0).unwrap()
}

fn writer(volume: &str, process: &str) -> (Content, Option<Workload>, String) {
    let base_dir = Path::new(".");
    let setup = WorkloadSetup {
        seed: 3,
        volume,
        size_gib: 4,
        written_gib: 2.0,
        start: start(),
        base_dir,
    };
    let writer = Workload::new(&setup, &[toml::from_str(process).unwrap()]).unwrap();
    (
        Content::Traced(writer.initial_content()),
        Some(writer),
        SOURCE.to_owned(),
    )
}

fn bench() -> Bench {
    let host = |instance: &str, role| {
        let database = Database::with(&toml::Table::new(), None).unwrap();
        SimulatedHost::new(
            &HostSetup {
                instance: instance.into(),
                role,
                start: start(),
                seed: 3,
            },
            &database,
        )
    };
    let volumes = [
        (
            "vol-data",
            writer("vol-data", "kind = 'hot_set'\nops_per_second = 40"),
        ),
        (
            "vol-wal",
            writer(
                "vol-wal",
                "kind = 'sequential_log'\nops_per_second = 20\nspan_gib = 1",
            ),
        ),
    ];
    let shelf = Shelf(
        volumes
            .into_iter()
            .map(|(id, volume)| (id.to_owned(), volume))
            .collect(),
    );
    Bench {
        now: start(),
        shelf,
        source: host(SOURCE, Role::Source),
        target: host(TARGET, Role::Target),
    }
}

impl Bench {
    fn wait(&mut self, wait_seconds: f64) {
        self.now = after(self.now, wait_seconds);
        self.source.advance(self.now, &mut self.shelf);
        self.target.advance(self.now, &mut self.shelf);
    }

    fn ask(&mut self, instance: &str, op: &str, arguments: Value) -> Value {
        let mut request = json!({ "id": 1, "protocol": 1, "op": op });
        request
            .as_object_mut()
            .unwrap()
            .extend(arguments.as_object().unwrap().clone());
        let host = if instance == SOURCE {
            &mut self.source
        } else {
            &mut self.target
        };
        let (reply, took) = host.handle(self.now, &mut self.shelf, &request);
        self.wait(took.as_secs_f64());
        reply
    }

    fn ok(&mut self, instance: &str, op: &str, arguments: Value) -> Value {
        let reply = self.ask(instance, op, arguments);
        assert!(reply["error"].is_null(), "{op}: {reply}");
        reply["ok"].clone()
    }

    fn code(&mut self, instance: &str, op: &str, arguments: Value) -> String {
        self.ask(instance, op, arguments)["error"]["code"]
            .as_str()
            .unwrap_or("ok")
            .to_owned()
    }

    fn fence(&mut self, epoch: u64, lease_seconds: f64) -> Value {
        self.ok(
            SOURCE,
            "fence",
            json!({ "epoch": epoch, "lease_seconds": lease_seconds }),
        )
    }

    /// Clones both volumes as they are for the target.
    fn restore(&mut self) -> Value {
        for volume in ["vol-data", "vol-wal"] {
            let copy = self.shelf.0[volume].0.freeze_clone("snap").unwrap();
            self.shelf
                .0
                .insert(format!("{volume}-new"), (copy, None, TARGET.to_owned()));
        }
        json!([{ "volume": "vol-data-new", "mountpoint": "/data" }, { "volume": "vol-wal-new", "mountpoint": "/wal" }])
    }

    fn bring_up(&self, mounts: &Value, fence: &Value) -> Value {
        json!({ "mounts": mounts, "system_identifier": fence["system_identifier"], "lsn": fence["lsn"], "timeline": fence["timeline"] })
    }

    fn written_ops(&self) -> u64 {
        self.shelf
            .0
            .values()
            .filter_map(|v| v.1.as_ref())
            .map(|w| w.total().ops)
            .sum()
    }

    fn serving(&self) -> usize {
        usize::from(self.source.serving()) + usize::from(self.target.serving())
    }
}
