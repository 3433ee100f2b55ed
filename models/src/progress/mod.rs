//! Progress: the state of a migration as a fold over its journal.
//!
//! [`Progress::apply`] is the one legal-transition function, used live and on recovery: what the
//! driver may append is exactly what a later reader accepts. Knows neither the plan nor a clock;
//! what should come next is decided in [`crate::decide`].

mod apply;
mod bases;
mod queries;
mod replan;
mod revert;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

pub use revert::{Reopened, Revert, RevertCheck, RevertState, TargetClosed};

use crate::evidence::VolumePeriods;
use crate::plan::Forecast;
use crate::policy::PolicyLimits;
use crate::report::{RunOutcome, Verification};
use crate::step::{
    Action, CompletedSnapshot, Event, FailureClass, MadeSnapshot, ServerIdentity, Stack,
    SyncedVolume, TriedRestore, VolumeDelta, VolumeMount, VolumePair,
};
use crate::units::Timestamp;

/// An event that cannot follow what happened before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot follow here: {reason}")]
pub struct Refused {
    /// The event, in short.
    pub event: String,
    /// What contradicts it.
    pub reason: String,
}

/// Everything a migration has done so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Events applied.
    pub entries: u64,
    /// Last decision.
    pub decided: Option<(Action, String)>,
    /// Step that was started and has no answer yet: after a crash its effect must be looked up.
    pub running: Option<Running>,
    /// Unfinished steps that failed, by step id.
    pub failing: BTreeMap<String, Failing>,
    /// Attempts started per step id.
    pub attempts: BTreeMap<String, u32>,
    /// What the preflight found; absent before it.
    pub preflight: Option<Preflight>,
    /// The chain, by index.
    pub rounds: BTreeMap<u32, RoundProgress>,
    /// The round whose base was found gone, until a child plan counts with that.
    pub without_base: Option<u32>,
    /// Rounds that a child plan takes for full ones, because their base is gone.
    pub full: BTreeSet<u32>,
    /// The restore that was tried before the fence.
    pub trial: Trial,
    /// Results of the gate, oldest first.
    pub gates: Vec<GatePassage>,
    /// When the dirty buffers were last written before a round, by its index.
    pub flushes: BTreeMap<u32, Timestamp>,
    /// Gate attempts whose checkpoint is done.
    pub checkpoints: Vec<u32>,
    /// The last fence.
    pub fence: Option<Fence>,
    /// Restored volumes, or those prepared on path `direct`.
    pub restored: Vec<VolumePair>,
    /// Path `direct`: the volumes are there before the fence, attached and never mounted.
    pub prepared: bool,
    /// Path `direct`: snapshots of the synced volumes from before they were mounted, per source volume.
    pub kept: Vec<MadeSnapshot>,
    /// The restored volumes are attached.
    pub attached: bool,
    /// The target's database was brought up as a standby.
    pub brought_up: bool,
    /// What the target proved.
    pub proof: Option<Proved>,
    /// The target serves.
    pub activated: Option<Activated>,
    /// The last attempt to go back after the activation.
    pub revert: Option<Revert>,
    /// Where both hosts stood when a revert asked them last; absent once it is acted on.
    pub revert_check: Option<RevertCheck>,
    /// How often they were asked.
    pub revert_checks: u32,
    /// Attempts to go back since the operator's last word.
    pub revert_attempts: u32,
    /// Result of the full comparison.
    pub verification: Option<Verification>,
    /// Superfluous snapshots are gone.
    pub cleaned: bool,
    /// All snapshots and copies of the chain are gone.
    pub deleted: bool,
    /// Why the way back was taken, once it was.
    pub way_back: Option<String>,
    /// Steps of the way back that are done, by step id.
    pub undone: Vec<String>,
    /// Hooks that ended well, by step id.
    pub hooks: BTreeMap<String, HookRun>,
    /// What the operator said.
    pub orders: Orders,
    /// Limits that the operator moved and that no plan keeps to yet.
    pub limits: PolicyLimits,
    /// Child plans that the executor made itself since the operator's last word.
    pub children_in_a_row: u32,
    /// What is waited for, and until when.
    pub waiting: Option<(Timestamp, String)>,
    /// Since when that is waited for.
    pub waiting_since: Option<Timestamp>,
    /// What the operator is waited for, and since when; absent once something went on.
    pub awaiting: Option<(Timestamp, String)>,
    /// How and when it ended.
    pub closed: Option<Closed>,
    /// Time of the last event.
    pub last_event_at: Option<Timestamp>,
}

/// A step without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Step.
    pub action: Action,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When it was started.
    pub started_at: Timestamp,
}

/// A step that failed and has not succeeded since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Step.
    pub action: Action,
    /// Class of the last failure.
    pub class: FailureClass,
    /// What it made since it last succeeded may be in no journal: an answer was lost, or it failed for good or for want
    /// of credentials behind calls that had made something. It must be looked up, whatever failed afterwards.
    pub answer_lost: bool,
    /// What happened last.
    pub message: String,
    /// Failures in a row, since the last word of the operator.
    pub count: u32,
    /// When it failed last.
    pub at: Timestamp,
    /// How often the run was resumed since.
    pub resumptions: u32,
}

/// A hook that ended well.
#[derive(Clone, Debug, PartialEq)]
pub struct HookRun {
    /// As in the policy.
    pub name: String,
    /// The round, the gate before a fence, or the number of the fence, that it was run for.
    pub occasion: u64,
    /// How long it took.
    pub seconds: f64,
    /// When it ended.
    pub at: Timestamp,
}

/// What the preflight found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// File systems of the database by source volume; empty without a database.
    pub mounts: Vec<VolumeMount>,
    /// Identity of the database.
    pub system_identifier: Option<String>,
    /// What lies between volumes and file systems.
    pub stacks: Vec<Stack>,
}

/// One link of the chain as far as it got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundProgress {
    /// Taken behind the fence.
    pub is_final: bool,
    /// Its snapshots were gone before its data was in the target: the next round takes its place.
    pub given_up: bool,
    /// When its first snapshot attempt started.
    pub started_at: Option<Timestamp>,
    /// Snapshots at the source.
    pub snapshots: Vec<MadeSnapshot>,
    /// The same when completed; empty before.
    pub completed: Vec<CompletedSnapshot>,
    /// When it was seen completed, by the own clock.
    pub seen_at: Option<Timestamp>,
    /// Changed blocks since the previous round.
    pub deltas: Option<Vec<VolumeDelta>>,
    /// What was written since then, as far as the metrics told when the changed blocks were counted.
    pub writes: Vec<VolumePeriods>,
    /// When the target account could read the set.
    pub shared_at: Option<Timestamp>,
    /// Copies in the target.
    pub copies: Vec<MadeSnapshot>,
    /// The same when completed; empty before.
    pub copied: Vec<CompletedSnapshot>,
    /// Path `direct`: how the target's host was asked for this round; absent before.
    pub syncing: Option<Syncing>,
    /// Path `direct`: how each prepared volume came to hold this round; empty before.
    pub synced: Vec<SyncedVolume>,
    /// When the round's last step ended.
    pub advanced_at: Option<Timestamp>,
    /// Sets that were given up because a member ended in `error`.
    pub discarded_sets: u32,
    /// Times copies had to be started again because one ended in `error`.
    pub discarded_copies: u32,
    /// Times the volumes had to be written whole because they were no base any more.
    pub rebuilt: u32,
}

/// What the target's host was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syncing {
    /// When it took the order.
    pub at: Timestamp,
    /// Every block, or what changed since the round before.
    pub whole: bool,
}

/// A restore that is tried before the fence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// How many were begun; 0: none.
    pub number: u32,
    /// Round the last one was begun with.
    pub round: u32,
    /// Nothing of it is left.
    pub over: bool,
    /// What the last one that came to its end took, and when.
    pub measured: Option<(Timestamp, TriedRestore)>,
}

/// One passage of the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct GatePassage {
    /// 1 for the first.
    pub attempt: u32,
    /// When it was answered.
    pub at: Timestamp,
    /// Rounds that were in the target then.
    pub rounds: u32,
    /// Fresh write rate of the group.
    pub write_bytes_per_second: f64,
    /// Fresh operations per second of the group.
    pub write_ops_per_second: f64,
    /// Writes of the last hours that no round and no earlier gate had read.
    pub recent_writes: Vec<VolumePeriods>,
    /// What would make a cutover unsafe.
    pub refusals: Vec<String>,
    /// Forecast at that moment.
    pub forecast: Forecast,
    /// The server that served then.
    pub server: Option<ServerIdentity>,
}

/// How far the fence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceState {
    /// Asked for; without an answer it may stand.
    Asked,
    /// The source accepts no commit, under a lease.
    Leased,
    /// Permanent: the point of no return is passed.
    Permanent,
    /// The source serves again.
    Released,
}

/// The fence on the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Number.
    pub epoch: u64,
    /// How far it is.
    pub state: FenceState,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// What the host answered; absent while it is only asked for.
    pub facts: Option<FenceFacts>,
    /// First FIFREEZE, answer and last FITHAW of the set that counts.
    pub freeze: Option<Freeze>,
    /// When the host made it permanent.
    pub committed_at: Option<Timestamp>,
}

/// What the source said at the fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceFacts {
    /// When it took effect.
    pub fenced_at: Timestamp,
    /// Our last probe commit it accepted.
    pub last_source_write: Timestamp,
    /// Position at or above every commit.
    pub lsn: String,
    /// Identity of the database.
    pub system_identifier: String,
    /// Timeline.
    pub timeline: u32,
}

/// Instants of the freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// First FIFREEZE.
    pub frozen_at: Timestamp,
    /// The call's answer.
    pub answered_at: Timestamp,
    /// Last FITHAW.
    pub thawed_at: Timestamp,
}

/// What the target proved before the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Position replayed.
    pub replay_lsn: String,
    /// Identity of the database.
    pub system_identifier: String,
    /// Timeline.
    pub timeline: u32,
}

/// The switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activated {
    /// Promotion done.
    pub activated_at: Timestamp,
    /// Our first commit the target accepted.
    pub first_target_write: Timestamp,
    /// New timeline.
    pub timeline: u32,
    /// Position after that commit, where it was recorded.
    pub lsn: Option<String>,
    /// Transactions the database had begun by then, where they were counted.
    pub transactions: Option<u64>,
}

/// Standing orders of the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Hold the cutover.
    pub postponed: bool,
    /// It is held by the flag file beside the journal.
    pub flagged: bool,
    /// Cut over without waiting for the window.
    pub cutover: bool,
    /// Try a restore of the next round that is in the target.
    pub trial: bool,
    /// Stop and leave the source serving.
    pub abort: bool,
    /// Back to the source after activation.
    pub revert: bool,
    /// What the target took since then is given up on the source.
    pub discard_target_writes: bool,
    /// The migration is final.
    pub finalize: bool,
    /// The chain's snapshots and copies may go at the end.
    pub delete_snapshots: bool,
    /// Last word and when.
    pub last_at: Option<Timestamp>,
}

/// The end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Progress {
    /// Folds a journal, oldest entry first.
    ///
    /// # Errors
    /// [`Refused`] at the first event that cannot follow the ones before it.
    pub fn fold<'a>(
        entries: impl IntoIterator<Item = (Timestamp, &'a Event)>,
    ) -> Result<Self, Refused> {
        let mut progress = Self::default();
        for (at, event) in entries {
            progress.apply(at, event)?;
        }
        Ok(progress)
    }
}

#[cfg(test)]
mod tests;
