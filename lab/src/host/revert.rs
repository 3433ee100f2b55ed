//! A migration that goes back: what an activated target takes from its clients, and a source whose permanent fence is
//! let go. It must not know what happens on the other host.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::fence::Fence;
use super::request::{Request, refuse, time};
use super::{COMMIT_SECONDS, Outcome, SimulatedHost, State, after, seconds_between};
use crate::content::format_lsn;

/// Clients find their way to a new address within so long.
const REDIRECTED_SECONDS: f64 = 60.0;
/// Transactions they begin in a second then.
const TRANSACTIONS_PER_SECOND: f64 = 2.0;

/// What the clients of an activated target did.
#[derive(Debug, Clone, Default)]
pub(super) struct Clients {
    activated: bool,
    since: Option<DateTime<Utc>>,
    /// Transactions up to the last fence.
    pub taken: u64,
}

/// A permanent fence that was let go.
#[derive(Debug, Clone)]
pub(super) struct Reopened {
    epoch: u64,
    committed_epoch: u64,
    answer: Value,
}

impl Clients {
    /// The database is opened as a target for the first time.
    pub fn begin(&mut self, at: DateTime<Utc>) {
        self.activated = true;
        self.since = Some(after(at, REDIRECTED_SECONDS));
    }

    /// An activated target serves again.
    pub fn come(&mut self, at: DateTime<Utc>) {
        if self.activated && self.since.is_none() {
            self.since = Some(at);
        }
    }

    /// It is fenced.
    pub fn go(&mut self, at: DateTime<Utc>) {
        self.taken = self.count(at);
        self.since = None;
    }

    /// Transactions they have begun by now.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of seconds, never negative"
    )]
    pub fn count(&self, at: DateTime<Utc>) -> u64 {
        let seconds = self.since.map_or(0.0, |since| seconds_between(since, at));
        self.taken + (seconds.max(0.0) * TRANSACTIONS_PER_SECOND) as u64
    }
}

impl SimulatedHost {
    /// Lets a permanent fence go: of exactly this epoch, under a higher one.
    pub(super) fn reopen(&mut self, now: DateTime<Utc>, request: Request<'_>) -> Outcome {
        let epoch = request.number("epoch")?;
        let committed_epoch = request.number("committed_epoch")?;
        request.text("evidence")?;
        let known = self.reopened.as_ref();
        let again = known.filter(|r| (r.epoch, r.committed_epoch) == (epoch, committed_epoch));
        match (&self.guard.fence, again) {
            (Fence::None, Some(reopened)) => return Ok((reopened.answer.clone(), 0.0)),
            (Fence::Permanent { .. }, _) => self.guard.require_current(epoch)?,
            (Fence::None | Fence::Leased { .. }, _) => {
                return Err(refuse("not_fenced", "no permanent fence stands here"));
            }
        }
        if self.guard.epoch != Some(committed_epoch) || epoch <= committed_epoch {
            let message = format!("epoch {epoch} does not reopen the fence that stands here");
            return Err(refuse("stale_epoch", message));
        }
        let reopened_at = after(now, self.draw(self.database.fence_seconds, "start"));
        let first_write = after(reopened_at, self.draw(COMMIT_SECONDS, "commit"));
        self.guard.epoch = Some(epoch);
        self.guard.fence = Fence::None;
        (self.state, self.started_at) = (State::Running, reopened_at);
        self.commits += 1;
        let answer = json!({
            "reopened_at": time(reopened_at), "first_write": time(first_write), "lsn": format_lsn(self.lsn()),
        });
        self.reopened = Some(Reopened {
            epoch,
            committed_epoch,
            answer: answer.clone(),
        });
        Ok((answer, seconds_between(now, first_write)))
    }
}
