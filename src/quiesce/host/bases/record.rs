//! What a host remembers of a base over its own end: one small JSON file per volume, beside the sync's own record.

use super::super::durable;
use crate::quiesce::protocol::{BaseDone, ErrorCode, Refusal};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Name and version of the format.
const FORMAT: &str = "snapmigrate.base/1";

/// How far a base is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Being written, or cut off in the middle.
    Writing,
    /// It holds `to` since its seal.
    Held {
        /// What was done.
        done: BaseDone,
        /// Changes whenever anybody writes to the device.
        seal: String,
    },
    /// It was mounted: even a read-only mount replays a log.
    Mounted,
    /// Something else was found on it.
    Broken {
        /// What was found, and what to do.
        reason: String,
    },
}

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseRecord {
    format: String,
    /// Snapshot it held before; null when every block is written.
    pub from: Option<String>,
    /// Snapshot it holds, or is to hold.
    pub to: String,
    /// How far it is.
    pub phase: Phase,
}

impl BaseRecord {
    /// A base that is about to be written.
    pub fn writing(from: Option<&str>, to: &str) -> Self {
        Self {
            format: FORMAT.to_owned(),
            from: from.map(str::to_owned),
            to: to.to_owned(),
            phase: Phase::Writing,
        }
    }

    /// The same, that far.
    pub fn in_phase(&self, phase: Phase) -> Self {
        Self {
            phase,
            ..self.clone()
        }
    }

    /// Whether it is about the same two snapshots.
    pub fn is_of(&self, from: Option<&str>, to: &str) -> bool {
        self.from.as_deref() == from && self.to == to
    }
}

/// Where the records are.
#[derive(Debug, Clone)]
pub struct Shelf(PathBuf);

impl Shelf {
    /// Below the helper's state directory.
    pub fn below(state: &Path) -> Self {
        Self(state.join("bases"))
    }

    /// Where the sync keeps its own record of a volume.
    pub fn sync_directory(&self, volume: &str) -> PathBuf {
        self.0.join(format!("{volume}.sync"))
    }

    /// What is remembered of a volume.
    ///
    /// # Errors
    /// `device` when the record cannot be read, or is not one of this version.
    pub fn read(&self, volume: &str) -> Result<Option<BaseRecord>, Refusal> {
        let path = self.path(volume)?;
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| failed(&path, &error))?,
        };
        let record: BaseRecord = serde_json::from_str(&text).map_err(|e| failed(&path, &e))?;
        if record.format != FORMAT {
            let message = format!("format {}, expected {FORMAT}", record.format);
            return Err(failed(&path, &message));
        }
        Ok(Some(record))
    }

    /// Remembers; durable before it returns.
    ///
    /// # Errors
    /// `device` when the record cannot be written.
    pub fn write(&self, volume: &str, record: &BaseRecord) -> Result<(), Refusal> {
        let path = self.path(volume)?;
        fs::create_dir_all(&self.0).map_err(|error| failed(&path, &error))?;
        let json = serde_json::to_vec_pretty(record).map_err(|error| failed(&path, &error))?;
        durable::replace(&path, &json, None).map_err(|error| failed(&path, &error))
    }

    /// Forgets a volume with the sync's own record.
    ///
    /// # Errors
    /// `device` when something stays.
    pub fn forget(&self, volume: &str) -> Result<(), Refusal> {
        let (path, sync) = (self.path(volume)?, self.sync_directory(volume));
        if !self.0.exists() {
            return Ok(());
        }
        durable::remove(&path).map_err(|error| failed(&path, &error))?;
        match fs::remove_dir_all(&sync) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&sync, &error)),
            _ => Ok(()),
        }
    }

    /// A volume id becomes a file name: nothing else may.
    fn path(&self, volume: &str) -> Result<PathBuf, Refusal> {
        let name = volume.strip_prefix("vol-").unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let message = format!("{volume:?} is no volume id");
            return Err(Refusal::new(ErrorCode::BadRequest, message));
        }
        Ok(self.0.join(format!("{volume}.json")))
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(ErrorCode::Device, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_record_outlives_its_writer_and_a_path_is_no_volume() {
        let state = std::env::temp_dir().join(format!("snapmigrate-shelf-{}", std::process::id()));
        let shelf = Shelf::below(&state);
        shelf.forget("vol-1").unwrap();
        assert_eq!(shelf.read("vol-1").unwrap(), None);
        let record = BaseRecord::writing(Some("snap-1"), "snap-2");
        shelf.write("vol-1", &record).unwrap();
        assert_eq!(shelf.read("vol-1").unwrap(), Some(record.clone()));
        assert!(record.is_of(Some("snap-1"), "snap-2") && !record.is_of(None, "snap-2"));
        fs::create_dir_all(shelf.sync_directory("vol-1")).unwrap();
        shelf.forget("vol-1").unwrap();
        assert!(!shelf.sync_directory("vol-1").exists());
        for bad in ["vol-../x", "x", "vol-"] {
            assert_eq!(shelf.read(bad).unwrap_err().code, ErrorCode::BadRequest);
        }
        fs::remove_dir_all(state).unwrap();
    }
}
