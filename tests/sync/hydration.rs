//! `sync --hydrate`: everything is read, nothing is written, and what was read before a kill counts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::oracle::Scratch;
use crate::served::said;

const MIB: u64 = 1 << 20;

fn hydrate(scratch: &Scratch, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapmigrate"));
    command
        .args(["sync", "--hydrate", "--json"])
        .args(more)
        .arg(scratch.0.join("device"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn it_reads_all_once_goes_on_after_a_kill_and_writes_nothing() {
    let scratch = Scratch::new();
    let (device, total) = (scratch.0.join("device"), (4 << 30) + 4096);
    fs::File::create(&device)
        .and_then(|file| file.set_len(total))
        .expect("room for a hole");
    let found = || fs::metadata(&device).expect("it is there");
    let (written_at, blocks) = (found().modified().expect("a time"), found().blocks());
    // 32 stretches of 16 MiB are read at once: a second until the first are whole, eight until all are.
    let mut child = hydrate(&scratch, &["--limit", "512"])
        .spawn()
        .expect("it starts");
    let record = scratch.0.join("device.sync/hydration.json");
    let noted = || {
        let text = fs::read_to_string(&record).unwrap_or_default();
        let record: Value = serde_json::from_str(&text).unwrap_or_default();
        record["done"]
            .as_array()
            .is_some_and(|done| !done.is_empty())
    };
    while !noted() {
        assert!(
            child.try_wait().expect("it is ours").is_none(),
            "it ended before its record spoke"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ended");

    let run = hydrate(&scratch, &[]).output().expect("it runs");
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let report: Value = serde_json::from_slice(&run.stdout).expect("a document");
    assert_eq!(report["format"], "snapmigrate.hydration/1");
    assert_eq!(
        (
            report["total_bytes"].as_u64(),
            report["read_bytes"].as_u64()
        ),
        (Some(total), Some(total))
    );
    assert!(
        report["resumed_bytes"].as_u64() >= Some(16 * MIB),
        "{report}"
    );
    assert!(
        !record.exists(),
        "a device that was read in full is read in full again"
    );
    assert_eq!(found().modified().expect("a time"), written_at);
    assert_eq!(found().blocks(), blocks, "nothing was written");
}

#[test]
fn a_device_that_cannot_be_read_is_named() {
    let scratch = Scratch::new();
    let run = hydrate(&scratch, &[]).output().expect("it runs");
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    assert!(said(&run).contains("device"), "{}", said(&run));
}
