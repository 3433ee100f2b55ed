//! Where a migration stands, for people and for scripts: what runs, what is waited for, who serves.
//!
//! A view of [`Progress`] against its plan; decides nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::left::{self, Left};
use crate::plan::{Forecast, Plan, RoundKind};
use crate::progress::{FenceState, Progress, RevertState, RoundProgress};
use crate::report::{RunOutcome, Verification};
use crate::step::{Action, round_kind};
use crate::units::{Quantiles, Timestamp};

/// What `status` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// `snapmigrate.status/1`.
    pub format: String,
    /// Name of the migration.
    pub name: String,
    /// Digest of the plan.
    pub plan_digest: String,
    /// When it was read.
    pub at: Timestamp,
    /// Time of the journal's last entry.
    pub last_event_at: Option<Timestamp>,
    /// Who serves.
    pub serving: Serving,
    /// How it ended, once it did.
    pub outcome: Option<RunOutcome>,
    /// Why it ended so.
    pub reason: Option<String>,
    /// The step that was started and has no answer yet.
    pub running: Option<RunningStep>,
    /// Who executes it now, told by itself; absent when nobody answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<RunningExecutor>,
    /// What is waited for.
    pub waiting: Option<Wait>,
    /// What the operator is waited for; absent when the tool goes on by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting_operator: Option<OperatorWait>,
    /// Last decision, with its reason.
    pub decided: Option<String>,
    /// Steps that failed and have not succeeded since.
    pub failing: Vec<FailingStep>,
    /// The chain so far.
    pub rounds: Vec<StatusRound>,
    /// Last passage of the gate.
    pub gate: Option<GateStatus>,
    /// The operator holds the cutover.
    pub postponed: bool,
    /// Result of the full comparison.
    pub verification: Option<Verification>,
    /// What is in both accounts until somebody deletes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
    /// What that costs in USD per month, as far as sizes are known, by the price table of this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_usd_per_month: Option<f64>,
}

impl Document for Status {
    const FORMAT: &'static str = "snapmigrate.status/1";
}

/// Who accepts writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    /// The source.
    Source,
    /// Nobody: one side is fenced, the other is not active yet.
    Nobody,
    /// An answer is missing: one side or nobody, never both.
    InDoubt,
    /// The target.
    Target,
}

/// A step that was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunningStep {
    /// Step.
    pub action: Action,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When it was started.
    pub started_at: Timestamp,
    /// What the plan gives it, where it is one of the plan's waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_seconds: Option<Quantiles>,
}

impl RunningStep {
    /// Whether it has run for longer at `now` than the plan gives it in 99 of 100 cases.
    #[must_use]
    pub fn is_late(&self, now: Timestamp) -> bool {
        let seconds = (now - self.started_at).as_seconds_f64();
        self.expected_seconds
            .is_some_and(|planned| seconds > planned.p99)
    }
}

/// A process that carries the plan out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunningExecutor {
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub since: Timestamp,
    /// Its version.
    pub version: String,
}

/// What only the operator can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperatorWait {
    /// Since when.
    pub since: Timestamp,
    /// What is the matter and what the ways out are.
    pub reason: String,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// Since when; absent in what older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Until then at the latest.
    pub until: Timestamp,
    /// What for.
    pub reason: String,
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailingStep {
    /// Step.
    pub action: Action,
    /// What happened last.
    pub message: String,
    /// Failures in a row.
    pub count: u32,
    /// When it failed last.
    pub at: Timestamp,
}

/// One link of the chain as far as it got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusRound {
    /// Position, the base is 0.
    pub index: u32,
    /// Kind.
    pub kind: RoundKind,
    /// How far it is.
    pub stage: RoundStage,
    /// When it was taken.
    pub taken_at: Option<Timestamp>,
    /// Changed bytes, all volumes.
    pub delta_bytes: Option<u64>,
    /// As planned, when the plan had this round.
    pub predicted_delta_bytes: Option<Quantiles>,
    /// Until the whole set was completed.
    pub snapshot_seconds: Option<f64>,
    /// From there until the data was in the target.
    pub transfer_seconds: Option<f64>,
}

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoundStage {
    /// The snapshots are asked for.
    Asked,
    /// The snapshots are pending.
    Pending,
    /// The snapshots are completed, the transfer has not begun.
    Completed,
    /// The copies are pending.
    Copying,
    /// The data is in the target.
    Arrived,
}

/// The last passage of the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateStatus {
    /// When it was answered.
    pub at: Timestamp,
    /// Fresh write rate of the group.
    pub write_bytes_per_second: f64,
    /// What would make a cutover unsafe.
    pub refusals: Vec<String>,
    /// Forecast at that moment.
    pub forecast: Forecast,
}

/// Where the migration of `plan` stands, read at `at`.
#[must_use]
pub fn status(plan: &Plan, progress: &Progress, at: Timestamp) -> Status {
    let left = left::left(plan, progress);
    Status {
        format: Status::FORMAT.to_owned(),
        name: plan.name.clone(),
        plan_digest: plan.digest.clone(),
        at,
        last_event_at: progress.last_event_at,
        serving: serving(progress),
        outcome: progress.closed.as_ref().map(|closed| closed.outcome),
        reason: progress.closed.as_ref().map(|closed| closed.reason.clone()),
        running: running(plan, progress),
        executor: None,
        waiting: progress.waiting.as_ref().map(|(until, reason)| Wait {
            since: progress.waiting_since,
            until: *until,
            reason: reason.clone(),
        }),
        awaiting_operator: progress
            .awaiting
            .as_ref()
            .map(|(since, reason)| OperatorWait {
                since: *since,
                reason: reason.clone(),
            }),
        decided: progress.decided.as_ref().map(|(_, reason)| reason.clone()),
        failing: failing(progress),
        rounds: rounds(plan, progress),
        gate: gate(progress),
        postponed: progress.orders.postponed,
        verification: progress.verification.clone(),
        left_usd_per_month: Some(left::usd_per_month(&left)),
        left,
    }
}

fn serving(progress: &Progress) -> Serving {
    if let Some(revert) = &progress.revert {
        return after_revert(progress, revert.state);
    }
    if progress.activated.is_some() {
        return Serving::Target;
    }
    match progress.fence.as_ref().map(|fence| fence.state) {
        None | Some(FenceState::Released) => Serving::Source,
        Some(FenceState::Asked) => Serving::InDoubt,
        Some(FenceState::Leased) if progress.commit_in_doubt() => Serving::InDoubt,
        Some(FenceState::Leased | FenceState::Permanent) => Serving::Nobody,
    }
}

fn after_revert(progress: &Progress, state: RevertState) -> Serving {
    match state {
        RevertState::Released => Serving::Target,
        RevertState::Asked => Serving::InDoubt,
        RevertState::Leased if progress.revert_in_doubt() => Serving::InDoubt,
        RevertState::Leased | RevertState::Closed => Serving::Nobody,
        RevertState::Reopened => Serving::Source,
    }
}

fn running(plan: &Plan, progress: &Progress) -> Option<RunningStep> {
    progress.running.as_ref().map(|step| RunningStep {
        action: step.action.clone(),
        attempt: step.attempt,
        started_at: step.started_at,
        expected_seconds: expected(plan, progress, &step.action),
    })
}

/// What the plan gives a wait: that of its round, of the final one for whatever is taken behind the fence.
fn expected(plan: &Plan, progress: &Progress, action: &Action) -> Option<Quantiles> {
    let index = action.round()?;
    let is_final = progress.final_round() == Some(index);
    let planned = plan.rounds.iter().find(|planned| {
        let last = planned.kind == RoundKind::Final;
        last == is_final && (last || planned.index == index)
    })?;
    match action {
        Action::AwaitSnapshots { .. } => Some(planned.snapshot_seconds),
        Action::AwaitCopies { .. } | Action::AwaitSync { .. } => Some(planned.transfer_seconds),
        _ => None,
    }
}

fn failing(progress: &Progress) -> Vec<FailingStep> {
    let step = |failing: &crate::progress::Failing| FailingStep {
        action: failing.action.clone(),
        message: failing.message.clone(),
        count: failing.count,
        at: failing.at,
    };
    progress.failing.values().map(step).collect()
}

fn rounds(plan: &Plan, progress: &Progress) -> Vec<StatusRound> {
    let last = progress.final_round();
    let round = |(index, round): (&u32, &RoundProgress)| StatusRound {
        index: *index,
        kind: round_kind(*index, last),
        stage: stage(round),
        taken_at: round.point_in_time(),
        delta_bytes: round.delta_bytes(),
        predicted_delta_bytes: plan
            .rounds
            .iter()
            .find(|planned| planned.index == *index)
            .map(|planned| planned.delta_bytes),
        snapshot_seconds: round.snapshot_seconds(),
        transfer_seconds: round.transfer_seconds(),
    };
    progress.rounds.iter().map(round).collect()
}

fn stage(round: &RoundProgress) -> RoundStage {
    let arrived = if round.copies.is_empty() {
        round.shared_at.is_some() && !round.completed.is_empty()
    } else {
        !round.copied.is_empty()
    };
    match round {
        _ if arrived => RoundStage::Arrived,
        round if !round.copies.is_empty() => RoundStage::Copying,
        round if !round.completed.is_empty() => RoundStage::Completed,
        round if !round.snapshots.is_empty() => RoundStage::Pending,
        _ => RoundStage::Asked,
    }
}

fn gate(progress: &Progress) -> Option<GateStatus> {
    progress.gates.last().map(|gate| GateStatus {
        at: gate.at,
        write_bytes_per_second: gate.write_bytes_per_second,
        refusals: gate.refusals.clone(),
        forecast: gate.forecast.clone(),
    })
}
