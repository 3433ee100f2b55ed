//! The product as its operator runs it: the built binary, credentials in the environment.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How an operator calls the tool.
pub struct Tool {
    directory: PathBuf,
    environment: Vec<(String, String)>,
}

impl Tool {
    /// A tool run in `directory` with nothing of this process's AWS configuration.
    pub fn new(directory: &Path, environment: &[(&str, &str)]) -> Self {
        fs::create_dir_all(directory).expect("a directory can be made");
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            directory: directory.to_owned(),
            environment: environment.iter().map(owned).collect(),
        }
    }

    /// Gives it one more variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// A file of the operator's.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// How many files have names that begin so.
    pub fn count(&self, prefix: &str) -> usize {
        let files = fs::read_dir(&self.directory).expect("it is there");
        let names = files.filter_map(Result::ok).map(|file| file.file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with(prefix))
            .count()
    }

    /// A file's text.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapmigrate"));
        let aws = std::env::vars_os().map(|(name, _)| name);
        for name in aws.filter(|name| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(&self.directory)
            .envs(self.environment.iter().cloned())
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// Runs a command to its end and returns what it printed; any other exit code than 0 fails the test.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self
            .command(arguments)
            .output()
            .expect("the tool can be started");
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{arguments:?} ends with {}:\n{out}\n{err}",
            output.status
        );
        out
    }

    /// Runs a command that does not succeed: its exit code and what it said on standard error.
    pub fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self
            .command(arguments)
            .output()
            .expect("the tool can be started");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?} succeeds: {said}");
        (output.status.code().unwrap_or(-1), said)
    }

    /// What a command prints; none while it fails.
    pub fn try_text(&self, arguments: &[&str]) -> Option<String> {
        let output = self.command(arguments).output().ok()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(printed)
    }

    /// Starts a command that goes on by itself, with standard output and error in the files `NAME.out` and
    /// `NAME.err`.
    pub fn start(&self, name: &str, arguments: &[&str]) -> Running {
        let log = |kind: &str| self.file(&format!("{name}.{kind}"));
        let create = |kind: &str| File::create(log(kind)).expect("a log can be made");
        let child = self
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(create("out"))
            .stderr(create("err"))
            .spawn()
            .expect("the tool can be started");
        Running {
            name: name.to_owned(),
            logs: [log("out"), log("err")],
            child,
        }
    }
}

/// A command under way; stopped on drop.
pub struct Running {
    name: String,
    logs: [PathBuf; 2],
    child: Child,
}

impl Running {
    /// What it said so far: standard output, standard error.
    pub fn said(&self) -> [String; 2] {
        self.logs
            .clone()
            .map(|log| fs::read_to_string(log).unwrap_or_default())
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("it can be looked at")
            .is_none()
    }

    /// SIGKILL: no chance to do anything.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits for its end: how it ended, and what it said.
    pub fn wait(mut self, limit: Duration) -> (ExitStatus, [String; 2]) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be looked at") {
                return (status, self.said());
            }
            let [_, err] = self.said();
            assert!(
                begun.elapsed() < limit,
                "{} has not ended within {limit:?}:\n{err}",
                self.name
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            terminate(&mut self.child, Duration::from_secs(2));
        }
        if thread::panicking() {
            let [out, err] = self.said();
            super::say(&format!("{} said:\n{out}\n{err}", self.name));
        }
    }
}

/// SIGTERM, and SIGKILL when that does not end it in time.
pub fn terminate(child: &mut Child, patience: Duration) {
    let pid = i32::try_from(child.id()).ok();
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if child.try_wait().ok().flatten().is_some() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}
