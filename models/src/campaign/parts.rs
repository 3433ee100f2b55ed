//! The steps of a cutover one by one: what the gate expected of each, and what came.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Compared, Coverage};
use crate::evidence::Evidence;
use crate::forecast::parts_at_gate;
use crate::observation::ServiceStep;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::step::{Action, CompletedSnapshot, Event, StepResult};
use crate::units::{Quantiles, Timestamp};

/// One step of a cutover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartCompared {
    /// Step.
    pub step: ServiceStep,
    /// What it took of the write downtime, all volumes together.
    pub seconds: Compared,
}

/// How a step's forecast at the gate held over all runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartCoverage {
    /// Step.
    pub step: ServiceStep,
    /// How often it held.
    pub coverage: Coverage,
    /// Median of P50 in seconds.
    pub median_p50_seconds: f64,
    /// Median of what came in seconds.
    pub median_actual_seconds: f64,
}

/// The steps that a write downtime is made of.
pub(super) const PARTS: [ServiceStep; 8] = [
    ServiceStep::Fence,
    ServiceStep::Freeze,
    ServiceStep::Snapshot,
    ServiceStep::Copy,
    ServiceStep::CreateVolume,
    ServiceStep::Attach,
    ServiceStep::Recovery,
    ServiceStep::Activate,
];

/// What was expected at the gate against what the events after it say.
pub(super) fn compared<'a>(
    plan: &Plan,
    (progress, at): (&Progress, Timestamp),
    after: impl Iterator<Item = (Timestamp, &'a Event)>,
) -> Vec<PartCompared> {
    let expected = parts_at_gate(plan, (&Evidence::of(plan, progress), at), &PARTS);
    let actual = actual(after);
    let part =
        |((step, quantiles), actual): ((ServiceStep, Quantiles), Option<f64>)| PartCompared {
            step,
            seconds: Compared {
                at_plan: None,
                at_gate: Some(quantiles),
                actual,
            },
        };
    PARTS
        .into_iter()
        .zip(expected)
        .zip(actual)
        .map(part)
        .collect()
}

/// Seconds of each part, in the order of `PARTS`; of a step that was repeated the last attempt.
fn actual<'a>(after: impl Iterator<Item = (Timestamp, &'a Event)>) -> [Option<f64>; PARTS.len()] {
    let mut found = [None; PARTS.len()];
    let mut started = None;
    for (at, event) in after {
        match event {
            Event::Started { .. } => started = Some(at),
            Event::Finished { action, result } => {
                let whole = started.map(|started| (at - started).as_seconds_f64());
                let Some((step, seconds)) = part_of(action, result, whole) else {
                    continue;
                };
                if let Some(place) = PARTS.iter().position(|part| *part == step) {
                    found[place] = seconds;
                }
            }
            _ => {}
        }
    }
    found
}

fn part_of(
    action: &Action,
    result: &StepResult,
    whole: Option<f64>,
) -> Option<(ServiceStep, Option<f64>)> {
    let longest = |snapshots: &[CompletedSnapshot]| {
        let each = snapshots
            .iter()
            .map(|s| (s.completed_at - s.started_at).as_seconds_f64());
        each.reduce(f64::max)
    };
    match (action, result) {
        (Action::Fence { .. }, _) => Some((ServiceStep::Fence, whole)),
        (
            _,
            StepResult::Frozen {
                frozen_at,
                thawed_at,
                ..
            },
        ) => {
            let seconds = (*thawed_at - *frozen_at).as_seconds_f64();
            Some((ServiceStep::Freeze, Some(seconds)))
        }
        (Action::AwaitSnapshots { .. }, StepResult::Completed { snapshots }) => {
            Some((ServiceStep::Snapshot, longest(snapshots)))
        }
        (Action::AwaitCopies { .. }, StepResult::Completed { snapshots }) => {
            Some((ServiceStep::Copy, longest(snapshots)))
        }
        (Action::CreateVolumes, _) => Some((ServiceStep::CreateVolume, whole)),
        (Action::AttachVolumes, _) => Some((ServiceStep::Attach, whole)),
        (Action::BringUp, _) => Some((ServiceStep::Recovery, whole)),
        (Action::Activate { .. }, _) => Some((ServiceStep::Activate, whole)),
        _ => None,
    }
}
