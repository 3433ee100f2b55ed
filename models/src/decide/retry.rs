//! Whether a failed step is tried again: decided by the class of its failure, never by its text.

use super::words::delta;
use super::{Next, View};
use crate::progress::Failing;
use crate::report::RunOutcome;
use crate::step::{Action, FailureClass};

/// Failures in a row after which a passing trouble is no longer taken for one, before the fence:
/// with the pauses below about an hour and a half.
const MOST_FAILURES: u32 = 20;

/// The same behind the fence, where every minute is downtime: about three minutes.
const MOST_FAILURES_FENCED: u32 = 10;

/// First pause, doubled after each failure.
const FIRST_PAUSE_SECONDS: f64 = 5.0;

/// Longest pause before the fence.
const LONGEST_PAUSE_SECONDS: f64 = 300.0;

/// Longest pause behind the fence.
const LONGEST_PAUSE_FENCED_SECONDS: f64 = 20.0;

/// What a failed step deserves.
pub(super) enum Retry {
    /// Nothing is failing, or its pause is over.
    Now,
    /// Once more after a pause.
    Later(Next),
    /// It will not succeed without help.
    GivenUp(Failing),
}

impl View<'_> {
    /// Before the fence: tries a step; what fails for good ends the run or asks the operator.
    pub(super) fn attempt(&self, action: Action, reason: impl Into<String>) -> Next {
        match self.retry_unhurried(&action) {
            Retry::Now => self.act(action, reason),
            Retry::Later(next) => next,
            Retry::GivenUp(failing) if failing.class == FailureClass::Lineage => {
                self.without_base(&failing)
            }
            Retry::GivenUp(failing) => given_up(&failing),
        }
    }

    /// Before the fence, with giving up left to the caller.
    pub(super) fn retry_unhurried(&self, action: &Action) -> Retry {
        self.retry(action, MOST_FAILURES, LONGEST_PAUSE_SECONDS)
    }

    /// Behind the fence: shorter pauses, and the caller decides about giving up.
    pub(super) fn retry_fenced(&self, action: &Action) -> Retry {
        self.retry(action, MOST_FAILURES_FENCED, LONGEST_PAUSE_FENCED_SECONDS)
    }

    fn retry(&self, action: &Action, most: u32, longest_pause: f64) -> Retry {
        let Some(failing) = self.progress.failing.get(&action.step_id()) else {
            return Retry::Now;
        };
        let fenced = self.progress.may_be_fenced();
        let hopeless = match failing.class {
            _ if failing.count == 0 => false,
            FailureClass::Permanent
            | FailureClass::Integrity
            | FailureClass::Lineage
            | FailureClass::Gone => true,
            // Somebody logs in again, or a role's session is renewed, hours later: the source serves meanwhile.
            FailureClass::Credentials => fenced && failing.count >= most,
            FailureClass::Transient | FailureClass::Unknown | FailureClass::Interrupted => {
                failing.count >= most
            }
        };
        if hopeless {
            return Retry::GivenUp(failing.clone());
        }
        let at = failing.at + delta(pause_seconds(failing.count, longest_pause));
        // A failure that lies ahead was written by a clock that has been set back since: no pause to be kept.
        if at <= self.now || self.now < failing.at {
            return Retry::Now;
        }
        Retry::Later(Next::WaitUntil {
            at,
            reason: again(failing),
        })
    }
}

fn again(failing: &Failing) -> String {
    let (step, count, message) = (failing.action.step_id(), failing.count, &failing.message);
    match failing.class {
        FailureClass::Credentials => format!(
            "{step} needs credentials ({count} time(s)): {message}; log in again, nothing has to be started anew"
        ),
        _ => format!("{step} failed {count} time(s), last: {message}; tried again then"),
    }
}

fn pause_seconds(failures: u32, longest: f64) -> f64 {
    match failures.checked_sub(1) {
        None => 0.0,
        Some(doublings) => (FIRST_PAUSE_SECONDS * f64::from(doublings.min(16)).exp2()).min(longest),
    }
}

fn given_up(failing: &Failing) -> Next {
    let step = failing.action.step_id();
    let Failing {
        class,
        message,
        count,
        ..
    } = failing;
    match class {
        FailureClass::Permanent
        | FailureClass::Integrity
        | FailureClass::Lineage
        | FailureClass::Gone => Next::Stop {
            outcome: RunOutcome::Failed,
            reason: format!(
                "{step} failed for good: {message}; the source serves, nothing is fenced"
            ),
        },
        FailureClass::Transient
        | FailureClass::Unknown
        | FailureClass::Credentials
        | FailureClass::Interrupted => Next::AwaitOperator {
            reason: format!(
                "{step} failed {count} times in a row, last: {message}; the source serves; run the \
                 same command to go on"
            ),
        },
    }
}
