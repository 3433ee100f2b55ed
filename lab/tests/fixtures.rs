//! The committed scenarios are what they say they are.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use snapmigrate_lab::world::{SetRequest, State};
use snapmigrate_lab::{Caller, Lab, Scenario};

fn fixture(name: &str) -> Scenario {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenarios");
    Scenario::load(&dir.join(name)).unwrap()
}

fn source(scenario: &Scenario) -> Caller {
    Caller {
        account: scenario.source.account.clone(),
        region: scenario.source.region.clone(),
        service: "ec2".to_owned(),
    }
}

/// Takes a set of all data volumes; returns its ids.
fn take_set(lab: &Lab, scenario: &Scenario) -> Vec<String> {
    let request = SetRequest {
        instance: scenario.source.instance.clone(),
        exclude_boot_volume: true,
        ..SetRequest::default()
    };
    lab.with_world(|world| world.create_snapshots(&source(scenario), &request))
        .unwrap()
}

fn completed_at(lab: &Lab, id: &str) -> Option<DateTime<Utc>> {
    lab.with_world(|world| {
        let status = world.snapshot(id).unwrap().status(world.now());
        assert_ne!(status.state, State::Error);
        Ok(status.completed_at)
    })
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_snapshot_of_fourteen_hours_takes_about_fourteen_hours() {
    let scenario = fixture("fourteen-hours.toml");
    for seed in [1, 7, 99] {
        let lab = Lab::from_scenario(&scenario, seed).unwrap();
        let ids = take_set(&lab, &scenario);
        tokio::time::sleep(Duration::from_secs(16 * 3600)).await;
        let ends: Vec<_> = ids.iter().map(|id| completed_at(&lab, id)).collect();
        let hours = (ends[0].unwrap() - scenario.start).num_minutes();
        assert!(
            (13 * 60..15 * 60 + 20).contains(&hours),
            "{hours} minutes with seed {seed}"
        );
        assert!(
            ends.iter().all(|end| *end == ends[0]),
            "the set completes together: {ends:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_base_of_tiny_takes_minutes_and_its_delta_less() {
    let scenario = fixture("tiny.toml");
    let lab = Lab::from_scenario(&scenario, scenario.seed).unwrap();
    let base = take_set(&lab, &scenario);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let delta = take_set(&lab, &scenario);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let bytes = |id: &str| {
        lab.with_world(|world| Ok(world.snapshot(id).unwrap().delta_bytes))
            .unwrap()
    };
    assert!(completed_at(&lab, &base[0]).is_some() && completed_at(&lab, &delta[0]).is_some());
    assert!(bytes(&delta[0]) > 0 && bytes(&delta[0]) < bytes(&base[0]));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_world_however_often_one_looks() {
    let scenario = fixture("tiny.toml");
    let mut seen = Vec::new();
    for looks in [1_u64, 600] {
        let lab = Lab::from_scenario(&scenario, 5).unwrap();
        for _ in 0..looks {
            tokio::time::sleep(Duration::from_secs(3600 / looks)).await;
            lab.with_world(|_| Ok(())).unwrap();
        }
        let ids = take_set(&lab, &scenario);
        tokio::time::sleep(Duration::from_secs(7200)).await;
        let end = completed_at(&lab, &ids[0]);
        let bytes = lab
            .with_world(|w| Ok(w.snapshot(&ids[0]).unwrap().full_bytes))
            .unwrap();
        seen.push((ids, end, bytes));
    }
    assert_eq!(seen[0], seen[1]);
}
