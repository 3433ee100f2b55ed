//! What a fleet costs to plan: its work grows with the number of instances.
//!
//! `cargo bench -p snapmigrate-models --bench fleet`; four volumes each, two weeks of metrics, six deltas.

use snapmigrate_models::blocks::BlockSet;
use snapmigrate_models::fleet::plan_fleet;
use snapmigrate_models::format::Document;
use snapmigrate_models::ids::InstanceId;
use snapmigrate_models::inventory::{Inventory, VolumeFacts};
use snapmigrate_models::observation::{ObservedDelta, VolumeObservations, WritePeriod};
use snapmigrate_models::policy::Policy;
use snapmigrate_models::profile::Profile;
use snapmigrate_models::units::{Timestamp, at_epoch_seconds, span};

/// A Monday.
const NOW: f64 = 1_800_230_400.0;
const VOLUMES: u32 = 4;

fn main() {
    divan::main();
}

fn now() -> Timestamp {
    at_epoch_seconds(NOW)
}

/// A number that differs from instance to instance.
fn number(instance: &InstanceId) -> u32 {
    instance
        .as_str()
        .trim_start_matches("i-")
        .parse()
        .unwrap_or_default()
}

/// Three days by the minute and eleven before them in five, as `measure` reads them.
fn history(level: f64) -> Vec<WritePeriod> {
    let one = |start: f64, period_seconds: u32| {
        let hour = (start / 3600.0).rem_euclid(24.0);
        let rate = 60.0 + 30.0 * (hour / 24.0 * std::f64::consts::TAU).sin();
        let ops = level * f64::from(period_seconds) * rate;
        WritePeriod {
            start: at_epoch_seconds(start),
            period_seconds,
            write_bytes: ops * 8192.0,
            write_ops: ops,
        }
    };
    let coarse = (0..11 * 288).map(|k| one(NOW - 14.0 * 86_400.0 + f64::from(k) * 300.0, 300));
    let fine = (0..3 * 1440).map(|k| one(NOW - 3.0 * 86_400.0 + f64::from(k) * 60.0, 60));
    coarse.chain(fine).collect()
}

fn deltas(own: u64) -> Vec<ObservedDelta> {
    let one = |k: u32| {
        let from = now() - span(f64::from(6 - k) * 1800.0);
        let fresh = 10_000 + 300 * u64::from(k);
        ObservedDelta {
            from_snapshot: format!("snap-{k}").parse().expect("a snapshot id"),
            to_snapshot: format!("snap-{}", k + 1).parse().expect("a snapshot id"),
            from,
            to: from + span(1800.0),
            changed_blocks: 600 + own + 300,
            runs: BlockSet::of(vec![(0, 600 + own), (fresh, 300)]),
        }
    };
    (0..6).map(one).collect()
}

fn facts(instance: &InstanceId, volume: u32) -> VolumeFacts {
    VolumeFacts {
        volume: format!("vol-{:05}x{volume}", number(instance))
            .parse()
            .expect("a volume id"),
        zone: "eu-west-1a".parse().expect("a zone"),
        size_gib: 100,
        volume_type: "gp3".into(),
        iops: Some(3000),
        throughput_mib_per_second: Some(125),
        state: "in-use".into(),
        device: Some(format!("/dev/sd{volume}")),
        attached_to: Some(instance.clone()),
        multi_attach: false,
        encrypted: false,
        kms_key: None,
        created_at: None,
        tags: std::collections::BTreeMap::new(),
    }
}

fn profile(instance: &InstanceId) -> Result<Profile, String> {
    let own = u64::from(number(instance) % 40);
    let seen = |volume: u32| VolumeObservations {
        volume: facts(instance, volume).volume,
        written_blocks: Some(60_000 + 2000 * own),
        writes: history(0.2 + 0.02 * own as f64 * f64::from(volume)),
        deltas: deltas(own),
        durations: Vec::new(),
    };
    Ok(Profile {
        format: Profile::FORMAT.to_owned(),
        volumes: (1..=VOLUMES).map(seen).collect(),
        inventory: Inventory {
            taken_at: now(),
            account: "111122223333".parse().expect("an account"),
            region: "eu-west-1".parse().expect("a region"),
            instance: Some(instance.clone()),
            volumes: (1..=VOLUMES)
                .map(|volume| facts(instance, volume))
                .collect(),
            root_volume: None,
            snapshots: Vec::new(),
        },
        notes: Vec::new(),
    })
}

fn policy(instances: u32) -> Policy {
    let one = |k: u32| {
        format!(
            "[[fleet.instances]]\ninstance = \"i-{k:05}\"\ndomain = \"cluster-{}\"\n",
            k / 3
        )
    };
    let named: String = (0..instances).map(one).collect();
    let text = format!(
        "[target]\naccount = \"111122223333\"\nregion = \"us-east-1\"\nzone = \"us-east-1a\"\n{named}"
    );
    Policy::from_toml(&text).expect("a policy")
}

/// From profiles to plans and their order. The profiles are made on the way, as they are read by the tool.
#[divan::bench(args = [10, 30, 100, 300, 1000], sample_count = 1, sample_size = 1)]
fn instances(bencher: divan::Bencher<'_, '_>, instances: u32) {
    let policy = policy(instances);
    bencher.bench(|| {
        let fleet = plan_fleet(&policy, &profile, now(), 1, &mut |_| {}).expect("a fleet");
        assert_eq!(fleet.instances.len(), instances as usize, "all are planned");
        fleet.digest
    });
}
