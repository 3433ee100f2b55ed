//! The server process: running or not, start, stop, and what `pg_controldata` says while it is down.

use super::database;
use crate::quiesce::host::command::{self, CommandError, RunAs};
use crate::quiesce::host::config::PostgresConfig;
use crate::quiesce::host::processes::works_in;
use crate::quiesce::host::start_log::StartLog;
use crate::quiesce::protocol::Refusal;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Longest run of a program that only looks.
const LOOK: Duration = Duration::from_secs(30);
/// How often a server that is starting or stopping is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Whether a server process exists for the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// There is one; it may be starting up or shutting down.
    Yes,
    /// There is none.
    No,
}

/// What `pg_controldata` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// `shut down`, `in production`, ...
    pub state: String,
    /// Latest checkpoint location.
    pub checkpoint_lsn: String,
    /// Latest checkpoint's TimeLineID.
    pub timeline: u64,
    /// Database system identifier.
    pub system_identifier: String,
    /// Bytes per WAL segment, a power of two from 1 MiB to 1 GiB.
    pub segment_bytes: u64,
    /// Latest checkpoint's NextXID, with its epoch: how many transactions were begun.
    pub transactions: Option<u64>,
}

/// The server's programs.
pub struct Server {
    /// Where things are.
    pub config: PostgresConfig,
    /// Who runs them.
    pub run_as: RunAs,
    /// Where a server that is started here writes until its own logging begins.
    pub log: PathBuf,
}

impl Server {
    /// Runs one of PostgreSQL's programs.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(
        &self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<String, CommandError> {
        let program = self
            .config
            .bin_directory
            .join(program)
            .display()
            .to_string();
        let argv: Vec<String> = std::iter::once(program)
            .chain(arguments.iter().map(|&word| word.to_owned()))
            .collect();
        command::run(&self.run_as, &argv, limit)
    }

    /// Whether a server process exists.
    ///
    /// # Errors
    /// `database` when `pg_ctl` cannot tell.
    pub fn running(&self) -> Result<Running, Refusal> {
        match self.run("pg_ctl", &["status", "-D", &self.data()], LOOK) {
            Ok(_) if self.is_of_a_copy() => Ok(Running::No),
            Ok(_) => Ok(Running::Yes),
            // pg_ctl(1): "If the server is not running, the process returns an exit status of 3."
            Err(CommandError::Failed { status, .. }) if status.code() == Some(3) => Ok(Running::No),
            Err(error) => Err(database(error.to_string())),
        }
    }

    /// The copy of a running cluster carries the lock file of the original's server, and `pg_ctl` takes any process of
    /// that number for it.
    fn is_of_a_copy(&self) -> bool {
        let pid = self.lock_file().lines().next().and_then(first_pid);
        pid.is_some_and(|pid| works_in(pid, &self.config.data_directory) == Some(false))
    }

    /// The server's process.
    ///
    /// # Errors
    /// `database` when none runs.
    pub fn pid(&self) -> Result<i32, Refusal> {
        let none = || database("there is no server process");
        if self.running()? == Running::No {
            return Err(none());
        }
        self.lock_file()
            .lines()
            .next()
            .and_then(first_pid)
            .ok_or_else(none)
    }

    fn lock_file(&self) -> String {
        fs::read_to_string(self.config.data_directory.join("postmaster.pid")).unwrap_or_default()
    }

    /// Stops it cleanly and waits for its end.
    ///
    /// # Errors
    /// `database` when it still runs at the time limit.
    pub fn stop(&self) -> Result<(), Refusal> {
        let limit = Duration::from_secs(self.config.stop_seconds);
        let outcome = match &self.config.stop_command {
            Some(argv) => command::run(&RunAs::Myself, argv, limit),
            None => self.pg_ctl_stop(limit),
        };
        outcome.map_err(|error| database(error.to_string()))?;
        match self.running()? {
            Running::No => Ok(()),
            Running::Yes => Err(database(
                "the stop command has ended and the server still runs",
            )),
        }
    }

    /// Stops a server that was started with [`Server::start_with`], which no service manager knows.
    ///
    /// # Errors
    /// `database` when it still runs at the time limit.
    pub fn stop_own(&self) -> Result<(), Refusal> {
        self.pg_ctl_stop(Duration::from_secs(self.config.stop_seconds))
            .map(|_| ())
            .map_err(|error| database(error.to_string()))
    }

    /// Starts it as its clients know it.
    ///
    /// # Errors
    /// `database` with the end of the server's log.
    pub fn start(&self) -> Result<(), Refusal> {
        match &self.config.start_command {
            Some(argv) => {
                let limit = Duration::from_secs(self.config.start_seconds);
                command::run(&RunAs::Myself, argv, limit)
                    .map(|_| ())
                    .map_err(|error| database(error.to_string()))
            }
            None => self.start_with("").map(|_| ()),
        }
    }

    /// Starts it with options for the server's command line, which go before all configuration files. Returns what
    /// it wrote until then.
    ///
    /// # Errors
    /// `database` with the end of the server's log.
    pub fn start_with(&self, options: &str) -> Result<String, Refusal> {
        let config_file = self
            .config
            .config_file
            .as_ref()
            .map(|file| format!("-c config_file='{}' ", file.display()));
        let options = format!(
            "{}-c port={} {options}",
            config_file.unwrap_or_default(),
            self.config.port
        );
        let written = StartLog::of(&self.log);
        let limit = Duration::from_secs(self.config.start_seconds);
        let (data, log, seconds) = (
            self.data(),
            self.log.display().to_string(),
            limit.as_secs().to_string(),
        );
        let arguments = [
            "start", "-D", &data, "-w", "-t", &seconds, "-l", &log, "-o", &options,
        ];
        let outcome = self.run("pg_ctl", &arguments, limit + Duration::from_secs(10));
        outcome.map(|_| written.text()).map_err(|error| {
            let end = written.end();
            database(format!("{error}; the server's log: {end}"))
        })
    }

    /// Calls `start`, or waits while a server that exists starts up or shuts down, until `serves`.
    ///
    /// # Errors
    /// `database` when it does not serve within the time limit of a start.
    pub fn start_or_wait(
        &self,
        start: impl Fn(&Self) -> Result<(), Refusal>,
        serves: impl Fn() -> bool,
    ) -> Result<(), Refusal> {
        let deadline = Instant::now() + Duration::from_secs(self.config.start_seconds);
        while Instant::now() < deadline {
            match self.running()? {
                Running::No => start(self)?,
                Running::Yes if serves() => return Ok(()),
                Running::Yes => thread::sleep(POLL),
            }
        }
        Err(database(format!(
            "the server does not accept connections after {} s",
            self.config.start_seconds
        )))
    }

    /// What the control file says; of use while the server is down.
    ///
    /// # Errors
    /// `database`.
    pub fn control(&self) -> Result<Control, Refusal> {
        let text = self
            .run("pg_controldata", &["-D", &self.data()], LOOK)
            .map_err(|error| database(error.to_string()))?;
        parse_control(&text)
    }

    fn pg_ctl_stop(&self, limit: Duration) -> Result<String, CommandError> {
        let seconds = limit.as_secs().to_string();
        let arguments = [
            "stop",
            "-D",
            &self.data(),
            "-m",
            "fast",
            "-w",
            "-t",
            &seconds,
        ];
        self.run("pg_ctl", &arguments, limit + Duration::from_secs(10))
    }

    fn data(&self) -> String {
        self.config.data_directory.display().to_string()
    }
}

fn first_pid(line: &str) -> Option<i32> {
    line.trim().parse().ok()
}

fn parse_control(text: &str) -> Result<Control, Refusal> {
    let field = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
            .ok_or_else(|| database(format!("pg_controldata does not show \"{name}\"")))
    };
    let number = |name: &str| {
        let value = field(name)?;
        let parsed = value.parse::<u64>().ok().filter(|number| *number > 0);
        parsed.ok_or_else(|| database(format!("\"{name}\" is \"{value}\", not a number")))
    };
    Ok(Control {
        state: field("Database cluster state")?,
        checkpoint_lsn: field("Latest checkpoint location")?,
        timeline: number("Latest checkpoint's TimeLineID")?,
        segment_bytes: number("Bytes per WAL segment")?,
        system_identifier: field("Database system identifier")?,
        transactions: field("Latest checkpoint's NextXID")
            .ok()
            .and_then(|xid| whole_xid(&xid)),
    })
}

/// `epoch:xid` as one number.
fn whole_xid(text: &str) -> Option<u64> {
    let (epoch, xid) = text.split_once(':')?;
    let epoch: u64 = epoch.trim().parse().ok()?;
    Some((epoch << 32) | xid.trim().parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const TEXT: &str = "\
pg_control version number:            1300
Database system identifier:           7412345678901234567
Database cluster state:               shut down
Latest checkpoint location:           0/3000028
Latest checkpoint's REDO location:    0/3000028
Latest checkpoint's TimeLineID:       1
Latest checkpoint's NextXID:          1:745
Bytes per WAL segment:                16777216
";

    #[test]
    fn the_control_file_is_read() {
        let control = parse_control(TEXT).unwrap();
        assert_eq!(
            (
                control.state.as_str(),
                control.checkpoint_lsn.as_str(),
                control.timeline
            ),
            ("shut down", "0/3000028", 1)
        );
        assert_eq!(control.system_identifier, "7412345678901234567");
        assert_eq!(control.transactions, Some((1 << 32) + 745));
        assert_eq!(control.segment_bytes, 16 << 20);
    }

    #[test]
    fn a_missing_line_is_named() {
        let error = parse_control(&TEXT.replace("cluster state", "weather")).unwrap_err();
        assert!(
            error.message.contains("Database cluster state"),
            "{}",
            error.message
        );
    }
}
