#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::audit::{AuditPair, audit};
use crate::content::parse_lsn;
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
        let database = Database::with(&toml::Table::new()).unwrap();
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

#[test]
fn a_fence_stops_all_writing_and_its_lease_lets_go() {
    let mut bench = bench();
    bench.wait(100.0);
    let fence = bench.fence(1, 60.0);
    let fenced = bench.written_ops();
    bench.wait(30.0);
    assert_eq!(
        bench.written_ops(),
        fenced,
        "nothing is written while fenced"
    );
    assert_eq!(bench.code(SOURCE, "probe_commit", json!({})), "refused");
    assert_eq!(
        bench.fence(1, 60.0),
        fence,
        "the same epoch gets the same answer"
    );
    bench.wait(61.0);
    let status = bench.ok(SOURCE, "status", json!({}));
    assert_eq!(
        (status["fence"].as_str(), status["database"].as_str()),
        (Some("none"), Some("running"))
    );
    bench.wait(5.0);
    assert!(bench.written_ops() > fenced, "it writes again");
    assert_eq!(
        bench.code(SOURCE, "commit", json!({ "epoch": 1 })),
        "lease_ended"
    );
    assert_eq!(
        bench.code(SOURCE, "renew", json!({ "epoch": 1, "lease_seconds": 5.0 })),
        "lease_ended"
    );
}

#[test]
fn a_commit_makes_the_fence_permanent() {
    let mut bench = bench();
    bench.fence(4, 60.0);
    let committed = bench.ok(SOURCE, "commit", json!({ "epoch": 4 }));
    bench.wait(1000.0);
    assert_eq!(bench.ok(SOURCE, "commit", json!({ "epoch": 4 })), committed);
    assert_eq!(
        bench.code(SOURCE, "unfence", json!({ "epoch": 4 })),
        "committed"
    );
    assert_eq!(
        bench.code(SOURCE, "fence", json!({ "epoch": 5, "lease_seconds": 9.0 })),
        "committed"
    );
    assert_eq!(bench.ok(SOURCE, "status", json!({}))["fence"], "permanent");
    assert_eq!(bench.serving(), 0);
}

#[test]
fn an_older_epoch_is_refused_everywhere() {
    let mut bench = bench();
    bench.fence(4, 600.0);
    for op in ["fence", "renew", "freeze", "commit", "unfence"] {
        let arguments = json!({ "epoch": 3, "lease_seconds": 9.0, "limit_seconds": 9.0 });
        assert_eq!(bench.code(SOURCE, op, arguments), "stale_epoch", "{op}");
    }
    assert_eq!(
        bench.code(SOURCE, "commit", json!({ "epoch": 5 })),
        "not_fenced"
    );
}

#[test]
fn a_freeze_never_outlives_its_limit_and_says_whether_it_held() {
    let mut bench = bench();
    assert_eq!(
        bench.code(
            SOURCE,
            "freeze",
            json!({ "epoch": 1, "limit_seconds": 5.0 })
        ),
        "not_fenced"
    );
    bench.fence(1, 600.0);
    let first = bench.ok(
        SOURCE,
        "freeze",
        json!({ "epoch": 1, "limit_seconds": 20.0 }),
    );
    assert_eq!(
        bench.code(
            SOURCE,
            "freeze",
            json!({ "epoch": 1, "limit_seconds": 20.0 })
        ),
        "refused"
    );
    let thaw = bench.ok(SOURCE, "thaw", json!({ "freeze_id": first["freeze_id"] }));
    assert_eq!(thaw["unbroken"], true);
    let second = bench.ok(
        SOURCE,
        "freeze",
        json!({ "epoch": 1, "limit_seconds": 20.0 }),
    );
    bench.wait(25.0);
    assert_eq!(bench.ok(SOURCE, "status", json!({}))["frozen"], false);
    let thaw = bench.ok(SOURCE, "thaw", json!({ "freeze_id": second["freeze_id"] }));
    assert_eq!(
        (thaw["unbroken"].as_bool(), thaw["frozen_seconds"].as_f64()),
        (Some(false), Some(20.0))
    );
    assert_eq!(
        bench.code(SOURCE, "thaw", json!({ "freeze_id": "freeze-99" })),
        "freeze_broken"
    );
}

#[test]
fn a_whole_cutover_proves_and_never_has_two_writers() {
    let mut bench = bench();
    bench.wait(400.0);
    bench.ok(SOURCE, "checkpoint", json!({}));
    bench.wait(50.0);
    let fence = bench.fence(1, 900.0);
    let mounts = bench.restore();
    let up = bench.bring_up(&mounts, &fence);
    bench.ok(TARGET, "bring_up", up);
    let facts = json!({ "system_identifier": fence["system_identifier"], "lsn": fence["lsn"] });
    assert_eq!(bench.ok(TARGET, "prove", facts)["replay_lsn"], fence["lsn"]);
    bench.ok(SOURCE, "commit", json!({ "epoch": 1 }));
    assert_eq!(bench.serving(), 0);
    let active = bench.ok(TARGET, "activate", json!({ "epoch": 1 }));
    assert_eq!(active["timeline"], 2);
    assert_eq!(bench.serving(), 1);
    assert!(parse_lsn(active["lsn"].as_str().unwrap()) > parse_lsn(fence["lsn"].as_str().unwrap()));
    assert_eq!(bench.code(TARGET, "take_down", json!({})), "refused");
    let log = bench.shelf.0["vol-data"].1.as_ref().unwrap().log();
    let (target, content, through) = (
        "vol-data-new",
        &bench.shelf.0["vol-data-new"].0,
        bench.source.fence_tick(),
    );
    assert_eq!(
        audit(&[AuditPair {
            log,
            through,
            target,
            content
        }])
        .unwrap()
        .mismatches,
        0
    );
}

#[test]
fn snapshots_taken_before_the_fence_are_not_proved() {
    let mut bench = bench();
    bench.wait(100.0);
    let mounts = bench.restore();
    bench.wait(10.0);
    let fence = bench.fence(1, 900.0);
    let up = bench.bring_up(&mounts, &fence);
    bench.ok(TARGET, "bring_up", up);
    let facts = json!({ "system_identifier": fence["system_identifier"], "lsn": fence["lsn"] });
    assert_eq!(bench.code(TARGET, "prove", facts), "not_proved");
    let down = bench.ok(TARGET, "take_down", json!({}));
    assert_eq!(
        (
            down["stopped"].as_bool(),
            down["unmounted"].as_array().unwrap().len()
        ),
        (Some(true), 2)
    );
}

#[test]
fn volumes_of_different_times_or_missing_ones_do_not_come_up() {
    let mut bench = bench();
    bench.wait(100.0);
    bench.restore();
    let old = bench.shelf.0.remove("vol-wal-new").unwrap();
    bench.wait(10.0);
    let fence = bench.fence(1, 900.0);
    let mounts = bench.restore();
    let alone = json!([mounts[0]]);
    let up = bench.bring_up(&alone, &fence);
    assert_eq!(bench.code(TARGET, "bring_up", up), "database");
    bench.shelf.0.insert("vol-wal-new".into(), old);
    let up = bench.bring_up(&mounts, &fence);
    assert_eq!(bench.code(TARGET, "bring_up", up.clone()), "database");
    bench.shelf.0.get_mut("vol-wal-new").unwrap().2 = "i-other".into();
    assert_eq!(bench.code(TARGET, "bring_up", up), "device");
}

#[test]
fn a_stop_flushes_less_right_after_a_checkpoint() {
    let flushed = |wait_seconds: f64| {
        let mut bench = bench();
        bench.wait(400.0);
        bench.ok(SOURCE, "checkpoint", json!({}));
        bench.wait(wait_seconds);
        let before = bench.written_ops();
        bench.fence(1, 900.0);
        bench.written_ops() - before
    };
    assert!(
        flushed(2.0) * 2 < flushed(290.0),
        "{} {}",
        flushed(2.0),
        flushed(290.0)
    );
}

#[test]
fn what_is_no_request_is_refused_in_words() {
    let mut bench = bench();
    assert_eq!(bench.code(SOURCE, "dance", json!({})), "bad_request");
    assert_eq!(
        bench.code(SOURCE, "fence", json!({ "epoch": 1 })),
        "bad_request"
    );
    assert_eq!(
        bench.code(
            SOURCE,
            "fence",
            json!({ "epoch": 1, "lease_seconds": -1.0 })
        ),
        "bad_request"
    );
    assert_eq!(
        bench.code(SOURCE, "hello", json!({ "protocol": 2 })),
        "unknown_protocol"
    );
    assert_eq!(bench.code(TARGET, "inspect", json!({})), "database");
    assert_eq!(
        bench.code(TARGET, "fence", json!({ "epoch": 1, "lease_seconds": 9.0 })),
        "database"
    );
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u32),
    Ask(usize, &'static str, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ops = [
        "fence",
        "renew",
        "freeze",
        "commit",
        "unfence",
        "activate",
        "probe_commit",
        "checkpoint",
    ];
    prop_oneof![
        (1u32..200).prop_map(Step::Wait),
        (0usize..2, proptest::sample::select(ops.to_vec()), 1u64..4)
            .prop_map(|(h, op, e)| Step::Ask(h, op, e)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever is asked of the source: what it wrote is what its log says, and a permanent fence stays closed to its epoch.
    #[test]
    fn no_sequence_of_requests_breaks_the_writer(steps in proptest::collection::vec(step(), 1..25)) {
        let mut bench = bench();
        let mut committed: Option<u64> = None;
        for step in steps {
            match step {
                Step::Wait(wait_seconds) => bench.wait(f64::from(wait_seconds)),
                Step::Ask(host, op, epoch) => {
                    let instance = [SOURCE, TARGET][host];
                    let arguments = json!({ "epoch": epoch, "lease_seconds": 90.0, "limit_seconds": 20.0 });
                    let reply = bench.ask(instance, op, arguments);
                    let done = reply["error"].is_null() && instance == SOURCE;
                    if done && op == "commit" { committed = Some(epoch); }
                    if done && op == "activate" {
                        prop_assert!(committed < Some(epoch), "only a newer epoch opens a permanent fence");
                        committed = None;
                    }
                }
            }
            prop_assert!(committed.is_none() || !bench.source.serving());
            for (content, writer, _) in bench.shelf.0.values() {
                let (Content::Traced(map), Some(writer)) = (content, writer) else { continue };
                let replayed = writer.log().replay(map.blocks(), u32::MAX);
                prop_assert!((0..map.blocks()).all(|b| map.get(b) == replayed[usize::try_from(b).unwrap()]));
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_answers_whatever_else_time_did() {
    let run = |extra_looks: u32| {
        let mut bench = bench();
        for _ in 0..10 {
            for _ in 0..extra_looks {
                bench
                    .source
                    .advance(bench.now + TimeDelta::milliseconds(300), &mut bench.shelf);
            }
            bench.wait(7.0);
        }
        (
            bench.fence(1, 60.0),
            bench.ok(
                SOURCE,
                "freeze",
                json!({ "epoch": 1, "limit_seconds": 20.0 }),
            ),
        )
    };
    assert_eq!(run(0), run(3));
}
