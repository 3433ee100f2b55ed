//! PostgreSQL 13 and later, through its own programs: no driver, no connection that outlives a call.
//!
//! The fence is a clean stop. `default_transaction_read_only` would be none: a client can set it off, begin a
//! transaction read write, or commit a prepared one. What keeps the server stopped is the `marker`.

mod inspect;
mod lsn;
mod marker;
mod server;
mod sql;
mod standby;
mod survey;

use super::clock;
use super::config::PostgresConfig;
use super::engine::{Engine, Expected};
use super::server_user;
use super::survey::EngineSurvey;
use crate::quiesce::protocol::*;
use server::{Running, Server};
use sql::Psql;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A PostgreSQL cluster on this host.
pub struct Postgres {
    config: PostgresConfig,
    server: Server,
    /// Socket directory of the isolated standby.
    isolated: PathBuf,
}

impl Postgres {
    /// Looks up the operating system user; touches nothing of the database.
    ///
    /// # Errors
    /// `bad_request` when the user does not exist, `device` when the state directory cannot take the standby's socket.
    pub fn new(config: PostgresConfig, state_directory: &Path) -> Result<Self, Refusal> {
        let run_as = server_user::run_as(&config.os_user)?;
        let isolated = state_directory.join("isolated");
        let log = state_directory.join("postgres.log");
        server_user::prepare(&run_as, &isolated, &log)?;
        let server = Server {
            config: config.clone(),
            run_as,
            log,
        };
        Ok(Self {
            config,
            server,
            isolated,
        })
    }

    fn psql(&self, socket_directory: &Path) -> Psql<'_> {
        Psql {
            server: &self.server,
            socket_directory: socket_directory.to_owned(),
        }
    }

    /// The database as its clients reach it.
    fn open(&self) -> Psql<'_> {
        self.psql(&self.config.socket_directory)
    }

    /// The database as only the helper reaches it.
    fn closed(&self) -> Psql<'_> {
        self.psql(&self.isolated)
    }
}

impl Engine for Postgres {
    fn state(&self) -> DatabaseState {
        if !self.config.data_directory.join("PG_VERSION").exists() {
            return DatabaseState::Absent;
        }
        if self.server.running().ok() != Some(Running::Yes) {
            return DatabaseState::Stopped;
        }
        let recovery = self
            .open()
            .in_recovery()
            .or_else(|_| self.closed().in_recovery());
        match recovery {
            Ok(false) => DatabaseState::Running,
            Ok(true) => DatabaseState::Standby,
            Err(_) => DatabaseState::Stopped,
        }
    }

    fn places(&self) -> Result<Vec<PathBuf>, Refusal> {
        let data = &self.config.data_directory;
        let real = |path: &Path| {
            fs::canonicalize(path)
                .map_err(|error| database(format!("cannot look at {}: {error}", path.display())))
        };
        let mut places = vec![real(data)?, real(&data.join("pg_wal"))?];
        let tablespaces = fs::read_dir(data.join("pg_tblspc"))
            .map_err(|error| database(format!("cannot list pg_tblspc: {error}")))?;
        for tablespace in tablespaces {
            let tablespace =
                tablespace.map_err(|error| database(format!("cannot list pg_tblspc: {error}")))?;
            places.push(real(&tablespace.path())?);
        }
        Ok(places)
    }

    fn inspect(&self) -> Result<InspectReply, Refusal> {
        match self.state() {
            DatabaseState::Running | DatabaseState::Standby => inspect::running(self),
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
        // Spread over checkpoint_completion_target only when automatic: a manual one runs at full speed.
        self.open()
            .query_within(&["CHECKPOINT"], Duration::from_secs(7000))
            .map(|_| ())
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
        self.require_no_prepared_transactions()?;
        marker::place(&self.config.data_directory, epoch)?;
        let probe = self.open().probe_commit()?;
        self.server.stop()?;
        let fenced_at = clock::wall();
        let control = self.server.control()?;
        if control.state != "shut down" {
            return Err(database(format!(
                "after the stop the cluster is \"{}\", not shut down",
                control.state
            )));
        }
        lsn::require_reached(&probe.lsn, &control.checkpoint_lsn)?;
        Ok(FenceReply {
            fenced_at,
            last_source_write: probe.at,
            lsn: control.checkpoint_lsn,
            system_identifier: control.system_identifier,
            timeline: control.timeline,
            // Without the probe, which took one.
            transactions: control.transactions.map(|begun| begun.saturating_sub(1)),
        })
    }

    fn fence_stopped(&self, epoch: u64) -> Result<FenceReply, Refusal> {
        marker::place(&self.config.data_directory, epoch)?;
        if self.server.running()? == Running::Yes {
            return Err(database(
                "the server runs after all: ask for the fence again",
            ));
        }
        let fenced_at = clock::wall();
        let control = self.server.control()?;
        let clean = control.state == "shut down";
        Ok(FenceReply {
            fenced_at,
            last_source_write: fenced_at,
            lsn: control.checkpoint_lsn,
            system_identifier: control.system_identifier,
            timeline: control.timeline,
            transactions: control.transactions.filter(|_| clean),
        })
    }

    fn unfence(&self) -> Result<(), Refusal> {
        marker::remove(&self.config.data_directory)?;
        self.server
            .start_or_wait(|| self.open().in_recovery().is_ok())
    }

    fn start_isolated(&self, expected: &Expected) -> Result<ProveReply, Refusal> {
        standby::start(self, expected)
    }

    fn prove(&self, expected: &Expected) -> Result<ProveReply, Refusal> {
        standby::prove(self, expected)
    }

    fn activate(&self) -> Result<ActivateReply, Refusal> {
        standby::activate(self)
    }

    fn stop_isolated(&self) -> Result<bool, Refusal> {
        standby::stop(self)
    }
}

impl Postgres {
    fn require_no_prepared_transactions(&self) -> Result<(), Refusal> {
        let names = self
            .open()
            .query(&["SELECT string_agg(gid, ', ') FROM pg_prepared_xacts"])?;
        if names.is_empty() {
            return Ok(());
        }
        let message =
            format!("prepared transactions are open ({names}): commit or roll them back first");
        Err(Refusal::new(ErrorCode::Refused, message))
    }
}

/// An error of the database or its programs.
fn database(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::Database, message)
}
