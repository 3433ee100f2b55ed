//! PostgreSQL 13 and later, through its own programs: no driver, no connection that outlives a call.
//!
//! The fence is a clean stop, kept by the `marker`, or a server that goes on and rejects everyone (`closed`).
//! `default_transaction_read_only` would be none: a client can set it off, begin a transaction read write, or commit a
//! prepared one.

mod backends;
mod closed;
mod hba;
mod inspect;
mod lsn;
mod marker;
mod replay;
mod server;
mod sql;
mod standby;
mod survey;
mod wal;

use super::clock;
use super::config::{PostgresConfig, PostgresFence};
use super::engine::{Engine, Expected, Started};
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
        // No session is needed to tell, which could hang on a frozen file system.
        if closed::is_closed(self).unwrap_or(false) {
            return DatabaseState::Fenced;
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
        if self.config.fence == PostgresFence::PgHba {
            return closed::close(self, epoch);
        }
        let started_at = self.open().started_at()?;
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
            started_at: Some(started_at),
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
            started_at: None,
        })
    }

    fn require_fenced(&self, fenced: &FenceReply) -> Result<(), Refusal> {
        if closed::is_closed(self)? {
            return closed::require_unchanged(self, fenced);
        }
        self.require_stopped(fenced)
    }

    fn unfence(&self) -> Result<(), Refusal> {
        let went_on = self.server.running()? == Running::Yes;
        self.remove_fence()?;
        self.server
            .start_or_wait(Server::start, || self.open().in_recovery().is_ok())?;
        // Also after a helper that was killed between the file and the reload.
        if went_on {
            closed::reload(self)
        } else {
            Ok(())
        }
    }

    fn start_isolated(&self, expected: &Expected) -> Result<Started, Refusal> {
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
    /// Takes every trace of a fence out of the files; a copy carries the source's.
    fn remove_fence(&self) -> Result<(), Refusal> {
        marker::remove(&self.config.data_directory)?;
        hba::open(&self.config.hba_file())
    }

    fn require_stopped(&self, fenced: &FenceReply) -> Result<(), Refusal> {
        let refused = |what: String| Err(Refusal::new(ErrorCode::Refused, what));
        if !marker::is_placed(&self.config.data_directory)? {
            return refused("the marker of the fence is gone from postgresql.auto.conf".to_owned());
        }
        if self.server.running()? == Running::Yes {
            return refused("the server runs again behind the fence".to_owned());
        }
        let now = self.server.control()?;
        let is = (&now.system_identifier, now.timeline, &now.checkpoint_lsn);
        if is == (&fenced.system_identifier, fenced.timeline, &fenced.lsn) {
            return Ok(());
        }
        refused(format!(
            "the stopped cluster is not what it was at the fence: cluster {}, timeline {}, position {}, not {}, {}, {}",
            is.0, is.1, is.2, fenced.system_identifier, fenced.timeline, fenced.lsn
        ))
    }

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
