//! The whole line with a real MariaDB under load, through the wire and with the built binaries only; then proofs that
//! do not ask the tool. Its processes are killed in the middle: the executor, a helper, the server itself.

#[path = "mariadb_migration/back.rs"]
mod back;
mod common;

use common::database::Database;
use common::kills::*;
use common::mariadb::Mariadb;
use common::scene::{PATIENCE, Scene};
use common::source::until;
use common::stage::{DATA, Stage, WAL};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};

/// Every server process of this test's data directory, on either side.
fn kill_servers(server: &Mariadb) {
    for process in server.processes() {
        // An error is a process that has just ended.
        let _ = kill_process(process, Signal::KILL);
    }
}

/// Exactly one side serves, by itself, and has every commit that a client saw acknowledged.
fn check_that_one_side_serves(scene: Scene<Mariadb>) {
    let Scene { stage, load, .. } = scene;
    until("one side serves", PATIENCE, || stage.cluster.serves());
    let before = load.count();
    until("the clients commit", PATIENCE, || {
        load.count() > before + 50
    });
    assert_eq!(stage.cluster.processes().len(), 1, "one server in all");
    let acknowledged = load.finish();
    let missing = stage.cluster.clients().missing(&acknowledged);
    assert_eq!(missing, Vec::<i64>::new());
}

/// A restore was tried before the fence: a copy of a running server, which needs crash recovery. Each hook was run once,
/// whatever was killed, and told what it is for.
fn check_hooks(stage: &Stage<Mariadb>, report: &Value) {
    let mut tries = stage.events();
    tries.retain(|event| event["action"]["action"] == "try_restore");
    tries.retain(|event| event["result"]["result"] == "tried");
    let [.., tried] = tries.as_slice() else {
        panic!("no restore was tried");
    };
    let replay = &tried["result"]["restore"]["replay_seconds"];
    assert!(
        replay.is_f64(),
        "the server's log tells of a recovery: {tried}"
    );
    let ran = report["actual"]["hooks"]
        .as_array()
        .expect("hooks were run");
    let names: Vec<&Value> = ran.iter().map(|hook| &hook["name"]).collect();
    assert_eq!(names, ["pause", "note", "repoint"]);
    for (name, phase) in [("pause", "fence"), ("note", "fence"), ("repoint", "switch")] {
        let told = stage.told(name);
        assert_eq!(told.len(), 1, "{name} was run once");
        assert_eq!(told[0]["format"], "snapmigrate.hook/1");
        assert_eq!(
            (&told[0]["hook"], &told[0]["phase"]),
            (&name.into(), &phase.into())
        );
        assert_eq!(told[0]["source_volumes"].as_array().map(Vec::len), Some(2));
    }
    assert!(stage.told("pause")[0]["fence_position"].is_null());
    let fenced = &report["proof"]["fence_lsn"];
    assert_eq!(&stage.told("note")[0]["fence_position"], fenced);
    let times = &report["actual"]["times"];
    assert!(
        times["switched"].as_str() > times["first_target_write"].as_str(),
        "{times}"
    );
}

/// Everybody, but nobody while a hook that is not idempotent runs behind the fence: then the way back is taken.
fn everybody() -> Case {
    use Victim::{Channel, Database, Executor, SourceHelper, TargetHelper, TargetReboot};
    Case {
        name: "everybody".to_owned(),
        kills: vec![
            (GATE, Channel),
            (CHECKPOINT, SourceHelper),
            (THAWED, Executor),
            (COPIES, TargetHelper),
            (VOLUMES, SourceHelper),
            (BRING_UP, Executor),
            (BRING_UP, Database),
            (PROVE, TargetReboot),
            (COMMIT, Executor),
            (ACTIVATED, TargetReboot),
        ],
        recovers: true,
    }
}

#[test]
fn a_mariadb_under_load_moves_while_everybody_is_killed() {
    let stage: Stage<Mariadb> = Stage::over_relays(&[DATA, WAL], 600.0);
    stage.add_hook("pause", "pre fence", 0);
    stage.add_hook("note", "post fence", 0);
    stage.add_hook("repoint", "post switch", 0);
    let (code, _) = migrate_on(stage, &everybody(), check_hooks);
    assert_eq!(code, 0, "it recovers from all of these");
    let alone = [
        Case::at(FENCED, Victim::SourceReboot),
        Case::at(PROVE, Victim::SourceReboot),
        Case::at(COMMIT, Victim::SourceReboot),
        Case::at(ACTIVATED, Victim::SourceReboot),
        Case::through(
            Victim::Channel,
            &[FENCE, FENCED, THAWED, BRING_UP, COMMIT, ACTIVATE],
        ),
    ];
    migrate_through_all::<Mariadb>(&asked_for(Vec::new(), alone.into()));
}

#[test]
fn an_executor_killed_behind_the_fence_for_good_leaves_a_serving_mariadb() {
    let scene: Scene<Mariadb> = Scene::begin(&[DATA], 45.0);
    let mut executor = scene.execute();
    scene.stage.await_event(&mut executor, "finished", "fence");
    executor.kill();
    assert!(!scene.stage.cluster.serves(), "fenced");
    until("the helper records the release", PATIENCE, || {
        let status = scene.stage.source.call(Status {});
        (status.fence, status.database) == (FenceState::None, DatabaseState::Running)
    });
    let status = scene.stage.target.call(Status {});
    assert_ne!(status.database, DatabaseState::Running, "one writer");
    check_that_one_side_serves(scene);
}

#[test]
fn a_fatal_hook_that_fails_behind_the_fence_leaves_a_serving_mariadb() {
    let stage = Stage::set(&[DATA], 600.0);
    stage.add_hook("refuse", "post fence", 3);
    stage.add_hook("resume", "post unfence", 0);
    let scene: Scene<Mariadb> = Scene::on(stage);
    let executor = scene.execute();
    let (status, said) = executor.wait(PATIENCE);
    assert_eq!(status.code(), Some(4), "stopped safely: {said:?}");
    assert_eq!(scene.stage.told("refuse").len(), 1, "once");
    assert_eq!(
        scene.stage.told("resume").len(),
        1,
        "the way back has hooks of its own"
    );
    check_that_one_side_serves(scene);
}

#[test]
fn a_server_killed_while_it_is_fenced_ends_up_serving_on_one_side() {
    let scene: Scene<Mariadb> = Scene::begin(&[DATA], 600.0);
    let mut executor = scene.execute();
    scene.stage.await_event(&mut executor, "started", "fence");
    // Before, in or after the stop: all are allowed, and all must end well.
    kill_servers(&scene.stage.cluster);
    let (status, said) = executor.wait(PATIENCE);
    assert!(
        matches!(status.code(), Some(0 | 4)),
        "cut over or stopped safely, not {status}: {said:?}"
    );
    check_that_one_side_serves(scene);
}
