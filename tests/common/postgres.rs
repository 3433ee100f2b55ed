//! A PostgreSQL cluster for a test.

use super::{run, text};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

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
}

impl Cluster {
    /// Makes and starts a cluster in `data`, with its log in a directory of its own when given.
    pub fn start(data: &Path, wal: Option<&Path>, sockets: &Path) -> Self {
        for directory in [Some(data), wal, Some(sockets)].into_iter().flatten() {
            fs::create_dir_all(directory).expect("a directory can be made");
            run(&["chown", "postgres:", &text(directory)]);
        }
        let waldir = wal.map(|wal| format!("--waldir={}", text(wal)));
        let mut initdb = vec!["--auth=trust", "--no-sync", "--username=postgres", "-D"];
        let data_text = text(data);
        initdb.push(&data_text);
        initdb.extend(waldir.as_deref());
        program("initdb", &initdb);
        let port = free_port();
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nshared_buffers = '32MB'\n",
            text(sockets)
        );
        let path = data.join("postgresql.conf");
        let before = fs::read_to_string(&path).expect("initdb wrote a configuration");
        fs::write(&path, before + &settings).expect("the configuration can be written");
        let cluster = Self {
            data: data.to_owned(),
            sockets: sockets.to_owned(),
            port,
        };
        let log = text(&sockets.join("server.log"));
        program("pg_ctl", &["start", "-w", "-D", &data_text, "-l", &log]);
        cluster
    }

    /// How clients connect.
    pub fn connection(&self) -> String {
        format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres connect_timeout=2",
            self.port
        )
    }

    /// One value.
    pub fn query(&self, statement: &str) -> String {
        let (sockets, port) = (text(&self.sockets), self.port.to_string());
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

impl Drop for Cluster {
    /// Ends every server on a data directory of this path, also those in other mount namespaces.
    fn drop(&mut self) {
        for _ in 0..100 {
            let servers = servers_of(&self.data);
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

/// Processes whose command line names the data directory, which lies in this test's own temporary directory.
fn servers_of(data: &Path) -> Vec<rustix::process::Pid> {
    let processes = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let of_ours = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
        words
            .first()
            .is_some_and(|program| program.ends_with(b"/postgres"))
            && words.contains(&text(data).as_bytes())
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

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
