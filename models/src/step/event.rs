//! The entries of the journal. They must not know what they change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, StepResult};
use crate::units::Timestamp;

/// Why a step failed; retry is decided by this, never by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Passing: throttling, timeouts, service errors. Tried again.
    Transient,
    /// The answer is lost: whether it took effect must be looked up.
    Unknown,
    /// Credentials are missing or expired. Waits for the operator before the fence.
    Credentials,
    /// The request is wrong or not permitted; trying again changes nothing.
    Permanent,
    /// The result contradicts what must hold. Never tried again.
    Integrity,
}

/// One entry of the journal.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time is made, written and folded; a box would only hide its results"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A decision, before its step starts.
    Decided {
        /// What to do next.
        action: Action,
        /// Why.
        reason: String,
    },
    /// Intent, durable before the first call of the step.
    Started {
        /// Step.
        action: Action,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// The step's answer.
    Finished {
        /// Step.
        action: Action,
        /// Result.
        result: StepResult,
    },
    /// The step did not succeed.
    Failed {
        /// Step.
        action: Action,
        /// Class, which alone decides about another attempt.
        class: FailureClass,
        /// What happened, to what, and what state things are in.
        message: String,
    },
    /// A wait, so that status can say what is waited for.
    Waiting {
        /// Until then at the latest.
        until: Timestamp,
        /// What for.
        reason: String,
    },
    /// A word of the operator.
    Operator {
        /// Verb.
        verb: Verb,
    },
    /// A child plan takes over; the chain goes on.
    Adopted {
        /// The plan, which names the one before it as its parent.
        plan: Box<crate::plan::Plan>,
    },
    /// The end.
    Closed {
        /// How it ended.
        outcome: crate::report::RunOutcome,
        /// Why.
        reason: String,
    },
}

/// Words an operator can say while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Go on after a stop or a wait for the operator: failed steps may be tried again.
    Resume,
    /// Hold the cutover.
    Postpone,
    /// Cut over as soon as the bounds allow.
    Cutover,
    /// Try a restore of a round on the target, and remove it again.
    Try,
    /// Stop and leave the source serving.
    Abort,
    /// After activation: back to the source, unless the target took writes.
    Revert,
    /// The same, and what the target took is given up on the source.
    RevertDiscarding,
    /// The migration is final: the way back is given up.
    Finalize,
    /// The snapshots and copies of the chain may go, once it is final or aborted.
    DeleteSnapshots,
}
