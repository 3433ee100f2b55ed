//! Profiles and policies for tests: a database whose first snapshot takes about 14 hours.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use crate::format::Document;
use crate::inventory::{Inventory, VolumeFacts};
use crate::observation::{VolumeObservations, WritePeriod};
use crate::policy::Policy;
use crate::profile::Profile;
use crate::units::{Timestamp, at_epoch_seconds, epoch_seconds};

/// The moment all plans of the tests are made.
pub fn now() -> Timestamp {
    "2026-11-16T08:00:00Z".parse().unwrap()
}

/// A quiet night and a busy day, in operations per second.
fn rhythm(at: f64) -> f64 {
    let hour = (at / 3600.0).rem_euclid(24.0);
    if (1.0..5.0).contains(&hour) {
        60.0
    } else {
        300.0
    }
}

/// `hours` of five-minute periods up to now, 8 KiB writes, `factor` times the rhythm.
pub fn history(hours: u32, factor: f64) -> Vec<WritePeriod> {
    let first = epoch_seconds(now()) - f64::from(hours) * 3600.0;
    let one = |k: u32| {
        let start = first + f64::from(k) * 300.0;
        let ops = rhythm(start) * factor * 300.0 * (1.0 + 0.1 * f64::from(k % 3));
        WritePeriod {
            start: at_epoch_seconds(start),
            period_seconds: 300,
            write_bytes: ops * 8192.0,
            write_ops: ops,
        }
    };
    (0..hours * 12).map(one).collect()
}

/// A volume of the group, `number` from 1.
pub fn volume(number: u32, size_gib: u64) -> VolumeFacts {
    VolumeFacts {
        volume: format!("vol-{number:04}").parse().unwrap(),
        zone: "eu-west-1a".parse().unwrap(),
        size_gib,
        volume_type: "gp3".into(),
        iops: Some(3000),
        throughput_mib_per_second: Some(125),
        state: "in-use".into(),
        device: Some("/dev/sdf".into()),
        attached_to: Some("i-0001".parse().unwrap()),
        multi_attach: false,
        encrypted: false,
        kms_key: None,
        created_at: None,
        tags: BTreeMap::new(),
    }
}

/// `count` volumes of `size_gib` with three days of write history and nothing else measured.
pub fn profile(count: u32, size_gib: u64, factor: f64) -> Profile {
    let volumes: Vec<VolumeFacts> = (1..=count).map(|number| volume(number, size_gib)).collect();
    let seen = |facts: &VolumeFacts| VolumeObservations {
        volume: facts.volume.clone(),
        written_blocks: Some(size_gib * 2048 * 9 / 10),
        writes: history(72, factor),
        deltas: Vec::new(),
        durations: Vec::new(),
    };
    Profile {
        format: Profile::FORMAT.to_owned(),
        volumes: volumes.iter().map(seen).collect(),
        inventory: Inventory {
            taken_at: now(),
            account: "111122223333".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            instance: Some("i-0001".parse().unwrap()),
            volumes,
            root_volume: None,
            snapshots: Vec::new(),
        },
        notes: Vec::new(),
    }
}

/// To another region, within `limit_seconds`.
pub fn policy(limit_seconds: f64) -> Policy {
    let text = format!(
        "max_write_downtime_seconds = {limit_seconds}\n[target]\naccount = \"111122223333\"\n\
         region = \"us-east-1\"\nzone = \"us-east-1a\"\n"
    );
    Policy::from_toml(&text).unwrap()
}
