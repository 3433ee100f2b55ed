//! Statements through the engine's own command line client over a Unix socket: no driver, no password on a command
//! line, no connection that outlives a call.

use super::position::Position;
use super::{database, server::Server};
use crate::quiesce::host::command;
use crate::quiesce::protocol::{ProbeCommitReply, Refusal};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Longest statement that is not known to be slow.
const QUERY: Duration = Duration::from_secs(30);

const PROBE_TABLE: &str = "SELECT COUNT(*) FROM information_schema.tables \
    WHERE table_schema = 'snapmigrate' AND table_name = 'probe'";
const CREATE_PROBE: &str = "CREATE DATABASE IF NOT EXISTS snapmigrate; \
    CREATE TABLE IF NOT EXISTS snapmigrate.probe (id INT PRIMARY KEY, at TIMESTAMP(6) NOT NULL) ENGINE = InnoDB";
/// Neither engine has a commit without a table. Ours is one row in a schema of its own.
const PROBE: &str = "START TRANSACTION; REPLACE INTO snapmigrate.probe VALUES (1, NOW(6)); COMMIT; \
    SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ'), @@GLOBAL.read_only";

/// A server reachable at one socket.
pub struct Client<'a> {
    /// Its programs.
    pub server: &'a Server,
    /// Where its socket is.
    pub socket: PathBuf,
}

impl Client<'_> {
    /// Runs statements and returns the rows of all of them.
    ///
    /// # Errors
    /// `database` with the server's words.
    pub fn rows(&self, statements: &str) -> Result<Vec<Vec<String>>, Refusal> {
        self.rows_within(statements, QUERY)
    }

    /// The same with a time limit of the caller's.
    ///
    /// # Errors
    /// `database` with the server's words.
    pub fn rows_within(
        &self,
        statements: &str,
        limit: Duration,
    ) -> Result<Vec<Vec<String>>, Refusal> {
        let output = command::run(&self.server.client_as, &self.argv(statements), limit)
            .map_err(|error| database(error.to_string()))?;
        let row = |line: &str| line.split('\t').map(str::to_owned).collect();
        Ok(output.lines().map(row).collect())
    }

    /// The first value of the last row; empty without rows.
    ///
    /// # Errors
    /// `database`.
    pub fn value(&self, statements: &str) -> Result<String, Refusal> {
        let rows = self.rows(statements)?;
        let value = rows.last().and_then(|row| row.first());
        Ok(value.cloned().unwrap_or_default())
    }

    /// Variables or status values by lower-case name; what this server does not know is absent.
    ///
    /// # Errors
    /// `database`.
    pub fn named(&self, show: &str, names: &[&str]) -> Result<BTreeMap<String, String>, Refusal> {
        let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        let statement = format!(
            "SHOW GLOBAL {show} WHERE Variable_name IN ({})",
            names.join(",")
        );
        let rows = self.rows(&statement)?.into_iter();
        Ok(rows
            .filter_map(|row| match row.as_slice() {
                [name, value] => Some((name.to_lowercase(), value.clone())),
                _ => None,
            })
            .collect())
    }

    /// Whether the server refuses ordinary writers; an error when it does not accept connections.
    ///
    /// # Errors
    /// `database`.
    pub fn read_only(&self) -> Result<bool, Refusal> {
        Ok(self.value("SELECT @@GLOBAL.read_only")? != "0")
    }

    /// How far the server has come.
    ///
    /// # Errors
    /// `database`.
    pub fn position(&self) -> Result<Position, Refusal> {
        let statement = format!(
            "SELECT REPLACE({}, '\\n', '')",
            self.server.dialect.gtid_state()
        );
        let gtid = self.value(&statement)?;
        // MariaDB: Innodb_lsn_current; MySQL 8.0.30 and later: Innodb_redo_log_current_lsn.
        let lsn = self.named(
            "STATUS",
            &["Innodb_lsn_current", "Innodb_redo_log_current_lsn"],
        )?;
        let lsn = lsn.values().next().and_then(|lsn| lsn.parse().ok());
        Ok(Position::new(&gtid, lsn.unwrap_or(0)))
    }

    /// Names of the transactions that were prepared and wait for a coordinator.
    ///
    /// # Errors
    /// `database`.
    pub fn prepared(&self) -> Result<Vec<String>, Refusal> {
        let rows = self.rows("XA RECOVER")?.into_iter();
        Ok(rows.filter_map(|row| row.last().cloned()).collect())
    }

    /// A commit that any client could have made.
    ///
    /// # Errors
    /// `database`, also when the server is read-only for ordinary clients.
    pub fn probe_commit(&self) -> Result<ProbeCommitReply, Refusal> {
        if self.value(PROBE_TABLE)? == "0" {
            self.rows(CREATE_PROBE)?;
        }
        let rows = self.rows(PROBE)?;
        let malformed = || database(format!("the probe commit was answered with {rows:?}"));
        let Some([at, read_only]) = rows.last().map(Vec::as_slice) else {
            return Err(malformed());
        };
        if read_only != "0" {
            return Err(database(
                "the server is read_only: ordinary clients cannot commit",
            ));
        }
        let at = DateTime::parse_from_rfc3339(at).map_err(|_| malformed())?;
        Ok(ProbeCommitReply {
            at: at.with_timezone(&Utc),
            lsn: self.position()?.to_string(),
        })
    }

    fn argv(&self, statements: &str) -> Vec<String> {
        let config = &self.server.config;
        let mut argv = vec![config.client.display().to_string()];
        match &config.credentials_file {
            Some(file) => argv.push(format!("--defaults-file={}", file.display())),
            None => argv.extend([
                "--no-defaults".to_owned(),
                format!("--user={}", config.user),
            ]),
        }
        argv.extend(
            [
                "--protocol=socket",
                "--batch",
                "--skip-column-names",
                "--connect-timeout=10",
            ]
            .map(str::to_owned),
        );
        argv.push(format!("--socket={}", self.socket.display()));
        argv.push(format!("--execute={statements}"));
        argv
    }
}
