//! The loop: decide, append, act, append.

use std::pin::pin;
use std::sync::Arc;

use snapmigrate_models::decide::{Goal, Next, admissible, decide};
use snapmigrate_models::plan::Plan;
use snapmigrate_models::progress::{Progress, RevertState};
use snapmigrate_models::report::RunOutcome;
use snapmigrate_models::step::{Action, Event, FailureClass, StepResult, Verb};
use snapmigrate_models::units::Timestamp;

use super::act::{Context, act};
use super::claim::{Claimant, Holder};
use super::control::Control;
use super::failure::Failure;
use super::{Ended, ExecuteError, Sides};
use crate::clock::Clock;
use crate::journal::{Entry, Journal, JournalError};
use crate::quiesce::protocol::Unfence;

/// How to run.
pub struct Run<'a> {
    /// The only `now`.
    pub clock: Clock,
    /// Who runs it, and from where.
    pub claimant: Claimant,
    /// What the operator asked for when starting.
    pub goal: Goal,
    /// Ways to speak to the run.
    pub control: Control,
    /// Told what holds up the start, when nothing may be journaled yet.
    pub notice: &'a dyn Fn(&str),
    /// Told each entry after it is durable.
    pub watcher: &'a mut dyn FnMut(&Entry, &Progress),
}

/// Carries out the journal's plan from wherever it stands.
///
/// # Errors
/// [`ExecuteError`] when the plan cannot reach the goal, the migration cannot be claimed, or the journal or the
/// control file refuses.
pub async fn execute(
    sides: &Sides,
    journal: &mut Journal,
    run: Run<'_>,
) -> Result<Ended, ExecuteError> {
    let plan = journal.recorded().plan.clone();
    admissible(&plan, run.goal).map_err(|reason| ExecuteError::Inadmissible { reason })?;
    let claimant = run.claimant.clone();
    let holder = Holder {
        source: &sides.source,
        plan: &plan,
        clock: run.clock,
        claimant: &claimant,
    };
    let claimed = holder.claim(&run.control, run.notice).await;
    if let Some(other) = claimed.map_err(ExecuteError::Claim)? {
        return Ok(other);
    }
    let mut driver = Driver {
        plan: Arc::new(plan.clone()),
        sides,
        journal,
        run,
    };
    let ended = match driver.run_to_its_end().await {
        Err(ExecuteError::Journal(source)) => return Err(driver.let_go(source).await),
        ended => ended?,
    };
    if !driver.journal.progress().may_be_fenced() {
        holder.release().await;
    }
    Ok(ended)
}

struct Driver<'a, 'r> {
    plan: Arc<Plan>,
    sides: &'a Sides,
    journal: &'a mut Journal,
    run: Run<'r>,
}

impl Driver<'_, '_> {
    async fn run_to_its_end(&mut self) -> Result<Ended, ExecuteError> {
        if self.take_up()? {
            return self.drive().await;
        }
        Ok(ended(self.journal.progress()))
    }

    /// Takes up a journal that was begun before; false when it is over.
    fn take_up(&mut self) -> Result<bool, ExecuteError> {
        let progress = self.journal.progress();
        if progress.entries == 0 {
            return Ok(true);
        }
        if let Some(closed) = &progress.closed {
            let done = closed.outcome == RunOutcome::Copied
                && !self.run.goal.cutover
                && !progress.orders.trial;
            if done || !progress.reopenable() {
                return Ok(false);
            }
        }
        if let Some(running) = progress.running.clone() {
            let message =
                "the executor ended before the answer; what it did is looked up".to_owned();
            let class = FailureClass::Unknown;
            self.append(&Event::Failed {
                action: running.action,
                class,
                message,
            })?;
        }
        self.append(&Event::Operator { verb: Verb::Resume })?;
        Ok(true)
    }

    async fn drive(&mut self) -> Result<Ended, ExecuteError> {
        loop {
            self.listen()?;
            if let Some(ended) = self.stop()? {
                return Ok(ended);
            }
            let now = self.run.clock.now();
            match decide(&self.plan, self.journal.progress(), self.run.goal, now) {
                Next::Act { action, reason } => self.step(action, reason).await?,
                Next::WaitUntil { at, reason } => self.wait(at, reason).await?,
                Next::Adopt { plan, reason } => self.adopt(*plan, reason)?,
                Next::AwaitOperator { reason } => {
                    self.append(&Event::Awaiting {
                        reason: reason.clone(),
                    })?;
                    return Ok(Ended::AwaitingOperator { reason });
                }
                Next::Stop { outcome, reason } => {
                    self.append(&Event::Closed { outcome, reason })?;
                    return Ok(ended(self.journal.progress()));
                }
            }
        }
    }

    fn append(&mut self, event: &Event) -> Result<(), ExecuteError> {
        let at = self.run.clock.now();
        self.journal.append(at, event)?;
        let recorded = self.journal.recorded();
        if let Some(entry) = recorded.entries.last() {
            (self.run.watcher)(entry, &recorded.progress);
        }
        Ok(())
    }

    /// Goes on under a child plan: what was made keeps its names, what is to come follows the child.
    fn adopt(&mut self, child: Plan, reason: String) -> Result<(), ExecuteError> {
        let at = self.run.clock.now();
        self.journal.adopt(&child, at, Some(reason))?;
        self.plan = Arc::new(child);
        let recorded = self.journal.recorded();
        if let Some(entry) = recorded.entries.last() {
            (self.run.watcher)(entry, &recorded.progress);
        }
        Ok(())
    }

    async fn step(&mut self, action: Action, reason: String) -> Result<(), ExecuteError> {
        self.append(&Event::Decided {
            action: action.clone(),
            reason,
        })?;
        let attempt = self.journal.progress().attempts_of(&action) + 1;
        let before = self.journal.progress().clone();
        self.append(&Event::Started {
            action: action.clone(),
            attempt,
        })?;
        let answer = self.carry_out(&action, attempt, &before).await?;
        let event = match answer {
            Ok(result) => Event::Finished {
                action: action.clone(),
                result,
            },
            Err(Failure { class, message }) => Event::Failed {
                action: action.clone(),
                class,
                message,
            },
        };
        // A result that contradicts what is known is a failure of the step, not of the journal.
        if let Err(refused) = self.journal.progress().check(&event) {
            let message = refused.to_string();
            return self.append(&Event::Failed {
                action,
                class: FailureClass::Integrity,
                message,
            });
        }
        self.append(&event)
    }

    /// Acts; a mere wait is left when the operator speaks.
    async fn carry_out(
        &mut self,
        action: &Action,
        attempt: u32,
        before: &Progress,
    ) -> Result<Result<StepResult, Failure>, ExecuteError> {
        let (sides, clock) = (self.sides, self.run.clock);
        let plan = Arc::clone(&self.plan);
        let (goal, deadline) = (self.run.goal, self.lease_end());
        let context = Context {
            sides,
            plan: &plan,
            clock,
            goal,
            progress: before,
            attempt,
            deadline,
        };
        let mut acting = pin!(act(&context, action));
        if self.run.control.is_silent() {
            return Ok(acting.await);
        }
        loop {
            tokio::select! {
                biased;
                answer = &mut acting => return Ok(answer),
                () = self.run.control.wait() => {}
            }
            let heard = self.listen()?;
            if is_wait(action) && (heard || self.run.control.stop_asked()) {
                return Ok(Err(Failure::new(
                    FailureClass::Interrupted,
                    "left to hear the operator",
                )));
            }
            if self.run.control.stop_asked() {
                // A call in flight is not torn off: its answer is worth more than the seconds.
                return Ok(acting.await);
            }
        }
    }

    /// End of the lease while one runs and nothing is committed.
    fn lease_end(&self) -> Option<Timestamp> {
        let progress = self.journal.progress();
        let fence = progress.fence.as_ref().filter(|_| progress.leased())?;
        Some(fence.asked_at + seconds(self.plan.policy.lease_seconds))
    }

    async fn wait(&mut self, until: Timestamp, reason: String) -> Result<(), ExecuteError> {
        let said = self
            .journal
            .progress()
            .waiting
            .as_ref()
            .is_some_and(|(_, said)| *said == reason);
        if !said {
            self.append(&Event::Waiting { until, reason })?;
        }
        let clock = self.run.clock;
        let mut sleeping = pin!(clock.sleep_until(until));
        if self.run.control.is_silent() {
            sleeping.await;
            return Ok(());
        }
        loop {
            tokio::select! {
                biased;
                () = &mut sleeping => return Ok(()),
                () = self.run.control.wait() => {}
            }
            if self.listen()? || self.run.control.stop_asked() {
                return Ok(());
            }
        }
    }

    /// Journals what the operator said; true when it was something.
    fn listen(&mut self) -> Result<bool, ExecuteError> {
        let known = self.journal.recorded().entries.len();
        let Self { journal, run, .. } = self;
        run.control.hear(journal, run.clock)?;
        let recorded = self.journal.recorded();
        for entry in &recorded.entries[known..] {
            (self.run.watcher)(entry, &recorded.progress);
        }
        Ok(recorded.entries.len() > known)
    }

    /// Leaves at once while the source serves; behind the fence goes back first; after the commit
    /// goes on, because only forward leads to a serving database.
    fn stop(&mut self) -> Result<Option<Ended>, ExecuteError> {
        if !self.run.control.stop_asked() {
            return Ok(None);
        }
        let progress = self.journal.progress();
        if !progress.may_be_fenced() {
            let reason = "stopped; the source serves, the same command goes on".to_owned();
            return Ok(Some(Ended::Stopped { reason }));
        }
        if progress.target_serves() {
            let reason = "stopped; the target serves, the same command finishes".to_owned();
            return Ok(Some(Ended::AwaitingOperator { reason }));
        }
        if progress.activated.is_some() {
            // Behind the target's fence a revert is called off; after its commit only forward leads to a server.
            if progress.orders.revert {
                self.call_off_revert()?;
            }
            return Ok(None);
        }
        if !progress.committed() && !progress.orders.abort {
            self.append(&Event::Operator { verb: Verb::Abort })?;
        }
        Ok(None)
    }
}

impl Driver<'_, '_> {
    /// Without a journal nothing may be done but one thing, which the host does by itself at the end of the lease
    /// anyway: a fence that is not permanent is taken back. Every later step behind it is refused by the host.
    async fn let_go(&self, source: JournalError) -> ExecuteError {
        let progress = self.journal.progress();
        let leased = progress.fence.as_ref().filter(|_| {
            !progress.committed() && !progress.commit_in_doubt() && progress.activated.is_none()
        });
        let (source_serves, state) = match leased {
            _ if !progress.may_be_fenced() => (true, "nothing is fenced, the source serves".into()),
            _ if progress.target_serves() => (false, "the target serves".into()),
            None => {
                let state =
                    "the fence may be permanent: nobody serves until the same command has gone on";
                (false, state.into())
            }
            Some(fence) => self.taken_back(fence.epoch).await,
        };
        ExecuteError::Unwritten {
            source,
            state,
            source_serves,
        }
    }

    async fn taken_back(&self, epoch: u64) -> (bool, String) {
        let told = match &self.sides.source_host {
            Some(host) => host.call(Unfence { epoch }).await.is_ok(),
            None => false,
        };
        let seconds = self.plan.policy.lease_seconds;
        let state = match told {
            true => "the fence was taken back, the source serves".to_owned(),
            false => format!(
                "the source's host did not answer: by itself it takes the fence back within {seconds:.0} s"
            ),
        };
        (told, state)
    }

    fn call_off_revert(&mut self) -> Result<(), ExecuteError> {
        let state = self.journal.progress().revert.as_ref().map(|r| r.state);
        let early = matches!(state, Some(RevertState::Asked | RevertState::Leased));
        if early && !self.journal.progress().revert_in_doubt() {
            self.append(&Event::Operator { verb: Verb::Abort })?;
        }
        Ok(())
    }
}

/// Steps that only wait or read: leaving one changes nothing.
const fn is_wait(action: &Action) -> bool {
    matches!(
        action,
        Action::AwaitSnapshots { .. }
            | Action::AwaitCopies { .. }
            | Action::AwaitSync { .. }
            | Action::MeasureDelta { .. }
            | Action::Compare
    )
}

fn ended(progress: &Progress) -> Ended {
    match &progress.closed {
        Some(closed) => Ended::Closed {
            outcome: closed.outcome,
            reason: closed.reason.clone(),
        },
        None => Ended::AwaitingOperator {
            reason: "the migration is not closed".to_owned(),
        },
    }
}

fn seconds(seconds: f64) -> chrono::TimeDelta {
    let span = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    chrono::TimeDelta::from_std(span).unwrap_or(chrono::TimeDelta::MAX)
}
