//! Whole rehearsals through the binary: they cut over, compare every block, and repeat byte by byte.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const GIB_BLOCKS: u64 = 2048;

fn snapmigrate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_snapmigrate"))
        .args(arguments)
        .output()
        .expect("the binary can be started")
}

fn scenario(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/scenarios")
        .join(name);
    path.to_str().expect("test paths are UTF-8").to_owned()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON document")
}

fn temporary(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("snapmigrate-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// Report and exported journal of one rehearsal.
fn rehearsed(seed: &str, name: &str) -> (Vec<u8>, Vec<u8>) {
    rehearsed_of("tiny.toml", seed, name)
}

fn rehearsed_of(file_name: &str, seed: &str, name: &str) -> (Vec<u8>, Vec<u8>) {
    let journal = temporary(name);
    let file = journal.to_str().expect("test paths are UTF-8");
    let run = snapmigrate(&[
        "rehearse",
        &scenario(file_name),
        "--seed",
        seed,
        "--json",
        "--journal",
        file,
    ]);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let export = snapmigrate(&["journal", "export", file]);
    assert!(
        export.status.success(),
        "{}",
        String::from_utf8_lossy(&export.stderr)
    );
    for left in [journal.with_extension("lock"), journal] {
        std::fs::remove_file(left).expect("a journal and its lock");
    }
    (run.stdout, export.stdout)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let once = rehearsed("5", "once");
    let again = rehearsed("5", "again");
    assert!(
        once == again,
        "report or journal differ between two runs of one seed"
    );
    let other = rehearsed("6", "other");
    assert!(
        once.0 != other.0 && once.1 != other.1,
        "the seed changes nothing"
    );
}

#[test]
fn the_fourteen_hours_become_minutes_with_every_block_compared() {
    let run = snapmigrate(&["rehearse", &scenario("fourteen-hours.toml"), "--json"]);
    assert_eq!(
        run.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let report = report(&run);
    assert_eq!(report["format"], "snapmigrate.report/1");
    assert_eq!(report["outcome"], "cut_over");
    let base = report["actual"]["base_snapshot_seconds"]
        .as_f64()
        .expect("a duration");
    let downtime = report["actual"]["write_downtime_seconds"]
        .as_f64()
        .expect("a duration");
    assert!(
        (13.0..15.0).contains(&(base / 3600.0)),
        "the base took {base} s"
    );
    assert!(
        downtime * 20.0 < base,
        "downtime {downtime} s against {base} s"
    );
    let freeze = report["actual"]["freeze_seconds"]
        .as_f64()
        .expect("a duration");
    assert!(freeze > 0.0 && freeze < 30.0, "frozen for {freeze} s");
    let verification = &report["verification"];
    assert_eq!(verification["method"], "block_versions");
    assert_eq!(verification["mismatches"], 0);
    assert_eq!(verification["blocks_compared"], (3072 + 200) * GIB_BLOCKS);
    assert_eq!(
        verification["changed_blocks"],
        verification["written_blocks"]
    );
    assert_eq!(
        verification["changed_blocks"],
        verification["read_back_blocks"]
    );
    assert_eq!(report["proof"]["fence_lsn"], report["proof"]["target_lsn"]);
}

#[test]
fn on_the_direct_path_nothing_is_copied_and_every_changed_block_is_read_back() {
    let (once, journal) = rehearsed_of("direct.toml", "11", "direct-once");
    let again = rehearsed_of("direct.toml", "11", "direct-again");
    assert!(
        again == (once.clone(), journal.clone()),
        "report or journal differ between two runs of one seed"
    );
    let report: Value = serde_json::from_slice(&once).expect("a report");
    assert_eq!(report["outcome"], "cut_over");
    let verification = &report["verification"];
    assert_eq!(verification["method"], "block_versions");
    assert_eq!(verification["mismatches"], 0);
    assert_eq!(verification["blocks_compared"], (20 + 8) * GIB_BLOCKS);
    for count in ["written_blocks", "read_back_blocks"] {
        assert_eq!(verification["changed_blocks"], verification[count]);
    }
    let journal = String::from_utf8(journal).expect("the journal is text");
    for step in [
        "create_volumes",
        "attach_volumes",
        "await_copies",
        "\"copy\"",
    ] {
        assert!(!journal.contains(step), "{step} on the direct path");
    }
    let at = |step: &str| journal.find(step).unwrap_or_else(|| panic!("no {step}"));
    assert!(at("prepare_volumes") < at("\"fence\""));
    assert!(
        at("keep_target") < at("bring_up"),
        "kept before it is mounted"
    );
    assert!(
        !journal.contains("lab-secret"),
        "credentials in the journal"
    );
    let rounds = report["rounds"].as_array().expect("rounds");
    assert!(
        rounds
            .iter()
            .all(|round| round["transfer_seconds"].is_f64())
    );
}

#[test]
fn without_a_cutover_the_chain_is_copied_and_nothing_is_fenced() {
    let run = snapmigrate(&["rehearse", &scenario("tiny.toml"), "--no-cutover", "--json"]);
    assert_eq!(
        run.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let report = report(&run);
    assert_eq!(report["outcome"], "copied");
    assert_eq!(report["actual"]["times"], serde_json::json!({}));
    assert!(report["actual"]["write_downtime_seconds"].is_null());
    let rounds = report["rounds"].as_array().expect("rounds");
    assert_eq!(rounds[0]["kind"], "base");
    assert!(rounds.len() > 1 && rounds[1..].iter().all(|round| round["kind"] == "round"));
    assert!(
        rounds
            .iter()
            .all(|round| round["volumes"][0]["copy"].is_string())
    );
}

#[test]
fn the_report_tells_the_cutover_in_order() {
    let (report, _) = rehearsed("7", "order");
    let report: Value = serde_json::from_slice(&report).expect("a report");
    let times = &report["actual"]["times"];
    let named = [
        "last_source_write",
        "fence",
        "freeze",
        "snapshots_answered",
        "thaw",
        "activated",
        "first_target_write",
    ];
    let told: Vec<&str> = named
        .iter()
        .map(|name| times[name].as_str().expect(name))
        .collect();
    assert!(told.is_sorted(), "{told:?}");
    let kinds: Vec<&Value> = report["rounds"]
        .as_array()
        .expect("rounds")
        .iter()
        .map(|round| &round["kind"])
        .collect();
    assert_eq!(kinds.first(), Some(&&Value::from("base")));
    assert_eq!(kinds.last(), Some(&&Value::from("final")));
}

#[test]
fn a_scenario_that_cannot_be_used_is_a_usage_error_that_names_the_key() {
    let missing = snapmigrate(&["rehearse", "no-such-scenario.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-scenario.toml"));

    let text = std::fs::read_to_string(scenario("tiny.toml")).expect("the fixture is there");
    let path = temporary("malformed.toml");
    std::fs::write(&path, text.replace("size_gib", "size_gigs")).expect("a file can be written");
    let malformed = snapmigrate(&["rehearse", path.to_str().expect("test paths are UTF-8")]);
    let _ = std::fs::remove_file(&path);
    assert_eq!(malformed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&malformed.stderr).contains("size_gigs"));
}

#[test]
fn a_policy_that_allows_no_rounds_is_refused_before_anything_is_done() {
    let text = std::fs::read_to_string(scenario("tiny.toml")).expect("the fixture is there");
    let path = temporary("hopeless.toml");
    let hopeless = text.replace(
        "max_write_downtime_seconds = 1800",
        "max_write_downtime_seconds = 5",
    );
    assert_ne!(text, hopeless, "the fixture has the limit this test lowers");
    std::fs::write(&path, hopeless).expect("a file can be written");
    let run = snapmigrate(&[
        "rehearse",
        path.to_str().expect("test paths are UTF-8"),
        "--quiet",
    ]);
    let _ = std::fs::remove_file(&path);
    assert_eq!(
        run.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}
