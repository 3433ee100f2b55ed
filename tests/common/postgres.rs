//! A PostgreSQL cluster for a test.

use super::database::Database;
use super::load::{Clients, Postgres};
use super::stage::Stage;
use super::{run, text};
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The programs of an installed PostgreSQL.
pub fn bin_directory() -> PathBuf {
    let of = |version: &str| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    let known = ["15", "16", "17", "14", "13"]
        .map(of)
        .into_iter()
        .find(|directory| directory.join("initdb").exists());
    let asked = || Command::new("pg_config").arg("--bindir").output().ok();
    let asked =
        || asked().map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let found = known
        .or_else(asked)
        .filter(|directory| directory.join("initdb").exists());
    found.expect("PostgreSQL's server is missing: apt-get install postgresql")
}

/// A running cluster; stopped on drop.
pub struct Cluster {
    /// The data directory.
    pub data: PathBuf,
    /// Where its Unix socket is.
    pub sockets: PathBuf,
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
    /// Its port on the target, where the source's server goes on behind its fence; the same one otherwise.
    pub target_port: u16,
}

impl Cluster {
    /// Makes and starts a cluster in `data`, with its log in a directory of its own when given.
    pub fn start(data: &Path, wal: Option<&Path>, sockets: &Path) -> Self {
        for directory in [Some(data), wal, Some(sockets)].into_iter().flatten() {
            fs::create_dir_all(directory).expect("a directory can be made");
            run(&["chown", "postgres:", &text(directory)]);
        }
        let waldir = wal.map(|wal| format!("--waldir={}", text(wal)));
        let mut initdb = vec!["--auth=trust", "--username=postgres", "-D"];
        let data_text = text(data);
        initdb.push(&data_text);
        initdb.extend(waldir.as_deref());
        program("initdb", &initdb);
        let port = free_port();
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nshared_buffers = '32MB'\n\
             max_prepared_transactions = 2\n",
            text(sockets)
        );
        let path = data.join("postgresql.conf");
        let before = fs::read_to_string(&path).expect("initdb wrote a configuration");
        fs::write(&path, before + &settings).expect("the configuration can be written");
        let cluster = Self {
            data: data.to_owned(),
            sockets: sockets.to_owned(),
            port,
            target_port: port,
        };
        let log = text(&sockets.join("server.log"));
        program("pg_ctl", &["start", "-w", "-D", &data_text, "-l", &log]);
        cluster
    }

    /// Fences it by `pg_hba.conf`: its server goes on, so that the target's needs a port of its own.
    pub fn rejecting(mut self) -> Self {
        self.target_port = free_port();
        self
    }

    fn rejects(&self) -> bool {
        self.target_port != self.port
    }

    /// How clients connect: to whichever side lets them in.
    pub fn connection(&self) -> String {
        let (hosts, ports) = if self.rejects() {
            (
                "127.0.0.1,127.0.0.1",
                format!("{},{}", self.port, self.target_port),
            )
        } else {
            ("127.0.0.1", self.port.to_string())
        };
        format!("host={hosts} port={ports} user=postgres dbname=postgres connect_timeout=2")
    }

    /// One value of the target's, which is the source's where both have one address.
    pub fn query_target(&self, statement: &str) -> String {
        self.query_at(self.target_port, statement)
    }

    /// SIGKILL of every server, and what a supervisor of the host with this process does then: a start in the open.
    pub fn killed_and_supervised(&self, of_host: u32) {
        for server in servers_of("/postgres", &text(&self.data)) {
            let _ = rustix::process::kill_process(server, rustix::process::Signal::KILL);
        }
        self.start_on_target(of_host);
        assert_eq!(self.query_target("SELECT pg_is_in_recovery()"), "t");
    }

    /// One value of the source's.
    pub fn query(&self, statement: &str) -> String {
        self.query_at(self.port, statement)
    }

    fn query_at(&self, port: u16, statement: &str) -> String {
        let (sockets, port) = (text(&self.sockets), port.to_string());
        program(
            "psql",
            &[
                "-XqAtw", "-h", &sockets, "-p", &port, "-U", "postgres", "-d", "postgres", "-c",
                statement,
            ],
        )
    }

    /// Whether clients can connect.
    pub fn serves(&self) -> bool {
        ::postgres::Client::connect(&self.connection(), ::postgres::NoTls).is_ok()
    }
}

impl Database for Cluster {
    const ENGINE: &'static str = "postgres";

    fn start_on(mounts: &[PathBuf], root: &Path) -> Self {
        let wal = mounts.get(1).map(|mountpoint| mountpoint.join("wal"));
        let sockets = root.join("sockets");
        Self::start(&mounts[0].join("data"), wal.as_deref(), &sockets)
    }

    fn host_section(&self, target: bool) -> String {
        format!(
            "[database]\nengine = \"postgres\"\nbin_directory = {:?}\ndata_directory = {:?}\nport = {}\n\
             socket_directory = {:?}\nstart_seconds = 60\nstop_seconds = 60\nfence = {:?}\n",
            bin_directory(),
            self.data,
            if target { self.target_port } else { self.port },
            self.sockets,
            if self.rejects() {
                "pg_hba"
            } else {
                "clean_stop"
            }
        )
    }

    fn clients(&self) -> Arc<dyn Clients> {
        Arc::new(Postgres(self.connection()))
    }

    fn servers(&self) -> Vec<rustix::process::Pid> {
        servers_of("/postgres", &text(&self.data))
    }

    fn start_by_hand(&mut self) {
        let log = text(&self.sockets.join("server.log"));
        // Its children hold the shared memory for as long as they take to notice.
        for _ in 0..20 {
            let start = ["start", "-w", "-D", &text(&self.data), "-l", &log];
            let said = try_program("pg_ctl", &start);
            let held = String::from_utf8_lossy(&said.stdout).into_owned()
                + &fs::read_to_string(&log).unwrap_or_default();
            if said.status.success() || held.contains("snapmigrate_fence") {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(250));
        }
    }

    fn start_on_target(&self, of_host: u32) {
        let (mounts, log) = (
            format!("--mount=/proc/{of_host}/ns/mnt"),
            text(&self.sockets.join("supervised.log")),
        );
        let start = ["start", "-w", "-D", &text(&self.data), "-l", &log];
        let started = || {
            let (argv, pg_ctl) = (as_postgres(), text(&bin_directory().join("pg_ctl")));
            let argv = [&["nsenter", &mounts], &argv[..], &[&pg_ctl], &start].concat();
            super::try_run(&argv).status.success()
        };
        super::source::until("it is started", std::time::Duration::from_secs(20), started);
    }

    fn serves(&self) -> bool {
        self.serves()
    }

    fn check_hosts(stage: &Stage<Self>, report: &Value) {
        let rejects = stage.cluster.rejects();
        let status = stage.source.call(Status {});
        let (state, control) = if rejects {
            (DatabaseState::Fenced, "in production")
        } else {
            (DatabaseState::Stopped, "shut down")
        };
        assert_eq!(
            (status.fence, status.database),
            (FenceState::Permanent, state)
        );
        let source = program("pg_controldata", &["-D", &text(&stage.cluster.data)]);
        let fact = |name: &str| {
            let line = source.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {source}"))
                .trim()
                .to_owned()
        };
        assert_eq!(fact("Database cluster state:"), control);
        assert_eq!(fact("Latest checkpoint's TimeLineID:"), "1");
        let identifier = fact("Database system identifier:");
        assert_eq!(report["proof"]["system_identifier"], identifier.as_str());
        if rejects {
            // Its own door is the helper's: whoever else knocks is rejected, and nobody has written.
            let others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                AND pid <> pg_backend_pid()";
            assert_eq!(stage.cluster.query(others), "0");
        } else {
            assert_eq!(
                report["proof"]["fence_lsn"],
                fact("Latest checkpoint location:").as_str(),
                "the source wrote nothing after the fence"
            );
        }
        let target = |query: &str| stage.cluster.query_target(query);
        assert_eq!(
            target("SELECT system_identifier FROM pg_control_system()"),
            identifier
        );
        assert_eq!(target("SELECT pg_is_in_recovery()"), "f");
        assert_eq!(target("SHOW transaction_read_only"), "off");
        assert_eq!(target("SHOW autovacuum"), "on");
        assert_eq!(
            target("SELECT timeline_id FROM pg_control_checkpoint()"),
            "2"
        );
    }
}

impl Drop for Cluster {
    /// Ends every server on a data directory of this path, also those in other mount namespaces.
    fn drop(&mut self) {
        for _ in 0..100 {
            let servers = servers_of("/postgres", &text(&self.data));
            if servers.is_empty() {
                return;
            }
            for server in servers {
                let _ = rustix::process::kill_process(server, rustix::process::Signal::QUIT);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

/// Servers of a program whose command line has a word that names this test's own data directory.
pub fn servers_of(program: &str, word: &str) -> Vec<rustix::process::Pid> {
    let processes = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let of_ours = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
        words
            .first()
            .is_some_and(|first| first.ends_with(program.as_bytes()))
            && words.contains(&word.as_bytes())
    };
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(of_ours)
        .filter_map(rustix::process::Pid::from_raw)
        .collect()
}

/// Runs one of PostgreSQL's programs as its user.
pub fn program(name: &str, arguments: &[&str]) -> String {
    let path = text(&bin_directory().join(name));
    let argv = [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
        &path,
    ];
    run(&[&argv, arguments].concat())
}

/// Runs one of PostgreSQL's programs as its user, whatever comes of it.
pub fn try_program(name: &str, arguments: &[&str]) -> std::process::Output {
    let path = text(&bin_directory().join(name));
    super::try_run(&[&as_postgres()[..], &[&path[..]], arguments].concat())
}

const fn as_postgres() -> [&'static str; 4] {
    [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
    ]
}

/// A port nobody listens at.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
