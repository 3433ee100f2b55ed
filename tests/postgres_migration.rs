//! The whole line with a real PostgreSQL under load: measure, plan, execute and cut over through the wire, with the
//! built binaries only; then proofs that do not ask the tool.
//!
//! Also the demo (docs/demo-postgres.md): with `--nocapture` it prints the report, predicted against actual.

#[path = "postgres_migration/back.rs"]
mod back;
mod common;
#[path = "postgres_migration/kills.rs"]
mod kills;

use common::load::missing;
use common::postgres::{Cluster, bin_directory};
use common::scene::{PATIENCE, Scene};
use common::source::until;
use common::stage::{DATA, JOURNAL, Stage, WAL};
use common::text;
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};

#[test]
fn over_ssm_a_database_under_load_moves_to_another_region_and_account() {
    let scene: Scene = Scene::on(Stage::over_ssm(&[DATA], 600.0));
    let tried = scene.stage.try_restore();
    assert_eq!(tried["format"], "snapmigrate.try/1");
    let took = |step: &Value| step["seconds"].as_f64().expect("seconds") > 0.0;
    let steps = tried["steps"].as_array().expect("its steps");
    assert!(steps.len() == 3 && steps.iter().all(took), "{tried}");
    let replay = steps[2]["replay_seconds"].as_f64();
    assert!(
        replay.is_some_and(|s| s > 0.0),
        "a log was replayed: {tried}"
    );
    let status = scene.stage.target.call(Status {});
    assert_ne!(status.database, DatabaseState::Running, "it is gone again");
    assert!(scene.stage.cluster.serves(), "the source was not touched");
    let executor = scene.execute();
    let status = scene.stage.tool.run(&["status", JOURNAL, "--json"]);
    let status: Value = serde_json::from_str(&status).expect("a status is JSON");
    assert_eq!(status["format"], "snapmigrate.status/1");
    scene.conclude(executor);
}

#[test]
fn over_ssh_a_database_with_its_log_on_a_second_volume_moves_too() {
    let scene: Scene = Scene::on(Stage::over_ssh(&[DATA, WAL], 600.0));
    let mut executor = scene.execute();
    let sshd = scene.stage.sshd.as_ref().expect("a way to the hosts");
    for (event, action) in [("finished", "fence"), ("started", "prove")] {
        scene.stage.await_event(&mut executor, event, action);
        sshd.cut();
    }
    scene.conclude(executor);
}

#[test]
fn a_database_that_goes_on_behind_its_fence_moves_too() {
    let scene: Scene = Scene::on(Stage::set_with(&[DATA], 600.0, Cluster::rejecting));
    let executor = scene.execute();
    scene.conclude(executor);
}

#[test]
fn a_database_that_refuses_the_fence_serves_on() {
    let stage: Stage = Stage::set(&[DATA], 600.0);
    let (sockets, port) = (text(&stage.cluster.sockets), stage.cluster.port);
    let psql = text(&bin_directory().join("psql"));
    // After the gate, which would have seen it, and before the fence.
    stage.add_command_hook(
        "prepare",
        "pre fence",
        &format!("{psql} -X -h {sockets} -p {port} -U postgres -d postgres -c 'BEGIN' -c 'CREATE TABLE held ()' \
                  -c \\\"PREPARE TRANSACTION 'held'\\\""),
    );
    let scene: Scene = Scene::on(stage);
    let executor = scene.execute();
    let (status, [_, err]) = executor.wait(PATIENCE);
    assert_eq!(status.code(), Some(4), "{err}");
    assert!(
        err.contains("prepared transactions are open (held)"),
        "{err}"
    );
    let stage = &scene.stage;
    until("the source serves", PATIENCE, || stage.cluster.serves());
    let before = scene.load.count();
    until("the clients go on", PATIENCE, || {
        scene.load.count() > before + 50
    });
    let status = stage.source.call(Status {});
    assert_eq!((status.fence, status.frozen), (FenceState::None, false));
    let acknowledged = scene.load.finish();
    let connection = stage.cluster.connection();
    assert_eq!(missing(&connection, &acknowledged), Vec::<i64>::new());
}

#[test]
fn an_executor_killed_behind_the_fence_for_good_leaves_a_serving_source() {
    let scene: Scene = Scene::begin(&[DATA], 45.0);
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
    let scene: Scene = Scene::on(Stage::on_path("direct", &[DATA, WAL], 600.0));
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
