//! The helper's configuration file, `host.toml`.

mod mysql;

pub use mysql::MysqlConfig;

use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Examples that `--help` shows, one per engine.
pub const EXAMPLES: [(&str, &str); 3] = [
    ("PostgreSQL", POSTGRES),
    ("MariaDB", mysql::MARIADB),
    ("MySQL", mysql::MYSQL),
];

const POSTGRES: &str = r#"[database]
engine = "postgres"
bin_directory = "/usr/lib/postgresql/15/bin"
data_directory = "/var/lib/postgresql/15/main"
port = 5432
socket_directory = "/var/run/postgresql"
os_user = "postgres"
superuser = "postgres"
# config_file = "/etc/postgresql/15/main/postgresql.conf"   # when it is not in the data directory
# start_command = ["systemctl", "start", "postgresql@15-main"]  # default: pg_ctl start
# stop_command = ["systemctl", "stop", "postgresql@15-main"]    # default: pg_ctl stop -m fast
# start_seconds = 600
# stop_seconds = 300
# fence = "clean_stop"           # or "pg_hba": the server goes on and rejects everyone but the helper
# hba_file = "/etc/postgresql/15/main/pg_hba.conf"   # when it is not in the data directory
# accept_unlogged_loss = false   # rows of unlogged tables do not arrive on the target
# accept_collation_change = false # on the target: glibc or ICU may order text in another way; REINDEX before clients come
# cluster_manager_paused = false # say so once Patroni, repmgr, Pacemaker ... is paused
# standbys_barred = false          # say so once nobody and nothing can promote a standby
# restarts_paused = false          # say so once what restarts the database is paused

[state]
directory = "/var/lib/snapmigrate"   # never on a file system of the database

# [mount]
# options = "noatime"
# luks_key_file = "/etc/snapmigrate/luks.key"   # on the target, when a volume is encrypted with LUKS
"#;

/// Where the helper listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/snapmigrate/host.sock";

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// The database.
    pub database: DatabaseConfig,
    /// The helper's memory.
    pub state: StateConfig,
    /// How volumes are mounted.
    #[serde(default)]
    pub mount: MountConfig,
}

/// `[database]`: which engine, and what that engine needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "engine", rename_all = "snake_case")]
pub enum DatabaseConfig {
    /// PostgreSQL 13 and later.
    Postgres(PostgresConfig),
    /// MariaDB 10.5 and later.
    Mariadb(MysqlConfig),
    /// MySQL 8.
    Mysql(MysqlConfig),
}

impl DatabaseConfig {
    /// Every directory that is part of the database.
    fn directories(&self) -> Vec<&PathBuf> {
        match self {
            Self::Postgres(postgres) => vec![&postgres.data_directory],
            Self::Mariadb(mysql) | Self::Mysql(mysql) => mysql.all_directories().collect(),
        }
    }

    /// Every path that must be absolute.
    fn paths(&self) -> Vec<&PathBuf> {
        match self {
            Self::Postgres(postgres) => vec![
                &postgres.bin_directory,
                &postgres.data_directory,
                &postgres.socket_directory,
            ]
            .into_iter()
            .chain(&postgres.hba_file)
            .collect(),
            Self::Mariadb(mysql) | Self::Mysql(mysql) => mysql.paths(),
        }
    }
}

/// `[database]` with `engine = "postgres"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// Where its programs are.
    pub bin_directory: PathBuf,
    /// The cluster.
    pub data_directory: PathBuf,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Where its Unix socket is.
    pub socket_directory: PathBuf,
    /// The user its server runs as.
    #[serde(default = "postgres")]
    pub os_user: String,
    /// A superuser that this operating system user may log in as over the Unix socket.
    #[serde(default = "postgres")]
    pub superuser: String,
    /// Its configuration when that is not in the data directory.
    pub config_file: Option<PathBuf>,
    /// How to start it, such as through the service manager.
    pub start_command: Option<Vec<String>>,
    /// How to stop it.
    pub stop_command: Option<Vec<String>>,
    /// Longest start, recovery included.
    #[serde(default = "default_start_seconds")]
    pub start_seconds: u64,
    /// Longest clean stop, its checkpoint included.
    #[serde(default = "default_stop_seconds")]
    pub stop_seconds: u64,
    /// How all writing is ended.
    #[serde(default)]
    pub fence: PostgresFence,
    /// Its client authentication file when that is not in the data directory.
    pub hba_file: Option<PathBuf>,
    /// Whether rows of unlogged tables may be lost.
    #[serde(default)]
    pub accept_unlogged_loss: bool,
    /// Whether text may be ordered in another way on this host than on the source's: its indexes are then built anew.
    #[serde(default)]
    pub accept_collation_change: bool,
    /// Whether a cluster manager that runs on this host is paused.
    #[serde(default)]
    pub cluster_manager_paused: bool,
    /// Whether the standbys of this server are kept from promotion.
    #[serde(default)]
    pub standbys_barred: bool,
    /// Whether a unit, a container or a process that starts the database again is paused.
    #[serde(default)]
    pub restarts_paused: bool,
}

/// How a PostgreSQL is kept from writing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostgresFence {
    /// It is stopped, and cannot start.
    #[default]
    CleanStop,
    /// It goes on, and rejects everyone but the helper.
    PgHba,
}

impl PostgresConfig {
    /// Where client authentication is configured.
    #[must_use]
    pub fn hba_file(&self) -> PathBuf {
        let own = || self.data_directory.join("pg_hba.conf");
        self.hba_file.clone().unwrap_or_else(own)
    }
}

/// `[state]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// The directory of the fence record.
    pub directory: PathBuf,
    /// Where the kernel tells its id of this boot: another file only where a reboot is played.
    #[serde(default = "boot_id_file")]
    pub boot_id_file: PathBuf,
}

/// `[mount]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountConfig {
    /// Options of `mount -o`.
    #[serde(default)]
    pub options: String,
    /// Opens LUKS devices on the target.
    pub luks_key_file: Option<PathBuf>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
}

impl HostConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|message| ConfigError::Malformed {
            path: path.to_owned(),
            message,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut paths = config.database.paths();
        paths.push(&config.state.directory);
        if let Some(relative) = paths.into_iter().find(|path| !path.is_absolute()) {
            return Err(format!("{} must be an absolute path", relative.display()));
        }
        let inside = |directory: &&PathBuf| config.state.directory.starts_with(directory);
        if let Some(directory) = config.database.directories().into_iter().find(inside) {
            return Err(format!(
                "state.directory lies in {}, which will be frozen: put it elsewhere",
                directory.display()
            ));
        }
        Ok(config)
    }
}

fn boot_id_file() -> PathBuf {
    PathBuf::from(super::clock::BOOT_ID_FILE)
}

fn default_port() -> u16 {
    5432
}

fn postgres() -> String {
    "postgres".to_owned()
}

fn default_start_seconds() -> u64 {
    600
}

fn default_stop_seconds() -> u64 {
    300
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_example_is_valid_and_says_which_engine() {
        for (engine, example) in EXAMPLES {
            let config = HostConfig::parse(example).unwrap();
            let known = match config.database {
                DatabaseConfig::Postgres(postgres) => postgres.port == 5432,
                DatabaseConfig::Mariadb(mysql) | DatabaseConfig::Mysql(mysql) => {
                    mysql.os_user == "mysql"
                }
            };
            assert!(known, "{engine}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let parse = |text: String| HostConfig::parse(&text).unwrap_err();
        assert!(parse(POSTGRES.replace("port = ", "prot = ")).contains("prot"));
        assert!(parse(POSTGRES.replace("\"postgres\"\nbin", "\"oracle\"\nbin")).contains("oracle"));
        for (_, example) in EXAMPLES {
            let relative = example.replace("\"/var/lib/snapmigrate\"", "\"here\"");
            assert!(parse(relative).contains("here"));
        }
        let inside = |example: &str, place: &str| {
            let place = format!("\"{place}\"");
            parse(example.replace("\"/var/lib/snapmigrate\"", &place)).contains("frozen")
        };
        assert!(inside(POSTGRES, "/var/lib/postgresql/15/main/x"));
        assert!(inside(mysql::MARIADB, "/var/lib/mysql/x"));
        assert!(inside(mysql::MARIADB, "/var/lib/mysql-binlog/x"));
    }
}
