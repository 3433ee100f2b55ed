//! A cutover that is taken back: the source serves again all it ever acknowledged, the target cannot start.

use super::common::database::Database;
use super::common::mariadb::Mariadb;
use super::common::scene::{PATIENCE, Scene};
use super::common::stage::{DATA, JOURNAL, Stage};

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
    scene.await_commits("target");
    let role = stage.target_role();
    let (code, err) = stage.tool.refused(&revert(&role, &[]));
    assert!(
        code == 5 && err.contains("took writes that the source does not have"),
        "{code}: {err}"
    );
    assert!(stage.cluster.serves(), "the target goes on");
    stage.tool.run(&revert(&role, &["--discard-target-writes"]));
    check_servers(stage);
    scene.prove_reverted(&cut_over);
}

fn check_servers(stage: &Stage<Mariadb>) {
    assert_eq!(stage.cluster.processes().len(), 1, "one server in all");
    stage
        .cluster
        .check_that_it_cannot_start_elsewhere(stage.target.pid());
}
