//! Kills, altered bytes, a dead endpoint, a quota, and input that must be refused.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::oracle::differs;
use crate::served::{BLOCK_BYTES, Served, Wire, record, said};

const GIB_BLOCKS: u64 = 2048;
/// Bytes altered in an ordinary test run; `SNAPMIGRATE_SYNC_BYTES` asks for more. One that makes an answer
/// longer costs the time limit of a call.
const TRIALS: u32 = 9;

#[test]
fn a_killed_sync_goes_on_where_it_was_and_can_be_taken_back() {
    let lab = Served::start(&[]);
    let wire = Wire::to(&lab);
    let (id, mut volume) = lab.volume();
    (0..700).for_each(|block| volume.write(block, 9, 3, 100));
    let first = lab.snapshot(&id);
    let (before, target) = (volume.image.clone(), lab.file("target.img"));
    lab.json(&["sync", "--to", &first], &target);
    (100..640).for_each(|block| volume.write(block, 5000, 4, 100));
    volume.punch(700 - 1);
    let second = lab.snapshot(&id);
    let delta = ["sync", "--from", &first, "--to", &second];
    for blocks in [330, 180] {
        wire.kill_midway(
            lab.command(&wire.url, &delta, &target),
            &record(&target),
            blocks,
        );
    }
    let report = lab.json(&delta, &target);
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);
    let count = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(|n| n.as_u64())
            .expect("a count")
    };
    assert_eq!(count("/blocks/changed"), 541);
    assert_eq!(count("/blocks/written"), 541);
    assert_eq!(count("/blocks/read_back"), 541);
    assert_eq!(count("/blocks/only_in_first"), 1);
    assert!(count("/blocks/resumed") > 0, "{report}");
    assert!(
        count("/calls/blocks_read") <= 541 - count("/blocks/resumed") + count("/calls/hedged"),
        "nothing durable is fetched again: {report}"
    );
    lab.json(&["sync", "--undo"], &target);
    assert_eq!(differs(&target, &before, GIB_BLOCKS), None);
}

#[test]
fn a_half_applied_delta_can_be_taken_back() {
    let lab = Served::start(&[]);
    let wire = Wire::to(&lab);
    let (id, mut volume) = lab.volume();
    (0..400).for_each(|block| volume.write(block, 0, 8, 100));
    let first = lab.snapshot(&id);
    let (before, target) = (volume.image.clone(), lab.file("target.img"));
    lab.json(&["sync", "--to", &first], &target);
    (0..400).for_each(|block| volume.write(block, 1, 9, 100));
    let second = lab.snapshot(&id);
    let delta = ["sync", "--from", &first, "--to", &second];
    wire.kill_midway(
        lab.command(&wire.url, &delta, &target),
        &record(&target),
        300,
    );
    lab.refused(2, "unfinished sync", &["sync", "--to", &second], &target);
    lab.json(&["sync", "--undo"], &target);
    assert_eq!(differs(&target, &before, GIB_BLOCKS), None);
}

#[test]
fn an_altered_byte_never_ends_in_a_wrong_image_that_is_called_right() {
    let lab = Served::start(&[]);
    let wire = Wire::to(&lab);
    let (id, mut volume) = lab.volume();
    for block in [0, 1, 2, 9, 700] {
        volume.write(block, 77, 5, 4000);
    }
    let first = lab.snapshot(&id);
    for block in [1, 9, 900] {
        volume.write(block, 700, 6, 4000);
    }
    volume.punch(700);
    let second = lab.snapshot(&id);
    let base = lab.file("base.img");
    lab.json(&["sync", "--to", &first], &base);
    let rng = &mut ChaCha8Rng::seed_from_u64(11);
    let trials = std::env::var("SNAPMIGRATE_SYNC_BYTES");
    let trials = trials.map_or(TRIALS, |n| n.parse().expect("a number"));
    let (mut passed, mut noticed) = (0, 0);
    for trial in 0..trials {
        let target = lab.file(&format!("target-{trial}.img"));
        std::fs::copy(&base, &target).expect("room");
        // The first answers describe and list, then come the blocks.
        let within = if trial % 3 == 0 { 1_500_000 } else { 6000 };
        wire.alter(rng.random_range(0..within));
        let delta = [
            "sync",
            "--from",
            &first,
            "--to",
            &second,
            "--give-up-after",
            "2",
        ];
        let run = lab
            .command(&wire.url, &delta, &target)
            .output()
            .expect("it runs");
        passed += u32::from(wire.altered());
        match run.status.code() {
            Some(0) => {
                let wrong = differs(&target, &volume.image, GIB_BLOCKS);
                assert_eq!(wrong, None, "trial {trial}: {}", said(&run));
            }
            Some(1 | 3) => noticed += 1,
            code => panic!("trial {trial} ended with {code:?}: {}", said(&run)),
        }
        std::fs::remove_file(&target).expect("it is there");
    }
    assert!(passed > trials / 2, "only {passed} bytes were altered");
    assert!(noticed < passed, "most altered bytes are made good for");
}

#[test]
fn an_endpoint_that_is_gone_ends_it_and_it_goes_on_later() {
    let lab = Served::start(&[]);
    let wire = Wire::to(&lab);
    let (id, mut volume) = lab.volume();
    (0..500).for_each(|block| volume.write(block, 9, 3, 100));
    let snapshot = lab.snapshot(&id);
    let target = lab.file("target.img");
    let whole = ["sync", "--to", &snapshot, "--give-up-after", "3"];
    wire.let_pass(330 * BLOCK_BYTES);
    let child = lab
        .command(&wire.url, &whole, &target)
        .spawn()
        .expect("it starts");
    wire.wait_for_a_standstill(&record(&target));
    wire.cut(true);
    let ended = child.wait_with_output().expect("it ends by itself");
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert!(
        said(&ended).contains("goes on where this one ended"),
        "{}",
        said(&ended)
    );
    lab.json(&whole, &target);
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);
}

#[test]
fn a_read_that_stands_still_is_sent_once_more() {
    let lab = Served::start(&[]);
    let wire = Wire::to(&lab);
    let (id, mut volume) = lab.volume();
    (0..300).for_each(|block| volume.write(block, 9, 3, 100));
    let snapshot = lab.snapshot(&id);
    let target = lab.file("target.img");
    wire.hold_one(100);
    let mut command = lab.command(&wire.url, &["sync", "--to", &snapshot, "--json"], &target);
    let run = command.output().expect("it runs");
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).expect("a document");
    assert!(report["calls"]["hedged"].as_u64() > Some(0), "{report}");
}

#[test]
fn what_may_not_be_read_is_named_and_nothing_is_begun() {
    let lab = Served::start(&[]);
    let (id, mut volume) = lab.volume();
    volume.write(3, 0, 1, 10);
    let snapshot = lab.snapshot(&id);
    let target = lab.file("target.img");
    let pending = lab.pending();
    let early = ["sync", "--to", &pending];
    lab.refused(1, "is pending: only a completed snapshot", &early, &target);
    let mut stranger = lab.command(&lab.url, &["sync", "--to", &snapshot], &target);
    let run = stranger.env("AWS_ACCESS_KEY_ID", "333333333333").output();
    let run = run.expect("it runs");
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    assert!(said(&run).contains(&snapshot), "{}", said(&run));
    assert!(!target.exists() && !record(&target).exists());
}

#[test]
fn it_settles_at_the_quota() {
    let lab = Served::start(&["--quota", "on", "--time-scale", "100000"]);
    let (id, mut volume) = lab.volume();
    (0..2048).for_each(|block| volume.write(block, 9, 3, 100));
    let snapshot = lab.snapshot(&id);
    let target = lab.file("target.img");
    let begun = Instant::now();
    let report = lab.json(&["sync", "--to", &snapshot], &target);
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);
    let refused = report["calls"]["throttled_by_snapshot"]
        .as_u64()
        .expect("a count");
    assert!(refused < 300, "{report}");
    assert!(
        begun.elapsed() > Duration::from_millis(900),
        "the quota held"
    );
}

#[test]
fn what_cannot_be_is_refused_and_named() {
    let lab = Served::start(&[]);
    let (id, mut volume) = lab.volume();
    volume.write(3, 0, 1, 10);
    let first = lab.snapshot(&id);
    let (other, mut unrelated) = lab.volume();
    unrelated.write(4, 0, 1, 10);
    let foreign = lab.snapshot(&other);
    let target = lab.file("target.img");
    lab.json(&["sync", "--to", &first], &target);

    let gone = ["sync", "--to", "snap-0123456789abcdef0"];
    lab.refused(1, "snap-0123456789abcdef0", &gone, &lab.file("none.img"));
    let pair = ["sync", "--from", &first, "--to", &foreign];
    lab.refused(1, "two snapshots of one volume", &pair, &target);
    lab.refused(3, "is empty", &pair, &lab.file("empty.img"));
    lab.refused(
        2,
        "neither a regular file",
        &["sync", "--to", &first],
        &lab.scratch.0,
    );
    lab.refused(
        2,
        "nothing to take back",
        &["sync", "--undo"],
        &lab.file("none.img"),
    );

    // The unrelated pair left an unfinished record: it is given up, then the target is written to.
    let whole = ["sync", "--to", &first, "--forget"];
    lab.json(&whole, &target);
    volume.write(3, 0, 2, 10);
    let second = lab.snapshot(&id);
    let wrong = ["sync", "--from", &second, "--to", &first];
    lab.refused(3, "its record says", &wrong, &target);
    std::thread::sleep(Duration::from_millis(20));
    let mut bytes = std::fs::read(&target).expect("it is there");
    bytes[9] ^= 1;
    std::fs::write(&target, bytes).expect("room");
    let delta = ["sync", "--from", &first, "--to", &second];
    lab.refused(3, "written to since", &delta, &target);
}
