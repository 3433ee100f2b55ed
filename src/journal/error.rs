//! Why a journal cannot be read or written.

use std::path::PathBuf;

use snapmigrate_models::progress::Refused;

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes it.
    #[error(
        "{} is being written by another executor: wait for it, or use `status` to look at it",
        path.display()
    )]
    Locked {
        /// Journal.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused: a full disk, a damaged or a foreign file.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// Journal.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Not a journal, or of another version.
    #[error(
        "{}: format is {found:?}, this version of snapmigrate reads \"snapmigrate.journal/1\"",
        path.display()
    )]
    Format {
        /// File.
        path: PathBuf,
        /// What the file says it is.
        found: String,
    },
    /// The journal of another plan.
    #[error(
        "{} is the journal of plan {journal}, not of plan {plan}: give the plan it was begun with, \
         or another journal",
        path.display()
    )]
    ForeignPlan {
        /// Journal.
        path: PathBuf,
        /// Digest in the journal.
        journal: String,
        /// Digest of the plan that was given.
        plan: String,
    },
    /// A child plan without its chain.
    #[error(
        "the plan goes on where plan {parent} stopped, and there is no journal {}: name that plan's journal",
        path.display()
    )]
    Orphan {
        /// Journal that was to be begun.
        path: PathBuf,
        /// Digest of the plan it goes on from.
        parent: String,
    },
    /// The content was changed or damaged.
    #[error("{}: entry {seq} is damaged: {reason}; restore the file from a copy", path.display())]
    Damaged {
        /// Journal.
        path: PathBuf,
        /// Entry; 0 is the header.
        seq: u64,
        /// What does not fit.
        reason: String,
    },
    /// The event cannot follow: an error of the executor, caught before any effect.
    #[error("not appended: {0}")]
    Refused(#[from] Refused),
}

impl JournalError {
    /// The disk has no room for another entry.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let code = match self {
            Self::Sqlite { source, .. } => source.sqlite_error_code(),
            _ => None,
        };
        code == Some(rusqlite::ErrorCode::DiskFull)
    }
}
