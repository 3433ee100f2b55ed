//! Where MariaDB and MySQL differ in what the helper says to them and reads from them. Knows no server.

use super::position::Position;

/// Which of the two a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// MariaDB 10.5 and later.
    Mariadb,
    /// MySQL 8.
    Mysql,
}

impl Dialect {
    /// The engine's name in configurations and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb",
            Self::Mysql => "mysql",
        }
    }

    /// The first release whose files the helper knows: major, minor.
    #[must_use]
    pub fn oldest(self) -> (u32, u32) {
        match self {
            Self::Mariadb => (10, 5),
            Self::Mysql => (8, 0),
        }
    }

    /// All transactions that the server has logged, as an expression.
    #[must_use]
    pub fn gtid_state(self) -> &'static str {
        match self {
            Self::Mariadb => "@@GLOBAL.gtid_binlog_state",
            Self::Mysql => "@@GLOBAL.gtid_executed",
        }
    }

    /// A row per upstream that the server applies changes from.
    #[must_use]
    pub fn appliers(self) -> &'static str {
        match self {
            Self::Mariadb => "SHOW ALL SLAVES STATUS",
            Self::Mysql => "SHOW REPLICA STATUS",
        }
    }

    /// What is said before the stop. A fast shutdown of 1 writes every dirty page and leaves nothing to recover; 2
    /// would leave that to the target, 0 would purge and merge for as long as it takes.
    #[must_use]
    pub fn before_stop(self) -> &'static [&'static str] {
        match self {
            Self::Mariadb => &["SET GLOBAL innodb_fast_shutdown = 1"],
            // Persisted, so that a server that is started in spite of all comes up without writers.
            Self::Mysql => &[
                "SET GLOBAL innodb_fast_shutdown = 1",
                "SET PERSIST super_read_only = ON",
            ],
        }
    }

    /// What makes a started server accept writes again, once the fence is gone.
    #[must_use]
    pub fn after_start(self) -> &'static [&'static str] {
        match self {
            Self::Mariadb => &[],
            Self::Mysql => &[
                "RESET PERSIST IF EXISTS super_read_only",
                "SET GLOBAL super_read_only = OFF",
                "SET GLOBAL read_only = OFF",
            ],
        }
    }

    /// What keeps the isolated server from writing anything: the storage engine itself is read-only, which it refuses on
    /// files that would need recovery. A tried copy of a running server needs it, and its binary log for it.
    #[must_use]
    pub fn immutable(self) -> [&'static str; 2] {
        ["--innodb-read-only=1", "--skip-log-bin"]
    }

    /// Command line of a server that no client reaches.
    #[must_use]
    pub fn isolation(self) -> &'static [&'static str] {
        match self {
            Self::Mariadb => &[
                "--skip-networking",
                "--read-only=1",
                "--event-scheduler=DISABLED",
                "--skip-slave-start",
            ],
            Self::Mysql => &[
                "--skip-networking",
                "--mysqlx=OFF",
                "--super-read-only=1",
                "--event-scheduler=DISABLED",
                "--skip-replica-start",
                "--upgrade=NONE",
            ],
        }
    }

    /// How many transactions a position counts; none without a log of them.
    #[must_use]
    pub fn transactions(self, position: &Position) -> Option<u64> {
        if position.gtid.is_empty() {
            return None;
        }
        Some(match self {
            Self::Mariadb => super::gtid::count_of_mariadb(&position.gtid),
            Self::Mysql => super::gtid::count_of_mysql(&position.gtid),
        })
    }

    /// What `found` lacks of `wanted`, in words; none when it holds everything.
    #[must_use]
    pub fn lacks(self, wanted: &Position, found: &Position) -> Option<String> {
        if found.lsn < wanted.lsn {
            return Some(format!(
                "InnoDB's log ends at {}, before {}",
                found.lsn, wanted.lsn
            ));
        }
        let missing = match self {
            Self::Mariadb => super::gtid::missing_of_mariadb(&wanted.gtid, &found.gtid),
            Self::Mysql => super::gtid::missing_of_mysql(&wanted.gtid, &found.gtid),
        };
        missing.map(|missing| format!("the binary log lacks {missing}: it has \"{}\"", found.gtid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mysql_fence_is_persisted_and_taken_back_in_full() {
        let (stop, start) = (Dialect::Mysql.before_stop(), Dialect::Mysql.after_start());
        assert!(stop.contains(&"SET PERSIST super_read_only = ON"));
        assert_eq!(start[0], "RESET PERSIST IF EXISTS super_read_only");
        assert!(start.contains(&"SET GLOBAL read_only = OFF"));
        assert!(Dialect::Mysql.isolation().contains(&"--super-read-only=1"));
        assert!(Dialect::Mariadb.after_start().is_empty(), "it has none");
    }

    #[test]
    fn a_position_is_held_only_with_its_log_and_its_transactions() {
        let at = |gtid: &str, lsn| Position {
            gtid: gtid.to_owned(),
            lsn,
        };
        let maria = |wanted, found| Dialect::Mariadb.lacks(&wanted, &found);
        assert_eq!(maria(at("0-1-7", 10), at("0-1-7", 10)), None);
        assert_eq!(maria(at("", 10), at("", 11)), None);
        let short = maria(at("", 10), at("", 9)).unwrap_or_default();
        assert!(short.contains("ends at 9, before 10"), "{short}");
        let short = maria(at("0-1-7", 10), at("0-1-6", 10)).unwrap_or_default();
        assert!(short.contains("lacks 0-1-7"), "{short}");
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let mysql =
            |found: &str| Dialect::Mysql.lacks(&at(&format!("{uuid}:1-9"), 0), &at(found, 0));
        assert_eq!(mysql(&format!("{uuid}:1-12")), None);
        assert!(mysql(&format!("{uuid}:1-8")).is_some());
    }
}
