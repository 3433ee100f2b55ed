//! Snapshots that stand in the chain's way: foreign ones, pending ones, a base that is gone or not ours.

use std::collections::BTreeMap;

use crate::inventory::{Inventory, SnapshotFacts};
use crate::limits::LIMITS;
use crate::plan::{Plan, PlannedVolume};
use crate::units::{Timestamp, epoch_seconds};

use super::walk::{finding, refuse};
use super::{Finding, Severity};

/// All checks of snapshots.
pub(super) fn walk(plan: &Plan, inventory: &Inventory, now: Timestamp, found: &mut Vec<Finding>) {
    for volume in &plan.volumes {
        let of = |s: &&SnapshotFacts| s.volume == volume.volume;
        let all: Vec<&SnapshotFacts> = inventory.snapshots.iter().filter(of).collect();
        pending(plan, volume, &all, found);
        slots(volume, &all, found);
        base(plan, volume, &all, found);
        takers(plan, volume, &all, now, found);
    }
}

/// Made by this migration.
fn ours(plan: &Plan, snapshot: &SnapshotFacts) -> bool {
    snapshot.tags.get("snapmigrate:migration") == Some(&plan.policy.name)
}

fn pending(plan: &Plan, volume: &PlannedVolume, all: &[&SnapshotFacts], found: &mut Vec<Finding>) {
    let foreign = |s: &&&SnapshotFacts| s.state == "pending" && !ours(plan, s);
    for snapshot in all.iter().filter(foreign) {
        let message = format!(
            "of {} is pending and not ours: ours would queue behind it",
            snapshot.snapshot
        );
        let remedy = "wait for it, or pause what takes it";
        found.push(refuse(&volume.volume, message, remedy));
    }
}

/// Pending and failed snapshots both count against what a volume may have in progress (AWS EC2 error
/// codes, ConcurrentSnapshotLimitExceeded).
fn slots(volume: &PlannedVolume, all: &[&SnapshotFacts], found: &mut Vec<Finding>) {
    let most = match volume.volume_type.as_str() {
        "st1" | "sc1" => LIMITS.pending_snapshots_per_hdd_volume,
        _ => LIMITS.pending_snapshots_per_volume,
    };
    let failed = all.iter().filter(|s| s.state == "error").count();
    let taken = failed + all.iter().filter(|s| s.state == "pending").count();
    if failed > 0 && taken >= most {
        let message = format!("has {taken} snapshots pending or in error, {most} are allowed");
        found.push(refuse(
            &volume.volume,
            message,
            "delete those in error: they count until they are gone",
        ));
    }
}

fn base(plan: &Plan, volume: &PlannedVolume, all: &[&SnapshotFacts], found: &mut Vec<Finding>) {
    let Some(base) = &volume.reusable_base else {
        return;
    };
    let sound = |s: &&&SnapshotFacts| s.state == "completed" && s.storage_tier == "standard";
    let standing = all.iter().filter(sound).find(|s| s.snapshot == *base);
    match standing {
        None => {
            let message = format!(
                "was to serve as base of {} and can't any more",
                volume.volume
            );
            found.push(refuse(base, message, "plan again"));
        }
        Some(snapshot) if !ours(plan, snapshot) => {
            let message = format!(
                "serves as base of {} and belongs to {}: deleted or archived before the first round \
                 is complete, that round is full",
                volume.volume,
                owner(snapshot)
            );
            found.push(finding(
                Severity::Note,
                base,
                message,
                "keep it until the first round is in the target",
            ));
        }
        Some(_) => {}
    }
}

/// Who took a snapshot, by the tags that AWS services set.
fn owner(snapshot: &SnapshotFacts) -> String {
    let mut keys = snapshot.tags.iter();
    let service = keys.find_map(|(key, value)| match key.as_str() {
        "aws:dlm:lifecycle-policy-id" => Some(format!("Data Lifecycle Manager's {value}")),
        key if key.starts_with("aws:backup:") => Some("AWS Backup".to_owned()),
        _ => None,
    });
    service.unwrap_or_else(|| "someone else".to_owned())
}

/// Something else takes snapshots of the volume now and then: whose, how often, when next.
fn takers(
    plan: &Plan,
    volume: &PlannedVolume,
    all: &[&SnapshotFacts],
    now: Timestamp,
    found: &mut Vec<Finding>,
) {
    let mut takers: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for snapshot in all.iter().filter(|s| !ours(plan, s)) {
        let times = takers.entry(owner(snapshot)).or_default();
        times.push(epoch_seconds(snapshot.started_at));
    }
    for (owner, mut times) in takers {
        times.sort_by(f64::total_cmp);
        let newest = times.last().copied().unwrap_or_default();
        let since = newest > epoch_seconds(plan.made_at);
        if since {
            let message = format!("got a snapshot of {owner} after the plan was made");
            found.push(finding(
                Severity::Warn,
                &volume.volume,
                message,
                "pause what takes it: its snapshots queue with the chain's",
            ));
        }
        if let Some(clash) = clash(plan, &times, now) {
            let message = format!(
                "gets a snapshot of {owner} about every {clash:.1} h: the next one comes while the \
                 chain runs, and ours would queue behind it"
            );
            found.push(finding(
                Severity::Warn,
                &volume.volume,
                message,
                "suspend that policy until the cutover is done",
            ));
        }
    }
}

/// Hours between snapshots that keep coming: three or more, the next before the window ends and no
/// longer overdue than by one pause.
fn clash(plan: &Plan, times: &[f64], now: Timestamp) -> Option<f64> {
    let mut gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if gaps.len() < 2 {
        return None;
    }
    gaps.sort_by(f64::total_cmp);
    let gap = gaps[gaps.len() / 2];
    let next = times.last()? + gap;
    let alive = epoch_seconds(now) < next + gap;
    (alive && gap > 0.0 && next < epoch_seconds(plan.window.end)).then_some(gap / 3600.0)
}
