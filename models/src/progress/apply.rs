//! What each event changes.

use super::{
    Activated, Closed, Failing, Fence, FenceFacts, FenceState, Freeze, GatePassage, HookRun,
    Preflight, Progress, Proved, Refused, RoundProgress, Running, Syncing, revert,
};
use crate::step::{Action, Event, FailureClass, StepResult, Verb};
use crate::units::Timestamp;

impl Progress {
    /// Takes one event into account.
    ///
    /// # Errors
    /// [`Refused`] when it cannot follow; nothing has changed then.
    pub fn apply(&mut self, at: Timestamp, event: &Event) -> Result<(), Refused> {
        self.check(event)?;
        self.entries += 1;
        self.last_event_at = Some(at);
        self.awaiting = None;
        match event {
            Event::Decided { action, reason } => self.decided(action, reason),
            Event::Started { action, attempt } => self.started(at, action, *attempt),
            Event::Finished { action, result } => self.finished(at, action, result),
            Event::Failed {
                action,
                class,
                message,
            } => self.failed(at, action, *class, message),
            Event::Waiting { until, reason } => {
                self.waiting = Some((*until, reason.clone()));
                self.waiting_since = Some(at);
            }
            Event::Awaiting { reason } => {
                self.waiting = None;
                self.awaiting = Some((at, reason.clone()));
            }
            Event::Operator { verb } => self.ordered(at, *verb),
            Event::Limited { new, .. } => self.limited(at, new),
            Event::Adopted { reason, .. } => self.adopted(reason.is_some()),
            Event::Closed { outcome, reason } => {
                self.waiting = None;
                self.closed = Some(Closed {
                    outcome: *outcome,
                    reason: reason.clone(),
                    at,
                });
            }
        }
        Ok(())
    }

    fn decided(&mut self, action: &Action, reason: &str) {
        self.waiting = None;
        self.decided = Some((action.clone(), reason.to_owned()));
        if action.is_way_back() && self.way_back.is_none() {
            self.way_back = Some(reason.to_owned());
        }
        self.decided_back(action, reason);
    }

    fn started(&mut self, at: Timestamp, action: &Action, attempt: u32) {
        self.attempts.insert(action.step_id(), attempt);
        self.running = Some(Running {
            action: action.clone(),
            attempt,
            started_at: at,
        });
        match action {
            Action::Snapshot { round } => self.begin_round(at, *round, false),
            Action::FreezeSnapshot { round, .. } => self.begin_round(at, *round, true),
            Action::TryRestore { round, trial } => self.began_trial(*round, *trial),
            Action::Fence { epoch } if self.epoch() != Some(*epoch) => {
                self.fence = Some(Fence {
                    epoch: *epoch,
                    state: FenceState::Asked,
                    asked_at: at,
                    facts: None,
                    freeze: None,
                    committed_at: None,
                });
            }
            _ => self.started_back(at, action),
        }
    }

    fn begin_round(&mut self, at: Timestamp, index: u32, is_final: bool) {
        let round = self.rounds.entry(index).or_default();
        if !round.snapshots.is_empty() {
            round.discarded_sets += 1;
        }
        *round = RoundProgress {
            is_final,
            started_at: round.started_at.or(Some(at)),
            discarded_sets: round.discarded_sets,
            ..RoundProgress::default()
        };
        // A new set is waited for afresh.
        self.failing
            .remove(&Action::AwaitSnapshots { round: index }.step_id());
    }

    fn failed(&mut self, at: Timestamp, action: &Action, class: FailureClass, message: &str) {
        self.running = None;
        if class == FailureClass::Interrupted {
            return;
        }
        self.lost_ground(action, class);
        let before = self.failing.get(&action.step_id());
        let count = before.map_or(0, |failing| failing.count) + 1;
        let failing = Failing {
            action: action.clone(),
            class,
            answer_lost: class != FailureClass::Transient
                || before.is_some_and(|failing| failing.answer_lost),
            message: message.to_owned(),
            count,
            at,
            resumptions: 0,
        };
        self.failing.insert(action.step_id(), failing);
    }

    fn ordered(&mut self, at: Timestamp, verb: Verb) {
        let orders = &mut self.orders;
        orders.last_at = Some(at);
        self.children_in_a_row = 0;
        match verb {
            Verb::Resume => {
                self.closed = None;
                orders.abort &= self.fence.is_some();
                (self.revert_check, self.revert_attempts) = (None, 0);
                self.failing.values_mut().for_each(|failing| {
                    (failing.count, failing.resumptions) = (0, failing.resumptions + 1)
                });
            }
            Verb::Postpone | Verb::PostponeByFlag => {
                (orders.postponed, orders.cutover) = (true, false);
                orders.flagged = verb == Verb::PostponeByFlag;
            }
            Verb::Release => (orders.postponed, orders.flagged) = (false, false),
            Verb::Cutover => {
                (orders.postponed, orders.flagged, orders.cutover) = (false, false, true);
            }
            Verb::Try => orders.trial = true,
            Verb::Abort if self.activated.is_none() && !orders.revert => orders.abort = true,
            Verb::Abort | Verb::Revert | Verb::RevertDiscarding => self.ordered_back(verb),
            Verb::Finalize => orders.finalize = true,
            Verb::DeleteSnapshots => {
                orders.delete_snapshots = true;
                self.closed = None;
            }
        }
    }

    fn finished(&mut self, at: Timestamp, action: &Action, result: &StepResult) {
        self.running = None;
        self.failing.remove(&action.step_id());
        if revert::is_step(action) {
            self.finished_back(at, action, result);
            return;
        }
        if let Some(index) = action.round() {
            self.finished_round(at, index, action, result);
            return;
        }
        match action {
            Action::Hook { name, occasion } => self.ran(at, name, *occasion, result),
            Action::Preflight => self.preflight = Some(preflight(result)),
            Action::Gate { attempt } => self.passed_gate(at, *attempt, result),
            Action::Checkpoint { attempt } => self.checkpoints.push(*attempt),
            Action::Flush { round } => drop(self.flushes.insert(*round, at)),
            Action::TryRestore { .. } => self.ended_trial(at, result),
            Action::AttachVolumes => self.attached = true,
            Action::BringUp => self.brought_up = true,
            Action::PrepareVolumes => {
                (self.prepared, self.attached) = (true, true);
                self.finished_cutover(result);
            }
            Action::KeepTarget => self.kept = started(result),
            Action::Cleanup => self.cleaned = true,
            Action::DeleteSnapshots => self.deleted = true,
            Action::TakeDown => self.brought_up = false,
            Action::DiscardFreezes => self.forget_freezes(),
            Action::DeleteVolumes => {
                (self.restored, self.kept) = (Vec::new(), Vec::new());
                (self.attached, self.prepared) = (false, false);
            }
            Action::Unfence { .. } => self.set_fence(|fence| fence.state = FenceState::Released),
            _ => self.finished_cutover(result),
        }
        if action.is_way_back() {
            self.undone.push(action.step_id());
        }
    }

    fn ran(&mut self, at: Timestamp, name: &str, occasion: u64, result: &StepResult) {
        let StepResult::HookRan { seconds, .. } = result else {
            return;
        };
        let name = name.to_owned();
        let run = HookRun {
            name: name.clone(),
            occasion,
            seconds: *seconds,
            at,
        };
        self.hooks
            .insert(Action::Hook { name, occasion }.step_id(), run);
    }

    fn finished_round(&mut self, at: Timestamp, index: u32, action: &Action, result: &StepResult) {
        let round = self.rounds.entry(index).or_default();
        round.advanced_at = Some(at);
        match (action, result) {
            (Action::Snapshot { .. }, StepResult::Started { snapshots }) => {
                round.snapshots.clone_from(snapshots);
            }
            (Action::AwaitSnapshots { .. }, StepResult::Completed { snapshots }) => {
                (round.completed, round.seen_at) = (snapshots.clone(), Some(at));
            }
            (_, StepResult::Deltas { deltas, writes }) => {
                round.deltas = Some(deltas.clone());
                round.writes.clone_from(writes);
            }
            (Action::Share { .. }, _) => round.shared_at = Some(at),
            (Action::Copy { .. }, StepResult::Started { snapshots }) => {
                if !round.copies.is_empty() {
                    round.discarded_copies += 1;
                }
                round.copies.clone_from(snapshots);
                self.failing
                    .remove(&Action::AwaitCopies { round: index }.step_id());
            }
            (Action::AwaitCopies { .. }, StepResult::Completed { snapshots }) => {
                round.copied.clone_from(snapshots);
            }
            (Action::Sync { whole, .. }, _) => {
                round.rebuilt += u32::from(*whole && round.syncing.is_some());
                round.syncing = Some(Syncing { at, whole: *whole });
                round.synced.clear();
                self.failing
                    .remove(&Action::AwaitSync { round: index }.step_id());
            }
            (_, StepResult::Synced { volumes }) => round.synced.clone_from(volumes),
            (
                _,
                StepResult::Frozen {
                    frozen_at,
                    answered_at,
                    thawed_at,
                    snapshots,
                },
            ) => {
                round.snapshots.clone_from(snapshots);
                let (frozen_at, answered_at, thawed_at) = (*frozen_at, *answered_at, *thawed_at);
                self.set_fence(|fence| {
                    fence.freeze = Some(Freeze {
                        frozen_at,
                        answered_at,
                        thawed_at,
                    });
                });
                self.forget_freezes();
            }
            _ => {}
        }
    }

    /// What an earlier one measured stands until this one has measured. A new one is what was ordered; removing what
    /// an interrupted one left is not.
    fn began_trial(&mut self, round: u32, number: u32) {
        self.orders.trial &= number == self.trial.number;
        (self.trial.round, self.trial.number, self.trial.over) = (round, number, false);
    }

    fn ended_trial(&mut self, at: Timestamp, result: &StepResult) {
        self.trial.over = true;
        if let StepResult::Tried { restore } = result {
            self.trial.measured = Some((at, *restore));
        }
    }

    fn passed_gate(&mut self, at: Timestamp, attempt: u32, result: &StepResult) {
        let StepResult::Gate {
            write_bytes_per_second,
            write_ops_per_second,
            recent_writes,
            refusals,
            forecast,
            server,
            ..
        } = result
        else {
            return;
        };
        self.gates.push(GatePassage {
            attempt,
            at,
            rounds: self.next_index(),
            write_bytes_per_second: *write_bytes_per_second,
            write_ops_per_second: *write_ops_per_second,
            recent_writes: recent_writes.clone(),
            refusals: refusals.clone(),
            forecast: forecast.clone(),
            server: server.clone(),
        });
    }

    fn finished_cutover(&mut self, result: &StepResult) {
        match result {
            StepResult::Fenced {
                fenced_at,
                last_source_write,
                lsn,
                system_identifier,
                timeline,
            } => {
                let facts = FenceFacts {
                    fenced_at: *fenced_at,
                    last_source_write: *last_source_write,
                    lsn: lsn.clone(),
                    system_identifier: system_identifier.clone(),
                    timeline: *timeline,
                };
                self.set_fence(|fence| {
                    (fence.state, fence.facts) = (FenceState::Leased, Some(facts));
                });
            }
            StepResult::Volumes { volumes } => self.restored.clone_from(volumes),
            StepResult::Proved {
                replay_lsn,
                system_identifier,
                timeline,
            } => {
                self.proof = Some(Proved {
                    replay_lsn: replay_lsn.clone(),
                    system_identifier: system_identifier.clone(),
                    timeline: *timeline,
                });
            }
            StepResult::Committed { committed_at } => self.set_fence(|fence| {
                (fence.state, fence.committed_at) = (FenceState::Permanent, Some(*committed_at));
            }),
            StepResult::Activated {
                activated_at,
                first_target_write,
                timeline,
                lsn,
                transactions,
            } => {
                self.activated = Some(Activated {
                    activated_at: *activated_at,
                    first_target_write: *first_target_write,
                    timeline: *timeline,
                    lsn: lsn.clone(),
                    transactions: *transactions,
                });
            }
            StepResult::Compared { verification } => {
                self.verification = Some(verification.clone());
            }
            _ => {}
        }
    }

    /// What did not count of them is gone.
    fn forget_freezes(&mut self) {
        self.failing
            .retain(|_, f| !matches!(f.action, Action::FreezeSnapshot { .. }));
    }

    pub(super) fn set_fence(&mut self, change: impl FnOnce(&mut Fence)) {
        if let Some(fence) = &mut self.fence {
            change(fence);
        }
    }
}

fn started(result: &StepResult) -> Vec<crate::step::MadeSnapshot> {
    match result {
        StepResult::Started { snapshots } => snapshots.clone(),
        _ => Vec::new(),
    }
}

fn preflight(result: &StepResult) -> Preflight {
    match result {
        StepResult::Inspected {
            mounts,
            system_identifier,
            stacks,
        } => Preflight {
            mounts: mounts.clone(),
            stacks: stacks.clone(),
            system_identifier: Some(system_identifier.clone()),
        },
        _ => Preflight::default(),
    }
}
