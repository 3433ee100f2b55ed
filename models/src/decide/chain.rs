//! The chain before the fence: preflight, base, rounds.

use super::retry::Retry;
use super::words::{instant, seconds_between, size, span};
use super::{Next, View, admissible, gate};
use crate::evidence::FLUSH_COUNTS_SECONDS;
use crate::plan::{PlannedRound, RoundKind};
use crate::progress::RoundProgress;
use crate::report::RunOutcome;
use crate::step::{Action, FailureClass};

/// Sets or copies given up for one round before the run is: a member that ends in `error` three
/// times is not bad luck.
pub(super) const MOST_DISCARDED: u32 = 3;

pub(super) fn before_fence(view: View<'_>) -> Next {
    if let Some(next) = view.clear_away() {
        return next;
    }
    if view.progress.orders.abort {
        let reason = "the operator said abort; nothing was fenced, the source serves";
        return Next::Stop {
            outcome: RunOutcome::Aborted,
            reason: reason.to_owned(),
        };
    }
    if let Err(reason) = admissible(view.plan, view.goal) {
        return Next::Stop {
            outcome: RunOutcome::Failed,
            reason,
        };
    }
    if !prepared(view) {
        let reason = "accounts, hosts and lineage are looked at before anything is changed";
        return view.attempt(Action::Preflight, reason);
    }
    if let Some(next) = view.limits_moved() {
        return next;
    }
    match view.progress.rounds.last_key_value() {
        None => view.start_round(0),
        Some((index, round)) => match view.missing_step(*index, round) {
            Some(next) => next,
            None => view
                .surprised(*index)
                .or_else(|| view.trial(*index))
                .unwrap_or_else(|| view.after_round(*index)),
        },
    }
}

/// A preflight without a cutover in mind has not looked at the hosts.
fn prepared(view: View<'_>) -> bool {
    let preflight = view.progress.preflight.as_ref();
    let hosts = view.goal.cutover || view.may_try_restores() && view.progress.orders.trial;
    preflight.is_some_and(|found| !hosts || found.system_identifier.is_some())
}

impl View<'_> {
    /// Planned rounds without the final one.
    pub(super) fn planned(&self, index: u32) -> Option<&PlannedRound> {
        self.plan
            .rounds
            .iter()
            .find(|r| r.index == index && r.kind != RoundKind::Final)
    }

    /// Whether another round before the final one follows; once the window is open only a base does, made anew for one
    /// that was lost.
    pub(super) fn goes_on_after(&self, last: u32) -> bool {
        let window_open = self.goal.cutover && gate::opens_at(*self) <= self.now;
        let next = self.planned(last + 1);
        next.is_some_and(|next| !window_open || next.kind == RoundKind::Base)
    }

    fn after_round(&self, last: u32) -> Next {
        if self.goes_on_after(last) {
            return self.start_round(last + 1);
        }
        if self.goal.cutover {
            return gate::toward_cutover(*self);
        }
        let rounds = last + 1;
        Next::Stop {
            outcome: RunOutcome::Copied,
            reason: format!(
                "the base and {last} round(s) are in the target ({rounds} in all) and no cutover \
                 was asked for"
            ),
        }
    }

    fn start_round(&self, index: u32) -> Next {
        let Some(planned) = self.planned(index) else {
            let reason = format!("the plan has no round {index}: its chain is malformed");
            return Next::Stop {
                outcome: RunOutcome::Failed,
                reason,
            };
        };
        if self.now < planned.start {
            let reason = format!("round {index} is planned for {}", instant(planned.start));
            return Next::WaitUntil {
                at: planned.start,
                reason,
            };
        }
        let late = seconds_between(planned.start, self.now);
        let lateness = if late < 60.0 {
            "on time".into()
        } else {
            format!("{} late", span(late))
        };
        let kind = if index == 0 { "the base" } else { "a round" };
        let reason = format!(
            "{kind} was planned for {}, starts {lateness}",
            instant(planned.start)
        );
        self.take_round(index, reason)
    }

    /// The snapshots of a round, right after a CHECKPOINT where a cutover will follow: what the
    /// database holds in memory would otherwise join the next delta.
    pub(super) fn take_round(&self, index: u32, reason: String) -> Next {
        let flush = Action::Flush { round: index };
        let counts = FLUSH_COUNTS_SECONDS / 2.0;
        let flushed = self.progress.flushed_before(index, self.now, counts);
        let database = self.goal.cutover && self.plan.policy.database.is_some();
        if index > 0 && database && !flushed {
            let why = "dirty buffers are written first, so that this round holds them";
            match self.retry_unhurried(&flush) {
                Retry::Now => return self.act(flush, format!("{reason}; {why}")),
                Retry::Later(next) => return next,
                // A round without it is worth more than none.
                Retry::GivenUp(_) => {}
            }
        }
        self.attempt(Action::Snapshot { round: index }, reason)
    }

    /// The first step that a round before the fence still lacks.
    fn missing_step(&self, index: u32, round: &RoundProgress) -> Option<Next> {
        if round.given_up && !round.is_final && !self.is_direct() {
            return Some(self.replace(index));
        }
        let action = self.next_step_of(index, round)?;
        if let Some(next) = self.redo(index, round, &action) {
            return Some(next);
        }
        let reason = self.step_reason(index, round, &action);
        Some(self.attempt(action, reason))
    }

    /// The next step of a round, final or not; none when its data is in the target.
    pub(super) fn next_step_of(&self, round: u32, state: &RoundProgress) -> Option<Action> {
        if self.is_direct() {
            return self.next_direct_step(round, state);
        }
        let measured = state.deltas.is_some();
        let shared = state.shared_at.is_some() || !self.needs_share();
        let copying = !state.copies.is_empty();
        let copied = !state.copied.is_empty() || !self.needs_copy();
        // A copy does not wait for the count of the changed blocks: listing a large volume takes minutes.
        let count_first = !self.needs_copy();
        match () {
            () if state.snapshots.is_empty() => Some(Action::Snapshot { round }),
            () if state.completed.is_empty() => Some(Action::AwaitSnapshots { round }),
            () if !measured && count_first => Some(Action::MeasureDelta { round }),
            () if !shared => Some(Action::Share { round }),
            () if !copied && !copying => Some(Action::Copy { round }),
            () if !measured => Some(Action::MeasureDelta { round }),
            () if !copied => Some(Action::AwaitCopies { round }),
            () => None,
        }
    }

    /// A round whose snapshots somebody else deleted is worth nothing: the next one is taken at once.
    fn replace(&self, index: u32) -> Next {
        let rounds = self.progress.rounds.values().rev();
        let in_a_row = rounds.take_while(|round| round.given_up).count();
        if in_a_row > MOST_DISCARDED as usize {
            let outcome = RunOutcome::Failed;
            let reason = format!(
                "the snapshots of {in_a_row} rounds in a row were deleted or archived by somebody else: stop what does \
                 that; nothing is fenced, the source serves"
            );
            return Next::Stop { outcome, reason };
        }
        let reason = format!(
            "the snapshots of round {index} are gone before they were in the target: another round takes its place"
        );
        self.take_round(index + 1, reason)
    }

    /// A wait that ended in `error` is answered with a new set or new copies, a few times.
    fn redo(&self, index: u32, round: &RoundProgress, action: &Action) -> Option<Next> {
        if matches!(action, Action::AwaitSync { .. }) {
            let (action, reason) = self.rebuild(index, round)?;
            return Some(match action {
                Action::AwaitSync { .. } => self.act(action, reason),
                _ => self.attempt(action, reason),
            });
        }
        let failing = self.progress.failing.get(&action.step_id())?;
        if failing.class != FailureClass::Permanent {
            return None;
        }
        let (again, discarded) = match action {
            Action::AwaitSnapshots { .. } => {
                (Action::Snapshot { round: index }, round.discarded_sets)
            }
            Action::AwaitCopies { .. } => (Action::Copy { round: index }, round.discarded_copies),
            _ => return None,
        };
        if discarded >= MOST_DISCARDED {
            return None;
        }
        let reason = format!(
            "{} (given up {discarded} time(s) before); it is made anew",
            failing.message
        );
        Some(self.attempt(again, reason))
    }

    pub(super) fn step_reason(&self, index: u32, round: &RoundProgress, action: &Action) -> String {
        let taken = round
            .snapshot_seconds()
            .map_or_else(String::new, |s| format!(" in {}", span(s)));
        match action {
            Action::AwaitSnapshots { .. } => {
                format!(
                    "{} snapshot(s) of round {index} are pending",
                    round.snapshots.len()
                )
            }
            Action::MeasureDelta { .. } => format!("round {index} was completed{taken}"),
            Action::Share { .. } => {
                format!(
                    "account {} may read round {index} next",
                    self.plan.target.account
                )
            }
            Action::Copy { .. } => {
                let bytes = round.delta_bytes().map_or_else(|| "its delta".into(), size);
                format!(
                    "round {index} was completed{taken}; {bytes} go to {}",
                    self.plan.target.region
                )
            }
            Action::AwaitCopies { .. } => {
                format!("{} copies of round {index} are pending", round.copies.len())
            }
            Action::PrepareVolumes | Action::Sync { .. } | Action::AwaitSync { .. } => {
                self.direct_reason(index, round, action)
            }
            _ => format!("round {index} was begun and has no snapshots yet"),
        }
    }
}
