//! What a profile lacks: what was odd in it, and which measurement would narrow a forecast most.
//!
//! It knows what can be measured and how long it takes, and no model.

use chrono::TimeDelta;
use snapmigrate_models::inventory::{Inventory, SnapshotFacts, VolumeFacts};
use snapmigrate_models::observation::VolumeObservations;
use snapmigrate_models::units::Timestamp;

/// A snapshot further ahead than this is not a rounding matter.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(90);
/// Deltas from which a curve can be told from its noise.
const ENOUGH_DELTAS: usize = 2;
/// A last round covers minutes: a shortest delta beyond this says little about it.
const LONG_DELTA: TimeDelta = TimeDelta::hours(4);

/// Oddities of the inventory, for the reader.
pub(super) fn oddities(inventory: &Inventory, now: Timestamp, history: TimeDelta) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(clock_behind(inventory, now));
    for facts in &inventory.volumes {
        notes.extend(young(facts, now, history));
        let own = inventory.snapshots.iter();
        let own: Vec<&SnapshotFacts> = own.filter(|s| s.volume == facts.volume).collect();
        notes.extend(own.windows(2).filter_map(|pair| resized(pair[0], pair[1])));
        notes.extend(own.last().and_then(|last| outgrown(last, facts)));
    }
    notes
}

fn clock_behind(inventory: &Inventory, now: Timestamp) -> Option<String> {
    let ahead = inventory.snapshots.iter().max_by_key(|s| s.started_at)?;
    (ahead.started_at > now + CLOCK_TOLERANCE).then(|| {
        format!(
            "this machine's clock is behind AWS's: snapshot {} starts at {}, here it is {}; metrics \
             were asked for up to the wrong time: set the clock and measure again",
            ahead.snapshot,
            ahead.started_at.format("%Y-%m-%d %H:%M:%S UTC"),
            now.format("%H:%M:%S UTC")
        )
    })
}

/// A volume that was made within the history asked for: replaced, or new.
fn young(facts: &VolumeFacts, now: Timestamp, history: TimeDelta) -> Option<String> {
    let created_at = facts.created_at.filter(|at| *at > now - history)?;
    Some(format!(
        "{}: made on {}: what its predecessor wrote and its snapshots are not counted",
        facts.volume,
        created_at.format("%Y-%m-%d %H:%M UTC")
    ))
}

fn resized(older: &SnapshotFacts, newer: &SnapshotFacts) -> Option<String> {
    (older.size_gib != newer.size_gib).then(|| {
        format!(
            "{}: it grew from {} to {} GiB between {} and {}: their delta counts as it is, with what was \
             written to the new part",
            newer.volume, older.size_gib, newer.size_gib, older.snapshot, newer.snapshot
        )
    })
}

fn outgrown(last: &SnapshotFacts, facts: &VolumeFacts) -> Option<String> {
    (last.size_gib != facts.size_gib).then(|| {
        format!(
            "{}: it has {} GiB now, {} when {} was taken: no delta tells yet how the new part is written",
            facts.volume, facts.size_gib, last.size_gib, last.snapshot
        )
    })
}

/// The one measurement that would narrow a forecast most.
pub(super) fn next_probe(volumes: &[VolumeObservations]) -> String {
    let names = |lacks: &dyn Fn(&VolumeObservations) -> bool| {
        let named = volumes.iter().filter(|seen| lacks(seen));
        named
            .map(|seen| seen.volume.to_string())
            .collect::<Vec<String>>()
    };
    let few = names(&|seen| seen.deltas.len() < ENOUGH_DELTAS);
    let silent = names(&|seen| seen.writes.is_empty());
    let long = names(&|seen| {
        seen.deltas
            .iter()
            .all(|delta| delta.to - delta.from > LONG_DELTA)
    });
    let probes = "--probe-snapshots 3 --probe-spacing-minutes 20";
    match () {
        () if !few.is_empty() => format!(
            "what would narrow the forecast most: deltas of {}; {probes} gives two in about an hour",
            few.join(", ")
        ),
        () if !silent.is_empty() => format!(
            "what would narrow the forecast most: the write history of {}; allow cloudwatch:GetMetricData",
            silent.join(", ")
        ),
        () if !long.is_empty() => format!(
            "what would narrow the forecast most: a short delta of {}, whose deltas all cover hours while \
             a last round covers minutes; {probes} gives two",
            long.join(", ")
        ),
        () => "what would narrow the forecast most: the copy into the target, which nothing at the source \
               tells; the first rounds measure it"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use snapmigrate_models::blocks::BlockSet;
    use snapmigrate_models::observation::{ObservedDelta, WritePeriod};

    use super::*;

    fn at(hours: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn seen(deltas_hours: &[i64], minutes: usize) -> VolumeObservations {
        let delta = |hours: &i64| ObservedDelta {
            from_snapshot: "snap-01".parse().expect("a snapshot"),
            to_snapshot: "snap-02".parse().expect("a snapshot"),
            from: at(0),
            to: at(*hours),
            changed_blocks: 1,
            runs: BlockSet::default(),
        };
        let minute = WritePeriod {
            start: at(0),
            period_seconds: 60,
            write_bytes: 1.0,
            write_ops: 1.0,
        };
        VolumeObservations {
            volume: "vol-01".parse().expect("a volume"),
            written_blocks: None,
            writes: vec![minute; minutes],
            deltas: deltas_hours.iter().map(delta).collect(),
            durations: Vec::new(),
        }
    }

    fn snapshot(started_at: Timestamp, size_gib: u64) -> SnapshotFacts {
        SnapshotFacts {
            snapshot: "snap-01".parse().expect("a snapshot"),
            volume: "vol-01".parse().expect("a volume"),
            state: "completed".into(),
            state_message: None,
            progress: None,
            started_at,
            completed_at: None,
            full_bytes: None,
            size_gib,
            storage_tier: "standard".into(),
            encrypted: false,
            tags: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn the_most_telling_probe_is_named() {
        for (deltas, minutes, words) in [
            (&[][..], 0, "deltas of vol-01"),
            (&[1], 5, "deltas of vol-01"),
            (&[1, 2], 0, "write history"),
            (&[8, 24], 5, "a short delta"),
            (&[1, 24], 5, "copy into the target"),
        ] {
            let advice = next_probe(&[seen(deltas, minutes)]);
            assert!(advice.contains(words), "{deltas:?} {minutes}: {advice}");
        }
    }

    #[test]
    fn growth_and_clock_steps_are_said() {
        let grown = resized(&snapshot(at(1), 10), &snapshot(at(2), 20)).expect("grown");
        assert!(grown.contains("from 10 to 20 GiB"), "{grown}");
        assert_eq!(resized(&snapshot(at(1), 10), &snapshot(at(2), 10)), None);
    }
}
