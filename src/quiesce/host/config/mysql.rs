//! `[database]` of MariaDB and MySQL.

use serde::Deserialize;
use std::path::PathBuf;

/// MariaDB's example.
pub const MARIADB: &str = r#"[database]
engine = "mariadb"
server = "/usr/sbin/mariadbd"
client = "/usr/bin/mariadb"
data_directory = "/var/lib/mysql"
directories = ["/var/lib/mysql-binlog"]   # every other directory of the database; default: none
socket = "/run/mysqld/mysqld.sock"
os_user = "mysql"
user = "mysql"                       # logs in over the socket as the Unix user of that name: no password
# credentials_file = "/root/.my.cnf"   # instead: an option file with [client] user and password, mode 0600
# defaults_file = "/etc/mysql/my.cnf"  # what the server reads; default: the files it reads by itself
# start_command = ["systemctl", "start", "mariadb"]  # default: the server itself, as os_user
# stop_command = ["systemctl", "stop", "mariadb"]    # default: SHUTDOWN
# start_seconds = 600
# stop_seconds = 300
# transaction_seconds = 30    # how long open transactions get to end before the fence ends them
# accept_memory_loss = false  # rows of MEMORY tables do not arrive on the target
# cluster_manager_paused = false  # say so once Orchestrator, Pacemaker ... is paused
# standbys_barred = false         # say so once nobody and nothing can promote a replica
# restarts_paused = false         # say so once what restarts the database is paused

[state]
directory = "/var/lib/snapmigrate"   # never on a file system of the database

# [mount]
# options = "noatime"
"#;

/// MySQL's example.
pub const MYSQL: &str = r#"[database]
engine = "mysql"                     # never tried with a real MySQL server: try it on a copy first
server = "/usr/sbin/mysqld"
client = "/usr/bin/mysql"
data_directory = "/var/lib/mysql"
socket = "/var/run/mysqld/mysqld.sock"
credentials_file = "/root/.my.cnf"   # or user = "...", an account with auth_socket
start_command = ["systemctl", "start", "mysql"]
stop_command = ["systemctl", "stop", "mysql"]

[state]
directory = "/var/lib/snapmigrate"
"#;

/// `[database]` with `engine = "mariadb"` or `"mysql"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MysqlConfig {
    /// The server's program.
    pub server: PathBuf,
    /// The command line client.
    pub client: PathBuf,
    /// The data directory.
    pub data_directory: PathBuf,
    /// Further directories of the database: binary log, redo log, undo, tables with a place of their own.
    #[serde(default)]
    pub directories: Vec<PathBuf>,
    /// The socket clients reach it at.
    pub socket: PathBuf,
    /// The user its server runs as.
    #[serde(default = "mysql")]
    pub os_user: String,
    /// The account the helper logs in as, over the socket as the operating system user of that name.
    #[serde(default = "mysql")]
    pub user: String,
    /// An option file with `[client]` user and password, used in place of `user`.
    pub credentials_file: Option<PathBuf>,
    /// The option file the server reads in place of those it reads by itself.
    pub defaults_file: Option<PathBuf>,
    /// How to start it, such as through the service manager.
    pub start_command: Option<Vec<String>>,
    /// How to stop it.
    pub stop_command: Option<Vec<String>>,
    /// Longest start, recovery included.
    #[serde(default = "default_start_seconds")]
    pub start_seconds: u64,
    /// Longest clean stop, the flush of its dirty pages included.
    #[serde(default = "default_stop_seconds")]
    pub stop_seconds: u64,
    /// How long open transactions get to end before the fence ends them.
    #[serde(default = "default_transaction_seconds")]
    pub transaction_seconds: u64,
    /// Whether rows of MEMORY tables may be lost.
    #[serde(default)]
    pub accept_memory_loss: bool,
    /// Whether a cluster manager that runs on this host is paused.
    #[serde(default)]
    pub cluster_manager_paused: bool,
    /// Whether the replicas of this server are kept from promotion.
    #[serde(default)]
    pub standbys_barred: bool,
    /// Whether a unit, a container or a process that starts the database again is paused.
    #[serde(default)]
    pub restarts_paused: bool,
}

impl MysqlConfig {
    /// The data directory first, then the others.
    pub fn all_directories(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.data_directory).chain(&self.directories)
    }

    /// Every path that must be absolute.
    pub(super) fn paths(&self) -> Vec<&PathBuf> {
        let optional = [&self.credentials_file, &self.defaults_file];
        [&self.server, &self.client, &self.socket]
            .into_iter()
            .chain(self.all_directories())
            .chain(optional.into_iter().flatten())
            .collect()
    }
}

fn mysql() -> String {
    "mysql".to_owned()
}

fn default_start_seconds() -> u64 {
    600
}

fn default_stop_seconds() -> u64 {
    300
}

fn default_transaction_seconds() -> u64 {
    30
}
