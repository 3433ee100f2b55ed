//! The fence and the freeze of a simulated host: who may write, and until when nobody may.
//! It must not know volumes or the database; time is an argument.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::request::{Refusal, refuse};

/// How far the fence is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fence {
    /// The database may serve.
    None,
    /// Fenced until the lease ends; `answer` is what the fence found.
    Leased { until: DateTime<Utc>, answer: Value },
    /// Fenced for good.
    Permanent { at: DateTime<Utc> },
}

/// File systems frozen under an id.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Freeze {
    pub id: String,
    pub at: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// A freeze that is over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thawed {
    pub id: String,
    pub at: DateTime<Utc>,
    pub frozen_seconds: f64,
    pub unbroken: bool,
}

/// Both together with the epoch that owns them.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub epoch: Option<u64>,
    pub fence: Fence,
    pub freeze: Option<Freeze>,
    pub last_freeze: Option<Thawed>,
    pub longest_freeze_seconds: f64,
    longest_lease_seconds: f64,
    leased_since: Option<DateTime<Utc>>,
    freezes: u64,
}

impl Guard {
    pub fn new() -> Self {
        Self {
            epoch: None,
            fence: Fence::None,
            freeze: None,
            last_freeze: None,
            longest_freeze_seconds: 0.0,
            longest_lease_seconds: 0.0,
            leased_since: None,
            freezes: 0,
        }
    }

    /// Whether the database may write.
    pub fn open(&self) -> bool {
        self.fence == Fence::None && self.freeze.is_none()
    }

    /// When the watchdog acts next by itself.
    pub fn next_event(&self) -> Option<DateTime<Utc>> {
        let lease = match &self.fence {
            Fence::Leased { until, .. } => Some(*until),
            Fence::None | Fence::Permanent { .. } => None,
        };
        let freeze = self.freeze.as_ref().map(|f| f.until);
        [lease, freeze].into_iter().flatten().min()
    }

    /// What the watchdog does at `at`: a freeze at its limit is thawed, a fence whose lease has ended is let go.
    /// True when the fence was let go.
    pub fn watchdog(&mut self, at: DateTime<Utc>) -> bool {
        if self.freeze.as_ref().is_some_and(|f| f.until <= at) {
            self.end_freeze(at, false);
        }
        let ended = matches!(&self.fence, Fence::Leased { until, .. } if *until <= at);
        if ended {
            self.release(at);
        }
        ended
    }

    /// Refuses an epoch that a newer one has replaced.
    pub fn require_current(&self, epoch: u64) -> Result<(), Refusal> {
        match self.epoch {
            Some(known) if epoch < known => Err(refuse(
                "stale_epoch",
                format!(
                    "epoch {epoch} is older than {known}: another executor owns this migration now"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses unless the fence of this epoch stands under a running lease at `at`.
    pub fn require_leased(&self, epoch: u64, at: DateTime<Utc>) -> Result<(), Refusal> {
        self.require_current(epoch)?;
        let own = self.epoch == Some(epoch);
        match &self.fence {
            Fence::Leased { until, .. } if own && at < *until => Ok(()),
            Fence::Leased { .. } | Fence::None if own => Err(refuse(
                "lease_ended",
                format!("the lease of epoch {epoch} has ended: fence again under a new epoch"),
            )),
            Fence::Permanent { .. } => Err(committed()),
            Fence::Leased { .. } | Fence::None => Err(refuse(
                "not_fenced",
                format!("there is no fence of epoch {epoch}"),
            )),
        }
    }

    /// A fence that stands was asked for again: its lease ends then.
    pub fn lease_until(&mut self, epoch: u64, new_until: DateTime<Utc>) {
        self.epoch = Some(epoch);
        if let Fence::Leased { until, .. } = &mut self.fence {
            *until = new_until;
        }
    }

    /// The fence stands.
    pub fn fenced(
        &mut self,
        (at, until): (DateTime<Utc>, DateTime<Utc>),
        epoch: u64,
        answer: Value,
    ) {
        self.epoch = Some(epoch);
        self.leased_since = Some(at);
        self.fence = Fence::Leased { until, answer };
    }

    /// Lets the fence go, and a freeze with it.
    pub fn release(&mut self, at: DateTime<Utc>) {
        self.end_freeze(at, false);
        self.end_lease(at);
        self.fence = Fence::None;
    }

    /// The fence becomes permanent.
    pub fn commit(&mut self, at: DateTime<Utc>) {
        self.end_freeze(at, false);
        self.end_lease(at);
        self.fence = Fence::Permanent { at };
    }

    /// The longest that a fence stood under a lease, one that stands at `at` included.
    pub fn longest_lease_seconds(&self, at: DateTime<Utc>) -> f64 {
        let standing = self
            .leased_since
            .map(|since| crate::seconds_between(since, at));
        standing.unwrap_or(0.0).max(self.longest_lease_seconds)
    }

    fn end_lease(&mut self, at: DateTime<Utc>) {
        self.longest_lease_seconds = self.longest_lease_seconds(at);
        self.leased_since = None;
    }

    pub fn begin_freeze(&mut self, at: DateTime<Utc>, until: DateTime<Utc>) -> String {
        self.freezes += 1;
        let id = format!("freeze-{}", self.freezes);
        self.freeze = Some(Freeze {
            id: id.clone(),
            at,
            until,
        });
        id
    }

    /// Ends the freeze under way.
    pub fn end_freeze(&mut self, at: DateTime<Utc>, by_owner: bool) {
        if let Some(Freeze {
            id,
            at: began,
            until,
        }) = self.freeze.take()
        {
            let frozen_seconds = crate::seconds_between(began, at);
            self.longest_freeze_seconds = self.longest_freeze_seconds.max(frozen_seconds);
            self.last_freeze = Some(Thawed {
                id,
                at,
                frozen_seconds,
                unbroken: by_owner && at < until,
            });
        }
    }
}

/// The refusal of everything that a permanent fence forbids.
pub(super) fn committed() -> Refusal {
    refuse(
        "committed",
        "the fence is permanent: the migration is committed, the target is the one to serve",
    )
}
