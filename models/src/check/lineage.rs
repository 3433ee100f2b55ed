//! Snapshots that stand in the chain's way: foreign ones, pending ones, a base that is gone or not ours.

use std::collections::BTreeMap;

use crate::inventory::{Inventory, SnapshotFacts};
use crate::limits::LIMITS;
use crate::plan::{Plan, PlannedVolume};
use crate::units::{Timestamp, epoch_seconds};

use super::walk::{finding, refuse};
use super::{Finding, Severity};

/// EBS asks for 15 s between snapshots of one volume (EC2 API errors, SnapshotCreationPerVolumeRateExceeded).
const SPACING_SECONDS: i64 = 15;

/// A schedule may be late by this share of its gap before it is taken for suspended, and by an hour at most (EBS user
/// guide: Data Lifecycle Manager begins within 60 minutes of the time that was set).
const LATE_SHARE: f64 = 0.25;
const LATEST_SECONDS: f64 = 3600.0;

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
    scheduler(snapshot).unwrap_or_else(|| "someone else".to_owned())
}

/// The service whose schedule took a snapshot, by its tags.
fn scheduler(snapshot: &SnapshotFacts) -> Option<String> {
    let mut keys = snapshot.tags.iter();
    keys.find_map(|(key, value)| match key.as_str() {
        "aws:dlm:lifecycle-policy-id" => Some(format!("Data Lifecycle Manager's {value}")),
        key if key.starts_with("aws:backup:") => Some("AWS Backup".to_owned()),
        _ => None,
    })
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
    let (gap, next) = rhythm(times)?;
    let alive = epoch_seconds(now) < next + gap;
    (alive && next < epoch_seconds(plan.window.end)).then_some(gap / 3600.0)
}

/// Seconds between snapshots that keep coming, three or more, and when the next one is due.
fn rhythm(times: &[f64]) -> Option<(f64, f64)> {
    let mut gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if gaps.len() < 2 {
        return None;
    }
    gaps.sort_by(f64::total_cmp);
    let gap = gaps[gaps.len() / 2];
    (gap > 0.0).then_some((gap, times.last()? + gap))
}

/// What somebody else's snapshots of a volume say against a fence at `now` that is up until `until`: one is pending, one
/// was taken just now, or a schedule of Data Lifecycle Manager or AWS Backup takes the next one meanwhile.
#[must_use]
pub fn foreign_in_the_way(
    plan: &Plan,
    of_volume: &[SnapshotFacts],
    now: Timestamp,
    until: Timestamp,
) -> Vec<String> {
    let foreign: Vec<&SnapshotFacts> = of_volume.iter().filter(|s| !ours(plan, s)).collect();
    let mut found = Vec::new();
    let spacing = chrono::TimeDelta::seconds(SPACING_SECONDS);
    for snapshot in &foreign {
        let name = format!("{} of {}", snapshot.snapshot, owner(snapshot));
        if snapshot.state == "pending" {
            found.push(format!(
                "{name} is pending: the final one would queue behind it"
            ));
        } else if now - snapshot.started_at < spacing {
            found.push(format!(
                "{name} was taken less than {SPACING_SECONDS} s ago"
            ));
        }
    }
    let mut takers: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    // Only a schedule is known to come again: snapshots that people took now and then hold nobody up.
    for snapshot in foreign {
        if let Some(scheduler) = scheduler(snapshot) {
            let times = takers.entry(scheduler).or_default();
            times.push(epoch_seconds(snapshot.started_at));
        }
    }
    for (owner, mut times) in takers {
        times.sort_by(f64::total_cmp);
        let due = rhythm(&times).filter(|(gap, next)| {
            let late = (gap * LATE_SHARE).min(LATEST_SECONDS);
            (epoch_seconds(now) - late..epoch_seconds(until)).contains(next)
        });
        if let Some((gap, _)) = due {
            let hours = gap / 3600.0;
            found.push(format!(
                "{owner} takes a snapshot about every {hours:.1} h and the next one is due: suspend it, or wait until it \
                 is there"
            ));
        }
    }
    found
}
