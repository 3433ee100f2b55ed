//! Which event may follow: every precondition in one place.
//!
//! Must stay stricter than the decider, never looser: a wrong decision is refused here before it
//! becomes an effect.

mod results;

use super::{FenceState, Progress, Refused, RoundProgress, revert};
use crate::policy::PolicyLimits;
use crate::report::RunOutcome;
use crate::step::{Action, Event, Verb};

impl Progress {
    /// Whether `event` may follow, without applying it.
    ///
    /// # Errors
    /// [`Refused`] naming the event and what contradicts it.
    pub fn check(&self, event: &Event) -> Result<(), Refused> {
        let verdict = match event {
            Event::Operator { verb } => self.may_order(*verb),
            Event::Limited { new, .. } => self.may_limit(new),
            Event::Adopted { .. } => self.may_adopt(),
            _ if self.closed.is_some() => Err("the migration is closed".to_owned()),
            Event::Decided { action, .. } => self.idle().and_then(|()| self.may(action)),
            Event::Started { action, attempt } => self.may_start(action, *attempt),
            Event::Finished { action, result } => self
                .is_running(action)
                .and_then(|()| self.fits(action, result)),
            Event::Failed { action, .. } => self.is_running(action),
            Event::Waiting { .. } | Event::Awaiting { .. } => self.idle(),
            Event::Closed { outcome, .. } => self.idle().and_then(|()| self.may_close(*outcome)),
        };
        verdict.map_err(|reason| Refused {
            event: name(event),
            reason,
        })
    }

    fn idle(&self) -> Result<(), String> {
        let running = self
            .running
            .as_ref()
            .map(|running| running.action.step_id());
        running.map_or(Ok(()), |step| Err(format!("{step} has no answer yet")))
    }

    fn is_running(&self, action: &Action) -> Result<(), String> {
        match &self.running {
            Some(running) if running.action == *action => Ok(()),
            Some(running) => Err(format!("{} is running", running.action.step_id())),
            None => Err("it was not started".to_owned()),
        }
    }

    fn may_start(&self, action: &Action, attempt: u32) -> Result<(), String> {
        self.idle()?;
        let decided = self
            .decided
            .as_ref()
            .is_some_and(|(decided, _)| decided == action);
        require(decided, "it was not decided")?;
        let expected = self.attempts_of(action) + 1;
        require(
            attempt == expected,
            &format!("the next attempt is number {expected}"),
        )
    }

    fn may_order(&self, verb: Verb) -> Result<(), String> {
        match &self.closed {
            _ if matches!(verb, Verb::Revert | Verb::RevertDiscarding) => self.may_order_revert(),
            None if verb == Verb::Finalize => self.may_order_finalize(),
            None if verb == Verb::Try => self.may_order_trial(),
            None => Ok(()),
            Some(_) if verb == Verb::Try && self.reopenable() => Ok(()),
            Some(_) if verb == Verb::Resume && self.reopenable() => Ok(()),
            // A cutover that is final; an abort is told beforehand, for the same command would begin anew.
            Some(_) if verb == Verb::DeleteSnapshots && self.is_final() => Ok(()),
            Some(closed) if closed.outcome == RunOutcome::CutOver && verb == Verb::Finalize => {
                Ok(())
            }
            Some(_) => Err("the migration is closed".to_owned()),
        }
    }

    fn may_limit(&self, new: &PolicyLimits) -> Result<(), String> {
        require(!new.is_empty(), "no limit is named")?;
        let fenced = "the source was fenced already, and from there on limits stay";
        require(self.fence.is_none(), fenced)?;
        let open = self.closed.is_none() || self.reopenable();
        require(open, "the migration is closed")
    }

    fn may_order_trial(&self) -> Result<(), String> {
        let before = self.fence.is_none() && !self.orders.abort;
        require(before, "a restore is tried before the fence only")
    }

    fn may_close(&self, outcome: RunOutcome) -> Result<(), String> {
        let fenced = self.may_be_fenced();
        match outcome {
            RunOutcome::CutOver => require(self.target_serves(), "the target does not serve"),
            RunOutcome::Copied => require(
                self.fence.is_none(),
                "a cutover was begun: end it or go back",
            ),
            RunOutcome::Aborted => require(
                !fenced && self.activated.is_none(),
                "the source does not serve",
            ),
            RunOutcome::Reverted => require(self.reverted(), "the source does not serve"),
            RunOutcome::Failed => require(!fenced || self.target_serves(), "neither side serves"),
        }
    }

    /// Whether the state of things allows `action`.
    fn may(&self, action: &Action) -> Result<(), String> {
        if let Action::Hook { .. } = action {
            let ran = self.hooks.contains_key(&action.step_id());
            return require(!ran, "the hook ended well before");
        }
        let over = "the source serves again: a new plan begins anew";
        let ending = matches!(action, Action::DeleteSnapshots);
        require(!self.reverted() || ending, over)?;
        let deleting = self.tried(&Action::DeleteSnapshots) && self.activated.is_none();
        require(!deleting || ending, "the chain is being deleted")?;
        match action {
            action if revert::is_step(action) => self.may_revert(action),
            Action::Preflight => require(!self.may_be_fenced(), "the source is fenced"),
            Action::Snapshot { round } => self.may_snapshot(*round),
            Action::AwaitSnapshots { round } => {
                let taken = self.round(*round).is_some_and(|r| !r.snapshots.is_empty());
                require(taken, "the round has no snapshots")
            }
            Action::MeasureDelta { round } => self.complete(*round).map(drop),
            Action::Share { round } | Action::Copy { round } => self.complete(*round).map(drop),
            Action::AwaitCopies { round } => {
                let begun = self.round(*round).is_some_and(|r| !r.copies.is_empty());
                require(begun, "the round has no copies")
            }
            Action::PrepareVolumes => self.may_prepare(),
            Action::Sync { round, whole } => self.may_sync(*round, *whole),
            Action::AwaitSync { round } => {
                let begun = self.round(*round).is_some_and(|r| r.syncing.is_some());
                require(begun, "the round is not being synced")
            }
            Action::TryRestore { round, trial } => self.may_try(*round, *trial),
            Action::Gate { attempt } => self.may_gate(*attempt),
            Action::Checkpoint { attempt } => self.gate_is_open(*attempt),
            Action::Flush { round } => self.may_snapshot(*round),
            Action::Fence { epoch } => self.may_fence(*epoch),
            Action::FreezeSnapshot { round, .. } => self.may_freeze(*round),
            Action::CreateVolumes => self.may_restore(),
            Action::AttachVolumes => require(!self.restored.is_empty(), "no volume is restored"),
            Action::KeepTarget => self.may_keep(),
            Action::BringUp => {
                require(self.attached, "the volumes are not attached")?;
                let kept = !self.prepared || !self.kept.is_empty();
                require(kept, "no snapshot of the volumes was taken before mounting")
            }
            Action::Prove => require(self.brought_up, "the target's database is not up"),
            Action::Commit { epoch } => self.may_commit(*epoch),
            Action::Activate { epoch } => {
                let committed = self.committed() && self.epoch() == Some(*epoch);
                require(
                    committed && self.revert.is_none(),
                    "the fence is not permanent: activation would make two writers",
                )
            }
            Action::Compare => require(self.activated.is_some(), "the target does not serve yet"),
            Action::Cleanup => {
                let clean = self
                    .verification
                    .as_ref()
                    .is_some_and(|v| v.mismatches == 0);
                require(clean, "the comparison has not shown both sides equal")
            }
            Action::DeleteSnapshots => self.may_delete_snapshots(),
            Action::TakeDown | Action::DeleteVolumes => self.may_go_back(),
            Action::DiscardFreezes => {
                self.may_go_back()?;
                require(!self.may_be_fenced(), "the source may still be fenced")
            }
            Action::Unfence { epoch } => {
                self.may_go_back()?;
                let known = self
                    .fence
                    .as_ref()
                    .is_some_and(|fence| fence.epoch == *epoch);
                require(known, "there is no fence of that number")
            }
            _ => Err("it is no step of the way forward".to_owned()),
        }
    }

    /// The target serves for good, or the source serves and nothing goes on.
    fn may_delete_snapshots(&self) -> Result<(), String> {
        require(
            self.orders.delete_snapshots,
            "nobody allowed to delete the snapshots",
        )?;
        let aborted = self.activated.is_none() && !self.may_be_fenced();
        require(
            self.is_final() || self.reverted() || aborted,
            "the end is not final: the snapshots may be needed",
        )
    }

    /// The operator declared the cutover final.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.orders.finalize && self.target_serves()
    }

    fn may_snapshot(&self, round: u32) -> Result<(), String> {
        require(self.preflight.is_some(), "the preflight has not passed")?;
        require(
            !self.may_be_fenced(),
            "the source is fenced: only a final snapshot counts now",
        )?;
        self.follows(round)
    }

    fn follows(&self, round: u32) -> Result<(), String> {
        let next = self.next_index();
        let redo = self.round(round).is_some_and(|r| r.completed.is_empty());
        require(
            round == next || (redo && round + 1 == next),
            "rounds follow each other",
        )?;
        let Some(previous) = round.checked_sub(1) else {
            return Ok(());
        };
        self.complete(previous).map(drop)
    }

    fn complete(&self, round: u32) -> Result<&RoundProgress, String> {
        let complete = self.round(round).filter(|r| !r.completed.is_empty());
        complete.ok_or_else(|| format!("the snapshots of round {round} are not completed"))
    }

    /// A restore is tried from a round that has arrived, one at a time, while the source serves.
    fn may_try(&self, round: u32, trial: u32) -> Result<(), String> {
        require(!self.may_be_fenced(), "the source is fenced")?;
        let last = &self.trial;
        let next = last.number + u32::from(self.nothing_tried_is_left());
        require(trial == next, &format!("the next trial is number {next}"))?;
        let begun = trial != last.number || last.round == round;
        require(begun, "another round is being tried")?;
        let known = self.preflight.as_ref();
        let known = known.is_some_and(|found| found.system_identifier.is_some());
        require(known, "the preflight has not looked at the hosts")?;
        let last = self.complete(round)?;
        let arrived = last.copies.is_empty() || !last.copied.is_empty();
        require(arrived, "the copies of the round are not completed")
    }

    /// What a tried restore made is gone.
    pub(crate) fn nothing_tried_is_left(&self) -> bool {
        self.trial.number == 0 || self.trial.over
    }

    fn may_gate(&self, attempt: u32) -> Result<(), String> {
        require(!self.may_be_fenced(), "the source is fenced")?;
        let clear = self.nothing_tried_is_left();
        require(clear, "a tried restore may still be on the target")?;
        let next = u32::try_from(self.gates.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        require(attempt == next, &format!("the next gate is number {next}"))?;
        let last = self.rounds.keys().next_back().copied();
        last.map_or_else(
            || Err("there is no base".to_owned()),
            |last| self.complete(last).map(drop),
        )
    }

    fn gate_is_open(&self, attempt: u32) -> Result<(), String> {
        require(!self.may_be_fenced(), "the source is fenced")?;
        let open = self
            .gates
            .last()
            .is_some_and(|g| g.attempt == attempt && g.refusals.is_empty());
        require(open, "the last gate did not open")
    }

    fn may_fence(&self, epoch: u64) -> Result<(), String> {
        let attempt = self.gates.last().map_or(0, |gate| gate.attempt);
        let again = self
            .fence
            .as_ref()
            .is_some_and(|fence| fence.epoch == epoch && fence.state == FenceState::Asked);
        if again {
            return Ok(());
        }
        self.gate_is_open(attempt)?;
        require(
            self.checkpoints.contains(&attempt),
            "no checkpoint was written after the gate",
        )?;
        require(
            self.epoch().is_none_or(|last| last < epoch),
            "the number of the fence must grow",
        )
    }

    fn may_freeze(&self, round: u32) -> Result<(), String> {
        require(self.leased(), "the source is not fenced")?;
        require(self.way_back.is_none(), "the way back was taken")?;
        self.follows(round)
    }

    fn may_restore(&self) -> Result<(), String> {
        require(self.leased(), "the source is not fenced")?;
        require(self.way_back.is_none(), "the way back was taken")?;
        let last = self.final_round().ok_or("there is no final round")?;
        let round = self.complete(last)?;
        let arrived = round.copies.is_empty() || !round.copied.is_empty();
        require(arrived, "the copies of the final round are not completed")
    }

    fn may_prepare(&self) -> Result<(), String> {
        require(self.preflight.is_some(), "the preflight has not passed")?;
        require(!self.may_be_fenced(), "the source is fenced")?;
        require(!self.rounds.is_empty(), "there is no base")
    }

    fn may_sync(&self, round: u32, whole: bool) -> Result<(), String> {
        self.complete(round)?;
        require(self.prepared, "no volumes are prepared")?;
        require(self.way_back.is_none(), "the way back was taken")?;
        let mounted = self.tried(&Action::BringUp);
        require(!mounted, "a volume that was mounted is no base")?;
        require(
            whole || self.is_based(round),
            "the volumes do not hold the round before",
        )
    }

    fn may_keep(&self) -> Result<(), String> {
        require(self.leased(), "the source is not fenced")?;
        require(self.way_back.is_none(), "the way back was taken")?;
        let last = self.final_round().and_then(|index| self.round(index));
        let synced = last.is_some_and(|round| !round.synced.is_empty());
        require(synced, "the volumes do not hold the final round")
    }

    fn may_commit(&self, epoch: u64) -> Result<(), String> {
        require(
            self.leased() && self.epoch() == Some(epoch),
            "the source is not fenced",
        )?;
        require(self.way_back.is_none(), "the way back was taken")?;
        require(
            self.proof.is_some(),
            "the target has not proved what it holds",
        )
    }

    fn may_go_back(&self) -> Result<(), String> {
        let early = !self.committed() && self.activated.is_none();
        require(early, "the point of no return is passed")?;
        let doubtful = "the answer to the commit is lost: the fence may be permanent";
        require(!self.commit_in_doubt(), doubtful)?;
        require(self.fence.is_some(), "nothing was fenced")
    }
}

fn require(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

fn name(event: &Event) -> String {
    match event {
        Event::Decided { action, .. } => format!("decided {}", action.step_id()),
        Event::Started { action, attempt } => {
            format!("started {} (attempt {attempt})", action.step_id())
        }
        Event::Finished { action, .. } => format!("finished {}", action.step_id()),
        Event::Failed { action, .. } => format!("failed {}", action.step_id()),
        Event::Waiting { .. } => "waiting".to_owned(),
        Event::Awaiting { .. } => "awaiting the operator".to_owned(),
        Event::Operator { verb } => format!("operator {verb:?}").to_lowercase(),
        Event::Limited { .. } => "a change of limits".to_owned(),
        Event::Adopted { plan, .. } => format!("plan {}", plan.digest),
        Event::Closed { outcome, .. } => format!("closed {outcome:?}").to_lowercase(),
    }
}
