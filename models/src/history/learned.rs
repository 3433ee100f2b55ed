//! What a migration's journal teaches once it has ended.

use std::collections::BTreeMap;

use super::PastMigration;
use crate::calibration::{ClockOutcome, History, Score};
use crate::dirty::{Interval, own_scores};
use crate::evidence::Evidence;
use crate::observation::{ObservedDuration, ServiceStep};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::RunOutcome;
use crate::step::{Action, Event};
use crate::units::{Timestamp, epoch_seconds};

impl PastMigration {
    /// What the journal of a migration teaches, its entries oldest first; none while it is not closed, and
    /// where it ended before anything was measured.
    #[must_use]
    pub fn of<'a>(
        plan: &Plan,
        progress: &Progress,
        entries: impl IntoIterator<Item = (Timestamp, &'a Event)>,
    ) -> Option<Self> {
        let closed = progress.closed.as_ref()?;
        let evidence = Evidence::of(plan, progress);
        let mut durations = fresh(plan, evidence.durations.clone());
        durations.extend(steps(plan, entries));
        let learned = History {
            curve: curve(plan, &evidence),
            durations,
            clocks: clock(progress, closed.outcome).into_iter().collect(),
        };
        (learned != History::default()).then(|| Self {
            plan_digest: plan.digest.clone(),
            ended_at: closed.at,
            outcome: closed.outcome,
            learned,
        })
    }
}

/// A base that was there before the plan is known from the profile already.
fn fresh(plan: &Plan, mut durations: Vec<ObservedDuration>) -> Vec<ObservedDuration> {
    durations.retain(|duration| duration.ended_at > plan.made_at);
    durations
}

/// Each round's delta against the curve fitted to the ones before it.
fn curve(plan: &Plan, evidence: &Evidence) -> Vec<Score> {
    let mut scores = Vec::new();
    for volume in &plan.model.volumes {
        let mut intervals = Vec::new();
        for pair in evidence.rounds.windows(2) {
            let [before, round] = pair else { continue };
            let delta = round.deltas.iter().find(|d| d.volume == volume.volume);
            let told = round.writes.iter().find(|w| w.volume == volume.volume);
            let Some((delta, told)) = delta.zip(told) else {
                continue;
            };
            let (from, to) = (epoch_seconds(before.at), epoch_seconds(round.at));
            intervals.push(Interval {
                written: volume.load.observed(&told.periods, from, to),
                changed_blocks: delta.changed_blocks,
                runs: &delta.runs,
            });
        }
        let (bound, minute) = (volume.curve.bound_blocks, volume.load.minute());
        scores.extend(own_scores(&intervals, bound, minute));
    }
    scores
}

fn clock(progress: &Progress, outcome: RunOutcome) -> Option<ClockOutcome> {
    if outcome != RunOutcome::CutOver {
        return None;
    }
    let gate = progress.gates.last()?;
    let from = progress.fence.as_ref()?.facts.as_ref()?.last_source_write;
    let to = progress.activated.as_ref()?.first_target_write;
    Some(ClockOutcome {
        predicted: gate.forecast.write_downtime_seconds,
        actual_seconds: (to - from).as_seconds_f64(),
    })
}

/// Steps that come once, each from its start to its answer at the first attempt.
fn steps<'a>(
    plan: &Plan,
    entries: impl IntoIterator<Item = (Timestamp, &'a Event)>,
) -> Vec<ObservedDuration> {
    let mut begun = BTreeMap::new();
    let mut durations = Vec::new();
    for (at, event) in entries {
        match event {
            Event::Started { action, attempt: 1 } => {
                begun.insert(action.step_id(), at);
            }
            Event::Failed { action, .. } => {
                begun.remove(&action.step_id());
            }
            Event::Finished { action, .. } => {
                let from = begun.remove(&action.step_id());
                durations.extend(from.and_then(|from| step(plan, action, from, at)));
            }
            _ => {}
        }
    }
    durations
}

fn step(plan: &Plan, action: &Action, from: Timestamp, to: Timestamp) -> Option<ObservedDuration> {
    use ServiceStep as S;
    let (step, place) = match action {
        Action::Checkpoint { .. } | Action::Flush { .. } => (S::Checkpoint, &plan.source),
        Action::Fence { .. } => (S::Fence, &plan.source),
        Action::FreezeSnapshot { .. } => (S::Freeze, &plan.source),
        Action::CreateVolumes => (S::CreateVolume, &plan.target),
        Action::AttachVolumes => (S::Attach, &plan.target),
        Action::BringUp => (S::Recovery, &plan.target),
        Action::Activate { .. } => (S::Activate, &plan.target),
        _ => return None,
    };
    let seconds = (to - from).as_seconds_f64();
    (seconds > 0.0).then(|| ObservedDuration {
        step,
        moved_bytes: None,
        seconds,
        ended_at: to,
        region: place.region.clone(),
        volume_type: None,
        zone: Some(place.zone.clone()),
        from_region: None,
    })
}
