//! The executor's end of the host protocol: one call at a time over a connection that stays warm.
//!
//! A call is never repeated here. When the answer does not come the caller learns [`HostError::ChannelLost`] and must
//! ask for the host's status before it decides anything. Knows nothing of what the operations mean.

use super::protocol::{self, ErrorCode, MAX_LINE_BYTES, Op, Operation, Refusal};
use serde_json::Value;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// How long a kept connection is looked at before it is used again: far below what a call costs.
const IDLE_LOOK: Duration = Duration::from_millis(1);

/// A host simulated in this process: request to answer, both in wire form.
pub type Simulated =
    Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = Value> + Send>> + Send + Sync>;

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The host answered that it will not or could not.
    #[error("{host} refused {op} ({code}): {message}; host state: {state}")]
    Refused {
        /// The channel's name.
        host: String,
        /// The operation.
        op: &'static str,
        /// What kind of error.
        code: ErrorCode,
        /// The host's words.
        message: String,
        /// What state the host is in.
        state: String,
    },
    /// No answer. When `sent`, the host may have done what was asked: look at its status.
    #[error("the channel to {host} was lost during {op}{}: {reason}", if *.sent { " (it may have been done)" } else { " (it was never sent)" })]
    ChannelLost {
        /// The channel's name.
        host: String,
        /// The operation.
        op: &'static str,
        /// What happened.
        reason: String,
        /// Whether the host may have received the request.
        sent: bool,
    },
}

impl HostError {
    /// The host's error code, when it answered.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::ChannelLost { .. } => None,
        }
    }
}

enum Route {
    Unix(PathBuf),
    Exec(Vec<String>),
    InProcess(Simulated),
}

/// A way to one host.
pub struct Channel {
    route: Route,
    next_id: AtomicU64,
    connection: Mutex<Option<Connection>>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Channel({})", self.name())
    }
}

impl Channel {
    /// The helper's socket on this machine.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::over(Route::Unix(path.into()))
    }

    /// A command that relays its standard input and output to the helper, such as `ssh db1 snapmigrate-host relay`.
    #[must_use]
    pub fn exec(argv: Vec<String>) -> Self {
        Self::over(Route::Exec(argv))
    }

    /// A simulated host: safe on a paused clock, no socket and no process.
    #[must_use]
    pub fn in_process(host: Simulated) -> Self {
        Self::over(Route::InProcess(host))
    }

    fn over(route: Route) -> Self {
        Self {
            route,
            next_id: AtomicU64::new(1),
            connection: Mutex::new(None),
        }
    }

    /// How the channel is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.route {
            Route::Unix(path) => path.display().to_string(),
            Route::Exec(argv) => argv.join(" "),
            Route::InProcess(_) => "the simulated host".to_owned(),
        }
    }

    /// Asks and waits for at most the operation's own time limit.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, HostError> {
        self.call_within(operation, O::TIMEOUT).await
    }

    /// Asks and waits for at most `limit`; afterwards the connection is dropped, so that a late answer is never taken
    /// for the answer to another question.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn call_within<O: Operation>(
        &self,
        operation: O,
        limit: Duration,
    ) -> Result<O::Reply, HostError> {
        let answer = self.exchange(O::NAME, &operation.into(), limit).await?;
        let ok = answer.map_err(|refusal| self.refused(O::NAME, refusal))?;
        serde_json::from_value(ok).map_err(|error| {
            self.lost(
                O::NAME,
                true,
                format!("the answer is not one to {}: {error}", O::NAME),
            )
        })
    }

    async fn exchange(
        &self,
        op: &'static str,
        request: &Op,
        limit: Duration,
    ) -> Result<Result<Value, Refusal>, HostError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = protocol::encode_request(id, request);
        let mut slot = self.connection.lock().await;
        let mut sent = false;
        let outcome =
            tokio::time::timeout(limit, self.roundtrip(&mut slot, request, &mut sent)).await;
        let reply = outcome
            .unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs_f64())))
            .and_then(|reply| protocol::decode_reply(id, reply));
        reply.map_err(|reason| {
            *slot = None;
            self.lost(op, sent, reason)
        })
    }

    async fn roundtrip(
        &self,
        slot: &mut Option<Connection>,
        request: Value,
        sent: &mut bool,
    ) -> Result<Value, String> {
        if let Route::InProcess(host) = &self.route {
            *sent = true;
            return Ok(host(request).await);
        }
        // Taken out while in use: a call that is dropped half-way leaves no connection with an answer in flight.
        let mut kept = slot.take();
        let idle = match &mut kept {
            Some(connection) => connection.is_idle().await,
            None => false,
        };
        let mut connection = match kept {
            Some(connection) if idle => connection,
            _ => self.connect().await?,
        };
        let reply = connection.roundtrip(request, sent).await?;
        *slot = Some(connection);
        Ok(reply)
    }

    async fn connect(&self) -> Result<Connection, String> {
        match &self.route {
            Route::Unix(path) => Connection::unix(path).await,
            Route::Exec(argv) => Connection::exec(argv),
            Route::InProcess(_) => Err("a simulated host has no connection".to_owned()),
        }
    }

    fn refused(&self, op: &'static str, refusal: Refusal) -> HostError {
        let Refusal {
            code,
            message,
            state,
        } = refusal;
        HostError::Refused {
            host: self.name(),
            op,
            code,
            message,
            state,
        }
    }

    fn lost(&self, op: &'static str, sent: bool, reason: String) -> HostError {
        HostError::ChannelLost {
            host: self.name(),
            op,
            reason,
            sent,
        }
    }
}

struct Connection {
    reader: Pin<Box<dyn AsyncBufRead + Send>>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    child: Option<Child>,
}

impl Connection {
    async fn unix(path: &PathBuf) -> Result<Self, String> {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            reader: Box::pin(BufReader::new(reader)),
            writer: Box::pin(writer),
            child: None,
        })
    }

    fn exec(argv: &[String]) -> Result<Self, String> {
        let (program, arguments) = argv.split_first().ok_or("the relay command is empty")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot run {program}: {error}"))?;
        let writer = child
            .stdin
            .take()
            .ok_or("the relay has no standard input")?;
        let reader = child
            .stdout
            .take()
            .ok_or("the relay has no standard output")?;
        Ok(Self {
            reader: Box::pin(BufReader::new(reader)),
            writer: Box::pin(writer),
            child: Some(child),
        })
    }

    /// Whether the connection can be used again: not when the host has closed it or speaks unasked. The moment of
    /// waiting lets the runtime notice what happened since the last call.
    async fn is_idle(&mut self) -> bool {
        tokio::time::timeout(IDLE_LOOK, self.reader.fill_buf())
            .await
            .is_err()
    }

    async fn roundtrip(&mut self, request: Value, sent: &mut bool) -> Result<Value, String> {
        let line = format!("{request}\n");
        *sent = true;
        self.writer
            .write_all(line.as_bytes())
            .await
            .map_err(|error| format!("cannot send: {error}"))?;
        self.writer
            .flush()
            .await
            .map_err(|error| format!("cannot send: {error}"))?;
        let mut answer = String::new();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES as u64);
        let read = limited
            .read_line(&mut answer)
            .await
            .map_err(|error| format!("cannot read the answer: {error}"))?;
        if read == 0 || !answer.ends_with('\n') {
            return Err(self.why_closed().await);
        }
        serde_json::from_str(&answer).map_err(|error| format!("the answer is not JSON: {error}"))
    }

    /// What a relay said before it ended, which for ssh is the reason.
    async fn why_closed(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(stderr) = self.child.as_mut().and_then(|child| child.stderr.take()) {
            let mut stderr = stderr.take(4096);
            let _ =
                tokio::time::timeout(Duration::from_secs(1), stderr.read_to_end(&mut said)).await;
        }
        let said = String::from_utf8_lossy(&said);
        format!("the host closed the connection {}", said.trim())
            .trim_end()
            .to_owned()
    }
}
