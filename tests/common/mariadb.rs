//! A MariaDB server for a test.

use super::database::Database;
use super::load::{Acknowledged, Clients, Session};
use super::postgres::{free_port, servers_of};
use super::source::until;
use super::stage::Stage;
use super::{run, text, try_run};
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const SERVER: &str = "/usr/sbin/mariadbd";
const CLIENT: &str = "/usr/bin/mariadb";
const AS_MYSQL: [&str; 4] = ["setpriv", "--reuid=mysql", "--regid=mysql", "--init-groups"];

/// A running server; killed on drop, wherever it runs by then.
pub struct Mariadb {
    /// The data directory.
    pub data: PathBuf,
    /// Directory of the binary log: the data directory, or one on a second volume.
    pub binary_log: PathBuf,
    root: PathBuf,
    port: u16,
    first: Option<Child>,
}

impl Mariadb {
    /// Makes and starts one.
    pub fn start(data: &Path, binary_log: &Path, root: &Path) -> Self {
        assert!(
            Path::new(SERVER).exists(),
            "MariaDB's server is missing: apt-get install mariadb-server"
        );
        let sockets = root.join("sockets");
        for directory in [data, binary_log, &sockets] {
            fs::create_dir_all(directory).expect("a directory can be made");
            run(&["chown", "mysql:", &text(directory)]);
        }
        let datadir = format!("--datadir={}", text(data));
        let install = [
            "mariadb-install-db",
            "--no-defaults",
            "--user=mysql",
            "--skip-test-db",
        ];
        run(&[&AS_MYSQL[..], &install, &[&datadir]].concat());
        let mut server = Self {
            data: data.to_owned(),
            binary_log: binary_log.to_owned(),
            root: root.to_owned(),
            port: free_port(),
            first: None,
        };
        fs::write(server.defaults_file(), server.settings()).expect("settings can be written");
        server.first = Some(server.run_by_hand());
        until("the server starts", Duration::from_secs(60), || {
            server.administer("SELECT 1").is_some()
        });
        let account = "CREATE USER clients@'127.0.0.1'; CREATE DATABASE shop; GRANT ALL ON shop.* TO clients@'127.0.0.1'";
        server.administer(account).expect("an account can be made");
        server
    }

    fn defaults_file(&self) -> PathBuf {
        self.root.join("my.cnf")
    }

    fn settings(&self) -> String {
        let sockets = self.root.join("sockets");
        format!(
            "[mysqld]\ndatadir={}\nsocket={}\nport={}\nbind-address=127.0.0.1\npid-file={}\n\
             log-bin={}\nserver-id=7\ngtid-domain-id=3\nskip-name-resolve\n\
             innodb-buffer-pool-size=64M\ninnodb-log-file-size=32M\n",
            text(&self.data),
            text(&sockets.join("server.sock")),
            self.port,
            text(&sockets.join("server.pid")),
            text(&self.binary_log.join("shop-log")),
        )
    }

    /// Starts it as a service manager would, which knows nothing of a fence; returns the process.
    pub fn run_by_hand(&self) -> Child {
        self.run_within(&[])
    }

    fn run_within(&self, host: &[&str]) -> Child {
        let argv = [host, &AS_MYSQL[..]].concat();
        let defaults = format!("--defaults-file={}", text(&self.defaults_file()));
        let datadir = format!("--datadir={}", text(&self.data));
        let log = fs::File::create(self.log_by_hand()).expect("a log can be made");
        Command::new(argv[0])
            .args(&argv[1..])
            .args([SERVER, &defaults, &datadir])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the server can be started")
    }

    /// Where [`Mariadb::run_by_hand`] writes.
    pub fn log_by_hand(&self) -> PathBuf {
        self.root.join("sockets/by-hand.log")
    }

    /// The last row of a statement of the administrator's, on whichever side serves; none when nobody does.
    pub fn administer(&self, statement: &str) -> Option<String> {
        let socket = format!("--socket={}", text(&self.root.join("sockets/server.sock")));
        let client = [
            CLIENT,
            "--no-defaults",
            "--user=mysql",
            "-BN",
            &socket,
            "-e",
            statement,
        ];
        let output = try_run(&[&AS_MYSQL[..], &client].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        output
            .status
            .success()
            .then(|| said.lines().last().unwrap_or_default().to_owned())
    }

    /// Server processes on a data directory of this path, on either side.
    pub fn processes(&self) -> Vec<rustix::process::Pid> {
        servers_of("mariadbd", &format!("--datadir={}", text(&self.data)))
    }

    /// A fenced server refuses to start, whoever starts it.
    pub fn check_that_it_cannot_start(&self) {
        self.check_that_it_ends(self.run_by_hand());
    }

    /// The same on the host whose mounts the process `pid` has.
    pub fn check_that_it_cannot_start_elsewhere(&self, pid: u32) {
        let mounts = format!("--mount=/proc/{pid}/ns/mnt");
        self.check_that_it_ends(self.run_within(&["nsenter", &mounts]));
    }

    fn check_that_it_ends(&self, mut stubborn: Child) {
        let ended = stubborn.wait().expect("it ends by itself");
        assert!(!ended.success(), "the fence holds against a supervisor");
        let log = fs::read_to_string(self.log_by_hand()).expect("it wrote a log");
        assert!(log.contains("is not a regular file"), "{log}");
    }

    /// What the stopped server wrote beside its binary log: `domain-server-sequence`.
    pub fn state_at_rest(&self) -> String {
        let path = self.binary_log.join("shop-log.state");
        let state = fs::read_to_string(path).expect("a clean stop writes the state");
        state.trim().to_owned()
    }
}

impl Database for Mariadb {
    const ENGINE: &'static str = "mariadb";

    fn start_on(mounts: &[PathBuf], root: &Path) -> Self {
        let data = mounts[0].join("data");
        let binary_log = mounts.get(1).map(|mountpoint| mountpoint.join("log"));
        Self::start(&data, binary_log.as_ref().unwrap_or(&data), root)
    }

    fn host_section(&self, _target: bool) -> String {
        format!(
            "[database]\nengine = \"mariadb\"\nserver = \"{SERVER}\"\nclient = \"{CLIENT}\"\n\
             data_directory = {:?}\ndirectories = [{:?}]\nsocket = {:?}\ndefaults_file = {:?}\n\
             start_seconds = 60\nstop_seconds = 60\ntransaction_seconds = 2\n",
            self.data,
            self.binary_log,
            self.root.join("sockets/server.sock"),
            self.defaults_file()
        )
    }

    fn clients(&self) -> Arc<dyn Clients> {
        Arc::new(Tcp(self.port))
    }

    fn servers(&self) -> Vec<rustix::process::Pid> {
        self.processes()
    }

    fn start_by_hand(&mut self) {
        let started = self.run_by_hand();
        if let Some(mut before) = self.first.replace(started) {
            let _ = before.try_wait();
        }
    }

    fn start_on_target(&self, of_host: u32) {
        let mounts = format!("--mount=/proc/{of_host}/ns/mnt");
        drop(self.run_within(&["nsenter", &mounts]));
    }

    fn serves(&self) -> bool {
        Connection::open(self.port)
            .and_then(|mut it| it.ask("SELECT 1"))
            .is_ok()
    }

    fn check_hosts(stage: &Stage<Self>, report: &Value) {
        let server = &stage.cluster;
        let status = stage.source.call(Status {});
        assert_eq!(
            (status.fence, status.database),
            (FenceState::Permanent, DatabaseState::Stopped)
        );
        let state = server.state_at_rest();
        let proof = |name: &str| {
            report["proof"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        for position in ["fence_lsn", "target_lsn"] {
            let proved = proof(position);
            assert!(
                proved.starts_with(&format!("gtid {state}, innodb ")),
                "the source logged {state} and nothing after the fence; {position} is {proved}"
            );
        }
        assert_eq!(proof("system_identifier").len(), 32);
        assert!(report["proof"]["target_timeline"].is_null(), "it has none");
        let of = |state: &str| {
            let (stream, sequence) = state.rsplit_once('-').expect("a stream and a number");
            (
                stream.to_owned(),
                sequence.parse::<u64>().expect("a number"),
            )
        };
        let served = server
            .administer("SELECT @@GLOBAL.gtid_binlog_state")
            .expect("the target serves");
        let (source, target) = (of(&state), of(&served));
        assert!(
            source.0 == target.0 && source.1 < target.1,
            "the target goes on where the source ended: {state}, {served}"
        );
        let open = "SELECT CONCAT(@@GLOBAL.read_only, @@GLOBAL.innodb_read_only, @@GLOBAL.log_bin)";
        assert_eq!(server.administer(open).as_deref(), Some("OFFOFFON"));
        assert_eq!(
            server.processes().len(),
            1,
            "one server on both sides together"
        );
        // The port is the target's by now: a source that could start would fail later, and elsewhere.
        server.check_that_it_cannot_start();
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        for _ in 0..100 {
            let servers = self.processes();
            if servers.is_empty() {
                break;
            }
            for server in servers {
                let _ = rustix::process::kill_process(server, rustix::process::Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if let Some(first) = &mut self.first {
            let _ = first.kill();
            let _ = first.wait();
        }
    }
}

/// Clients over TCP, which an isolated server does not listen on.
struct Tcp(u16);

impl Clients for Tcp {
    fn make_tables(&self) {
        let tables = "CREATE TABLE shop.commits (id BIGINT PRIMARY KEY, filler TEXT); \
            CREATE TABLE shop.balances (id INT PRIMARY KEY, n BIGINT); \
            INSERT INTO shop.balances SELECT seq, 0 FROM seq_1_to_1000; SELECT 1";
        let mut connection = Connection::open(self.0).expect("the database accepts connections");
        // The sequence engine needs a database to be in.
        let made = connection.ask(&format!("USE shop; {tables}"));
        made.expect("the tables can be made");
    }

    fn connect(&self) -> Result<Box<dyn Session>, Box<dyn Error>> {
        Ok(Box::new(Connection::open(self.0)?))
    }

    fn missing(&self, acknowledged: &[Acknowledged]) -> Vec<i64> {
        let mut connection = Connection::open(self.0).expect("the database accepts connections");
        let statement = "SELECT id FROM shop.commits; SELECT 'end'";
        let mut answer = connection.ask(statement).expect("the commits can be read");
        let mut there = BTreeSet::new();
        while answer != "end" {
            there.insert(answer.parse::<i64>().expect("a number"));
            answer = connection.line().expect("the commits can be read");
        }
        let ids = acknowledged.iter().map(|commit| commit.id);
        ids.filter(|id| !there.contains(id)).collect()
    }
}

/// A command line client that is spoken to through its standard input; it ends at the first error.
struct Connection {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Connection {
    fn open(port: u16) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(CLIENT)
            .args([
                "--no-defaults",
                "--host=127.0.0.1",
                "--user=clients",
                "-BN",
                "--unbuffered",
            ])
            .args(["--connect-timeout=2", &format!("--port={port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdin = child.stdin.take().ok_or("no standard input")?;
        let stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self {
            child,
            stdin,
            stdout,
        })
    }

    /// Sends statements and returns the first line of the answer.
    fn ask(&mut self, statements: &str) -> Result<String, Box<dyn Error>> {
        writeln!(self.stdin, "{statements};")?;
        self.stdin.flush()?;
        self.line()
    }

    fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line)?;
        if read == 0 {
            return Err("the client ended".into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Session for Connection {
    fn commit(&mut self, id: i64, row: i32) -> Result<(), Box<dyn Error>> {
        let transaction = format!(
            "START TRANSACTION; INSERT INTO shop.commits VALUES ({id}, REPEAT('x', 200)); \
             UPDATE shop.balances SET n = n + 1 WHERE id = {row}; COMMIT; SELECT {id}"
        );
        let answer = self.ask(&transaction)?;
        if answer == id.to_string() {
            return Ok(());
        }
        Err(format!("{id} was answered with {answer}").into())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
