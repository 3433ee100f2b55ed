//! The whole line with a real PostgreSQL under load: measure, plan, execute and cut over through the wire, with the
//! built binaries only; then proofs that do not ask the tool.
//!
//! Also the demo (docs/demo-postgres.md): with `--nocapture` it prints the report, predicted against actual.

mod common;

use chrono::{DateTime, TimeDelta, Utc};
use common::load::{Acknowledged, Load, missing};
use common::postgres::program;
use common::source::until;
use common::stage::{DATA, FREEZE_LIMIT_SECONDS, JOURNAL, SOURCE, Stage, TARGET, WAL};
use common::tool::Running;
use common::witness::Witness;
use common::{run, say, text};
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};
use std::time::Duration;

/// Longest time a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(900);

/// Behind the fence, where an executor is killed. The first lands in the freeze: the host has to thaw by itself, and
/// what the executor made there, if anything, must be found and discarded, which takes the two minutes that EC2's
/// lookups may lag.
const KILLS: [(&str, &str); 4] = [
    ("finished", "fence"),
    ("started", "create_volumes"),
    ("started", "bring_up"),
    ("started", "commit"),
];

/// A stage, a load on its database, and a witness of its freeze.
struct Scene {
    witness: Witness,
    load: Load,
    stage: Stage,
}

impl Scene {
    /// Measured and planned, under load.
    fn begin(volumes: &[&'static str], lease_seconds: f64) -> Self {
        Self::on(Stage::set(volumes, lease_seconds))
    }

    fn on(stage: Stage) -> Self {
        let load = Load::start(&stage.cluster.connection(), 3);
        until("the load commits", PATIENCE, || load.count() > 200);
        stage.plan();
        let witness = Witness::start(&stage.mounts[0]);
        Self {
            witness,
            load,
            stage,
        }
    }

    /// An executor that was told to cut over without waiting for the planned window.
    fn execute(&self) -> Running {
        let mut executor = self.stage.execute("execute");
        self.stage.await_event(&mut executor, "started", "snapshot");
        self.stage.cut_over_now();
        executor
    }

    /// Waits for the executor's end and proves everything.
    fn conclude(self, executor: Running) {
        let (status, [report, journal]) = executor.wait(PATIENCE);
        assert!(status.success(), "{status}: {report}\n{journal}");
        say(&report);
        let report = self.stage.report();
        check_report(&report);
        self.check_freeze(&report);
        check_hosts(&self.stage, &report);
        check_content(&self.stage, &report);
        check_leftovers(&self.stage);
        check_commits(self.stage, self.load, &report);
    }

    /// What path `direct` claims beside all that, asked of the journal and the disks.
    fn conclude_direct(self, executor: Running) {
        let (status, [report, journal]) = executor.wait(PATIENCE);
        assert!(status.success(), "{status}: {report}\n{journal}");
        say(&report);
        let report = self.stage.report();
        check_report(&report);
        self.check_freeze(&report);
        check_hosts(&self.stage, &report);
        check_content(&self.stage, &report);
        for count in ["written_blocks", "read_back_blocks"] {
            let (changed, count) = (
                "/verification/changed_blocks",
                format!("/verification/{count}"),
            );
            assert_eq!(report.pointer(changed), report.pointer(&count), "{report}");
        }
        for never in ["copy", "create_volumes", "attach_volumes"] {
            assert!(
                !self.stage.happened("started", never),
                "{never} on path direct"
            );
        }
        let journal = self.stage.tool.run(&["journal", "export", JOURNAL]);
        let secret = "lab-secret-is-not-verified";
        assert!(!journal.contains(secret), "credentials in the journal");
        check_commits(self.stage, self.load, &report);
    }

    /// Whatever wrote to the frozen file system when the snapshots were answered had to wait.
    fn check_freeze(&self, report: &Value) {
        let (freeze, answered, thaw) = (
            time(report, "freeze"),
            time(report, "snapshots_answered"),
            time(report, "thaw"),
        );
        let (begun, ended) = self
            .witness
            .under_way(answered)
            .expect("a write was under way when the snapshots were answered");
        let tolerance = TimeDelta::seconds(1);
        assert!(
            begun + tolerance > freeze && ended < thaw + tolerance,
            "a write hung from {begun} to {ended}, frozen from {freeze} to {thaw}"
        );
        assert!(
            answered - freeze < tolerance * 3 && thaw - answered < tolerance,
            "frozen for the call only: {freeze}, {answered}, {thaw}"
        );
    }
}

fn time(report: &Value, name: &str) -> DateTime<Utc> {
    let text = report["actual"]["times"][name]
        .as_str()
        .unwrap_or_else(|| panic!("no time {name}: {}", report["actual"]));
    text.parse().expect("RFC 3339")
}

fn number(value: &Value, pointer: &str) -> f64 {
    value
        .pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{pointer} is no number: {value}"))
}

fn check_report(report: &Value) {
    assert_eq!(report["format"], "snapmigrate.report/1");
    assert_eq!(report["outcome"], "cut_over", "{report}");
    let order = [
        "last_source_write",
        "fence",
        "freeze",
        "snapshots_answered",
        "thaw",
        "activated",
        "first_target_write",
    ];
    let times = order.map(|name| time(report, name));
    assert!(times.is_sorted(), "{times:?}");
    let freeze = number(report, "/actual/freeze_seconds");
    assert!(freeze > 0.0 && freeze < FREEZE_LIMIT_SECONDS, "{freeze}");
    let downtime = times[6] - times[0];
    let told = number(report, "/actual/write_downtime_seconds");
    assert!((told - downtime.as_seconds_f64()).abs() < 0.01, "{told}");
    for predicted in ["predicted", "predicted_at_gate"] {
        for figure in [
            "freeze_seconds",
            "write_downtime_seconds",
            "final_delta_bytes",
            "cost_usd",
        ] {
            let quantile = |p: &str| number(report, &format!("/{predicted}/{figure}/{p}"));
            let (p50, p90, p99) = (quantile("p50"), quantile("p90"), quantile("p99"));
            assert!(
                p50 >= 0.0 && p50 <= p90 && p90 <= p99,
                "{predicted} {figure}"
            );
        }
    }
    let rounds = report["rounds"].as_array().expect("rounds");
    let kind = |round: Option<&Value>| round.map(|round| round["kind"].clone());
    assert_eq!(kind(rounds.first()), Some("base".into()));
    assert_eq!(kind(rounds.last()), Some("final".into()));
    assert_eq!(report["verification"]["method"], "sha256");
    assert_eq!(report["verification"]["mismatches"], 0);
    let blocks = |count: &str| number(report, &format!("/verification/{count}"));
    assert!(blocks("blocks_compared") > 0.0);
    assert!(blocks("changed_blocks") > 0.0, "the load wrote meanwhile");
    assert_eq!(
        report["verification"]["changed_blocks"],
        report["verification"]["read_back_blocks"]
    );
}

/// What PostgreSQL itself says on either side, and the record of the source's host.
fn check_hosts(stage: &Stage, report: &Value) {
    let status = stage.source.call(Status {});
    assert_eq!(
        (status.fence, status.database),
        (FenceState::Permanent, DatabaseState::Stopped)
    );
    let source = program("pg_controldata", &["-D", &text(&stage.cluster.data)]);
    let fact = |name: &str| {
        let line = source.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {source}"))
            .trim()
            .to_owned()
    };
    assert_eq!(fact("Database cluster state:"), "shut down");
    assert_eq!(fact("Latest checkpoint's TimeLineID:"), "1");
    let identifier = fact("Database system identifier:");
    assert_eq!(report["proof"]["system_identifier"], identifier.as_str());
    assert_eq!(
        report["proof"]["fence_lsn"],
        fact("Latest checkpoint location:").as_str(),
        "the source wrote nothing after the fence"
    );
    let target = |query: &str| stage.cluster.query(query);
    assert_eq!(
        target("SELECT system_identifier FROM pg_control_system()"),
        identifier
    );
    assert_eq!(target("SELECT pg_is_in_recovery()"), "f");
    assert_eq!(target("SHOW transaction_read_only"), "off");
    assert_eq!(
        target("SELECT timeline_id FROM pg_control_checkpoint()"),
        "2"
    );
}

/// The final snapshots of both sides, byte for byte.
fn check_content(stage: &Stage, report: &Value) {
    let last = report["rounds"].as_array().and_then(|rounds| rounds.last());
    let volumes = last.and_then(|round| round["volumes"].as_array());
    let volumes = volumes.expect("the final round has volumes");
    assert_eq!(volumes.len(), stage.volumes.len());
    for volume in volumes {
        let image = |field: &str| {
            let snapshot = volume[field].as_str().expect("a snapshot");
            text(&stage.lab.snapshot(snapshot))
        };
        assert_eq!(volume["extent"], "incremental", "{volume}");
        run(&["cmp", &image("snapshot"), &image("copy")]);
    }
}

/// Rounds whose snapshots are kept: older ancestors are removed as the chain grows.
const KEPT_ROUNDS: usize = 2;

/// Of every kept round exactly one set: no attempt left anything behind, none made anything twice.
fn check_leftovers(stage: &Stage) {
    let tagged = |side: (&str, &str), what: &str, tag: &str| {
        let query = format!(
            "Action={what}&Filter.1.Name=tag:snapmigrate:migration&Filter.1.Value.1=orders"
        );
        stage.lab.ids(side.0, side.1, &query, tag)
    };
    let rounds = stage.report()["rounds"].as_array().map_or(0, Vec::len);
    let expected = rounds.min(KEPT_ROUNDS) * stage.volumes.len();
    let snapshots = |side| tagged(side, "DescribeSnapshots", "snapshotId");
    assert_eq!(snapshots(SOURCE).len(), expected);
    assert_eq!(snapshots(TARGET).len(), expected);
    let volumes = |side| tagged(side, "DescribeVolumes", "volumeId");
    assert_eq!(volumes(TARGET).len(), stage.volumes.len());
    assert!(volumes(SOURCE).is_empty(), "the source's are not touched");
}

/// Every commit that a client saw acknowledged is there, and none fell between the two sides.
fn check_commits(stage: Stage, load: Load, report: &Value) {
    let (fence, activated) = (time(report, "fence"), time(report, "activated"));
    let before = load.count();
    until("the clients commit on the target", PATIENCE, || {
        load.count() > before + 50
    });
    let acknowledged = load.finish();
    let between = |commit: &&Acknowledged| commit.at > fence && commit.at < activated;
    assert_eq!(acknowledged.iter().filter(between).count(), 0);
    let connection = stage.cluster.connection();
    assert_eq!(missing(&connection, &acknowledged), Vec::<i64>::new());
    let of_source = acknowledged.iter().filter(|commit| commit.at <= fence);
    say(&format!(
        "{} commits acknowledged, {} of them by the source: none is missing on the target\n",
        acknowledged.len(),
        of_source.count()
    ));
}

#[test]
fn a_database_under_load_moves_to_another_region_and_account() {
    let scene = Scene::begin(&[DATA], 600.0);
    let executor = scene.execute();
    let status = scene.stage.tool.run(&["status", JOURNAL, "--json"]);
    let status: Value = serde_json::from_str(&status).expect("a status is JSON");
    assert_eq!(status["format"], "snapmigrate.status/1");
    scene.conclude(executor);
}

#[test]
fn a_database_with_its_log_on_a_second_volume_moves_too() {
    let scene = Scene::begin(&[DATA, WAL], 600.0);
    let executor = scene.execute();
    scene.conclude(executor);
}

#[test]
fn an_executor_killed_behind_the_fence_goes_on_where_it_was() {
    let scene = Scene::begin(&[DATA], 600.0);
    let mut executor = scene.execute();
    for (event, action) in KILLS {
        scene.stage.await_event(&mut executor, event, action);
        executor.kill();
        executor = scene.stage.execute(&format!("after-{action}"));
    }
    scene.conclude(executor);
}

#[test]
fn an_executor_killed_behind_the_fence_for_good_leaves_a_serving_source() {
    let scene = Scene::begin(&[DATA], 45.0);
    let mut executor = scene.execute();
    scene.stage.await_event(&mut executor, "finished", "fence");
    executor.kill();
    let stage = &scene.stage;
    assert!(!stage.cluster.serves(), "fenced");
    let before = scene.load.count();
    until("the source serves again by itself", PATIENCE, || {
        stage.cluster.serves()
    });
    until("the clients commit on the source", PATIENCE, || {
        scene.load.count() > before + 50
    });
    // The database serves a moment before the helper has recorded that the release is complete.
    until("the helper records the release", PATIENCE, || {
        let status = stage.source.call(Status {});
        (status.fence, status.frozen) == (FenceState::None, false)
    });
    let timeline = "SELECT timeline_id FROM pg_control_checkpoint()";
    assert_eq!(stage.cluster.query(timeline), "1", "it is the source");
    let status = stage.target.call(Status {});
    assert_ne!(status.database, DatabaseState::Running, "one writer");
    let acknowledged = scene.load.finish();
    let connection = stage.cluster.connection();
    assert_eq!(missing(&connection, &acknowledged), Vec::<i64>::new());
}

#[test]
fn over_the_direct_path_an_executor_and_a_worker_killed_in_the_middle_lose_nothing() {
    let scene = Scene::on(Stage::on_path("direct", &[DATA, WAL], 600.0));
    let executor = scene.execute();
    let target = &scene.stage.target;
    until("a volume is being written", PATIENCE, || {
        target.worker().is_some()
    });
    let signal = |pid, signal| rustix::process::kill_process(pid, signal);
    // Held in the middle of its work, as far as it still works.
    let worker = target.worker();
    worker.map(|pid| signal(pid, rustix::process::Signal::STOP));
    executor.kill();
    let executor = scene.stage.execute("after-sync");
    until("the executor has taken it up", PATIENCE, || {
        let resumed = |e: &Value| e["event"] == "operator" && e["verb"] == "resume";
        scene.stage.events().iter().any(resumed)
    });
    worker.map(|pid| signal(pid, rustix::process::Signal::KILL));
    scene.conclude_direct(executor);
}
