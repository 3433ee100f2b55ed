//! A stage under load: from the plan to the cutover, and the proofs afterwards, which do not ask the tool.

use super::database::Database;
use super::load::{Acknowledged, Load};
use super::postgres::Cluster;
use super::source::until;
use super::stage::{FREEZE_LIMIT_SECONDS, JOURNAL, SOURCE, Stage, TARGET};
use super::tool::Running;
use super::witness::Witness;
use super::{run, say, text};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::time::Duration;

/// Longest time a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(900);

/// A stage, a load on its database, and a witness of its freeze.
pub struct Scene<D: Database = Cluster> {
    witness: Witness,
    /// The clients.
    pub load: Load,
    /// Everything else.
    pub stage: Stage<D>,
}

impl<D: Database> Scene<D> {
    /// Measured and planned, under load.
    pub fn begin(volumes: &[&'static str], lease_seconds: f64) -> Self {
        Self::on(Stage::set(volumes, lease_seconds))
    }

    /// The same on a stage of the caller's.
    pub fn on(stage: Stage<D>) -> Self {
        let load = Load::of(&stage.cluster.clients(), 3);
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
    pub fn execute(&self) -> Running {
        let mut executor = self.stage.execute("execute");
        self.stage.await_event(&mut executor, "started", "snapshot");
        self.stage.cut_over_now();
        executor
    }

    /// How long the slowest write to the source's file system was held up.
    pub fn longest_write(&self) -> Duration {
        self.witness.longest()
    }

    /// Waits for the executor's end and proves everything.
    pub fn conclude(self, executor: Running) {
        self.conclude_with(executor, |_, _| {});
    }

    /// The same with proofs of the caller's before the database's own.
    pub fn conclude_with(self, executor: Running, check: impl Fn(&Stage<D>, &Value)) {
        let (status, [report, journal]) = executor.wait(PATIENCE);
        assert!(status.success(), "{status}: {report}\n{journal}");
        say(&report);
        self.prove_with(check);
    }

    /// Proves everything of a migration that has cut over.
    pub fn prove_with(self, check: impl Fn(&Stage<D>, &Value)) {
        let report = self.stage.report();
        check_report(&report);
        check(&self.stage, &report);
        self.check_freeze(&report);
        D::check_hosts(&self.stage, &report);
        check_content(&self.stage, &report);
        check_leftovers(&self.stage);
        check_commits(self.stage, self.load, &report);
    }

    /// What path `direct` claims beside all that, asked of the journal and the disks.
    pub fn conclude_direct(self, executor: Running) {
        let (status, [report, journal]) = executor.wait(PATIENCE);
        assert!(status.success(), "{status}: {report}\n{journal}");
        say(&report);
        let report = self.stage.report();
        check_report(&report);
        self.check_freeze(&report);
        D::check_hosts(&self.stage, &report);
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
        let heard = TimeDelta::seconds(self.stage.message_seconds);
        assert!(
            begun + tolerance > freeze && ended < thaw + tolerance,
            "a write hung from {begun} to {ended}, frozen from {freeze} to {thaw}"
        );
        assert!(
            answered - freeze < heard + tolerance * 2 && thaw - answered < heard,
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

/// The final snapshots of both sides, byte for byte.
fn check_content(stage: &Stage<impl Database>, report: &Value) {
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
fn check_leftovers(stage: &Stage<impl Database>) {
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
fn check_commits(stage: Stage<impl Database>, load: Load, report: &Value) {
    let (fence, activated) = (time(report, "fence"), time(report, "activated"));
    let before = load.count();
    until("the clients commit on the target", PATIENCE, || {
        load.count() > before + 50
    });
    let acknowledged = load.finish();
    let between = |commit: &&Acknowledged| commit.at > fence && commit.at < activated;
    assert_eq!(acknowledged.iter().filter(between).count(), 0);
    let missing = stage.cluster.clients().missing(&acknowledged);
    assert_eq!(missing, Vec::<i64>::new());
    let of_source = acknowledged.iter().filter(|commit| commit.at <= fence);
    say(&format!(
        "{} commits acknowledged, {} of them by the source: none is missing on the target\n",
        acknowledged.len(),
        of_source.count()
    ));
}
