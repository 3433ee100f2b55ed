//! What `try` shows: how long a restore on the target took, beside what the plan believed of each step.
//!
//! It must not know how a restore is made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::observation::ServiceStep;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::units::Timestamp;

/// A restore that was tried on the target and removed again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialReport {
    /// `snapmigrate.try/1`.
    pub format: String,
    /// Name of the migration.
    pub name: String,
    /// Digest of the plan.
    pub plan_digest: String,
    /// 1 for the first one of the migration.
    pub trial: u32,
    /// Round that was restored.
    pub round: u32,
    /// When it had been removed again.
    pub ended_at: Timestamp,
    /// Its steps in their order.
    pub steps: Vec<TrialStep>,
}

/// One step of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialStep {
    /// Step; `recovery` is the start of a database that was never stopped: it replays its log, behind the fence it
    /// need not.
    pub step: ServiceStep,
    /// What the plan believes one call takes, at the median, in seconds.
    pub believed_seconds: Option<f64>,
    /// What it took, in seconds.
    pub seconds: f64,
    /// How much of a start was the replay of the log; absent where the database's log did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_seconds: Option<f64>,
}

impl Document for TrialReport {
    const FORMAT: &'static str = "snapmigrate.try/1";
}

impl TrialReport {
    /// The last trial of a migration that came to its end; nothing before one did.
    #[must_use]
    pub fn of(plan: &Plan, progress: &Progress) -> Option<Self> {
        let trial = &progress.trial;
        let (ended_at, restore) = trial.measured?;
        let step = |step, seconds| TrialStep {
            step,
            believed_seconds: believed(plan, step),
            seconds,
            replay_seconds: None,
        };
        let start = TrialStep {
            // Only what the gate takes away from the start as well.
            replay_seconds: restore.clean_start_seconds().and(restore.replay_seconds),
            ..step(ServiceStep::Recovery, restore.start_seconds)
        };
        Some(Self {
            format: Self::FORMAT.to_owned(),
            name: plan.name.clone(),
            plan_digest: plan.digest.clone(),
            trial: trial.number,
            round: trial.round,
            ended_at,
            steps: vec![
                step(ServiceStep::CreateVolume, restore.create_seconds),
                step(ServiceStep::Attach, restore.attach_seconds),
                start,
            ],
        })
    }
}

fn believed(plan: &Plan, step: ServiceStep) -> Option<f64> {
    let model = plan.model.services.iter().find(|model| model.step == step);
    model.map(|model| model.mean_seconds(0.0, [0.0; 2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, plan};

    #[test]
    fn it_tells_of_the_last_one_that_came_to_its_end() {
        let before = "preflight round0 +5000 b1 s1 a1 h1 c1 d1 w1";
        let of = |text: &str| TrialReport::of(&plan(), &Story::of(text).progress);
        assert_eq!(of(before), None);
        let once = of(&format!("{before} op:try t1")).expect("it was tried");
        assert_eq!((once.trial, once.round, once.steps.len()), (1, 1, 3));
        let twice = of(&format!("{before} op:try t1 op:try t1")).expect("it was tried");
        assert_eq!(twice.trial, 2);
    }

    #[test]
    fn a_replay_longer_than_its_start_is_not_told() {
        let replay = |seconds| {
            let mut story = Story::of("preflight round0 +5000 b1 s1 a1 h1 c1 d1 w1 op:try t1");
            let measured = &mut story.progress.trial.measured;
            measured.as_mut().expect("it was tried").1.replay_seconds = Some(seconds);
            let report = TrialReport::of(&plan(), &story.progress).expect("it was tried");
            report.steps[2].replay_seconds
        };
        assert_eq!(replay(26.0), Some(26.0));
        assert_eq!(replay(41.0), None, "the gate does not take it away either");
    }
}
