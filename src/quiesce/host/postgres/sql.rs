//! Statements through `psql` over a Unix socket, as the database's own user.

use super::{database, server::Server};
use crate::quiesce::protocol::{ProbeCommitReply, Refusal};
use chrono::{DateTime, Utc};
use std::path::PathBuf;
use std::time::Duration;

/// Longest statement that is not known to be slow.
const QUERY: Duration = Duration::from_secs(30);

/// A database reachable in one socket directory.
pub struct Psql<'a> {
    /// Its programs.
    pub server: &'a Server,
    /// Where its socket is.
    pub socket_directory: PathBuf,
}

impl Psql<'_> {
    /// Runs the statements, each in a transaction of its own, and returns the last one's single value.
    ///
    /// # Errors
    /// `database` with PostgreSQL's words.
    pub fn query(&self, statements: &[&str]) -> Result<String, Refusal> {
        self.query_within(statements, QUERY)
    }

    /// The same with a time limit of the caller's.
    ///
    /// # Errors
    /// `database` with PostgreSQL's words.
    pub fn query_within(&self, statements: &[&str], limit: Duration) -> Result<String, Refusal> {
        self.query_in("postgres", statements, limit)
    }

    /// Whether the server lets the helper into another database.
    ///
    /// # Errors
    /// `database` with PostgreSQL's words.
    pub fn connect_to(&self, name: &str) -> Result<(), Refusal> {
        self.query_in(name, &["SELECT 1"], QUERY).map(|_| ())
    }

    fn query_in(
        &self,
        name: &str,
        statements: &[&str],
        limit: Duration,
    ) -> Result<String, Refusal> {
        let (host, port) = (
            self.socket_directory.display().to_string(),
            self.server.config.port.to_string(),
        );
        let mut arguments = vec![
            "-X",
            "-q",
            "-A",
            "-t",
            "-w",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            name,
        ];
        arguments.extend([
            "-h",
            &host,
            "-p",
            &port,
            "-U",
            &self.server.config.superuser,
        ]);
        arguments.extend(statements.iter().flat_map(|statement| ["-c", statement]));
        let output = self
            .server
            .run("psql", &arguments, limit)
            .map_err(|error| database(error.to_string()))?;
        Ok(output.lines().last().unwrap_or_default().trim().to_owned())
    }

    /// Whether the server is in recovery; an error when it does not accept connections.
    ///
    /// # Errors
    /// `database`.
    pub fn in_recovery(&self) -> Result<bool, Refusal> {
        Ok(self.query(&["SELECT pg_is_in_recovery()"])? == "t")
    }

    /// When the server was started.
    ///
    /// # Errors
    /// `database`.
    pub fn started_at(&self) -> Result<DateTime<Utc>, Refusal> {
        let statement = "SELECT to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
        let answer = self.query(&[statement])?;
        DateTime::parse_from_rfc3339(&answer)
            .map(|at| at.with_timezone(&Utc))
            .map_err(|_| database(format!("the server's start is \"{answer}\"")))
    }

    /// A commit that needs no table. A transactional message is logged before the commit record, so the commit waits
    /// for its flush; a transaction with only an id would commit asynchronously.
    ///
    /// # Errors
    /// `database`.
    pub fn probe_commit(&self) -> Result<ProbeCommitReply, Refusal> {
        // Local: it is this server's acceptance that is asked about, not a standby's.
        let answer = self.query(&[
            "SET synchronous_commit = local",
            "SELECT pg_logical_emit_message(true, 'snapmigrate', 'probe')",
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || ' ' || pg_current_wal_flush_lsn()",
        ])?;
        let malformed = || database(format!("the probe commit was answered with \"{answer}\""));
        let (at, lsn) = answer.split_once(' ').ok_or_else(malformed)?;
        let at = DateTime::parse_from_rfc3339(at)
            .map_err(|_| malformed())?
            .with_timezone(&Utc);
        Ok(ProbeCommitReply {
            at,
            lsn: lsn.to_owned(),
        })
    }
}
