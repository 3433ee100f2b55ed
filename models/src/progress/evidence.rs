//! What the forecast at the gate may know of a running migration.

use super::{Progress, RoundProgress};
use crate::evidence::{Evidence, MeasuredRound};
use crate::ids::Region;
use crate::observation::{ObservedDuration, ServiceStep};
use crate::step::{CompletedSnapshot, VolumeDelta};

/// A round so soon after a CHECKPOINT holds what the database had in memory: the spacing between two
/// snapshots of a volume and a few calls.
pub const FLUSH_COUNTS_SECONDS: f64 = 60.0;

impl Progress {
    /// Rounds and durations measured so far, and the fresh rate of the last gate when no round
    /// followed it.
    #[must_use]
    pub fn evidence(&self, source: &Region, target: &Region) -> Evidence {
        let fresh = self
            .gates
            .last()
            .filter(|gate| gate.rounds == self.next_index());
        Evidence {
            rounds: self
                .rounds
                .iter()
                .filter_map(|(index, round)| measured(self, *index, round))
                .collect(),
            fresh_write_bytes_per_second: fresh.map(|gate| gate.write_bytes_per_second),
            fresh_write_ops_per_second: fresh.map(|gate| gate.write_ops_per_second),
            last_round_at: self
                .rounds
                .values()
                .filter_map(RoundProgress::point_in_time)
                .max(),
            durations: self
                .rounds
                .values()
                .flat_map(|r| durations(r, source, target))
                .collect(),
        }
    }
}

fn measured(progress: &Progress, index: u32, round: &RoundProgress) -> Option<MeasuredRound> {
    if round.completed.is_empty() {
        return None;
    }
    let at = round.point_in_time()?;
    Some(MeasuredRound {
        index,
        at,
        deltas: round.deltas.clone().unwrap_or_default(),
        snapshot_seconds: round.snapshot_seconds(),
        transfer_seconds: round.transfer_seconds(),
        writes: Vec::new(),
        flushed: progress.flushed_before(index, at, FLUSH_COUNTS_SECONDS),
    })
}

fn durations(round: &RoundProgress, source: &Region, target: &Region) -> Vec<ObservedDuration> {
    let deltas = round.deltas.as_deref().unwrap_or_default();
    let snapshots = round.completed.iter();
    let copies = round.copied.iter();
    let snapshots = snapshots.map(|s| duration(ServiceStep::Snapshot, s, deltas, source));
    let copies = copies.map(|c| duration(ServiceStep::Copy, c, deltas, target));
    snapshots.chain(copies).collect()
}

fn duration(
    step: ServiceStep,
    snapshot: &CompletedSnapshot,
    deltas: &[VolumeDelta],
    region: &Region,
) -> ObservedDuration {
    let moved = deltas.iter().find(|delta| delta.volume == snapshot.volume);
    ObservedDuration {
        step,
        moved_bytes: moved.map(|delta| crate::units::Blocks(delta.changed_blocks).bytes()),
        seconds: (snapshot.completed_at - snapshot.started_at).as_seconds_f64(),
        ended_at: snapshot.completed_at,
        region: region.clone(),
        volume_type: None,
        zone: None,
        from_region: None,
    }
}
