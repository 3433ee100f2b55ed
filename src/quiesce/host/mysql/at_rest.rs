//! What the files of a stopped server say: which database it is, how far it came, and whether it stopped cleanly.
//!
//! Neither engine has a program that shows these (as `pg_controldata` does), so the few bytes are read here; all
//! places are those of the engines' sources, named at each.

use super::dialect::Dialect;
use super::position::Position;
use super::{database, marker};
use crate::quiesce::host::config::MysqlConfig;
use crate::quiesce::protocol::Refusal;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The files of one server.
pub struct Files<'a> {
    /// Which engine.
    pub dialect: Dialect,
    /// Where they are.
    pub config: &'a MysqlConfig,
}

impl Files<'_> {
    /// What the database is, across all its copies: MariaDB's Aria control file carries an id made once when the data
    /// directory was (`ma_control_file.h`: magic fe fe 0c, version, 16 bytes); MySQL's `auto.cnf` the server's UUID.
    ///
    /// # Errors
    /// `database` when the file is missing or malformed.
    pub fn identity(&self) -> Result<String, Refusal> {
        match self.dialect {
            Dialect::Mariadb => self.control_uuid(),
            Dialect::Mysql => self.server_uuid(),
        }
    }

    /// How far the stopped server came. `binary_log` is the base name of MariaDB's binary log, whose state it writes
    /// beside it in a clean stop; MySQL keeps that state in tables, so that only `running` can tell.
    ///
    /// # Errors
    /// `database` when a file is missing or malformed.
    pub fn position(&self, binary_log: Option<&Path>) -> Result<Position, Refusal> {
        let gtid = match (self.dialect, binary_log) {
            (Dialect::Mariadb, Some(base)) => self.binary_log_state(base)?,
            _ => String::new(),
        };
        let lsn = match self.dialect {
            Dialect::Mariadb => self.redo_checkpoint()?,
            Dialect::Mysql => self.flushed_lsn()?,
        };
        Ok(Position::new(&gtid, lsn))
    }

    /// Refuses when the server left its temporary tablespace behind, which only a clean stop removes.
    ///
    /// # Errors
    /// `database`.
    pub fn require_clean_stop(&self) -> Result<(), Refusal> {
        if self.data().join("ibtmp1").exists() {
            return Err(database(
                "the server did not stop cleanly: it left its temporary tablespace ibtmp1 behind",
            ));
        }
        Ok(())
    }

    /// The release that the data directory was last upgraded to, `10.11`; none where it does not say.
    #[must_use]
    pub fn release(&self) -> Option<(u32, u32)> {
        let names = ["mariadb_upgrade_info", "mysql_upgrade_info"];
        let read = |name: &&str| fs::read_to_string(self.data().join(name)).ok();
        release_of(names.iter().find_map(read)?.trim())
    }

    fn data(&self) -> &Path {
        &self.config.data_directory
    }

    fn control_uuid(&self) -> Result<String, Refusal> {
        let path = self.data().join("aria_log_control");
        let header = bytes::<20>(&path, 0)?;
        match header {
            [0xfe, 0xfe, 0x0c, _, uuid @ ..] => {
                Ok(uuid.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            _ => Err(malformed(&path, "it is no Aria control file")),
        }
    }

    fn server_uuid(&self) -> Result<String, Refusal> {
        let path = self.data().join("auto.cnf");
        let text = fs::read_to_string(&path).map_err(|error| malformed(&path, &error))?;
        let uuid = text.lines().filter_map(|line| line.split_once('='));
        let mut uuid = uuid.filter(|(name, _)| name.trim().replace('-', "_") == "server_uuid");
        let found = uuid.next().map(|(_, uuid)| uuid.trim().to_owned());
        found.ok_or_else(|| malformed(&path, "it holds no server_uuid"))
    }

    fn binary_log_state(&self, base: &Path) -> Result<String, Refusal> {
        let mut path = self.data().join(base).into_os_string();
        path.push(".state");
        let path = PathBuf::from(path);
        fs::read_to_string(&path).map_err(|error| {
            let why = format!("{error}: only a clean stop writes the state of the binary log");
            malformed(&path, &why)
        })
    }

    /// The end of the log at the newest checkpoint. `log0types.h` and `log0log.h`: a log of format "Phys" (10.8 and
    /// later) has its checkpoints at 4096 and 8192 and the end of the log at 8 in them; "PHYS" (10.5 to 10.7) at 512
    /// and 1536, with the checkpoint's own position at 8.
    fn redo_checkpoint(&self) -> Result<u64, Refusal> {
        let in_directory = |directory: &PathBuf| directory.join("ib_logfile0");
        let mut paths = self.config.all_directories().map(in_directory);
        let Some(path) = paths.find(|path| path.exists()) else {
            let missing = self.data().join("ib_logfile0");
            return Err(malformed(&missing, "there is no redo log"));
        };
        let blocks = match &bytes::<4>(&path, 0)? {
            b"Phys" => [4096, 8192],
            b"PHYS" => [512, 1536],
            _ => return Err(malformed(&path, "the redo log has an unknown format")),
        };
        let at = |block: u64| bytes::<8>(&path, block + 8).map(u64::from_be_bytes);
        Ok(at(blocks[0])?.max(at(blocks[1])?))
    }

    /// `fil0types.h`: at 26 in the first page of the system tablespace, written in a clean stop.
    fn flushed_lsn(&self) -> Result<u64, Refusal> {
        bytes::<8>(&marker::tablespace(self.data()), 26).map(u64::from_be_bytes)
    }
}

/// Major and minor number at the start of a version.
#[must_use]
pub fn release_of(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn bytes<const N: usize>(path: &Path, offset: u64) -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    fs::File::open(path)
        .and_then(|file| file.read_exact_at(&mut bytes, offset))
        .map_err(|error| malformed(path, &error))?;
    Ok(bytes)
}

fn malformed(path: &Path, why: impl std::fmt::Display) -> Refusal {
    database(format!("{} cannot be read: {why}", path.display()))
}
