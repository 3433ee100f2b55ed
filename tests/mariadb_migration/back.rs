//! A cutover that is taken back: the source serves again all it ever acknowledged, the target cannot start.

use super::common::database::Database;
use super::common::load::Acknowledged;
use super::common::mariadb::Mariadb;
use super::common::scene::{PATIENCE, Scene};
use super::common::source::until;
use super::common::stage::{DATA, JOURNAL, Stage};
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};

fn revert<'a>(role: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let said = [
        "revert",
        JOURNAL,
        "--target-role-arn",
        role,
        "-o",
        "report.json",
        "--confirm",
        "orders",
    ];
    [&said[..], more].concat()
}

#[test]
fn a_cutover_of_a_mariadb_is_taken_back() {
    let scene: Scene<Mariadb> = Scene::begin(&[DATA], 600.0);
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
    let (code, err) = stage.tool.refused(&revert(&role, &[]));
    assert!(
        code == 5 && err.contains("took writes that the source does not have"),
        "{code}: {err}"
    );
    assert!(stage.cluster.serves(), "the target goes on");
    stage.tool.run(&revert(&role, &["--discard-target-writes"]));
    let report = stage.report();
    assert_eq!(report["outcome"], "reverted", "{report}");
    assert_eq!(
        report["proof"], cut_over["proof"],
        "the cutover is told as it was"
    );
    let back = &report["revert"];
    let number = |name: &str| back[name].as_f64().unwrap_or_default();
    assert!(number("target_transactions") >= 50.0, "{back}");
    assert!(number("write_downtime_seconds") > 0.0, "{back}");
    check_hosts(stage);
    check_commits(scene, &report);
}

fn check_hosts(stage: &Stage<Mariadb>) {
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
    assert_eq!(stage.cluster.processes().len(), 1, "one server in all");
    stage
        .cluster
        .check_that_it_cannot_start_elsewhere(stage.target.pid());
}

/// What the source acknowledged, before the cutover and after the revert, is on it; the target's commits are not.
fn check_commits(scene: Scene<Mariadb>, report: &Value) {
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
    let missing = stage.cluster.clients().missing(&kept);
    assert_eq!(missing, Vec::<i64>::new());
    assert!(
        kept.len() + 50 <= acknowledged.len(),
        "the target took some"
    );
}
