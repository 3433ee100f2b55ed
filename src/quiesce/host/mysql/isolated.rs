//! The target: a server that no client reaches and that writes nothing, its proof, and its opening.
//!
//! The copy inherits the fence and keeps it until it is activated: the isolated server alone is told the hidden name of
//! the system tablespace. Isolation is on its command line only, so nothing is left to undo in its configuration.

use super::at_rest::release_of;
use super::position::Position;
use super::replay::replay_seconds;
use super::server::Process;
use super::{Mysql, database, marker};
use crate::quiesce::host::clock;
use crate::quiesce::host::engine::{Expected, Started};
use crate::quiesce::protocol::{ActivateReply, ErrorCode, ProveReply, Refusal};
use std::path::PathBuf;

/// What the server's table of options shows where nothing is configured.
const NOT_SET: &str = "(No default value)";

/// Starts the fenced copy isolated. Idempotent.
///
/// # Errors
/// `not_proved` when the copy is not what is expected, `database` when it does not start.
pub fn start(mysql: &Mysql, expected: &Expected) -> Result<Started, Refusal> {
    let found = mysql.files().identity()?;
    if found != expected.system_identifier {
        return Err(not_proved(format!(
            "the volumes hold database {found}, not {}",
            expected.system_identifier
        )));
    }
    let replay_seconds = match mysql.server.process()? {
        Some(process) if process.isolated => None,
        Some(_) => return Err(not_isolated()),
        None => replay_seconds(&start_stopped(mysql, expected)?),
    };
    Ok(Started {
        standby: facts(mysql, expected)?,
        replay_seconds,
    })
}

/// Returns what the server wrote meanwhile.
fn start_stopped(mysql: &Mysql, expected: &Expected) -> Result<String, Refusal> {
    require_same_release(mysql)?;
    let configured = Configured::of(mysql)?;
    // Also where an earlier call came as far as this: from here on nobody but us can start it.
    marker::place(&mysql.config.data_directory, 0)?;
    let mut options: Vec<String> = Vec::new();
    if !expected.is_trial() {
        require_at_rest(mysql, &configured, expected)?;
        options.extend(mysql.dialect.immutable().map(str::to_owned));
    }
    options.extend(mysql.dialect.isolation().iter().map(|&o| o.to_owned()));
    let pid = mysql.server.isolated.with_extension("pid");
    options.extend([
        format!("--socket={}", mysql.server.isolated.display()),
        format!("--pid-file={}", pid.display()),
        format!("--innodb-data-file-path={}", configured.hidden_path()),
    ]);
    mysql
        .server
        .start_with(&options, || mysql.closed().read_only().is_ok())
}

/// Shows that the isolated server holds everything up to the fence.
///
/// # Errors
/// `not_proved`, naming what is wrong.
pub fn prove(mysql: &Mysql, expected: &Expected) -> Result<ProveReply, Refusal> {
    match mysql.server.process()? {
        Some(process) if process.isolated => facts(mysql, expected),
        Some(_) => Err(not_isolated()),
        None => Err(not_proved("the isolated server has ended")),
    }
}

/// Ends the isolation, takes the inherited fence out, starts with the normal settings and commits once.
///
/// # Errors
/// `database`; the call can be repeated.
pub fn activate(mysql: &Mysql) -> Result<ActivateReply, Refusal> {
    if let Some(process) = mysql.server.process()?.filter(|process| process.isolated) {
        mysql.server.stop_isolated(&process)?;
    }
    marker::remove(&mysql.config.data_directory)?;
    // No client has reached it yet, and the probe takes one more. Once it runs its files say nothing.
    let at_rest =
        configured_binary_log(mysql).and_then(|base| mysql.position_at_rest(base.as_deref()));
    let begun = at_rest
        .ok()
        .and_then(|position| mysql.dialect.transactions(&position));
    let activated_at = clock::wall();
    mysql.serve()?;
    let probe = mysql.open().probe_commit()?;
    Ok(ActivateReply {
        activated_at,
        first_target_write: probe.at,
        timeline: 0,
        lsn: probe.lsn,
        transactions: begun.map(|begun| begun + 1),
    })
}

/// Stops the isolated server; returns whether one ran.
///
/// # Errors
/// `refused` when a server runs that is not isolated.
pub fn stop(mysql: &Mysql) -> Result<bool, Refusal> {
    match mysql.server.process()? {
        None => Ok(false),
        Some(process) if process.isolated => mysql.server.stop_isolated(&process).map(|()| true),
        Some(Process { .. }) => Err(Refusal::new(
            ErrorCode::Refused,
            "the server that runs is not the isolated one: it may hold writes of its own",
        )),
    }
}

/// What the running isolated server shows, once it holds what is expected.
fn facts(mysql: &Mysql, expected: &Expected) -> Result<ProveReply, Refusal> {
    let closed = mysql.closed();
    if expected.is_trial() {
        return proved(mysql, &closed.position()?);
    }
    if closed.value("SELECT @@GLOBAL.innodb_read_only")? != "1" {
        return Err(not_isolated());
    }
    let prepared = closed.prepared()?;
    if !prepared.is_empty() {
        return Err(not_proved(format!(
            "prepared transactions are open ({}): they could be committed on both sides",
            prepared.join(", ")
        )));
    }
    let running = closed.position()?;
    let at_rest = mysql.position_at_rest(Configured::of(mysql)?.binary_log.as_deref())?;
    // The isolated server keeps no binary log: MariaDB's state lies in its file, MySQL's in tables.
    let gtid = [&running.gtid, &at_rest.gtid]
        .into_iter()
        .find(|gtid| !gtid.is_empty());
    let lsn = if running.lsn == 0 {
        at_rest.lsn
    } else {
        running.lsn
    };
    let reached = Position::new(gtid.map_or("", String::as_str), lsn);
    let wanted = Position::parse(&expected.lsn)?;
    if let Some(lacks) = mysql.dialect.lacks(&wanted, &reached) {
        return Err(not_proved(lacks));
    }
    proved(mysql, &reached)
}

fn proved(mysql: &Mysql, reached: &Position) -> Result<ProveReply, Refusal> {
    Ok(ProveReply {
        replay_lsn: reached.to_string(),
        system_identifier: mysql.files().identity()?,
        timeline: 0,
        in_recovery: true,
    })
}

/// Before anything is started: what the copied files themselves say.
fn require_at_rest(
    mysql: &Mysql,
    configured: &Configured,
    expected: &Expected,
) -> Result<(), Refusal> {
    let mut wanted = Position::parse(&expected.lsn)?;
    if mysql.dialect == super::dialect::Dialect::Mysql {
        wanted.gtid.clear();
    }
    let found = mysql.position_at_rest(configured.binary_log.as_deref())?;
    match mysql.dialect.lacks(&wanted, &found) {
        None => Ok(()),
        Some(lacks) if !wanted.gtid.is_empty() && configured.binary_log.is_none() => {
            Err(not_proved(format!(
                "{lacks}; this host's configuration sets no log_bin: give it the source's"
            )))
        }
        Some(lacks) => Err(not_proved(lacks)),
    }
}

/// Another release would upgrade the data, or not understand it, where nothing may change.
fn require_same_release(mysql: &Mysql) -> Result<(), Refusal> {
    let program = mysql.server.program_version()?;
    let (data, of_program) = (mysql.files().release(), release_of(&program));
    match data {
        Some(data) if of_program != Some(data) => Err(not_proved(format!(
            "the data is of release {}.{}, the server on this host is {program}: install the source's release",
            data.0, data.1
        ))),
        _ => Ok(()),
    }
}

/// The binary log that this host's configuration names.
///
/// # Errors
/// `database` when the server's program cannot tell.
pub fn configured_binary_log(mysql: &Mysql) -> Result<Option<PathBuf>, Refusal> {
    let named = mysql.server.configured()?.remove("log-bin");
    Ok(named.filter(|value| value != NOT_SET).map(PathBuf::from))
}

/// What the target's own configuration says of the copy.
struct Configured {
    tablespaces: String,
    binary_log: Option<PathBuf>,
}

impl Configured {
    fn of(mysql: &Mysql) -> Result<Self, Refusal> {
        let mut options = mysql.server.configured()?;
        let mut take = |name: &str| options.remove(name).filter(|value| value != NOT_SET);
        if take("read-only").is_some_and(|value| value == "TRUE") {
            return Err(not_proved(
                "this host's configuration sets read_only: no client could commit after the activation",
            ));
        }
        Ok(Self {
            tablespaces: take("innodb-data-file-path").unwrap_or_default(),
            binary_log: take("log-bin").map(PathBuf::from),
        })
    }

    /// The system tablespace with its first file under the hidden name.
    fn hidden_path(&self) -> String {
        let rest = self.tablespaces.split_once(':');
        let rest = rest.map_or("12M:autoextend", |(_, rest)| rest);
        format!("{}:{rest}", marker::HIDDEN)
    }
}

fn not_proved(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::NotProved, message)
}

fn not_isolated() -> Refusal {
    not_proved("a server runs on the data directory that is not the isolated one")
}

/// An error where the system tablespace is not the one file that the fence knows.
///
/// # Errors
/// `database`.
pub fn require_known_tablespace(path: &str) -> Result<(), Refusal> {
    match path.split(':').next() {
        Some(marker::TABLESPACE) => Ok(()),
        other => Err(database(format!(
            "innodb_data_file_path begins with {}, and the fence knows only {}",
            other.unwrap_or_default(),
            marker::TABLESPACE
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_file_of_the_tablespace_is_hidden() {
        let hidden = |tablespaces: &str| {
            let tablespaces = tablespaces.to_owned();
            let configured = Configured {
                tablespaces,
                binary_log: None,
            };
            configured.hidden_path()
        };
        let name = marker::HIDDEN;
        assert_eq!(
            hidden("ibdata1:12M:autoextend"),
            format!("{name}:12M:autoextend")
        );
        assert_eq!(
            hidden("ibdata1:1G;ibdata2:1G:autoextend"),
            format!("{name}:1G;ibdata2:1G:autoextend")
        );
        assert!(require_known_tablespace("ibdata1:12M:autoextend").is_ok());
        assert!(require_known_tablespace("/other/ibdata1:12M").is_err());
    }
}
