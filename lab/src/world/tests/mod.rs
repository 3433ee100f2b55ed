//! Drives the world through its verbs, with service times that leave nothing to chance.
#![expect(clippy::unwrap_used, reason = "tests")]

mod copying;
mod deleting;
mod laws;
mod snapshotting;
mod volumes;

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::*;
use crate::caller::Caller;
use crate::content::Content;
use crate::scenario::Scenario;

const ME: &str = "111111111111";
const OTHER: &str = "222222222222";
const HOME: &str = "us-east-1";
const AWAY: &str = "eu-west-1";

/// Snapshots take 30 s and 1 s per MiB, copies 60 s and 1 s per MiB, copies at home 10 s.
const SERVICE: &str = r#"
[service]
consistency_delay_seconds = { median = 5.0, sigma = 0.0 }
[service.snapshot]
overhead_seconds = { median = 30.0, sigma = 0.0 }
mib_per_second = { median = 1.0, sigma = 0.0 }
jitter_sigma = 0.0
slow_probability = 0.0
[service.copy]
overhead_seconds = { median = 60.0, sigma = 0.0 }
mib_per_second = { median = 1.0, sigma = 0.0 }
jitter_sigma = 0.0
slow_probability = 0.0
[service.local_copy]
seconds = { median = 10.0, sigma = 0.0 }
[service.volume_create]
seconds = { median = 8.0, sigma = 0.0 }
"#;

fn world(extra: &str) -> World {
    let text = format!(
        r#"format = "snapmigrate.scenario/1"
name = "world"
seed = 1
start = "2026-11-02T08:00:00Z"
[source]
account = "{ME}"
region = "{HOME}"
zone = "us-east-1a"
instance = "i-0aaa"
[target]
account = "{OTHER}"
region = "{AWAY}"
zone = "eu-west-1a"
instance = "i-0bbb"
{SERVICE}{extra}"#
    );
    let scenario = Scenario::parse(&text).unwrap();
    let settings = Settings {
        rates: false,
        snapshot_spacing: true,
        time_scale: 1.0,
        latency_ms: None,
        loop_devices: false,
        any_instance: false,
    };
    let (start, storage) = (scenario.start, Storage::Traced);
    World::from_scenario(
        &scenario,
        Ground {
            start,
            seed: 1,
            salt: 0,
            settings,
            storage,
        },
    )
    .unwrap()
}

fn caller(account: &str, region: &str) -> Caller {
    let text = str::to_owned;
    Caller {
        account: text(account),
        region: text(region),
        service: text("ec2"),
    }
}

fn me() -> Caller {
    caller(ME, HOME)
}

fn away() -> Caller {
    caller(ME, AWAY)
}

fn other_away() -> Caller {
    caller(OTHER, AWAY)
}

fn pass(world: &mut World, seconds: i64) {
    let then = world.now() + TimeDelta::seconds(seconds);
    world.advance(then).unwrap();
}

/// A volume of 1 GiB of mine at home, available and visible.
fn volume(world: &mut World, volume_type: &str) -> String {
    let request = CreateVolumeRequest {
        zone: Some("us-east-1a".to_owned()),
        size_gib: Some(if volume_type == "st1" { 125 } else { 1 }),
        volume_type: Some(volume_type.to_owned()),
        ..CreateVolumeRequest::default()
    };
    let id = world.create_volume(&me(), &request).unwrap();
    pass(world, 20);
    id
}

fn write(world: &mut World, volume: &str, blocks: std::ops::Range<u64>, version: u32) {
    let Content::Traced(map) = &mut world.volume_mut(volume).unwrap().content else {
        panic!("the world is traced");
    };
    blocks.for_each(|block| map.set(block, version));
}

/// What a snapshot or volume holds: block to version.
fn held(content: &Content) -> BTreeMap<u64, u32> {
    let Content::Traced(map) = content else {
        panic!("the world is traced")
    };
    map.written_blocks()
        .iter()
        .map(|block| (block, map.get(block)))
        .collect()
}

fn snap(world: &mut World, volume: &str) -> Result<String, ApiError> {
    let request = SnapshotRequest {
        volume: volume.to_owned(),
        ..SnapshotRequest::default()
    };
    world.create_snapshot(&me(), &request)
}

/// Takes a snapshot and waits until it is complete.
fn snapped(world: &mut World, volume: &str) -> String {
    let id = snap(world, volume).unwrap();
    pass(world, 3600);
    assert_eq!(state(world, &id), State::Completed);
    id
}

fn copy(world: &mut World, to: &Caller, source: &str) -> Result<String, ApiError> {
    let request = CopyRequest {
        source_region: HOME.to_owned(),
        source: source.to_owned(),
        ..CopyRequest::default()
    };
    world.copy_snapshot(to, &request)
}

fn copied(world: &mut World, to: &Caller, source: &str) -> String {
    let id = copy(world, to, source).unwrap();
    pass(world, 3600);
    assert_eq!(state(world, &id), State::Completed);
    id
}

fn state(world: &World, id: &str) -> State {
    world.snapshot(id).unwrap().status(world.now()).state
}

fn seconds_taken(world: &World, id: &str) -> i64 {
    let snapshot = world.snapshot(id).unwrap();
    (snapshot.ends_at().unwrap() - snapshot.start_time).num_seconds()
}

fn share(world: &mut World, id: &str, account: &str) {
    let request = ShareRequest {
        snapshot: id.to_owned(),
        add: vec![account.to_owned()],
        remove: Vec::new(),
    };
    world.share_snapshot(&me(), &request).unwrap();
}

fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    result.unwrap_err().code
}
