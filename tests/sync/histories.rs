//! Random histories: whatever a volume went through, the target ends identical, forth and back.

use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use snapmigrate::transfer::sync::undo;

use crate::oracle::{Image, Volume, differs};
use crate::stage::Stage;

/// Histories of an ordinary test run; `SNAPMIGRATE_SYNC_HISTORIES` asks for more.
const HISTORIES: u64 = 40;
/// Blocks of 1 GiB.
const GIB_BLOCKS: u64 = 2048;

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
