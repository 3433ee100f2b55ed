//! What a plan costs: the window search over a week, and the whole plan with its 10,000 draws.
//!
//! `cargo bench -p snapmigrate-models --bench schedule`

use snapmigrate_models::blocks::BlockSet;
use snapmigrate_models::format::Document;
use snapmigrate_models::inventory::{Inventory, VolumeFacts};
use snapmigrate_models::observation::{ObservedDelta, VolumeObservations, WritePeriod};
use snapmigrate_models::policy::Policy;
use snapmigrate_models::profile::Profile;
use snapmigrate_models::schedule::make_plan;
use snapmigrate_models::units::{Timestamp, at_epoch_seconds, span};

/// A Monday.
const NOW: f64 = 1_800_230_400.0;

fn main() {
    divan::main();
}

fn now() -> Timestamp {
    at_epoch_seconds(NOW)
}

/// Two weeks of five-minute periods with a rhythm of the day and a quiet Sunday.
fn history(volume: u32) -> Vec<WritePeriod> {
    let one = |k: u32| {
        let start = NOW - 14.0 * 86_400.0 + f64::from(k) * 300.0;
        let hour = (start / 3600.0).rem_euclid(24.0);
        let day = if ((start / 86_400.0).floor() + 4.0).rem_euclid(7.0) < 1.0 {
            0.1
        } else {
            1.0
        };
        let rate = 60.0 + 30.0 * (hour / 24.0 * std::f64::consts::TAU).sin();
        let ops = f64::from(volume) * 300.0 * rate * day;
        WritePeriod {
            start: at_epoch_seconds(start),
            period_seconds: 300,
            write_bytes: ops * 8192.0,
            write_ops: ops,
        }
    };
    (0..14 * 288).map(one).collect()
}

fn deltas() -> Vec<ObservedDelta> {
    let one = |k: u32| {
        let from = now() - span(f64::from(6 - k) * 1800.0);
        let fresh = 10_000 + 300 * u64::from(k);
        ObservedDelta {
            from_snapshot: format!("snap-{k}").parse().expect("a snapshot id"),
            to_snapshot: format!("snap-{}", k + 1).parse().expect("a snapshot id"),
            from,
            to: from + span(1800.0),
            changed_blocks: 1100,
            runs: BlockSet::of(vec![(0, 800), (fresh, 300)]),
        }
    };
    (0..6).map(one).collect()
}

fn facts(number: u32) -> VolumeFacts {
    VolumeFacts {
        volume: format!("vol-{number:04}").parse().expect("a volume id"),
        zone: "eu-west-1a".parse().expect("a zone"),
        size_gib: 1000,
        volume_type: "gp3".into(),
        iops: Some(3000),
        throughput_mib_per_second: Some(125),
        state: "in-use".into(),
        device: Some(format!("/dev/sd{number}")),
        attached_to: Some("i-0001".parse().expect("an instance id")),
        multi_attach: false,
        encrypted: false,
        kms_key: None,
        created_at: None,
        tags: std::collections::BTreeMap::new(),
    }
}

fn profile(volumes: u32) -> Profile {
    let seen = |number: u32| VolumeObservations {
        volume: facts(number).volume,
        written_blocks: Some(1_500_000),
        writes: history(number),
        deltas: deltas(),
        durations: Vec::new(),
    };
    Profile {
        format: Profile::FORMAT.to_owned(),
        volumes: (1..=volumes).map(seen).collect(),
        inventory: Inventory {
            taken_at: now(),
            account: "111122223333".parse().expect("an account"),
            region: "eu-west-1".parse().expect("a region"),
            instance: Some("i-0001".parse().expect("an instance id")),
            volumes: (1..=volumes).map(facts).collect(),
            root_volume: None,
            snapshots: Vec::new(),
        },
        notes: Vec::new(),
    }
}

/// From profile to sealed plan: fit, search over the hours of a week, forecast, what-if, paths.
#[divan::bench(args = [1, 4], sample_count = 5, sample_size = 1)]
fn a_plan_with_its_week(bencher: divan::Bencher<'_, '_>, volumes: u32) {
    let profile = profile(volumes);
    let text =
        "[target]\naccount = \"111122223333\"\nregion = \"us-east-1\"\nzone = \"us-east-1a\"\n";
    let policy = Policy::from_toml(text).expect("a policy");
    bencher.bench(|| make_plan(&profile, &policy, now(), 1).map(|plan| plan.digest));
}
