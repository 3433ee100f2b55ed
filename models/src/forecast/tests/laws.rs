//! What must not matter to a forecast: the order of volumes and of deltas, and a delta told twice.

use super::*;
use crate::ids::SnapshotId;

/// Twelve hours of deltas, one an hour; the blocks move a little each time.
fn observed(count: u64) -> Vec<ObservedDelta> {
    let snapshot = |k: u64| -> SnapshotId { format!("snap-{k:04}").parse().unwrap() };
    let at = |k: u64| now() - span(3600.0 * (count - k) as f64);
    (0..count)
        .map(|k| {
            let runs = BlockSet::of((0..400).map(|b| (b * 7 + k % 3, 1)).collect());
            ObservedDelta {
                from_snapshot: snapshot(k),
                to_snapshot: snapshot(k + 1),
                from: at(k),
                to: at(k + 1),
                changed_blocks: runs.blocks(),
                runs,
            }
        })
        .collect()
}

#[test]
fn the_order_of_volumes_and_deltas_changes_nothing() {
    let mut one = profile(3, 100, 0.2);
    for (k, seen) in one.volumes.iter_mut().enumerate() {
        seen.deltas = observed(4 + k as u64);
    }
    let mut other = one.clone();
    other.volumes.reverse();
    other.inventory.volumes.reverse();
    for seen in &mut other.volumes {
        seen.deltas.reverse();
    }
    let text = |profile| serde_json::to_string(&fit(profile, &policy(3600.0))).unwrap();
    assert_eq!(text(&one), text(&other));
}

#[test]
fn of_deltas_that_overlap_the_finer_ones_count() {
    let mut seen = profile(1, 100, 0.2).volumes.remove(0);
    seen.deltas = observed(4);
    let inventory = profile(1, 100, 0.2).inventory;
    let before = volume_model(&inventory, &seen);
    let mut whole = seen.deltas[0].clone();
    (whole.to, whole.to_snapshot) = (seen.deltas[3].to, seen.deltas[3].to_snapshot.clone());
    let mut backwards = seen.deltas[1].clone();
    (backwards.from, backwards.to) = (backwards.to, backwards.from);
    seen.deltas
        .extend([whole, backwards, seen.deltas[2].clone()]);
    let mut after = volume_model(&inventory, &seen);
    let words = "deltas left out: 1 end before they begin, 2 overlap others";
    assert!(
        after.curve.provenance.contains(words),
        "{}",
        after.curve.provenance
    );
    after.curve.provenance.clone_from(&before.curve.provenance);
    assert_eq!(after, before);
}
