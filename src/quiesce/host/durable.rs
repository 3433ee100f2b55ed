//! Files that are whole or absent after a crash: written beside, synced, renamed, and the directory synced.

use rustix::fs::{Gid, Uid};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Replaces `path` by `bytes`, readable by its owner only; `owner` is (uid, gid), or the writer when absent.
///
/// # Errors
/// Any of the system calls'; the old content is then still in place, unless only the directory's sync failed.
pub fn replace(path: &Path, bytes: &[u8], owner: Option<(u32, u32)>) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    if let Some((user, group)) = owner {
        rustix::fs::fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    }
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_directory_of(path)
}

/// Removes `path` for good; that it is absent already is fine.
///
/// # Errors
/// Any of the system calls'.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_directory_of(path),
    }
}

/// User and group of a file.
///
/// # Errors
/// When it cannot be looked at.
pub fn owner_of(path: &Path) -> io::Result<(u32, u32)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.uid(), metadata.gid()))
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
