//! Gathering the evidence of a running migration from its progress.

use std::collections::BTreeMap;

use super::{Evidence, MeasuredRound, VolumePeriods};
use crate::ids::VolumeId;
use crate::observation::{ObservedDuration, ServiceStep, WritePeriod};
use crate::plan::Plan;
use crate::progress::{Progress, RoundProgress};
use crate::step::{CompletedSnapshot, SyncedVolume};
use crate::units::{Blocks, Timestamp};

/// A round so soon after a CHECKPOINT holds what the database had in memory: the spacing between two
/// snapshots of a volume and a few calls.
pub const FLUSH_COUNTS_SECONDS: f64 = 60.0;

impl Evidence {
    /// Rounds, writes and durations measured so far, and the fresh rate of the last gate when no
    /// round followed it.
    #[must_use]
    pub fn of(plan: &Plan, progress: &Progress) -> Self {
        let fresh = progress
            .gates
            .last()
            .filter(|gate| gate.rounds == progress.next_index());
        Self {
            rounds: rounds(progress, &[]),
            fresh_write_bytes_per_second: fresh.map(|gate| gate.write_bytes_per_second),
            fresh_write_ops_per_second: fresh.map(|gate| gate.write_ops_per_second),
            recent_writes: writes(progress, &[]),
            last_round_at: progress
                .rounds
                .values()
                .filter_map(RoundProgress::point_in_time)
                .max(),
            unclean_start_seconds: progress
                .trial
                .measured
                .filter(|(_, restore)| restore.clean_start_seconds().is_none())
                .map(|(_, restore)| restore.start_seconds),
            // A full one where a delta was counted would teach a wrong rate.
            durations: progress
                .rounds
                .iter()
                .filter(|(index, _)| !progress.full.contains(index))
                .flat_map(|(_, round)| durations(plan, round))
                .chain(tried(plan, progress))
                .collect(),
        }
    }

    /// The same with writes that were read just now.
    #[must_use]
    pub fn with_writes(self, progress: &Progress, fresh: &[VolumePeriods]) -> Self {
        Self {
            rounds: rounds(progress, fresh),
            recent_writes: writes(progress, fresh),
            ..self
        }
    }
}

/// Everything read of each volume's writing, each period once, oldest first; a later reading counts.
fn writes(progress: &Progress, fresh: &[VolumePeriods]) -> Vec<VolumePeriods> {
    let of_rounds = progress.rounds.values().flat_map(|round| &round.writes);
    let of_gates = progress.gates.iter().flat_map(|gate| &gate.recent_writes);
    let mut all: BTreeMap<VolumeId, BTreeMap<Timestamp, WritePeriod>> = BTreeMap::new();
    for told in of_rounds.chain(of_gates).chain(fresh) {
        let periods = all.entry(told.volume.clone()).or_default();
        periods.extend(told.periods.iter().map(|period| (period.start, *period)));
    }
    let volume = |(volume, periods): (VolumeId, BTreeMap<_, WritePeriod>)| VolumePeriods {
        volume,
        periods: periods.into_values().collect(),
    };
    all.into_iter().map(volume).collect()
}

/// Completed rounds, each with what was written since the one before.
fn rounds(progress: &Progress, fresh: &[VolumePeriods]) -> Vec<MeasuredRound> {
    let writes = writes(progress, fresh);
    let mut before = None;
    let mut measured = Vec::new();
    for (index, round) in &progress.rounds {
        let Some(at) = round.point_in_time() else {
            continue;
        };
        if !round.completed.is_empty() {
            measured.push(MeasuredRound {
                index: *index,
                at,
                deltas: round.deltas.clone().unwrap_or_default(),
                snapshot_seconds: round.snapshot_seconds(),
                transfer_seconds: round.transfer_seconds(),
                writes: before.map_or_else(Vec::new, |from| between(&writes, from, at)),
                besides_seconds: besides(round, at),
                flushed: progress.flushed_before(*index, at, FLUSH_COUNTS_SECONDS),
            });
        }
        before = Some(at);
    }
    measured
}

/// From its point in time until its last step had ended, less snapshot and transfer.
fn besides(round: &RoundProgress, at: Timestamp) -> Option<f64> {
    let whole = (round.advanced_at? - at).as_seconds_f64();
    let moved = round.snapshot_seconds()? + longest_copy(round);
    Some((whole - moved).max(0.0))
}

fn longest_copy(round: &RoundProgress) -> f64 {
    let each = round.copied.iter();
    let each = each.map(|copy| (copy.completed_at - copy.started_at).as_seconds_f64());
    each.fold(0.0, f64::max)
}

/// The periods that overlap a span.
fn between(writes: &[VolumePeriods], from: Timestamp, to: Timestamp) -> Vec<VolumePeriods> {
    let cut = |told: &VolumePeriods| VolumePeriods {
        volume: told.volume.clone(),
        periods: told
            .periods
            .iter()
            .filter(|period| period.start < to && period.until() > from)
            .copied()
            .collect(),
    };
    let mut cut: Vec<VolumePeriods> = writes.iter().map(cut).collect();
    cut.retain(|told| !told.periods.is_empty());
    cut
}

fn durations(plan: &Plan, round: &RoundProgress) -> Vec<ObservedDuration> {
    let snapshot = |s| duration(plan, ServiceStep::Snapshot, s, round);
    let copy = |s| duration(plan, ServiceStep::Copy, s, round);
    let snapshots = round.completed.iter().map(snapshot);
    let syncs = round.synced.iter().map(|synced| sync(plan, synced));
    let copies = round.copied.iter().map(copy);
    snapshots.chain(copies).chain(syncs).collect()
}

fn sync(plan: &Plan, synced: &SyncedVolume) -> ObservedDuration {
    let planned = plan.volumes.iter().find(|v| v.volume == synced.volume);
    // An interrupted one took time that tells nothing of the rate.
    let whole = (synced.resumed_blocks == 0).then_some(synced.written_blocks);
    ObservedDuration {
        step: ServiceStep::Direct,
        moved_bytes: whole.map(|blocks| Blocks(blocks).bytes()),
        seconds: (synced.finished_at - synced.started_at).as_seconds_f64(),
        ended_at: synced.finished_at,
        region: plan.target.region.clone(),
        volume_type: planned.map(|planned| planned.volume_type.clone()),
        zone: Some(plan.target.zone.clone()),
        from_region: Some(plan.source.region.clone()),
    }
}

/// Create and attach of a tried restore are those of the cutover, and so is its start less the replay.
fn tried(plan: &Plan, progress: &Progress) -> Vec<ObservedDuration> {
    let Some((ended_at, restore)) = progress.trial.measured else {
        return Vec::new();
    };
    let one = |step, seconds| ObservedDuration {
        step,
        moved_bytes: None,
        seconds,
        ended_at,
        region: plan.target.region.clone(),
        volume_type: None,
        zone: Some(plan.target.zone.clone()),
        from_region: None,
    };
    let mut all = vec![
        one(ServiceStep::CreateVolume, restore.create_seconds),
        one(ServiceStep::Attach, restore.attach_seconds),
    ];
    let clean = restore.clean_start_seconds();
    all.extend(clean.map(|seconds| one(ServiceStep::Recovery, seconds)));
    all
}

fn duration(
    plan: &Plan,
    step: ServiceStep,
    snapshot: &CompletedSnapshot,
    round: &RoundProgress,
) -> ObservedDuration {
    let deltas = round.deltas.as_deref().unwrap_or_default();
    let moved = deltas.iter().find(|delta| delta.volume == snapshot.volume);
    let planned = plan.volumes.iter().find(|v| v.volume == snapshot.volume);
    let is_copy = step == ServiceStep::Copy;
    let place = if is_copy { &plan.target } else { &plan.source };
    ObservedDuration {
        step,
        moved_bytes: moved.map(|delta| Blocks(delta.changed_blocks).bytes()),
        seconds: (snapshot.completed_at - snapshot.started_at).as_seconds_f64(),
        ended_at: snapshot.completed_at,
        region: place.region.clone(),
        volume_type: planned.map(|planned| planned.volume_type.clone()),
        zone: Some(place.zone.clone()),
        from_region: is_copy.then(|| plan.source.region.clone()),
    }
}
