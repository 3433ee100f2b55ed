//! The state folder: what outlives a migration, so that the next one is forecast better.
//!
//! One file, written whole or not at all, under a lock; it holds no secrets. It must not decide
//! anything: a folder that cannot be used is said and done without.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use snapmigrate_models::format::{Document, FormatError};
use snapmigrate_models::history::{PastMigration, PastMigrations};

/// What earlier migrations taught.
const FILE: &str = "history.json";
/// Held while it is changed.
const LOCK: &str = "history.lock";

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("{path} cannot be used")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not what this version wrote; it is left as it is.
    #[error("{path} cannot be read; move it away to begin a new one")]
    Format {
        /// File.
        path: PathBuf,
        /// What is wrong.
        source: FormatError,
    },
}

/// The folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFolder(PathBuf);

impl StateFolder {
    /// The folder at `path`; it is made when something is to be remembered.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The folder of a user: `$XDG_STATE_HOME/snapmigrate`, else `~/.local/state/snapmigrate` (XDG Base
    /// Directory Specification 0.8). None without either, or when a path is not absolute.
    #[must_use]
    pub fn of_user(state_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<Self> {
        let absolute = |path: &PathBuf| path.is_absolute();
        let state_home = state_home.filter(absolute);
        let base = state_home.or_else(|| Some(home.filter(absolute)?.join(".local/state")))?;
        Some(Self(base.join("snapmigrate")))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is remembered; nothing when there is no file yet.
    ///
    /// # Errors
    /// [`StateError`] for a file that cannot be read or that another version wrote.
    pub fn read(&self) -> Result<PastMigrations, StateError> {
        let path = self.0.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => PastMigrations::from_json(&text)
                .map_err(|source| StateError::Format { path, source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(PastMigrations::default()),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    /// Remembers one more migration, durably: a crash leaves the old file or the new one.
    ///
    /// # Errors
    /// [`StateError`]; then nothing has changed.
    pub fn remember(&self, migration: PastMigration) -> Result<(), StateError> {
        fs::create_dir_all(&self.0).map_err(|source| self.io(source))?;
        let _lock = self.lock()?;
        let text = self.read()?.with(migration).to_json();
        let beside = self.0.join(format!("{FILE}.new"));
        replace(&self.0, &beside, &self.0.join(FILE), &text).map_err(|source| self.io(source))
    }

    /// Waits for another process that is remembering: it takes milliseconds.
    fn lock(&self) -> Result<File, StateError> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.0.join(LOCK))
            .map_err(|source| self.io(source))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|errno| self.io(errno.into()))?;
        Ok(file)
    }

    fn io(&self, source: std::io::Error) -> StateError {
        StateError::Io {
            path: self.0.clone(),
            source,
        }
    }
}

fn replace(folder: &Path, beside: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::create(beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use snapmigrate_models::calibration::History;
    use snapmigrate_models::report::RunOutcome;

    use super::*;

    struct Folder(StateFolder);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("snapmigrate-state-{}-{name}", std::process::id());
            Self(StateFolder::at(std::env::temp_dir().join(name)))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.path());
        }
    }

    fn migration(digest: &str, second: i64) -> PastMigration {
        PastMigration {
            plan_digest: digest.to_owned(),
            ended_at: DateTime::from_timestamp(second, 0).expect("a time"),
            outcome: RunOutcome::CutOver,
            learned: History::default(),
        }
    }

    #[test]
    fn migrations_are_remembered_once_in_order_of_their_ends() {
        let folder = Folder::new("order");
        assert_eq!(
            folder.0.read().expect("no file is fine"),
            PastMigrations::default()
        );
        for (digest, second) in [("b", 20), ("a", 10), ("b", 30)] {
            folder
                .0
                .remember(migration(digest, second))
                .expect("remembered");
        }
        let read = folder.0.read().expect("readable");
        assert_eq!(read.migrations, [migration("a", 10), migration("b", 30)]);
    }

    #[test]
    fn a_file_that_is_no_history_is_named_and_left_alone() {
        let folder = Folder::new("damaged");
        fs::create_dir_all(folder.0.path()).expect("a folder");
        let path = folder.0.path().join(FILE);
        let newer = "{\"format\": \"snapmigrate.history/2\", \"migrations\": []}";
        for text in ["", "{", newer, "{\"format\": \"snapmigrate.history/1\"}"] {
            fs::write(&path, text).expect("written");
            let error = folder.0.read().expect_err(text).to_string();
            assert!(
                error.contains(FILE) && error.contains("move it away"),
                "{error}"
            );
            assert!(folder.0.remember(migration("a", 1)).is_err());
            assert_eq!(fs::read_to_string(&path).expect("still there"), text);
        }
    }

    #[test]
    fn the_users_folder_follows_the_environment() {
        let path = |text: &str| Some(PathBuf::from(text));
        let of = |state, home| StateFolder::of_user(state, home).map(|folder| folder.0);
        assert_eq!(of(path("/s"), path("/h")), path("/s/snapmigrate"));
        assert_eq!(of(None, path("/h")), path("/h/.local/state/snapmigrate"));
        assert_eq!(of(path("relative"), None), None);
    }
}
