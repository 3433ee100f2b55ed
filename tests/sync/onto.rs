//! Snapshot to snapshot, into another region, against a served lab: exact, resumed after a kill, done once.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::oracle::{Volume, differs};
use crate::served::{Served, Wire, said};

const GIB_BLOCKS: u64 = 2048;
const THERE: &str = "eu-west-1";

/// Two snapshots here, and a copy of the first there.
struct Stage {
    lab: Served,
    volume: Volume,
    first: String,
    second: String,
    parent: String,
}

impl Stage {
    /// `blocks` of them change; one is only in the first, one becomes zeros.
    fn new(blocks: u64) -> Self {
        let lab = Served::start(&[]);
        let (id, mut volume) = lab.volume();
        (0..blocks).for_each(|block| volume.write(block, 9, 3, 100));
        volume.write(1500, 0, 8, 4000);
        volume.write(1501, 0, 8, 4000);
        let first = lab.snapshot(&id);
        let parent = lab.copy(&first, THERE);
        (0..blocks).for_each(|block| volume.write(block, 5000, 4, 100));
        volume.write(1900, 77, 5, 9);
        volume.punch(1500);
        volume.write(1501, 0, 0, 524_288);
        let second = lab.snapshot(&id);
        Self {
            lab,
            volume,
            first,
            second,
            parent,
        }
    }

    fn record(&self) -> PathBuf {
        self.lab.file("record")
    }

    fn command(&self, url: &str, parent: &str) -> Command {
        let record = self.record();
        let flags = [
            "sync",
            "--from",
            &self.first,
            "--to",
            &self.second,
            "--json",
        ];
        let there = ["--target-region", THERE, "--onto", parent, "--state"];
        self.lab
            .command(url, &[flags.as_slice(), &there].concat(), &record)
    }

    fn run(&self, parent: &str) -> Output {
        let mut command = self.command(&self.lab.url, parent);
        command.output().expect("the binary can be started")
    }

    fn report(&self) -> Value {
        let run = self.run(&self.parent);
        assert_eq!(run.status.code(), Some(0), "{}", said(&run));
        serde_json::from_slice(&run.stdout).expect("a document")
    }

    /// The snapshot there holds what the volume holds, read by the tool as a whole.
    fn must_hold(&self, snapshot: &str, file: &Path) {
        let whole = ["sync", "--to", snapshot, "--source-region", THERE];
        self.lab.json(&whole, file);
        assert_eq!(differs(file, &self.volume.image, GIB_BLOCKS), None);
    }
}

fn count(report: &Value, pointer: &str) -> u64 {
    let found = report.pointer(pointer).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("no {pointer} in {report}"))
}

#[test]
fn a_snapshot_there_becomes_what_it_is_here_and_only_once() {
    let stage = Stage::new(40);
    let report = stage.report();
    let made = report["target"].as_str().expect("a snapshot").to_owned();
    assert!(report["proved"] == true && report["onto"] == stage.parent.as_str());
    assert_eq!(count(&report, "/blocks/changed"), 43);
    assert_eq!(count(&report, "/blocks/read_back"), 43);
    assert_eq!(count(&report, "/blocks/only_in_first"), 1);
    stage.must_hold(&made, &stage.lab.file("there.img"));

    // The same command again changes nothing.
    let again = stage.report();
    assert_eq!(again["target"], made.as_str());
    assert_eq!(count(&again, "/calls/blocks_read"), 0, "{again}");
    let owned = stage
        .lab
        .answer(THERE, "Action=DescribeSnapshots&Owner.1=self");
    assert_eq!(owned.matches("<snapshotId>").count(), 2, "{owned}");
}

#[test]
fn a_killed_one_goes_on_in_the_same_snapshot() {
    let stage = Stage::new(400);
    let wire = Wire::to(&stage.lab);
    wire.kill_midway(
        stage.command(&wire.url, &stage.parent),
        &stage.record(),
        250,
    );
    let begun: Value = serde_json::from_slice(
        &std::fs::read(stage.record().join("sync.json")).expect("it left a record"),
    )
    .expect("a document");
    let report = stage.report();
    assert_eq!(report["target"], begun["identity"]);
    assert!(count(&report, "/blocks/resumed") > 0, "{report}");
    let made = report["target"].as_str().expect("a snapshot");
    stage.must_hold(made, &stage.lab.file("there.img"));
}

#[test]
fn a_completed_one_whose_record_was_lost_is_found_and_read_in_full() {
    let stage = Stage::new(40);
    let made = stage.report()["target"].clone();
    std::fs::remove_dir_all(stage.record()).expect("it is there");
    let again = stage.report();
    assert_eq!(again["target"], made);
    assert!(again["proved"] == true, "{again}");
    assert_eq!(count(&again, "/blocks/read_back"), 43);
    let there = stage
        .lab
        .answer(THERE, "Action=DescribeSnapshots&Owner.1=self");
    assert_eq!(there.matches("<snapshotId>").count(), 2, "{there}");
    // Then its record is as good as the first.
    let third = stage.report();
    assert_eq!(
        (&third["target"], count(&third, "/calls/blocks_read")),
        (&made, 0)
    );
}

#[test]
fn what_does_not_hold_the_first_is_no_parent() {
    let stage = Stage::new(12);
    let wrong = stage.lab.copy(&stage.second, THERE);
    let run = stage.run(&wrong);
    assert_eq!(run.status.code(), Some(3), "{}", said(&run));
    assert!(
        said(&run).contains("name a copy of that snapshot"),
        "{}",
        said(&run)
    );
    assert!(!stage.record().exists(), "nothing was begun");
}
