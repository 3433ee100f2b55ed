//! The entries of the journal. They must not know what they change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, StepResult};
use crate::policy::PolicyLimits;
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
    /// What the next link builds on is gone: it would be as large as the base. Nothing was made; a child plan may
    /// count with it.
    Lineage,
    /// What the step works on is gone: its round is given up, and the next one takes its place.
    Gone,
    /// A mere wait was left to hear the operator. No failure: not counted, gone on with at once.
    Interrupted,
}

/// One entry of the journal.
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
    /// Only the operator can go on: the run ended here, and status says with what.
    Awaiting {
        /// What is the matter and what the ways out are.
        reason: String,
    },
    /// A word of the operator.
    Operator {
        /// Verb.
        verb: Verb,
    },
    /// The operator moved limits of the policy; the next child plan keeps to them.
    Limited {
        /// What was in force of those that change; a limit that there was none of is left out.
        old: PolicyLimits,
        /// What is from now on.
        new: PolicyLimits,
    },
    /// A child plan takes over; the chain goes on.
    Adopted {
        /// The plan, which names the one before it as its parent.
        plan: Box<crate::plan::Plan>,
        /// Why the executor made it; absent when the operator gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
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
    /// The same, said by the flag file beside the journal: until it is gone.
    PostponeByFlag,
    /// The cutover is held no longer: it waits for its window as before.
    Release,
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
