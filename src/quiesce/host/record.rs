//! The helper's durable memory: one small JSON file in its state directory, which is never on a file system it freezes.
//!
//! A change counts only once it is on disk: in memory the old state stays until then.

use super::durable;
use super::fence::Fence;
use super::target::TargetRecord;
use crate::quiesce::protocol::{ErrorCode, Refusal, ReopenReply};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Name and version of the record's format.
const FORMAT: &str = "snapmigrate.host/1";

/// Everything that must outlive the helper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    format: String,
    /// The fence.
    pub fence: Fence,
    /// Mount points that may be frozen; a starting helper thaws them before anything else.
    pub frozen: Vec<PathBuf>,
    /// What was brought up here as a target.
    pub target: Option<TargetRecord>,
    /// What was answered when a permanent fence was let go, under this epoch: asked again, it is said again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened: Option<(u64, ReopenReply)>,
}

/// The record on disk and in memory, under a lock that a second helper cannot take.
pub struct Store {
    path: PathBuf,
    record: Mutex<Record>,
    _lock: File,
}

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The state directory or the record cannot be read or written.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another helper holds the lock.
    #[error(
        "another snapmigrate-host is running on {path}: stop it, or give this one a state directory of its own"
    )]
    Locked {
        /// The state directory.
        path: PathBuf,
    },
    /// The record is not one of ours.
    #[error(
        "{path} is not a fence record of this version ({reason}): do not start the database before you know why"
    )]
    Malformed {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Store {
    /// Opens the record in `directory`, which is created when missing.
    ///
    /// # Errors
    /// [`RecordError`]; a record that cannot be read is never replaced by a new one.
    pub fn open(directory: &Path, boot_id: &str) -> Result<Self, RecordError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| RecordError::Io { path, source }
        };
        fs::create_dir_all(directory).map_err(at(directory))?;
        // Others may pass through to the isolated socket, which has its own owner; they can list and read nothing.
        fs::set_permissions(directory, fs::Permissions::from_mode(0o711)).map_err(at(directory))?;
        let lock_path = directory.join("lock");
        let lock = File::create(&lock_path).map_err(at(&lock_path))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            RecordError::Locked {
                path: directory.to_owned(),
            }
        })?;
        let path = directory.join("fence.json");
        let record = read(&path)?.unwrap_or_else(|| Record::new(boot_id));
        Ok(Self {
            path,
            record: Mutex::new(record),
            _lock: lock,
        })
    }

    /// Where the record lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// A copy of the record.
    #[must_use]
    pub fn get(&self) -> Record {
        self.locked().clone()
    }

    /// Changes the record: `change` works on a copy, which becomes the record once it is on disk.
    ///
    /// # Errors
    /// The refusal of `change`, or `device` when the record cannot be written; nothing has changed then.
    pub fn update<T>(
        &self,
        change: impl FnOnce(&mut Record) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut record = self.locked();
        let mut changed = record.clone();
        let answer = change(&mut changed)?;
        if changed != *record {
            self.write(&changed)?;
            *record = changed;
        }
        Ok(answer)
    }

    fn write(&self, record: &Record) -> Result<(), Refusal> {
        let json = serde_json::to_vec_pretty(record).map_err(io::Error::from);
        json.and_then(|json| durable::replace(&self.path, &json, None))
            .map_err(|error| {
                let message = format!(
                    "the fence record {} cannot be written: {error}",
                    self.path.display()
                );
                Refusal::new(ErrorCode::Device, message)
            })
    }

    fn locked(&self) -> MutexGuard<'_, Record> {
        // A panic elsewhere leaves the last durable record in place, so that a poisoned lock holds a valid one.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn new(boot_id: &str) -> Self {
        Self {
            format: FORMAT.to_owned(),
            fence: Fence::open(boot_id),
            frozen: Vec::new(),
            target: None,
            reopened: None,
        }
    }
}

fn read(path: &Path) -> Result<Option<Record>, RecordError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(RecordError::Io {
                path: path.to_owned(),
                source,
            });
        }
    };
    let malformed = |reason: String| RecordError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let record: Record =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if record.format != FORMAT {
        return Err(malformed(format!(
            "format {}, expected {FORMAT}",
            record.format
        )));
    }
    Ok(Some(record))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("snapmigrate-record-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_change_outlives_the_helper_and_a_refused_one_leaves_no_trace() {
        let directory = directory("change");
        let store = Store::open(&directory, "boot").unwrap();
        store
            .update(|record| {
                record.frozen.push("/data".into());
                Ok(())
            })
            .unwrap();
        let refused = store.update(|record| {
            record.frozen.clear();
            Err::<(), _>(Refusal::new(ErrorCode::Refused, "no"))
        });
        assert!(refused.is_err());
        drop(store);
        assert_eq!(
            Store::open(&directory, "boot").unwrap().get().frozen,
            [PathBuf::from("/data")]
        );
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn two_helpers_and_damaged_records_are_refused() {
        let directory = directory("refused");
        let store = Store::open(&directory, "boot").unwrap();
        assert!(matches!(
            Store::open(&directory, "boot"),
            Err(RecordError::Locked { .. })
        ));
        drop(store);
        for text in ["", "{}", r#"{"format":"snapmigrate.host/9"}"#] {
            fs::write(directory.join("fence.json"), text).unwrap();
            assert!(
                matches!(
                    Store::open(&directory, "boot"),
                    Err(RecordError::Malformed { .. })
                ),
                "{text}"
            );
        }
        fs::remove_dir_all(directory).unwrap();
    }
}
