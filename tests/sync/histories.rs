//! Random histories: whatever a volume went through, the target ends identical, forth and back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use snapmigrate::clock::Clock;
use snapmigrate::cloud::{Cloud, Connection, Transport, Wire, connect};
use snapmigrate::transfer::sync::{Request, sync, undo};
use snapmigrate_lab::{Lab, ServeOptions};
use snapmigrate_models::sync::SyncReport;

use crate::oracle::{ACCOUNT, Image, REGION, Scratch, Volume, differs, ec2, ids};

/// Histories of an ordinary test run; `SNAPMIGRATE_SYNC_HISTORIES` asks for more.
const HISTORIES: u64 = 40;
/// Blocks of 1 GiB.
const GIB_BLOCKS: u64 = 2048;

struct Stage {
    scratch: Scratch,
    lab: Lab,
    cloud: Cloud,
}

impl Stage {
    async fn new() -> Self {
        let scratch = Scratch::new();
        let options = ServeOptions {
            dir: scratch.0.join("lab"),
            scenario: None,
            latency_ms: 0,
            quota: false,
            time_scale: 1e6,
            seed: 1,
            loop_devices: false,
            traced: false,
        };
        let lab = Lab::open(&options).expect("a lab in an empty directory");
        let connection = Connection {
            region: Some(REGION.to_owned()),
            ..Connection::default()
        };
        let account = ACCOUNT.parse().expect("an account");
        let transport = Transport::Lab {
            wire: Wire::to(lab.clone()),
            account,
        };
        let cloud = connect(&connection, &transport, Clock::System).await;
        Self {
            scratch,
            lab,
            cloud: cloud.expect("the lab answers"),
        }
    }

    fn volume(&self, id: &str) -> PathBuf {
        self.scratch.0.join(format!("lab/volumes/{id}.img"))
    }

    async fn made(&self, form: &str, prefix: &str) -> String {
        let answer = ec2(&self.lab, form).await;
        ids(&answer, prefix).swap_remove(0)
    }

    async fn snapshot(&self, volume: &str) -> String {
        let form = format!("Action=CreateSnapshot&VolumeId={volume}");
        self.made(&form, "snap-").await
    }

    async fn sync(&self, from: Option<&str>, to: &str, target: &Path, listers: u64) -> SyncReport {
        let request = Request {
            from: from.map(|id| id.parse().expect("a snapshot id")),
            to: to.parse().expect("a snapshot id"),
            target: target.to_owned(),
            state_dir: target.with_extension("sync"),
            undo: true,
            read_back: true,
            listers,
            patience: Duration::from_secs(5),
            forget: false,
        };
        let report = sync(&self.cloud, &request, &mut |_| {}).await;
        report.unwrap_or_else(|error| panic!("{from:?} to {to}: {error:?}"))
    }
}

/// Some writes, zeros and holes below `blocks`, near each other and far apart.
fn disturb(volume: &mut Volume, blocks: u64, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(0..8) {
        let block = if rng.random_bool(0.7) {
            rng.random_range(0..12)
        } else {
            rng.random_range(0..blocks)
        };
        match rng.random_range(0..10) {
            0..6 => {
                let at = rng.random_range(0..crate::oracle::BLOCK);
                volume.write(block, at, rng.random(), rng.random_range(1..9000));
            }
            6..8 => volume.write(block, 0, 0, 524_288),
            _ => volume.punch(block),
        }
    }
}

fn same(target: &Path, image: &Image, blocks: u64, what: &str, seed: u64) {
    let wrong = differs(target, image, blocks);
    assert_eq!(
        wrong, None,
        "history {seed}, {what}: the block that differs"
    );
}

async fn history(stage: &Stage, seed: u64) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let listers = if rng.random_bool(0.3) { 1 } else { 24 };
    let create = "Action=CreateVolume&Size=1&AvailabilityZone=us-east-1a";
    let id = stage.made(create, "vol-").await;
    let mut volume = Volume::open(&stage.volume(&id));
    let target = stage.scratch.0.join("target.img");
    if rng.random_bool(0.5) {
        // A target that holds something else already.
        std::fs::write(&target, vec![7; 3_000_000]).expect("room");
    }
    disturb(&mut volume, GIB_BLOCKS, rng);
    let mut held = stage.snapshot(&id).await;
    let mut image = volume.image.clone();
    let report = stage.sync(None, &held, &target, listers).await;
    same(&target, &image, GIB_BLOCKS, "whole", seed);
    assert!(report.proved && report.blocks.changed == report.blocks.written);
    let mut blocks = GIB_BLOCKS;
    for round in 0..rng.random_range(1..4) {
        let mut of = id.clone();
        if rng.random_bool(0.2) {
            // The volume grows: a larger one from its snapshot, of the same lineage.
            blocks += GIB_BLOCKS;
            let form = format!(
                "Action=CreateVolume&Size={}&AvailabilityZone=us-east-1a&SnapshotId={held}",
                blocks / GIB_BLOCKS
            );
            of = stage.made(&form, "vol-").await;
            let image = volume.image;
            volume = Volume::open(&stage.volume(&of));
            volume.image = image;
        }
        disturb(&mut volume, blocks, rng);
        let next = stage.snapshot(&of).await;
        let report = stage.sync(Some(&held), &next, &target, listers).await;
        same(&target, &volume.image, blocks, "delta", seed);
        assert!(report.proved, "history {seed}, round {round}");
        if rng.random_bool(0.3) {
            undo(&target, &target.with_extension("sync")).expect("it can be taken back");
            same(&target, &image, blocks, "taken back", seed);
            stage.sync(Some(&held), &next, &target, listers).await;
            same(&target, &volume.image, blocks, "forth again", seed);
        }
        if of != id {
            return;
        }
        (held, image) = (next, volume.image.clone());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_history_ends_identical() {
    let histories = std::env::var("SNAPMIGRATE_SYNC_HISTORIES");
    let histories = histories.map_or(HISTORIES, |n| n.parse().expect("a number"));
    let mut stage = Stage::new().await;
    for seed in 0..histories {
        if seed % 50 == 49 {
            stage = Stage::new().await;
        }
        history(&stage, seed).await;
        for name in ["target.img", "target.sync"] {
            let left = stage.scratch.0.join(name);
            let _ = std::fs::remove_file(&left);
            let _ = std::fs::remove_dir_all(&left);
        }
    }
}
