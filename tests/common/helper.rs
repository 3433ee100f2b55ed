//! A running `snapmigrate-host`, on this host's mounts or in a mount namespace of its own.

use super::database::Database;
use super::text;
use snapmigrate::quiesce::channel::{Channel, HostError};
use snapmigrate::quiesce::protocol::Operation;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A helper and a channel to it; killed on drop.
pub struct Helper {
    /// Its socket.
    pub socket: PathBuf,
    boot_id: PathBuf,
    config: PathBuf,
    unmounted: Vec<PathBuf>,
    /// Holds another host's mounts while no helper runs there.
    elsewhere: Option<Child>,
    child: Child,
    channel: Channel,
    runtime: Runtime,
}

impl Helper {
    /// A helper for a database with its state below `directory`.
    pub fn source(directory: &Path, cluster: &impl Database) -> Self {
        Self::start(directory, cluster, false, Vec::new())
    }

    /// Another host: a mount namespace in which `unmounted`, the source's mounts, are not there.
    pub fn elsewhere(directory: &Path, cluster: &impl Database, unmounted: Vec<PathBuf>) -> Self {
        Self::start(directory, cluster, true, unmounted)
    }

    fn start(
        directory: &Path,
        cluster: &impl Database,
        namespace: bool,
        unmounted: Vec<PathBuf>,
    ) -> Self {
        fs::create_dir_all(directory).expect("a directory can be made");
        let config = directory.join("host.toml");
        let boot_id = directory.join("boot_id");
        fs::write(&boot_id, "boot 1\n").expect("a boot id can be written");
        let settings = format!(
            "{}[state]\ndirectory = {:?}\nboot_id_file = {boot_id:?}\n",
            cluster.host_section(namespace),
            directory.join("state")
        );
        fs::write(&config, settings).expect("the configuration can be written");
        let socket = directory.join("host.sock");
        let elsewhere = namespace.then(|| hold_mounts(&unmounted));
        let child = spawn(&config, &socket, elsewhere.as_ref());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        Self {
            channel: Channel::unix(&socket),
            socket,
            boot_id,
            config,
            unmounted,
            elsewhere,
            child,
            runtime,
        }
    }

    /// Asks; any refusal fails the test.
    pub fn call<O: Operation>(&self, operation: O) -> O::Reply {
        self.ask(operation)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asks.
    pub fn ask<O: Operation>(&self, operation: O) -> Result<O::Reply, HostError> {
        self.runtime.block_on(self.channel.call(operation))
    }

    /// Asks as an executor whose fence has this epoch.
    pub fn ask_under<O: Operation>(&self, epoch: u64, operation: O) -> Result<O::Reply, HostError> {
        self.channel.under(Some(epoch));
        let answer = self.ask(operation);
        self.channel.under(None);
        answer
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("the helper can be killed");
        self.child.wait().expect("the helper can be waited for");
    }

    /// The process that writes a volume for it, once there is one.
    pub fn worker(&self) -> Option<rustix::process::Pid> {
        let parent = format!("PPid:\t{}", self.child.id());
        let processes = fs::read_dir("/proc").expect("/proc is there");
        let mut ids = processes
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let works = |id: &i32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let command = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
            status.lines().any(|line| line == parent) && command.contains("sync-worker")
        };
        ids.find(works).and_then(rustix::process::Pid::from_raw)
    }

    /// The next start is in another boot of its host.
    pub fn boot_anew(&mut self) {
        if let Some(before) = &mut self.elsewhere {
            end(before);
            *before = hold_mounts(&self.unmounted);
        }
        let before = fs::read_to_string(&self.boot_id).expect("it was written");
        fs::write(&self.boot_id, format!("{} and on\n", before.trim())).expect("it can be written");
    }

    /// Starts it again after a kill, as its supervisor would.
    pub fn restart(&mut self) {
        self.child = spawn(&self.config, &self.socket, self.elsewhere.as_ref());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // First a chance to thaw.
        if let Some(pid) =
            rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0))
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        thread::sleep(Duration::from_millis(200));
        end(&mut self.child);
        self.elsewhere.iter_mut().for_each(end);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A process in mounts of its own, without `unmounted`.
fn hold_mounts(unmounted: &[PathBuf]) -> Child {
    let unmount: String = unmounted
        .iter()
        .rev()
        .map(|mountpoint| format!("umount {} && ", text(mountpoint)))
        .collect();
    let script = format!("{unmount}echo unmounted && exec sleep infinity");
    let mut child = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("another host can be played");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    let read = BufReader::new(stdout).read_line(&mut line);
    assert!(line.starts_with("unmounted"), "{line:?} {read:?}");
    child
}

fn spawn(config: &Path, socket: &Path, elsewhere: Option<&Child>) -> Child {
    let host = elsewhere.map(|child| format!("--mount=/proc/{}/ns/mnt", child.id()));
    let mut argv: Vec<&str> = Vec::new();
    if let Some(host) = &host {
        argv.extend(["nsenter", host]);
    }
    let (config, listens) = (text(config), text(socket));
    let helper = env!("CARGO_BIN_EXE_snapmigrate-host");
    argv.extend([helper, "serve", "--config", &config, "--socket", &listens]);
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdout(Stdio::null())
        .spawn()
        .expect("the helper can be started");
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        assert!(
            child.try_wait().expect("it can be looked at").is_none(),
            "the helper ended at once"
        );
        assert!(Instant::now() < deadline, "the helper does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    child
}
