//! The server process: running or not, start, stop, and what its own configuration says while it is down.

use super::database;
use super::dialect::Dialect;
use crate::quiesce::host::command::{self, RunAs};
use crate::quiesce::host::config::MysqlConfig;
use crate::quiesce::host::processes::works_in;
use crate::quiesce::host::start_log::StartLog;
use crate::quiesce::protocol::Refusal;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Longest run of a program that only looks.
const LOOK: Duration = Duration::from_secs(30);
/// How often a server that is starting or stopping is looked at.
const POLL: Duration = Duration::from_millis(50);

/// A running server of the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// The user it runs as.
    pub uid: u32,
    /// Whether its command line names the isolated socket.
    pub isolated: bool,
}

/// The server's programs.
pub struct Server {
    /// Which engine.
    pub dialect: Dialect,
    /// Where things are.
    pub config: MysqlConfig,
    /// Who runs the server.
    pub run_as: RunAs,
    /// Who runs the client.
    pub client_as: RunAs,
    /// Where a server that is started here writes.
    pub log: PathBuf,
    /// The socket of a server without clients.
    pub isolated: PathBuf,
}

impl Server {
    /// The server of this data directory, in whatever state. It works in its data directory, which tells a copy at
    /// the same path in another mount namespace apart.
    ///
    /// # Errors
    /// `database` when processes cannot be listed.
    pub fn process(&self) -> Result<Option<Process>, Refusal> {
        let processes = fs::read_dir("/proc")
            .map_err(|error| database(format!("processes cannot be listed: {error}")))?;
        let mut pids = processes
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Ok(pids.find_map(|pid| self.server_process(pid)))
    }

    fn server_process(&self, pid: i32) -> Option<Process> {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let name = fs::read_to_string(proc.join("comm")).ok()?;
        let configured = self.config.server.file_name()?.to_str()?;
        if ![configured, "mariadbd", "mysqld"].contains(&name.trim()) {
            return None;
        }
        if works_in(pid, &self.config.data_directory) != Some(true) {
            return None;
        }
        let words = fs::read(proc.join("cmdline")).ok()?;
        let socket = format!("--socket={}", self.isolated.display());
        let isolated = words
            .split(|byte| *byte == 0)
            .any(|word| word == socket.as_bytes());
        let uid = fs::metadata(&proc).ok()?.uid();
        Some(Process { pid, uid, isolated })
    }

    /// Stops it cleanly and waits for its end; `shutdown` asks it to when no command is configured.
    ///
    /// # Errors
    /// `database` when it still runs at the time limit.
    pub fn stop(&self, shutdown: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
        match &self.config.stop_command {
            Some(argv) => command::run(&RunAs::Myself, argv, self.stop_limit())
                .map(|_| ())
                .map_err(|error| database(error.to_string()))?,
            None => shutdown()?,
        }
        self.await_end()
    }

    /// Stops the isolated server, which no service manager knows.
    ///
    /// # Errors
    /// `database` when it still runs at the time limit.
    pub fn stop_isolated(&self, process: &Process) -> Result<(), Refusal> {
        if let Some(pid) = rustix::process::Pid::from_raw(process.pid) {
            // An error is a process that has just ended.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        self.await_end()
    }

    fn await_end(&self) -> Result<(), Refusal> {
        let deadline = Instant::now() + self.stop_limit();
        while self.process()?.is_some() {
            if Instant::now() >= deadline {
                let limit = self.config.stop_seconds;
                return Err(database(format!("the server still runs after {limit} s")));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Starts it as its clients know it, or waits while one that exists starts up or shuts down, until `serves`.
    ///
    /// # Errors
    /// `database` when it does not serve within the time limit of a start.
    pub fn start_or_wait(&self, serves: impl Fn() -> bool) -> Result<(), Refusal> {
        let deadline = Instant::now() + Duration::from_secs(self.config.start_seconds);
        while Instant::now() < deadline {
            match self.process()? {
                None => self.start(&serves)?,
                Some(process) if !process.isolated && serves() => return Ok(()),
                Some(_) => thread::sleep(POLL),
            }
        }
        Err(database(format!(
            "the server does not accept connections after {} s",
            self.config.start_seconds
        )))
    }

    fn start(&self, serves: impl Fn() -> bool) -> Result<(), Refusal> {
        let Some(argv) = &self.config.start_command else {
            let socket = format!("--socket={}", self.config.socket.display());
            return self.start_with(&[socket], serves).map(|_| ());
        };
        let limit = Duration::from_secs(self.config.start_seconds);
        command::run(&RunAs::Myself, argv, limit)
            .map(|_| ())
            .map_err(|error| database(error.to_string()))
    }

    /// Starts the server with options that go before its option files, and waits until it `serves`. Returns what it
    /// wrote until then.
    ///
    /// # Errors
    /// `database` with the end of the server's log when it ends or is not there in time.
    pub fn start_with(
        &self,
        options: &[String],
        serves: impl Fn() -> bool,
    ) -> Result<String, Refusal> {
        let written = StartLog::of(&self.log);
        let pid = self.spawn(options)?;
        let deadline = Instant::now() + Duration::from_secs(self.config.start_seconds);
        while !serves() {
            if !runs(pid) {
                let log = written.end();
                return Err(database(format!(
                    "the server ended at its start; its log: {log}"
                )));
            }
            if Instant::now() >= deadline {
                let (limit, log) = (self.config.start_seconds, written.end());
                return Err(database(format!(
                    "the server does not answer {limit} s after its start; its log: {log}"
                )));
            }
            thread::sleep(POLL);
        }
        Ok(written.text())
    }

    /// Leaves the server running in a session of its own and returns its process id, which `exec` keeps.
    fn spawn(&self, options: &[String]) -> Result<i32, Refusal> {
        let script = "log=$1; shift; setsid \"$@\" >>\"$log\" 2>&1 </dev/null & echo $!";
        let mut argv = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        argv.push(self.log.display().to_string());
        argv.extend(self.server_argv());
        argv.push(format!("--log-error={}", self.log.display()));
        argv.extend_from_slice(options);
        let said =
            command::run(&self.run_as, &argv, LOOK).map_err(|error| database(error.to_string()))?;
        let pid = said.trim().parse();
        pid.map_err(|_| database(format!("the shell says \"{said}\" instead of a process id")))
    }

    fn server_argv(&self) -> Vec<String> {
        let config = &self.config;
        let mut argv = vec![config.server.display().to_string()];
        // It must come first.
        let defaults = config.defaults_file.iter();
        argv.extend(defaults.map(|file| format!("--defaults-file={}", file.display())));
        argv.push(format!("--datadir={}", config.data_directory.display()));
        argv
    }

    /// What the configuration of this host says, by option name, without starting anything.
    ///
    /// # Errors
    /// `database` when the server's program cannot tell.
    pub fn configured(&self) -> Result<BTreeMap<String, String>, Refusal> {
        let mut argv = self.server_argv();
        argv.extend(["--verbose", "--help"].map(str::to_owned));
        let text =
            command::run(&self.run_as, &argv, LOOK).map_err(|error| database(error.to_string()))?;
        Ok(parse_configured(&text))
    }

    /// The version of the configured program.
    ///
    /// # Errors
    /// `database` when it cannot tell.
    pub fn program_version(&self) -> Result<String, Refusal> {
        let argv = [
            self.config.server.display().to_string(),
            "--version".to_owned(),
        ];
        let text =
            command::run(&self.run_as, &argv, LOOK).map_err(|error| database(error.to_string()))?;
        let version = text
            .split_once("Ver ")
            .and_then(|(_, rest)| rest.split_whitespace().next());
        version.map(str::to_owned).ok_or_else(|| {
            let program = self.config.server.display();
            database(format!(
                "{program} does not say its version: \"{}\"",
                text.trim()
            ))
        })
    }

    fn stop_limit(&self) -> Duration {
        Duration::from_secs(self.config.stop_seconds)
    }
}

/// Whether a process exists and is more than the entry its parent has not yet read.
fn runs(pid: i32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    let state = |stat: String| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    stat.is_ok_and(state)
}

/// The table at the end of `--verbose --help`: after a line of dashes, a name and a value per line.
fn parse_configured(text: &str) -> BTreeMap<String, String> {
    let table = text.lines().skip_while(|line| !line.starts_with("-----"));
    let entry = |line: &str| {
        let (name, value) = line.split_once(char::is_whitespace)?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    table.skip(1).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_read_from_the_table_alone() {
        let text = "log-bin is not this\n\nVariables (--variable-name=value)\n\
            and boolean options {FALSE|TRUE}          Value (after reading options)\n\
            ----------------------------------------- -------------\n\
            innodb-data-file-path                     ibdata1:12M:autoextend\n\
            log-bin                                   (No default value)\n\
            read-only                                 FALSE\n";
        let configured = parse_configured(text);
        let value = |name: &str| configured.get(name).map(String::as_str);
        assert_eq!(
            value("innodb-data-file-path"),
            Some("ibdata1:12M:autoextend")
        );
        assert_eq!(value("log-bin"), Some("(No default value)"));
        assert_eq!(configured.len(), 3);
    }

    #[test]
    fn this_process_runs_and_no_other_has_the_greatest_id() {
        assert!(runs(i32::try_from(std::process::id()).unwrap_or_default()));
        assert!(!runs(i32::MAX));
    }
}
