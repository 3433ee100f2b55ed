//! MariaDB 10.5 and later and MySQL 8, through their own programs: no driver, no connection that outlives a call.
//!
//! The fence is a clean stop. A lock held by a session would end with it, and MariaDB's `read_only` does not bind
//! privileged sessions. What keeps the server stopped is the `marker`. MySQL's dialect has never met a real server.

mod at_rest;
mod client;
mod dialect;
mod drain;
mod flush;
mod gtid;
mod inspect;
mod isolated;
mod marker;
mod position;
mod replay;
mod server;
mod survey;

pub use dialect::Dialect;

use super::clock;
use super::config::MysqlConfig;
use super::engine::{Engine, Expected, Started};
use super::server_user;
use super::survey::EngineSurvey;
use crate::quiesce::protocol::*;
use at_rest::Files;
use client::Client;
use position::Position;
use server::Server;
use std::fs;
use std::path::{Path, PathBuf};

/// A MariaDB or MySQL server on this host.
pub struct Mysql {
    dialect: Dialect,
    config: MysqlConfig,
    server: Server,
}

impl Mysql {
    /// Looks up the operating system users; touches nothing of the database.
    ///
    /// # Errors
    /// `bad_request` when a user does not exist, `device` when the state directory cannot take the isolated socket.
    pub fn new(
        dialect: Dialect,
        config: MysqlConfig,
        state_directory: &Path,
    ) -> Result<Self, Refusal> {
        let run_as = server_user::run_as(&config.os_user)?;
        let client_as = match &config.credentials_file {
            // Readable by the helper alone.
            Some(_) => super::command::RunAs::Myself,
            None => server_user::run_as(&config.user)?,
        };
        let directory = state_directory.join("isolated");
        let log = state_directory.join(format!("{}.log", dialect.name()));
        server_user::prepare(&run_as, &directory, &log)?;
        let server = Server {
            dialect,
            config: config.clone(),
            run_as,
            client_as,
            log,
            isolated: directory.join("server.sock"),
        };
        Ok(Self {
            dialect,
            config,
            server,
        })
    }

    /// The database as its clients reach it.
    fn open(&self) -> Client<'_> {
        self.client(&self.config.socket)
    }

    /// The database as only the helper reaches it.
    fn closed(&self) -> Client<'_> {
        self.client(&self.server.isolated)
    }

    fn client(&self, socket: &Path) -> Client<'_> {
        Client {
            server: &self.server,
            socket: socket.to_owned(),
        }
    }

    fn files(&self) -> Files<'_> {
        Files {
            dialect: self.dialect,
            config: &self.config,
        }
    }

    fn position_at_rest(&self, binary_log: Option<&Path>) -> Result<Position, Refusal> {
        self.files().position(binary_log)
    }

    /// Starts the server, or waits for it, until ordinary clients can write.
    fn serve(&self) -> Result<(), Refusal> {
        self.server
            .start_or_wait(|| self.open().read_only().is_ok())?;
        for statement in self.dialect.after_start() {
            self.open().rows(statement)?;
        }
        Ok(())
    }

    fn require_no_prepared_transactions(&self) -> Result<(), Refusal> {
        let names = self.open().prepared()?;
        if names.is_empty() {
            return Ok(());
        }
        let message = format!(
            "prepared transactions are open ({}): commit or roll them back first",
            names.join(", ")
        );
        Err(Refusal::new(ErrorCode::Refused, message))
    }

    /// The base name of MariaDB's binary log; none without one, and none for MySQL, which keeps its state in tables.
    fn binary_log(&self) -> Result<Option<PathBuf>, Refusal> {
        if self.dialect == Dialect::Mysql {
            return Ok(None);
        }
        let base = self.open().value("SELECT @@GLOBAL.log_bin_basename")?;
        Ok((!base.is_empty() && base != "NULL").then(|| PathBuf::from(base)))
    }

    /// Everything the stopped server's files say, which must hold what it had committed when it was last asked.
    fn stopped(
        &self,
        binary_log: Option<&Path>,
        probe: &ProbeCommitReply,
    ) -> Result<Position, Refusal> {
        self.files().require_clean_stop()?;
        let before = Position::parse(&probe.lsn)?;
        let mut position = self.position_at_rest(binary_log)?;
        if self.dialect == Dialect::Mysql {
            // Nothing could commit after it was read: the server was read-only for everyone by then.
            position.gtid.clone_from(&before.gtid);
        }
        match self.dialect.lacks(&before, &position) {
            None => Ok(position),
            Some(lacks) => Err(database(format!("after the stop {lacks}"))),
        }
    }
}

impl Engine for Mysql {
    fn state(&self) -> DatabaseState {
        if !self.config.data_directory.join("mysql").is_dir() {
            return DatabaseState::Absent;
        }
        if !matches!(self.server.process(), Ok(Some(_))) {
            return DatabaseState::Stopped;
        }
        match self.open().read_only() {
            Ok(false) => DatabaseState::Running,
            Ok(true) => DatabaseState::Standby,
            Err(_) if self.closed().read_only().is_ok() => DatabaseState::Standby,
            Err(_) => DatabaseState::Stopped,
        }
    }

    fn places(&self) -> Result<Vec<PathBuf>, Refusal> {
        let real = |path: &PathBuf| {
            fs::canonicalize(path)
                .map_err(|error| database(format!("cannot look at {}: {error}", path.display())))
        };
        self.config.all_directories().map(real).collect()
    }

    fn inspect(&self) -> Result<InspectReply, Refusal> {
        match self.state() {
            DatabaseState::Running | DatabaseState::Standby | DatabaseState::Fenced => {
                inspect::running(self)
            }
            DatabaseState::Stopped => inspect::stopped(self),
            DatabaseState::Absent => Err(database(format!(
                "{} is no data directory",
                self.config.data_directory.display()
            ))),
        }
    }

    fn survey(&self) -> EngineSurvey {
        survey::survey(self)
    }

    fn checkpoint(&self) -> Result<(), Refusal> {
        flush::dirty_pages(&self.open())
    }

    fn probe_commit(&self) -> Result<ProbeCommitReply, Refusal> {
        self.open().probe_commit()
    }

    fn fence(&self, epoch: u64) -> Result<FenceReply, Refusal> {
        if self.state() != DatabaseState::Running {
            return Err(database(
                "the database is not running as a primary: there is nothing to fence",
            ));
        }
        inspect::require_fenceable(self)?;
        self.require_no_prepared_transactions()?;
        drain::transactions(&self.open(), &self.config)?;
        let binary_log = self.binary_log()?;
        marker::place(&self.config.data_directory, epoch)?;
        let mut probe = self.open().probe_commit()?;
        for statement in self.dialect.before_stop() {
            self.open().rows(statement)?;
        }
        probe.lsn = self.open().position()?.to_string();
        self.server
            .stop(|| self.open().rows("SHUTDOWN").map(|_| ()))?;
        let fenced_at = clock::wall();
        let position = self.stopped(binary_log.as_deref(), &probe)?;
        Ok(FenceReply {
            fenced_at,
            last_source_write: probe.at,
            lsn: position.to_string(),
            system_identifier: self.files().identity()?,
            timeline: 0,
            started_at: None,
            // Without the probe, which took one.
            transactions: self
                .dialect
                .transactions(&position)
                .map(|count| count.saturating_sub(1)),
        })
    }

    fn require_fenced(&self, fenced: &FenceReply) -> Result<(), Refusal> {
        let refused = |what: String| Err(Refusal::new(ErrorCode::Refused, what));
        if !marker::is_placed(&self.config.data_directory) {
            return refused("the marker of the fence is gone from the data directory".to_owned());
        }
        if self.server.process()?.is_some() {
            return refused("the server runs again behind the fence".to_owned());
        }
        let identity = self.files().identity()?;
        let (now, then) = (
            self.position_at_rest(None)?.lsn,
            Position::parse(&fenced.lsn)?.lsn,
        );
        if (&identity, now) == (&fenced.system_identifier, then) {
            return Ok(());
        }
        refused(format!(
            "the stopped server is not what it was at the fence: {identity}, innodb {now}, not {}, {}",
            fenced.system_identifier, fenced.lsn
        ))
    }

    fn fence_stopped(&self, epoch: u64) -> Result<FenceReply, Refusal> {
        marker::place(&self.config.data_directory, epoch)?;
        if self.server.process()?.is_some() {
            return Err(database(
                "the server runs after all: ask for the fence again",
            ));
        }
        let fenced_at = clock::wall();
        let binary_log = isolated::configured_binary_log(self)?;
        // The state is there after a clean stop only.
        let clean = self.position_at_rest(binary_log.as_deref()).ok();
        let position = match &clean {
            Some(position) => position.clone(),
            None => self.position_at_rest(None)?,
        };
        Ok(FenceReply {
            fenced_at,
            last_source_write: fenced_at,
            lsn: position.to_string(),
            system_identifier: self.files().identity()?,
            timeline: 0,
            started_at: None,
            transactions: clean.and_then(|position| self.dialect.transactions(&position)),
        })
    }

    fn unfence(&self) -> Result<(), Refusal> {
        marker::remove(&self.config.data_directory)?;
        self.serve()
    }

    fn start_isolated(&self, expected: &Expected) -> Result<Started, Refusal> {
        isolated::start(self, expected)
    }

    fn prove(&self, expected: &Expected) -> Result<ProveReply, Refusal> {
        isolated::prove(self, expected)
    }

    fn activate(&self) -> Result<ActivateReply, Refusal> {
        isolated::activate(self)
    }

    fn stop_isolated(&self) -> Result<bool, Refusal> {
        isolated::stop(self)
    }
}

/// An error of the database or its programs.
fn database(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::Database, message)
}
