//! Speaking to the executor of a journal, for a command that runs beside it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use snapmigrate_models::control::{Answer, FORMAT, Reply, Request};

use super::place::Place;

/// An executor hears within milliseconds, unless it computes a forecast or its disk is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest answer: a status with all its rounds is far below.
const MOST_BYTES: u64 = 4 << 20;

/// Why a word has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SpeakError {
    /// The connection failed, or no answer came in time.
    #[error(
        "no answer from the executor ({0}); whether the word was heard stands in the journal: look with `status`"
    )]
    Silent(#[source] std::io::Error),
    /// The answer is none of this version.
    #[error("the executor answered in other words than {FORMAT}: {0}; is it of another version?")]
    Strange(String),
}

/// What the executor of `journal` answers; none when nobody listens there.
///
/// # Errors
/// [`SpeakError`] when somebody does and no answer is understood.
pub fn speak(journal: &Path, request: &Request) -> Result<Option<Answer>, SpeakError> {
    let connected = Place::find(journal).and_then(|place| UnixStream::connect(place.socket()));
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) if is_nobody(error.kind()) => return Ok(None),
        Err(error) => return Err(SpeakError::Silent(error)),
    };
    let line = exchange(stream, request).map_err(SpeakError::Silent)?;
    let reply: Reply = serde_json::from_str(&line)
        .map_err(|error| SpeakError::Strange(format!("{error} in {line:?}")))?;
    if reply.format == FORMAT {
        Ok(Some(reply.answer))
    } else {
        Err(SpeakError::Strange(reply.format))
    }
}

const fn is_nobody(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn exchange(mut stream: UnixStream, request: &Request) -> std::io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let line = serde_json::to_string(request)?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(MOST_BYTES)).read_line(&mut answer)?;
    if answer.ends_with('\n') {
        return Ok(answer);
    }
    Err(std::io::Error::new(
        ErrorKind::UnexpectedEof,
        "it ended before it answered",
    ))
}
