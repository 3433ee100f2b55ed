//! Clients not written here against the lab, and the tool against a server not written here.
//!
//! `tests/run` installs what this needs and names it in `SNAPMIGRATE_TEST_PYTHON` and
//! `SNAPMIGRATE_TEST_COLDSNAP`.

#[path = "foreign/blocks.rs"]
mod blocks;
mod foreign;

use std::path::Path;

use foreign::{Server, command, python, run, scratch, session, snapmigrate, succeed, text};
use serde_json::Value;

const SOURCE: &str = "111111111111";

/// Two small busy volumes, in whose history CloudWatch has something to show.
const SCENARIO: &str = r#"
format = "snapmigrate.scenario/1"
name = "small"
seed = 7
start = "2026-11-02T08:00:00Z"
[source]
account = "111111111111"
region = "us-east-1"
zone = "us-east-1a"
instance = "i-0db00000000000001"
[target]
account = "222222222222"
region = "eu-west-1"
zone = "eu-west-1a"
instance = "i-0db00000000000002"
[[volumes]]
id = "vol-0data000000000001"
device = "/dev/sdf"
size_gib = 2
written_gib = 1
[[volumes.workload]]
kind = "hot_set"
ops_per_second = 40
[[volumes]]
id = "vol-0wal0000000000001"
device = "/dev/sdg"
size_gib = 1
written_gib = 1
[[volumes.workload]]
kind = "sequential_log"
ops_per_second = 10
span_gib = 0.5
"#;

#[test]
fn boto3_migrates_by_hand() {
    let dir = scratch("boto3");
    let lab = Server::lab(&dir, &[]);
    let said = session(
        "boto3_session.py",
        &[&lab.url, dir.to_str().expect("UTF-8")],
    );
    assert!(said.contains("boto3 session done"), "{said}");
    assert!(lab.stop().success(), "SIGTERM ends it with exit code 0");
}

#[test]
fn boto3_meets_a_scenario() {
    let dir = scratch("scenario");
    let file = dir.join("scenario.toml");
    std::fs::write(&file, SCENARIO).expect("the scratch directory can be written");
    let file = file.to_str().expect("UTF-8");
    let lab = Server::lab(&dir.join("lab"), &["--scenario", file]);
    session("scenario_session.py", &[&lab.url, "vol-0data000000000001"]);
    assert!(lab.stop().success());
}

#[test]
fn the_aws_cli_migrates_by_hand() {
    let lab = Server::lab(&scratch("aws-cli"), &[]);
    session("aws_cli_session.py", &[&lab.url]);
    assert!(lab.stop().success());
}

fn create_volume(lab: &Server) {
    let mut aws = command(&python().with_file_name("aws"), Some(SOURCE));
    aws.args(["--endpoint-url", &lab.url, "--region", "us-east-1"]);
    aws.args(["ec2", "create-volume", "--size", "1"]);
    succeed(aws.args(["--availability-zone", "us-east-1a"]));
}

#[test]
fn one_directory_serves_one_lab_at_a_time_and_a_new_one_begins_empty() {
    let dir = scratch("restart");
    let first = Server::lab(&dir, &[]);
    create_volume(&first);
    let mut second = snapmigrate(None);
    second.args(["lab", "serve", "--listen", "127.0.0.1:0", "--dir"]);
    let refused = run(second.arg(&dir));
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("another lab is using"), "{said}");
    let kept = std::fs::read_dir(dir.join("volumes")).expect("made by the lab");
    let kept = kept.count();
    assert!(kept > 0);
    assert!(first.stop().success());
    let third = Server::lab(&dir, &[]);
    create_volume(&third);
    let images = std::fs::read_dir(dir.join("volumes")).expect("made by the lab");
    assert!(images.count() > kept, "the older images are left alone");
    assert!(third.stop().success());
}

/// What `moto_stage.py` made.
struct Stage(Value);

impl Stage {
    fn id(&self, name: &str) -> &str {
        self.0[name].as_str().expect("moto_stage.py prints it")
    }
}

fn stage(moto: &Server) -> Stage {
    let printed = session("moto_stage.py", &[&moto.url]);
    Stage(serde_json::from_str(&printed).expect("moto_stage.py prints JSON"))
}

fn json(path: &Path) -> Value {
    let text = std::fs::read(path).expect("the tool wrote it");
    serde_json::from_slice(&text).expect("the tool writes JSON")
}

#[test]
fn moto_is_measured_planned_and_checked() {
    let dir = scratch("moto");
    let moto = Server::moto(&dir.join("moto.log"));
    let stage = stage(&moto);
    let (profile, plan) = (dir.join("profile.json"), dir.join("plan.json"));
    let there = ["--endpoint-url", &moto.url, "--source-region", "us-east-1"];
    let mut measure = snapmigrate(Some("any"));
    measure.args(["measure", "--instance", stage.id("instance"), "-o"]);
    succeed(measure.arg(&profile).args(there));
    assert_profile(&json(&profile), &stage);

    let mut by_volume = snapmigrate(Some("any"));
    by_volume.args(["measure", "--json", "--volume", stage.id("data")]);
    let one: Value = serde_json::from_str(&succeed(by_volume.args(there))).expect("JSON");
    assert_eq!(
        one["inventory"]["volumes"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(one["inventory"]["instance"], stage.id("instance"));

    let mut planned = snapmigrate(None);
    planned.args([
        "plan",
        "--target-account",
        "222222222222",
        "--target-region",
    ]);
    planned.args(["eu-west-1", "--target-zone", "eu-west-1a", "--profile"]);
    let planned = run(planned.arg(&profile).arg("-o").arg(&plan));
    let said = text(&planned.stderr);
    assert!(matches!(planned.status.code(), Some(0 | 3)), "{said}");
    assert_eq!(json(&plan)["volumes"].as_array().map(Vec::len), Some(2));

    let mut checked = snapmigrate(Some("any"));
    checked.args(["check", "--json"]).arg(&plan).args(there);
    let checked = run(&mut checked);
    let findings: Value = serde_json::from_slice(&checked.stdout)
        .unwrap_or_else(|_| panic!("no findings: {}", text(&checked.stderr)));
    assert!(findings["findings"].is_array(), "{findings}");
    assert!(matches!(checked.status.code(), Some(0 | 3)), "{findings}");
}

fn assert_profile(profile: &Value, stage: &Stage) {
    let inventory = &profile["inventory"];
    assert_eq!(profile["format"], "snapmigrate.profile/1");
    assert_eq!(inventory["account"], "123456789012");
    assert_eq!(inventory["root_volume"], stage.id("root"));
    let mut found: Vec<(&str, u64)> = Vec::new();
    for volume in inventory["volumes"].as_array().expect("a list") {
        let size = volume["size_gib"].as_u64().expect("a size");
        found.push((volume["volume"].as_str().expect("an id"), size));
    }
    let mut expected = [(stage.id("data"), 10), (stage.id("wal"), 20)];
    expected.sort_unstable();
    assert_eq!(found, expected, "the data volumes, without the root");
    let snapshots = inventory["snapshots"].as_array().expect("a list");
    let mut found: Vec<&str> = snapshots
        .iter()
        .filter_map(|s| s["snapshot"].as_str())
        .collect();
    let mut expected: Vec<&str> = stage.0["snapshots"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let notes = profile["notes"].to_string();
    for words in [
        "CloudWatch was not read: GetMetricData",
        "are left out: ListChangedBlocks",
    ] {
        let missing = "moto does not serve it as AWS does, which must be said";
        assert!(notes.contains(words), "{missing}: {words:?} in {notes}");
    }
}

#[test]
fn what_moto_does_not_hold_is_named() {
    let dir = scratch("moto-refusals");
    let moto = Server::moto(&dir.join("moto.log"));
    let stage = stage(&moto);
    let (bare, loose) = (stage.id("bare"), stage.id("loose"));
    let (data, elsewhere, root) = (stage.id("data"), stage.id("elsewhere"), stage.id("root"));
    let nobody = "i-0123456789abcdef0";
    let nothing = "vol-0123456789abcdef0";
    let cases: [(&[&str], &[&str]); 6] = [
        (
            &["--instance", nobody],
            &[nobody, "InvalidInstanceID.NotFound"],
        ),
        (&["--volume", nothing], &[nothing, "InvalidVolume.NotFound"]),
        (
            &["--instance", bare],
            &[bare, "has no data volume", "name another instance"],
        ),
        (
            &["--volume", loose],
            &[loose, "detached (available)", "attach it"],
        ),
        (&["--volume", root], &[root, "root volume"]),
        (
            &["--volume", data, "--volume", elsewhere],
            &[data, elsewhere, "different instances"],
        ),
    ];
    for (subject, words) in cases {
        let region = ["--source-region", "us-east-1"];
        assert_fails(
            Some("any"),
            &[subject, &region, &["--endpoint-url", &moto.url]],
            words,
        );
    }
    let instance = ["--instance", stage.id("instance")];
    let endpoint = ["--endpoint-url", moto.url.as_str()];
    let region = ["--source-region", "us-east-1"];
    assert_fails(
        None,
        &[&instance, &endpoint, &region],
        &["credentials", "AWS_PROFILE"],
    );
    assert_fails(
        Some("any"),
        &[&instance, &endpoint],
        &["no region is set", "--source-region"],
    );
    let nowhere = ["--source-region", "xx-nowhere-9"];
    assert_fails(
        Some("any"),
        &[&instance, &endpoint, &nowhere],
        &["measuring in xx-nowhere-9", "check the region"],
    );
    let closed = ["--endpoint-url", "http://127.0.0.1:9"];
    assert_fails(
        Some("any"),
        &[&instance, &region, &closed],
        &["--endpoint-url", "network"],
    );
}

#[track_caller]
fn assert_fails(account: Option<&str>, arguments: &[&[&str]], words: &[&str]) {
    let mut command = snapmigrate(account);
    command.arg("measure").args(arguments.concat());
    let output = run(&mut command);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {stderr}");
    assert!(output.stdout.is_empty(), "an error prints no result");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is missing in: {stderr}");
    }
}
