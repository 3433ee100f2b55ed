//! What keeps a fenced server stopped, whoever tries to start it: a directory where the system tablespace belongs.
//!
//! Neither server reads an option file in its data directory that could hold a refused option, so the fence is in the
//! data itself: in one step the names of `ibdata1` and of a directory beside it are exchanged. InnoDB opens that file
//! first of all and refuses a directory ("is not a regular file") before it changes anything. A running server has the
//! file open and never opens it again by name, so the exchange is made before the stop: there is no moment in which a
//! supervisor could start the server again. Every copy of the data directory carries it.

use super::database;
use crate::quiesce::host::durable;
use crate::quiesce::protocol::Refusal;
use rustix::fs::{CWD, RenameFlags};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The first file of InnoDB's system tablespace.
pub const TABLESPACE: &str = "ibdata1";
/// Its name while the fence stands.
pub const HIDDEN: &str = "ibdata1.closed-by-snapmigrate";
/// In the directory that stands in its place: for whoever looks why the server does not start.
const NOTE: &str = "why";

/// Closes the data directory, durably. Idempotent.
///
/// # Errors
/// `database` when the names cannot be exchanged.
pub fn place(data_directory: &Path, epoch: u64) -> Result<(), Refusal> {
    if is_placed(data_directory) {
        return Ok(());
    }
    let closed = data_directory.join(HIDDEN);
    let note = format!(
        "epoch {epoch}: closed by snapmigrate-host, ask it for its status before any start.\n\
         The system tablespace is {HIDDEN}, and only the helper may give it its name back.\n"
    );
    let made = match fs::create_dir(&closed) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => durable::replace(&closed.join(NOTE), note.as_bytes(), None),
    };
    made.map_err(|error| failed(&closed, &error))?;
    exchange(data_directory)
}

/// Opens the data directory, durably. Idempotent.
///
/// # Errors
/// `database` when the names cannot be exchanged.
pub fn remove(data_directory: &Path) -> Result<(), Refusal> {
    if is_placed(data_directory) {
        exchange(data_directory)?;
    }
    let closed = data_directory.join(HIDDEN);
    if !closed.is_dir() {
        return Ok(());
    }
    let removed = durable::remove(&closed.join(NOTE)).and_then(|()| fs::remove_dir(&closed));
    removed.map_err(|error| failed(&closed, &error))
}

/// Whether the data directory is closed.
#[must_use]
pub fn is_placed(data_directory: &Path) -> bool {
    data_directory.join(TABLESPACE).is_dir()
}

/// Where the system tablespace is now.
#[must_use]
pub fn tablespace(data_directory: &Path) -> PathBuf {
    let name = if is_placed(data_directory) {
        HIDDEN
    } else {
        TABLESPACE
    };
    data_directory.join(name)
}

fn exchange(data_directory: &Path) -> Result<(), Refusal> {
    let (tablespace, hidden) = (data_directory.join(TABLESPACE), data_directory.join(HIDDEN));
    let exchanged =
        rustix::fs::renameat_with(CWD, &tablespace, CWD, &hidden, RenameFlags::EXCHANGE)
            .map_err(io::Error::from)
            .and_then(|()| fs::File::open(data_directory)?.sync_all());
    exchanged.map_err(|error| failed(&tablespace, &error))
}

fn failed(path: &Path, error: &io::Error) -> Refusal {
    database(format!(
        "the fence at {} cannot be changed (the file system must be able to exchange two names, as ext4 and xfs can): \
         {error}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn placing_hides_the_tablespace_and_removing_leaves_no_trace() {
        let data = std::env::temp_dir().join(format!("snapmigrate-ibdata-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join(TABLESPACE), "pages").unwrap();
        place(&data, 3).unwrap();
        place(&data, 4).unwrap();
        assert!(is_placed(&data) && data.join(TABLESPACE).is_dir());
        assert_eq!(fs::read(tablespace(&data)).unwrap(), b"pages");
        let note = fs::read_to_string(data.join(TABLESPACE).join(NOTE)).unwrap();
        assert!(note.contains("epoch 3"), "{note}");
        remove(&data).unwrap();
        remove(&data).unwrap();
        assert_eq!(fs::read(data.join(TABLESPACE)).unwrap(), b"pages");
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn a_directory_without_a_tablespace_cannot_be_closed() {
        let data = std::env::temp_dir().join(format!("snapmigrate-ibnone-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        assert!(place(&data, 1).is_err());
        fs::remove_dir_all(data).unwrap();
    }
}
