//! What the path `direct` adds to a round: volumes prepared before the fence, brought to each round's
//! content by the target's host, and a snapshot of them before they are mounted.
//!
//! Must not know how a host writes a block.

use super::words::{size, span};
use super::{Next, View};
use crate::progress::{GatePassage, RoundProgress};
use crate::step::{Action, FailureClass};

/// Times a round may have to be written whole before the run is given up: something else writes to the
/// volumes then.
const MOST_REBUILDS: u32 = 3;

/// Refusals of a base that are believed: the first one is asked again, which costs seconds where a
/// whole volume costs hours.
const BELIEVED: u32 = 2;

impl View<'_> {
    /// The next step of a round on this path, final or not; none when its data is in the volumes.
    pub(super) fn next_direct_step(&self, round: u32, state: &RoundProgress) -> Option<Action> {
        // A round whose base is gone is written whole.
        let fresh = round == 0 && !self.progress.is_based(round);
        let whole = fresh || self.progress.full.contains(&round);
        // Behind the fence the host counts the changed blocks itself; ours are counted afterwards.
        let measured = state.deltas.is_some() || state.is_final;
        match () {
            () if state.snapshots.is_empty() => Some(Action::Snapshot { round }),
            // A volume that cannot be attached is noticed now, not after the base's hours.
            () if !self.progress.prepared => Some(Action::PrepareVolumes),
            () if state.completed.is_empty() => Some(Action::AwaitSnapshots { round }),
            () if state.syncing.is_none() => Some(Action::Sync { round, whole }),
            () if !measured => Some(Action::MeasureDelta { round }),
            () if state.synced.is_empty() || self.unbelieved(round).is_some() => {
                Some(Action::AwaitSync { round })
            }
            () => None,
        }
    }

    /// The volumes are no base any more: before the fence they are written whole, a few times.
    pub(super) fn rebuild(&self, round: u32, state: &RoundProgress) -> Option<(Action, String)> {
        let failing = self.unbelieved(round)?;
        if failing.count < BELIEVED {
            let reason = format!("{}; asked once more", failing.message);
            return Some((Action::AwaitSync { round }, reason));
        }
        (state.rebuilt < MOST_REBUILDS).then(|| {
            let reason = format!(
                "{}; every block of the volumes is written again from round {round}",
                failing.message
            );
            (Action::Sync { round, whole: true }, reason)
        })
    }

    /// A gate that refuses may do so because of a base: then it is asked for again, which finds out, and the
    /// gate is asked as soon as it was written anew.
    pub(super) fn bases_after(&self, gate: &GatePassage) -> Option<Next> {
        let (round, state) = self.progress.rounds.last_key_value()?;
        if !self.is_direct() || gate.refusals.is_empty() {
            return None;
        }
        if state.syncing.is_some_and(|syncing| syncing.at > gate.at) {
            let attempt = gate.attempt + 1;
            let reason = "the volumes were written again since the gate refused";
            return Some(self.attempt(Action::Gate { attempt }, reason));
        }
        let looked = state.advanced_at.is_some_and(|at| at > gate.at);
        (!looked).then(|| {
            let reason = format!("{}; the volumes are looked at", gate.refusals.join("; "));
            self.attempt(Action::AwaitSync { round: *round }, reason)
        })
    }

    /// Behind the fence a refused base is asked once more; a whole volume takes too long there.
    pub(super) fn ask_again(&self, round: u32) -> Option<(Action, String)> {
        let failing = self.unbelieved(round)?;
        let reason = format!("{}; asked once more", failing.message);
        (failing.count < BELIEVED).then_some((Action::AwaitSync { round }, reason))
    }

    fn unbelieved(&self, round: u32) -> Option<&crate::progress::Failing> {
        let failing = self
            .progress
            .failing
            .get(&Action::AwaitSync { round }.step_id())?;
        (failing.class == FailureClass::Integrity && failing.count > 0).then_some(failing)
    }

    /// Before the fence: prepares, syncs, or waits, with the words for it.
    pub(super) fn direct_reason(
        &self,
        round: u32,
        state: &RoundProgress,
        action: &Action,
    ) -> String {
        let bytes = state.delta_bytes().map_or_else(|| "its delta".into(), size);
        match action {
            Action::PrepareVolumes => {
                "the volumes are there long before the fence: written whole once, then by each round".to_owned()
            }
            Action::Sync { whole: true, .. } => {
                format!("round {round} was completed; every block goes into the prepared volumes")
            }
            Action::Sync { round: 0, .. } => {
                "round 0 was completed; the volumes of an earlier run hold what was before, what changed since goes into them"
                    .to_owned()
            }
            Action::Sync { .. } => {
                let taken = state.snapshot_seconds().unwrap_or(0.0);
                format!(
                    "round {round} was completed in {}; what changed goes into the prepared volumes",
                    span(taken)
                )
            }
            _ => format!("the target's host writes and reads back {bytes} of round {round}"),
        }
    }

    /// The final data is in the volumes: what is still to do before they may be mounted.
    pub(super) fn keep_target(&self) -> Option<(Action, &'static str)> {
        let due = self.progress.prepared && self.progress.kept.is_empty();
        let why = "every changed block is written and read back; a snapshot holds that before anything mounts it";
        due.then_some((Action::KeepTarget, why))
    }

    /// The changed blocks of the final round, which nobody counted behind the fence.
    pub(super) fn uncounted(&self) -> Option<Action> {
        let round = self.progress.final_round()?;
        let counted = self.progress.round(round)?.deltas.is_some();
        (self.is_direct() && !counted).then_some(Action::MeasureDelta { round })
    }
}

#[cfg(test)]
mod tests;
