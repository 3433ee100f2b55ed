//! The executor's end of the host protocol: one call at a time over a connection that stays warm.
//!
//! A call is never repeated here. When the answer does not come the caller learns [`HostError::ChannelLost`] and must
//! ask for the host's status before it decides anything. Knows nothing of what the operations mean.

mod carried;
mod connection;

pub use carried::{Carrier, CarryError};

use super::protocol::{self, ErrorCode, Op, Operation, Refusal};
use super::ssh::Ssh;
use carried::Carried;
use connection::Connection;
use serde_json::Value;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

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
    Ssh(Ssh),
    Carried(Carried),
    InProcess(Simulated),
}

/// A way to one host.
pub struct Channel {
    route: Route,
    next_id: AtomicU64,
    /// 0: none yet.
    epoch: AtomicU64,
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

    /// The helper on a host that one can log in to.
    #[must_use]
    pub fn ssh(ssh: Ssh) -> Self {
        Self::over(Route::Ssh(ssh))
    }

    /// A helper that is reached one message at a time. `client` tells this channel from every other one, so that the
    /// helper knows a request that comes twice.
    #[must_use]
    pub fn carried(name: String, client: String, carrier: Carrier) -> Self {
        Self::over(Route::Carried(Carried {
            name,
            client,
            carrier,
        }))
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
            epoch: AtomicU64::new(0),
            connection: Mutex::new(None),
        }
    }

    /// The channel, every request of which carries this epoch from now on.
    pub fn under(&self, epoch: Option<u64>) -> &Self {
        self.epoch.store(epoch.unwrap_or(0), Ordering::Relaxed);
        self
    }

    fn epoch(&self) -> Option<u64> {
        Some(self.epoch.load(Ordering::Relaxed)).filter(|epoch| *epoch > 0)
    }

    /// Whether each message takes its own way, so that none goes through at once.
    #[must_use]
    pub fn is_carried(&self) -> bool {
        matches!(self.route, Route::Carried(_))
    }

    /// Whether the helper runs on this machine, for all that is known.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self.route, Route::Unix(_))
    }

    /// Where the helper listens on its host, when the channel says so.
    #[must_use]
    pub fn socket(&self) -> Option<&str> {
        match &self.route {
            Route::Unix(path) => path.to_str(),
            Route::Ssh(ssh) => Some(ssh.socket()),
            Route::Exec(_) | Route::Carried(_) | Route::InProcess(_) => None,
        }
    }

    /// How the channel is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.route {
            Route::Unix(path) => path.display().to_string(),
            Route::Exec(argv) => argv.join(" "),
            Route::Ssh(ssh) => ssh.to_string(),
            Route::Carried(carried) => carried.name.clone(),
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
        let request = protocol::encode_request(id, self.epoch(), request);
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
        match &self.route {
            Route::InProcess(host) => {
                *sent = true;
                return Ok(host(request).await);
            }
            Route::Carried(carried) => return carried.roundtrip(request, sent).await,
            Route::Unix(_) | Route::Exec(_) | Route::Ssh(_) => {}
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
            Route::Ssh(ssh) => Connection::exec(&ssh.relay()),
            Route::InProcess(_) | Route::Carried(_) => {
                Err("there is no connection to keep".to_owned())
            }
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
