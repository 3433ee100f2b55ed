//! Where the ways to speak lie: all beside the journal, so that whoever has the journal finds them.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const SOCKET: &str = "socket";

/// The flag file of `journal`: the cutover is postponed while it exists.
#[must_use]
pub fn flag(journal: &Path) -> PathBuf {
    beside(journal, ".postpone")
}

/// Words that were said and not heard yet.
pub(super) fn words(journal: &Path) -> PathBuf {
    beside(journal, ".control")
}

fn directory(journal: &Path) -> PathBuf {
    beside(journal, ".live")
}

fn beside(journal: &Path, suffix: &str) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The owner's own directory with the socket in it. A path of a socket may have 107 bytes only (unix(7)): it is
/// reached through the open directory.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    open: File,
}

impl Place {
    /// Makes the directory, or takes over the one of an executor that died: whoever calls holds the journal's lock.
    pub(super) fn make(journal: &Path) -> io::Result<Self> {
        let directory = directory(journal);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        is_own(&directory)?;
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        match fs::remove_file(directory.join(SOCKET)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Self::opened(directory),
        }
    }

    /// The directory of an executor that may run.
    pub(super) fn find(journal: &Path) -> io::Result<Self> {
        let directory = directory(journal);
        is_own(&directory)?;
        Self::opened(directory)
    }

    fn opened(directory: PathBuf) -> io::Result<Self> {
        let open = File::open(&directory)?;
        Ok(Self { directory, open })
    }

    /// The socket's path, as long as this lives.
    pub(super) fn socket(&self) -> PathBuf {
        format!("/proc/self/fd/{}/{SOCKET}", self.open.as_raw_fd()).into()
    }

    /// Nobody else may connect.
    pub(super) fn close_to_others(&self) -> io::Result<()> {
        fs::set_permissions(self.directory.join(SOCKET), Permissions::from_mode(0o600))
    }

    /// What cannot be removed is taken over by the next executor.
    pub(super) fn remove(&self) {
        drop(fs::remove_file(self.directory.join(SOCKET)));
        drop(fs::remove_dir(&self.directory));
    }
}

/// A directory, no link to one, and ours; root may use everyone's.
fn is_own(directory: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(directory)?;
    let me = rustix::process::geteuid().as_raw();
    if found.is_dir() && (found.uid() == me || me == 0) {
        return Ok(());
    }
    let reason = format!("{} is no directory of this user's", directory.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
}
