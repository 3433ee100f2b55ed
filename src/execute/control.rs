//! What the operator says while the executor runs: a small file beside the journal, one verb a line.
//!
//! The file is locked by whoever touches it. A verb is taken out only after it is in the journal;
//! one that is journaled twice after a crash means the same.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use snapmigrate_models::step::Verb;
use tokio::sync::watch;

use super::ExecuteError;

/// How often the file is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// Ways to speak to a running executor.
#[derive(Debug, Default)]
pub struct Control {
    file: Option<PathBuf>,
    stop: Option<watch::Receiver<bool>>,
}

impl Control {
    /// Nobody speaks: for rehearsals.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Verbs come through the file beside `journal`; `stop` turns true when the process should end.
    #[must_use]
    pub fn beside(journal: &Path, stop: watch::Receiver<bool>) -> Self {
        Self {
            file: Some(path_of(journal)),
            stop: Some(stop),
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        self.file.is_none() && self.stop.is_none()
    }

    pub(super) fn stop_asked(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| *stop.borrow())
    }

    /// Returns when a stop was asked for, or when it is time to look at the file again.
    pub(super) async fn wait(&mut self) {
        let Some(stop) = self.stop.as_mut().filter(|stop| !*stop.borrow()) else {
            return tokio::time::sleep(LOOK).await;
        };
        // A sender that is gone asks for nothing any more: the timer decides then.
        let asked = async {
            if stop.wait_for(|asked| *asked).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let _ = tokio::time::timeout(LOOK, asked).await;
    }

    /// Verbs said since the last look; `keep` makes each durable before it is taken out.
    pub(super) fn hear(
        &self,
        mut keep: impl FnMut(Verb) -> Result<(), ExecuteError>,
    ) -> Result<(), ExecuteError> {
        let Some(path) = self.file.as_ref().filter(|path| path.exists()) else {
            return Ok(());
        };
        let mut file = locked(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|source| refused(path, source))?;
        for verb in text.lines().filter_map(parse) {
            keep(verb)?;
        }
        file.set_len(0).map_err(|source| refused(path, source))
    }
}

/// Says a verb to the executor that writes `journal`, now or when it next looks.
///
/// # Errors
/// [`ExecuteError::Control`] when the file cannot be written.
pub fn request(journal: &Path, verb: Verb) -> Result<(), ExecuteError> {
    let path = path_of(journal);
    let mut file = locked(&path)?;
    let line = format!("{}\n", word(verb));
    let written = file
        .seek(SeekFrom::End(0))
        .and_then(|_| file.write_all(line.as_bytes()));
    written
        .and_then(|()| file.sync_all())
        .map_err(|source| refused(&path, source))
}

const WORDS: [(&str, Verb); 8] = [
    ("postpone", Verb::Postpone),
    ("cutover", Verb::Cutover),
    ("try", Verb::Try),
    ("abort", Verb::Abort),
    ("revert", Verb::Revert),
    ("revert-discarding", Verb::RevertDiscarding),
    ("finalize", Verb::Finalize),
    ("delete-snapshots", Verb::DeleteSnapshots),
];

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
        .map_or("resume", |(word, _)| word)
}

fn path_of(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".control");
    name.into()
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
