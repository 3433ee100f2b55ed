//! Why a sync could not start or go on. Nothing here is a difference found: that fails, too, but with a report.

use std::io;
use std::path::PathBuf;

use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::units::BLOCK_BYTES;

use crate::cloud::CloudError;

/// Why a sync could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// A file or device does not do what it must.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried, such as `write`.
        doing: &'static str,
        /// Device, file or state file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The target is neither a file nor a block device.
    #[error("{} is neither a regular file nor a block device", path.display())]
    NotATarget {
        /// What was named.
        path: PathBuf,
    },
    /// Someone else holds the target.
    #[error("{} is in use: {by}; unmount it or stop what uses it", path.display())]
    InUse {
        /// Device or file.
        path: PathBuf,
        /// Who or what.
        by: String,
    },
    /// The device ends before the snapshot's volume does.
    #[error(
        "{} holds {device_bytes} bytes, the volume of {snapshot} {}: name a larger device",
        path.display(), blocks * BLOCK_BYTES
    )]
    TooSmall {
        /// Device.
        path: PathBuf,
        /// Snapshot.
        snapshot: SnapshotId,
        /// Size of the device.
        device_bytes: u64,
        /// Blocks of the snapshot's volume.
        blocks: u64,
    },
    /// The snapshot cannot be read.
    #[error("snapshot {snapshot} is {state}: {hint}")]
    NotReadable {
        /// Snapshot.
        snapshot: SnapshotId,
        /// Its state or storage tier.
        state: String,
        /// What to do.
        hint: &'static str,
    },
    /// The target cannot be what the delta starts from.
    #[error("{} does not hold {snapshot}: {found}", path.display())]
    WrongBase {
        /// Device or file.
        path: PathBuf,
        /// What the delta starts from.
        snapshot: SnapshotId,
        /// What speaks against it.
        found: String,
    },
    /// What an earlier run left does not fit.
    #[error("the record in {} {what}", dir.display())]
    State {
        /// State directory.
        dir: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// What was read contradicts itself.
    #[error("{0}")]
    Integrity(String),
    /// Nothing came for too long.
    #[error("nothing was received for {seconds} s; the last error was: {last}")]
    Stalled {
        /// How long it was tried.
        seconds: u64,
        /// What came instead.
        last: CloudError,
    },
    /// AWS refused.
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

impl SyncError {
    /// An input or output error about `path`.
    pub fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}
