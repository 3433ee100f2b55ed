//! The socket of a running executor: lines in, answers out, `snapmigrate.control/1`.
//!
//! Bounded in every direction: so many clients, so long a line, so much patience. What a client says is answered only
//! when the executor has it in its journal. It must not touch the journal but to read it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use snapmigrate_models::control::{Answer, FORMAT, Reply, Request, Word};
use snapmigrate_models::status::{self, RunningExecutor};
use snapmigrate_models::units::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::place::Place;
use super::{Said, Spoken};
use crate::clock::Clock;
use crate::journal::Recorded;

/// Clients at once; more wait in the queue of the kernel.
const CLIENTS: usize = 16;

/// Longest line of a client.
const MOST_BYTES: u64 = 16 * 1024;

/// How long a client may take for a line, or to read an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pause after a connection that the system could not hand over.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose socket it is.
#[derive(Clone, Debug)]
pub struct Executor {
    /// Its journal.
    pub journal: PathBuf,
    /// Name of the migration.
    pub name: String,
    /// Since when it runs.
    pub since: Timestamp,
}

/// The open socket; closed and removed when it is dropped.
#[derive(Debug)]
pub struct Server {
    place: Place,
    words: Option<mpsc::Receiver<Said>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens beside the journal, whose lock the caller holds. Must be called inside a runtime with real time.
    ///
    /// # Errors
    /// When the file system allows no socket there; the executor can do without.
    pub fn open(executor: Executor) -> std::io::Result<Self> {
        let place = Place::make(&executor.journal)?;
        let listener = UnixListener::bind(place.socket())?;
        place.close_to_others()?;
        let (said, words) = mpsc::channel(CLIENTS);
        Ok(Self {
            place,
            words: Some(words),
            task: tokio::spawn(accept(listener, Arc::new(executor), said)),
        })
    }

    pub(super) fn take_words(&mut self) -> Option<mpsc::Receiver<Said>> {
        self.words.take()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        self.place.remove();
    }
}

async fn accept(listener: UnixListener, executor: Arc<Executor>, said: mpsc::Sender<Said>) {
    let clients = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&clients).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if !is_trusted(&stream) {
            continue;
        }
        let (executor, said) = (Arc::clone(&executor), said.clone());
        tokio::spawn(async move {
            attend(stream, &executor, &said).await;
            drop(place);
        });
    }
}

/// The same user, or root: what the modes of directory and socket say already, once more by the kernel's word.
fn is_trusted(stream: &UnixStream) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let peer = stream.peer_cred().map(|peer| peer.uid());
    peer.is_ok_and(|uid| uid == me || uid == 0)
}

/// Answers a client's lines until it goes away, is silent for too long, or says a line without an end.
async fn attend(stream: UnixStream, executor: &Executor, said: &mpsc::Sender<Said>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut read).take(MOST_BYTES);
        let reading = bounded.read_until(b'\n', &mut line);
        let Ok(Ok(1..)) = timeout(PATIENCE, reading).await else {
            return;
        };
        let whole = line.last() == Some(&b'\n');
        let answer = match whole {
            true => answer(&line, executor, said).await,
            false => refused(format!("no line has more than {MOST_BYTES} bytes")),
        };
        let mut reply = serde_json::to_vec(&Reply::new(answer)).unwrap_or_default();
        reply.push(b'\n');
        let written = timeout(PATIENCE, write.write_all(&reply)).await;
        if !whole || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

async fn answer(line: &[u8], executor: &Executor, said: &mpsc::Sender<Said>) -> Answer {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return refused(format!("that is no line of {FORMAT}: {error}")),
    };
    if request.format != FORMAT {
        return refused(format!(
            "{} is not spoken here, {FORMAT} is",
            request.format
        ));
    }
    if let Err(reason) = request.is_confirmed(&executor.name) {
        return refused(reason);
    }
    match (request.word.verb(), request.limits) {
        (Some(verb), None) => hand_over(said, Spoken::Verb(verb)).await,
        (None, None) if request.word == Word::Status => tell(executor).await,
        (None, Some(limits)) if request.word == Word::Limits => {
            hand_over(said, Spoken::Limits(limits)).await
        }
        _ => refused("limits belong to the word `limits`, and to no other".to_owned()),
    }
}

/// Waits until the executor has the word in its journal, or refuses it.
async fn hand_over(said: &mpsc::Sender<Said>, word: Spoken) -> Answer {
    let (answer, answered) = oneshot::channel();
    let gone = "the executor is ending: say it again when nobody executes";
    if said.send(Said { word, answer }).await.is_err() {
        return refused(gone.to_owned());
    }
    answered.await.unwrap_or_else(|_| refused(gone.to_owned()))
}

/// The status of what is durable, and that somebody executes it.
async fn tell(executor: &Executor) -> Answer {
    let journal = executor.journal.clone();
    let read = tokio::task::spawn_blocking(move || Recorded::read(Path::new(&journal))).await;
    let recorded = match read {
        Ok(Ok(recorded)) => recorded,
        Ok(Err(error)) => return refused(format!("the journal cannot be read: {error}")),
        Err(error) => return refused(format!("the journal was not read: {error}")),
    };
    let now = Clock::System.now();
    let mut status = status::status(&recorded.plan, &recorded.progress, now);
    status.executor = Some(RunningExecutor {
        pid: std::process::id(),
        since: executor.since,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    Answer::Status(Box::new(status))
}

const fn refused(reason: String) -> Answer {
    Answer::Refused { reason }
}
