//! The freeze as a pure machine: at most one at a time, never longer than its limit, and honest about whether it held.
//!
//! Independent of the fence's lock and disk, so that thawing never waits for anything but the kernel.

use super::clock::BootSeconds;
use crate::quiesce::protocol::{ErrorCode, Refusal};

/// One freeze from its first FIFREEZE on.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    /// Its id.
    pub id: String,
    /// When the first FIFREEZE was called.
    pub started: BootSeconds,
    /// When it must be over.
    pub limit: BootSeconds,
    /// Whether all file systems are frozen.
    pub complete: bool,
}

/// A freeze that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// How long any file system was frozen.
    pub frozen_seconds: f64,
    /// Whether it held until its owner asked for the end.
    pub unbroken: bool,
}

/// The machine's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Freeze {
    /// The freeze under way.
    pub active: Option<Active>,
    /// The one before.
    pub last: Option<Ended>,
}

/// Who ends a freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The executor that holds the id.
    Owner,
    /// The watchdog, at the limit or because the fence goes.
    Watchdog,
}

impl Freeze {
    /// The state in which the file systems may be frozen under `id`.
    ///
    /// # Errors
    /// `refused` while another freeze is active.
    pub fn begin(&self, id: &str, limit_seconds: f64, now: BootSeconds) -> Result<Self, Refusal> {
        if let Some(active) = &self.active {
            let message = format!("freeze {} is active: thaw it first", active.id);
            return Err(Refusal::new(ErrorCode::Refused, message));
        }
        let active = Active {
            id: id.to_owned(),
            started: now,
            limit: now.plus(limit_seconds),
            complete: false,
        };
        Ok(Self {
            active: Some(active),
            last: self.last.clone(),
        })
    }

    /// The state once every file system is frozen.
    ///
    /// # Errors
    /// `freeze_broken` when the watchdog ended the freeze or its limit passed meanwhile.
    pub fn completed(&self, id: &str, now: BootSeconds) -> Result<Self, Refusal> {
        match &self.active {
            Some(active) if active.id == id && now < active.limit => {
                let active = Active {
                    complete: true,
                    ..active.clone()
                };
                Ok(Self {
                    active: Some(active),
                    last: self.last.clone(),
                })
            }
            _ => Err(broken(
                id,
                "its limit passed before every file system was frozen",
            )),
        }
    }

    /// Whether the limit has passed.
    #[must_use]
    pub fn is_due(&self, now: BootSeconds) -> bool {
        self.active
            .as_ref()
            .is_some_and(|active| now >= active.limit)
    }

    /// The state after every file system was thawed at `now`; `held` says whether each was still frozen until then.
    #[must_use]
    pub fn ended(&self, by: By, held: bool, now: BootSeconds) -> Self {
        let Some(active) = &self.active else {
            return self.clone();
        };
        let unbroken = by == By::Owner && active.complete && held && now < active.limit;
        let frozen_seconds = now.since(active.started);
        Self {
            active: None,
            last: Some(Ended {
                id: active.id.clone(),
                frozen_seconds,
                unbroken,
            }),
        }
    }

    /// What the owner of `id` is told when it asks for the end: `None` when the freeze is still active.
    ///
    /// # Errors
    /// `freeze_broken` for an id that this helper does not know.
    pub fn outcome(&self, id: &str) -> Result<Option<Ended>, Refusal> {
        if self.active.as_ref().is_some_and(|active| active.id == id) {
            return Ok(None);
        }
        match &self.last {
            Some(ended) if ended.id == id => Ok(Some(ended.clone())),
            _ => Err(broken(
                id,
                "this helper does not know it, so it was restarted since",
            )),
        }
    }
}

fn broken(id: &str, why: &str) -> Refusal {
    let message = format!("freeze {id} did not hold: {why}; discard the snapshots taken under it");
    Refusal::new(ErrorCode::FreezeBroken, message)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn frozen() -> Freeze {
        Freeze::default()
            .begin("f1", 5.0, BootSeconds(10.0))
            .unwrap()
            .completed("f1", BootSeconds(11.0))
            .unwrap()
    }

    #[test]
    fn a_freeze_ended_in_time_by_its_owner_is_unbroken() {
        let ended = frozen()
            .ended(By::Owner, true, BootSeconds(12.0))
            .outcome("f1")
            .unwrap()
            .unwrap();
        assert_eq!(
            ended,
            Ended {
                id: "f1".into(),
                frozen_seconds: 2.0,
                unbroken: true
            }
        );
    }

    #[test]
    fn whatever_ends_it_otherwise_breaks_it() {
        let unbroken = |freeze: Freeze| freeze.outcome("f1").unwrap().unwrap().unbroken;
        assert!(!unbroken(frozen().ended(
            By::Watchdog,
            true,
            BootSeconds(12.0)
        )));
        assert!(
            !unbroken(frozen().ended(By::Owner, false, BootSeconds(12.0))),
            "a stranger thawed a file system"
        );
        assert!(
            !unbroken(frozen().ended(By::Owner, true, BootSeconds(15.0))),
            "the limit has passed"
        );
        let begun = Freeze::default()
            .begin("f1", 5.0, BootSeconds(0.0))
            .unwrap();
        assert!(
            !unbroken(begun.ended(By::Owner, true, BootSeconds(1.0))),
            "it never was complete"
        );
    }

    #[test]
    fn it_is_due_from_its_limit_on_counted_from_the_first_freeze() {
        assert!(!frozen().is_due(BootSeconds(14.9)));
        assert!(frozen().is_due(BootSeconds(15.0)));
        assert!(
            !frozen()
                .ended(By::Watchdog, true, BootSeconds(15.0))
                .is_due(BootSeconds(99.0))
        );
    }

    #[test]
    fn a_freezing_that_outlasts_its_limit_never_completes() {
        let begun = Freeze::default()
            .begin("f1", 5.0, BootSeconds(0.0))
            .unwrap();
        assert_eq!(
            begun.completed("f1", BootSeconds(5.0)).unwrap_err().code,
            ErrorCode::FreezeBroken
        );
        let thawed = begun.ended(By::Watchdog, true, BootSeconds(5.0));
        assert_eq!(
            thawed.completed("f1", BootSeconds(1.0)).unwrap_err().code,
            ErrorCode::FreezeBroken
        );
    }

    #[test]
    fn one_at_a_time_and_unknown_ids_are_broken() {
        assert_eq!(
            frozen()
                .begin("f2", 5.0, BootSeconds(11.0))
                .unwrap_err()
                .code,
            ErrorCode::Refused
        );
        assert_eq!(
            frozen().outcome("f0").unwrap_err().code,
            ErrorCode::FreezeBroken
        );
        assert_eq!(frozen().outcome("f1").unwrap(), None);
    }
}
