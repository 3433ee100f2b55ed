//! The append-only intent log of one migration, in one SQLite file.
//!
//! An entry is durable when [`Journal::append`] returns; nothing is shown or done before. State is
//! a fold over the entries, and the same transition function refuses what cannot follow, live and
//! on recovery. Knows nothing of AWS, hosts or the terminal.
//!
//! Why SQLite in rollback mode (`journal_mode=DELETE`, `synchronous=EXTRA`): an entry is written a
//! few hundred times in a migration of many hours, so the cost of syncing file and directory at
//! every commit does not matter, while a single file with no `-wal` beside it can be copied, mailed
//! and opened read-only by `status` as it is. A write-ahead log with `synchronous=FULL` would be as
//! durable but loses entries when only the main file is copied.

mod error;
mod lock;
mod store;

use std::path::Path;

use chrono::SecondsFormat;
use serde_json::json;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::progress::Progress;
use snapmigrate_models::report::{self, Report};
use snapmigrate_models::step::Event;
use snapmigrate_models::units::Timestamp;

pub use error::JournalError;
use lock::Lock;
use store::Store;

/// Format of the file.
pub const FORMAT: &str = "snapmigrate.journal/1";

/// One durable entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Position, from 1. Order is truth, wall time is information.
    pub seq: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// SHA-256 over the previous entry's checksum and this entry, in hexadecimal.
    pub checksum: String,
}

/// A journal open for reading: plan, entries and the state they fold to.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The plan that is carried out: the one it was begun with, or the last child that took over.
    pub plan: Plan,
    /// The plan it was begun with.
    pub first: Plan,
    /// Digests of all plans it was carried out under, the first one first.
    pub plans: Vec<String>,
    /// Version of the tool that began the journal.
    pub tool_version: String,
    /// Entries, oldest first.
    pub entries: Vec<Entry>,
    /// State after the last entry.
    pub progress: Progress,
}

impl Recorded {
    /// Predicted against actual: by the first plan and by what was carried out of the last.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = report::build(&self.first, &self.plan, &self.progress);
        report.adopted_plans = self.plans[1..].to_vec();
        report
    }

    /// Reads a journal, also while an executor writes it.
    ///
    /// # Errors
    /// [`JournalError`] when the file is missing, no journal, of a newer format or damaged.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        Store::read_only(path)?.load()
    }

    /// The journal as JSON lines: a header, then one line per entry. The same bytes for the same
    /// entries.
    #[must_use]
    pub fn export(&self) -> String {
        let header = json!({
            "format": FORMAT,
            "plan_digest": self.first.digest,
            "tool_version": self.tool_version,
        });
        let entries = self.entries.iter().map(|entry| {
            json!({
                "seq": entry.seq,
                "at": stamp(entry.at),
                "event": entry.event,
                "checksum": entry.checksum,
            })
        });
        std::iter::once(header)
            .chain(entries)
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

/// A journal open for writing; the only writer as long as it lives.
#[derive(Debug)]
pub struct Journal {
    store: Store,
    recorded: Recorded,
    _lock: Option<Lock>,
    /// Tests only: so many more entries fit on the disk.
    #[cfg(test)]
    room: u64,
}

impl Journal {
    /// Opens the journal of `plan` at `path`, or begins it when there is none. Where children of `plan` took over, it
    /// goes on under the last of them.
    ///
    /// # Errors
    /// [`JournalError`] when another executor writes it, it belongs to another plan, is of a newer
    /// format, is damaged, or the disk refuses.
    pub fn open(path: &Path, plan: &Plan) -> Result<Self, JournalError> {
        let lock = Lock::take(path)?;
        let store = Store::writable(path, plan)?;
        let recorded = store.load()?;
        if !recorded.plans.contains(&plan.digest) {
            return Err(JournalError::ForeignPlan {
                path: path.to_owned(),
                journal: recorded.plan.digest,
                plan: plan.digest.clone(),
            });
        }
        Ok(Self {
            store,
            recorded,
            _lock: Some(lock),
            #[cfg(test)]
            room: u64::MAX,
        })
    }

    /// Opens the journal that `child` goes on in: it takes over at `now` from its parent, when it has not yet.
    ///
    /// # Errors
    /// [`JournalError`] as [`Journal::open`], and when there is no such journal or the parent's steps stand in the
    /// way.
    pub fn go_on(path: &Path, child: &Plan, now: Timestamp) -> Result<Self, JournalError> {
        let parent = child.parent.clone().unwrap_or_default();
        if !path.exists() {
            return Err(JournalError::Orphan {
                path: path.to_owned(),
                parent,
            });
        }
        let known = Recorded::read(path)?;
        if known.plan.digest != parent {
            return Self::open(path, child);
        }
        let mut journal = Self::open(path, &known.plan)?;
        journal.adopt(child, now, None)?;
        Ok(journal)
    }

    /// Goes on with a child of the journal's plan; `reason` is why the executor made it itself.
    ///
    /// # Errors
    /// [`JournalError`] when it may not take over any more, or the disk refuses.
    pub fn adopt(
        &mut self,
        child: &Plan,
        now: Timestamp,
        reason: Option<String>,
    ) -> Result<(), JournalError> {
        let plan = Box::new(child.clone());
        self.append(now, &Event::Adopted { plan, reason })?;
        self.recorded.plan = child.clone();
        self.recorded.plans.push(child.digest.clone());
        Ok(())
    }

    /// A journal that lives as long as the process: for rehearsals.
    ///
    /// # Errors
    /// [`JournalError`] when SQLite refuses.
    pub fn in_memory(plan: &Plan) -> Result<Self, JournalError> {
        let store = Store::in_memory(plan)?;
        let recorded = store.load()?;
        Ok(Self {
            store,
            recorded,
            _lock: None,
            #[cfg(test)]
            room: u64::MAX,
        })
    }

    /// Appends one entry. It is durable when this returns.
    ///
    /// # Errors
    /// [`JournalError`] when the event cannot follow or the disk refuses; nothing was appended then.
    pub fn append(&mut self, at: Timestamp, event: &Event) -> Result<&Entry, JournalError> {
        self.recorded.progress.check(event)?;
        #[cfg(test)]
        match self.room.checked_sub(1) {
            Some(less) => self.room = less,
            None => return Err(self.store.full()),
        }
        let previous = self.recorded.entries.last();
        let seq = previous.map_or(1, |entry| entry.seq + 1);
        let chain = previous.map_or(self.recorded.first.digest.as_str(), |e| e.checksum.as_str());
        let entry = self.store.append(chain, seq, at, event)?;
        self.recorded.progress.apply(entry.at, event)?;
        self.recorded.entries.push(entry);
        Ok(self
            .recorded
            .entries
            .last()
            .expect("an entry was just pushed"))
    }

    /// What is on the disk, read again and checked: what an executor takes up that is started now.
    ///
    /// # Errors
    /// As [`Recorded::read`].
    pub fn durable(&self) -> Result<Recorded, JournalError> {
        self.store.load()
    }

    /// For rehearsals: takes up what is on the disk, as an executor does that is started again.
    ///
    /// # Errors
    /// As [`Journal::durable`].
    pub fn take_up(&mut self) -> Result<(), JournalError> {
        self.recorded = self.durable()?;
        Ok(())
    }

    /// For rehearsals: the disk has room for so many more pages of 4 KiB; for all that come when absent.
    ///
    /// # Errors
    /// [`JournalError`] when SQLite refuses.
    pub fn make_room(&self, pages: Option<u32>) -> Result<(), JournalError> {
        self.store.make_room(pages)
    }

    /// Loses the entry of this number as a disk does that lies.
    #[cfg(test)]
    pub(crate) fn lose(&self, seq: u64) -> Result<(), JournalError> {
        self.store.lose(seq)
    }

    /// Lets so many more entries fit on the disk.
    #[cfg(test)]
    pub(crate) const fn fill_after(&mut self, entries: u64) {
        self.room = entries;
    }

    /// Plan, entries and state.
    #[must_use]
    pub const fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// State after the last entry.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.recorded.progress
    }
}

/// An instant as it is stored: RFC 3339, UTC, milliseconds.
fn stamp(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests;
