//! A cutover that is taken back: the source serves again with everything it ever acknowledged, the target cannot start.

use super::common::postgres::bin_directory;
use super::common::scene::{PATIENCE, Scene};
use super::common::stage::{DATA, JOURNAL, Stage};
use super::common::{text, try_run};
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
    scene.await_commits("target");

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
    assert_eq!(stage.report()["revert"]["target_timeline"], 2);
    assert_eq!(stage.cluster.query(TIMELINE), "1", "it is the source");
    check_target_cannot_start(stage);
    scene.prove_reverted(&cut_over);
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
