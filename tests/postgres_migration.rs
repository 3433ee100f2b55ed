//! The whole line with a real PostgreSQL under load: measure, plan, execute and cut over through the wire, with the
//! built binaries only; then proofs that do not ask the tool.
//!
//! Also the demo (docs/demo-postgres.md): with `--nocapture` it prints the report, predicted against actual.

#[path = "postgres_migration/back.rs"]
mod back;
mod common;

use common::load::missing;
use common::scene::{PATIENCE, Scene};
use common::source::until;
use common::stage::{DATA, JOURNAL, Stage, WAL};
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};

/// Behind the fence, where an executor is killed. The first lands in the freeze: the host has to thaw by itself, and
/// what the executor made there, if anything, must be found and discarded, which takes the two minutes that EC2's
/// lookups may lag.
const KILLS: [(&str, &str); 4] = [
    ("finished", "fence"),
    ("started", "create_volumes"),
    ("started", "bring_up"),
    ("started", "commit"),
];

#[test]
fn a_database_under_load_moves_to_another_region_and_account() {
    let scene: Scene = Scene::begin(&[DATA], 600.0);
    let tried = scene.stage.try_restore();
    assert_eq!(tried["format"], "snapmigrate.try/1");
    let took = |step: &Value| step["seconds"].as_f64().expect("seconds") > 0.0;
    let steps = tried["steps"].as_array().expect("its steps");
    assert!(steps.len() == 3 && steps.iter().all(took), "{tried}");
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
fn a_database_with_its_log_on_a_second_volume_moves_too() {
    let scene: Scene = Scene::begin(&[DATA, WAL], 600.0);
    let executor = scene.execute();
    scene.conclude(executor);
}

#[test]
fn an_executor_killed_behind_the_fence_goes_on_where_it_was() {
    let scene: Scene = Scene::begin(&[DATA], 600.0);
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
