//! The file of words, one a line: for an executor that has no socket.
//!
//! It is locked by whoever touches it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use snapmigrate_models::step::Verb;

use super::place;
use crate::execute::ExecuteError;

/// Longest file that is read: more is nobody's words.
const MOST_BYTES: u64 = 64 * 1024;

const WORDS: [(&str, Verb); 9] = [
    ("postpone", Verb::Postpone),
    ("release", Verb::Release),
    ("cutover", Verb::Cutover),
    ("try", Verb::Try),
    ("abort", Verb::Abort),
    ("revert", Verb::Revert),
    ("revert-discarding", Verb::RevertDiscarding),
    ("finalize", Verb::Finalize),
    ("delete-snapshots", Verb::DeleteSnapshots),
];

/// Says a verb to the executor that writes `journal`, when it next looks.
///
/// # Errors
/// [`ExecuteError::Control`] when the file cannot be written.
pub fn request(journal: &Path, verb: Verb) -> Result<(), ExecuteError> {
    let path = place::words(journal);
    let mut file = locked(&path)?;
    let line = format!("{}\n", word(verb));
    let written = file
        .seek(SeekFrom::End(0))
        .and_then(|_| file.write_all(line.as_bytes()));
    written
        .and_then(|()| file.sync_all())
        .map_err(|source| refused(&path, source))
}

/// Takes out the words said so far; `keep` makes each durable before.
pub(super) fn take(
    journal: &Path,
    mut keep: impl FnMut(Verb) -> Result<(), ExecuteError>,
) -> Result<(), ExecuteError> {
    let path = place::words(journal);
    if !path.exists() {
        return Ok(());
    }
    let file = locked(&path)?;
    let mut text = Vec::new();
    (&file)
        .take(MOST_BYTES)
        .read_to_end(&mut text)
        .map_err(|source| refused(&path, source))?;
    for verb in String::from_utf8_lossy(&text).lines().filter_map(parse) {
        keep(verb)?;
    }
    file.set_len(0).map_err(|source| refused(&path, source))
}

fn parse(line: &str) -> Option<Verb> {
    WORDS
        .iter()
        .find(|(word, _)| *word == line.trim())
        .map(|(_, verb)| *verb)
}

fn word(verb: Verb) -> &'static str {
    WORDS
        .iter()
        .find(|(_, known)| *known == verb)
        .map_or("", |(word, _)| word)
}

fn locked(path: &Path) -> Result<File, ExecuteError> {
    let options = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = options.map_err(|source| refused(path, source))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|errno| refused(path, errno.into()))?;
    Ok(file)
}

fn refused(path: &Path, source: std::io::Error) -> ExecuteError {
    ExecuteError::Control {
        path: path.display().to_string(),
        source,
    }
}
