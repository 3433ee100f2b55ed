//! A cutover that is taken back: the source serves again with everything it ever acknowledged, the target cannot start.

use super::common::load::{Acknowledged, missing};
use super::common::postgres::bin_directory;
use super::common::scene::{PATIENCE, Scene};
use super::common::source::until;
use super::common::stage::{DATA, JOURNAL, Stage};
use super::common::{text, try_run};
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};
use std::fs;

const TIMELINE: &str = "SELECT timeline_id FROM pg_control_checkpoint()";

#[test]
fn a_cutover_is_taken_back_and_the_source_serves_all_it_acknowledged() {
    let scene: Scene = Scene::begin(&[DATA], 600.0);
    let executor = scene.execute();
    let (status, [_, err]) = executor.wait(PATIENCE);
    assert!(status.success(), "{status}: {err}");
    let stage = &scene.stage;
    let cut_over = stage.report();
    let before = scene.load.count();
    until("the clients commit on the target", PATIENCE, || {
        scene.load.count() > before + 50
    });

    let role = stage.target_role();
    let said = [
        "revert",
        JOURNAL,
        "--target-role-arn",
        &role,
        "-o",
        "report.json",
    ];
    let revert = |more: &'static [&'static str]| [&said[..], more].concat();
    for (more, code, words) in [
        (&[][..], 2, "the name of the migration must be given"),
        (
            &["--confirm", "other"][..],
            2,
            "\"other\" was confirmed, the journal is of orders",
        ),
        (
            &["--confirm", "orders"][..],
            5,
            "took writes that the source does not have",
        ),
    ] {
        let (found, err) = stage.tool.refused(&revert(more));
        assert!(
            found == code && err.contains(words),
            "{more:?}: {found} {err}"
        );
    }
    assert!(stage.cluster.serves(), "the target goes on");
    assert_eq!(stage.cluster.query(TIMELINE), "2", "it is the target");

    let discard = revert(&["--confirm", "orders", "--discard-target-writes"]);
    let mut reverting = stage.tool.start("revert", &discard);
    stage.await_event(&mut reverting, "finished", "fence_target");
    reverting.kill();
    // Goes on with what the journal says; the source serves, which for `execute` is a safe stop.
    let (status, [_, err]) = stage.execute("after-revert").wait(PATIENCE);
    assert_eq!(status.code(), Some(4), "{err}");
    let report = stage.report();
    assert_eq!(report["outcome"], "reverted", "{report}");
    check_report(&report, &cut_over);
    check_hosts(stage);
    check_target_cannot_start(stage);
    check_commits(scene, &report);
}

fn number(value: &Value, pointer: &str) -> f64 {
    let found = value.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("{pointer} is no number: {value}"))
}

fn check_report(report: &Value, cut_over: &Value) {
    let back = &report["revert"];
    assert!(number(back, "/write_downtime_seconds") > 0.0, "{back}");
    assert!(number(back, "/target_transactions") >= 50.0, "{back}");
    assert_eq!(back["target_timeline"], 2, "{back}");
    assert_eq!(back["target_writes_discarded"], true);
    assert_eq!(back["target_closed_by"], "committed");
    assert_eq!(
        report["proof"], cut_over["proof"],
        "the cutover is told as it was"
    );
}

fn check_hosts(stage: &Stage) {
    let status = stage.target.call(Status {});
    assert_eq!(
        (status.fence, status.database),
        (FenceState::Permanent, DatabaseState::Stopped)
    );
    let status = stage.source.call(Status {});
    assert_eq!(
        (status.fence, status.database),
        (FenceState::None, DatabaseState::Running)
    );
    assert_eq!(stage.cluster.query(TIMELINE), "1", "it is the source");
}

/// A supervisor on the target's host would try this.
fn check_target_cannot_start(stage: &Stage) {
    let log = stage.tool.file("stubborn.log");
    fs::write(&log, "").expect("a log can be made");
    let log = text(&log);
    super::common::run(&["chmod", "666", &log]);
    let namespace = format!("--mount=/proc/{}/ns/mnt", stage.target.pid());
    let pg_ctl = text(&bin_directory().join("pg_ctl"));
    let data = text(&stage.cluster.data);
    let user = [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
    ];
    let server = [
        pg_ctl.as_str(),
        "start",
        "-w",
        "-D",
        &data,
        "-o",
        "-c port=1",
    ];
    let start = [&["nsenter", &namespace][..], &user, &server].concat();
    let stubborn = try_run(&start);
    let said = String::from_utf8_lossy(&stubborn.stdout).into_owned()
        + &String::from_utf8_lossy(&stubborn.stderr);
    assert!(!stubborn.status.success(), "{said}");
    assert!(said.contains("snapmigrate_fence"), "{said}");
}

/// What the source acknowledged, before the cutover and after the revert, is on it; the target's commits are not.
fn check_commits(scene: Scene, report: &Value) {
    let before = scene.load.count();
    until("the clients commit on the source", PATIENCE, || {
        scene.load.count() > before + 50
    });
    let Scene { load, stage, .. } = scene;
    let acknowledged = load.finish();
    let instant = |pointer: &str| {
        let text = report.pointer(pointer).and_then(Value::as_str);
        let text = text.unwrap_or_else(|| panic!("no {pointer}: {report}"));
        text.parse::<chrono::DateTime<chrono::Utc>>()
            .expect("RFC 3339")
    };
    let fence = instant("/actual/times/fence");
    let reopened = instant("/revert/source_reopened_at");
    let of_source = |commit: &&Acknowledged| commit.at <= fence || commit.at >= reopened;
    let kept: Vec<Acknowledged> = acknowledged.iter().filter(of_source).cloned().collect();
    let connection = stage.cluster.connection();
    assert_eq!(missing(&connection, &kept), Vec::<i64>::new());
    assert!(
        kept.len() + 50 <= acknowledged.len(),
        "the target took some"
    );
}
