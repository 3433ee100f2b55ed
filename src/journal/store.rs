//! The two tables and how their rows are checked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use sha2::{Digest, Sha256};
use snapmigrate_models::format::{Document, hex};
use snapmigrate_models::plan::Plan;
use snapmigrate_models::progress::Progress;
use snapmigrate_models::step::Event;
use snapmigrate_models::units::Timestamp;

use super::{Entry, FORMAT, JournalError, Recorded, stamp};

/// A reader holds the file for milliseconds: waiting this long means that something hangs.
const BUSY: Duration = Duration::from_secs(10);

/// Most pages of a file (SQLite, "Limits": the default).
const MOST_PAGES: u32 = 1_073_741_823;

const SCHEMA: &str = "
    create table header (key text primary key, value text not null) strict;
    create table entries (
        seq integer primary key, at text not null, event text not null, checksum text not null
    ) strict;
";

/// The file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    pub(super) fn read_only(path: &Path) -> Result<Self, JournalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags);
        let connection = connection.map_err(|source| sqlite(path, source))?;
        connection
            .busy_timeout(BUSY)
            .map_err(|source| sqlite(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    /// Opens the file, or begins it: under another name first, so that one without a header was cut short by
    /// somebody else.
    pub(super) fn writable(path: &Path, plan: &Plan) -> Result<Self, JournalError> {
        if !path.exists() {
            begin_file(path, plan)?;
        }
        let store = Self::opened(path)?;
        let failed = |source| sqlite(path, source);
        store.settle().map_err(failed)?;
        if store.is_empty().map_err(failed)? {
            let reason = "the file is empty: it was cut short, or is none of snapmigrate's";
            return Err(store.damaged(0, reason.to_owned()));
        }
        Ok(store)
    }

    pub(super) fn in_memory(plan: &Plan) -> Result<Self, JournalError> {
        let path = Path::new(":memory:");
        let failed = |source| sqlite(path, source);
        let mut store = Self {
            path: path.to_owned(),
            connection: Connection::open_in_memory().map_err(failed)?,
        };
        store.settle().map_err(failed)?;
        store.begin(plan).map_err(failed)?;
        Ok(store)
    }

    fn opened(path: &Path) -> Result<Self, JournalError> {
        let connection = Connection::open(path).map_err(|source| sqlite(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    fn settle(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(BUSY)?;
        self.connection
            .pragma_update(None, "journal_mode", "DELETE")?;
        self.connection.pragma_update(None, "synchronous", "EXTRA")
    }

    fn is_empty(&self) -> rusqlite::Result<bool> {
        let tables = "select count(*) from sqlite_master";
        self.connection
            .query_row(tables, [], |row| row.get::<_, i64>(0))
            .map(|count| count == 0)
    }

    fn begin(&mut self, plan: &Plan) -> rusqlite::Result<()> {
        let plan_json = serde_json::to_string(plan).expect("plans have string keys only");
        let rows = [
            ("format", FORMAT),
            ("plan", &plan_json),
            ("plan_digest", &plan.digest),
            ("tool_version", env!("CARGO_PKG_VERSION")),
        ];
        let transaction = self.connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        for row in rows {
            transaction.execute("insert into header values (?1, ?2)", row)?;
        }
        transaction.commit()
    }

    /// Writes one entry; durable when this returns.
    pub(super) fn append(
        &self,
        chain: &str,
        seq: u64,
        at: Timestamp,
        event: &Event,
    ) -> Result<Entry, JournalError> {
        let at_text = stamp(at);
        let event_text = serde_json::to_string(event).expect("events have string keys only");
        let checksum = checksum(chain, seq, &at_text, &event_text);
        let row = params![seq.cast_signed(), at_text, event_text, checksum];
        let insert = "insert into entries values (?1, ?2, ?3, ?4)";
        self.connection
            .execute(insert, row)
            .map_err(|source| sqlite(&self.path, source))?;
        let at = self.instant(seq, &at_text)?;
        Ok(Entry {
            seq,
            at,
            event: event.clone(),
            checksum,
        })
    }

    /// Lets the file grow by so many pages and no more, so that SQLite answers as on a full disk.
    pub(super) fn make_room(&self, pages: Option<u32>) -> Result<(), JournalError> {
        let failed = |source| sqlite(&self.path, source);
        let count = self
            .connection
            .query_row("pragma page_count", [], |row| row.get::<_, u32>(0));
        let count = count.map_err(failed)?;
        let most = pages.map_or(MOST_PAGES, |pages| count.saturating_add(pages));
        // It answers with the limit that is in force.
        let limit = format!("pragma max_page_count = {most}");
        let limit = self.connection.query_row(&limit, [], |_| Ok(()));
        limit.map_err(failed)
    }

    #[cfg(test)]
    pub(super) fn lose(&self, seq: u64) -> Result<(), JournalError> {
        let trigger = format!(
            "create trigger lost before insert on entries when new.seq = {seq} \
             begin select raise(ignore); end"
        );
        let made = self.connection.execute_batch(&trigger);
        made.map_err(|source| sqlite(&self.path, source))
    }

    /// Reads and checks everything.
    pub(super) fn load(&self) -> Result<Recorded, JournalError> {
        let format = self
            .header("format")?
            .unwrap_or_else(|| "missing".to_owned());
        if format != FORMAT {
            return Err(JournalError::Format {
                path: self.path.clone(),
                found: format,
            });
        }
        let mut plan = self.plan()?;
        let first = plan.clone();
        let mut plans = vec![first.digest.clone()];
        let entries = self.entries(&first.digest)?;
        let mut progress = Progress::default();
        for entry in &entries {
            let refused = |refused| self.damaged(entry.seq, format!("{refused}"));
            progress.apply(entry.at, &entry.event).map_err(refused)?;
            if let Event::Adopted { plan: child, .. } = &entry.event {
                let fits = child.parent.as_ref() == Some(&plan.digest)
                    && child.computed_digest() == child.digest;
                if !fits {
                    let reason = "its plan is no child of the one before, or was changed";
                    return Err(self.damaged(entry.seq, reason.to_owned()));
                }
                plan = Plan::clone(child);
                plans.push(plan.digest.clone());
            }
        }
        let tool_version = self.header("tool_version")?.unwrap_or_default();
        Ok(Recorded {
            plan,
            first,
            plans,
            tool_version,
            entries,
            progress,
        })
    }

    fn header(&self, key: &str) -> Result<Option<String>, JournalError> {
        let select = "select value from header where key = ?1";
        let value = self
            .connection
            .query_row(select, [key], |row| row.get(0))
            .optional();
        match value {
            Err(rusqlite::Error::SqliteFailure(_, Some(text)))
                if text.starts_with("no such table") =>
            {
                Err(JournalError::Format {
                    path: self.path.clone(),
                    found: "no journal".to_owned(),
                })
            }
            other => other.map_err(|source| sqlite(&self.path, source)),
        }
    }

    fn plan(&self) -> Result<Plan, JournalError> {
        let text = self.header("plan")?.unwrap_or_default();
        let plan = Plan::from_json(&text).map_err(|error| self.damaged(0, error.to_string()))?;
        let stated = self.header("plan_digest")?.unwrap_or_default();
        if plan.digest != stated || plan.computed_digest() != stated {
            return Err(self.damaged(0, "the plan does not fit its digest".to_owned()));
        }
        Ok(plan)
    }

    fn entries(&self, plan_digest: &str) -> Result<Vec<Entry>, JournalError> {
        let failed = |source| sqlite(&self.path, source);
        let select = "select seq, at, event, checksum from entries order by seq";
        let mut statement = self.connection.prepare(select).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let fields = (|| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))();
            let chain = entries
                .last()
                .map_or(plan_digest, |entry| entry.checksum.as_str());
            let expected = entries.len() as u64 + 1;
            entries.push(self.entry(fields.map_err(failed)?, expected, chain)?);
        }
        Ok(entries)
    }

    fn entry(
        &self,
        (seq, at, event, stated): (i64, String, String, String),
        expected: u64,
        chain: &str,
    ) -> Result<Entry, JournalError> {
        let seq = seq.cast_unsigned();
        if seq != expected {
            return Err(self.damaged(expected, format!("it is missing, entry {seq} follows")));
        }
        if checksum(chain, seq, &at, &event) != stated {
            return Err(self.damaged(seq, "its checksum does not fit".to_owned()));
        }
        let parsed = serde_json::from_str(&event);
        let event = parsed.map_err(|error| self.damaged(seq, error.to_string()))?;
        Ok(Entry {
            seq,
            at: self.instant(seq, &at)?,
            event,
            checksum: stated,
        })
    }

    fn instant(&self, seq: u64, text: &str) -> Result<Timestamp, JournalError> {
        let parsed = DateTime::parse_from_rfc3339(text);
        Ok(parsed
            .map_err(|error| self.damaged(seq, error.to_string()))?
            .to_utc())
    }

    /// What SQLite says of a full disk.
    #[cfg(test)]
    pub(super) fn full(&self) -> JournalError {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        sqlite(&self.path, rusqlite::Error::SqliteFailure(code, None))
    }

    fn damaged(&self, seq: u64, reason: String) -> JournalError {
        JournalError::Damaged {
            path: self.path.clone(),
            seq,
            reason,
        }
    }
}

/// A journal with its header, durable under its name when this returns.
fn begin_file(path: &Path, plan: &Plan) -> Result<(), JournalError> {
    let io = |source| JournalError::Io {
        path: path.to_owned(),
        source,
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".begun");
    let beside = PathBuf::from(name);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let mut store = Store::opened(&beside)?;
    let begun = store.settle().and_then(|()| store.begin(plan));
    drop(store);
    begun.map_err(|source| {
        drop(fs::remove_file(&beside));
        sqlite(path, source)
    })?;
    fs::rename(&beside, path).map_err(io)?;
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = File::open(directory.unwrap_or_else(|| Path::new(".")));
    directory
        .and_then(|directory| directory.sync_all())
        .map_err(io)
}

fn checksum(chain: &str, seq: u64, at: &str, event: &str) -> String {
    hex(&Sha256::digest(
        format!("{chain}\n{seq}\n{at}\n{event}").as_bytes(),
    ))
}

fn sqlite(path: &Path, source: rusqlite::Error) -> JournalError {
    JournalError::Sqlite {
        path: path.to_owned(),
        source,
    }
}
