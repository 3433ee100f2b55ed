//! What speaks against migrating a MariaDB or MySQL server: its settings, programs, places and tables.

use super::super::Mysql;
use super::super::at_rest::release_of;
use super::super::client::Client;
use super::super::isolated::require_known_tablespace;
use super::Facts;
use crate::quiesce::host::command::RunAs;
use crate::quiesce::protocol::{Finding, Refusal, Severity};
use std::path::{Path, PathBuf};

/// User tables that InnoDB does not hold, by engine.
const FOREIGN_TABLES: &str = "SELECT engine, COUNT(*), LEFT(GROUP_CONCAT(CONCAT(table_schema, '.', table_name) \
    ORDER BY 1 SEPARATOR ', '), 300), SUM(COALESCE(table_rows, 0)) FROM information_schema.tables \
    WHERE table_type = 'BASE TABLE' AND engine IN ('MEMORY', 'MyISAM', 'Aria', 'CSV', 'ARCHIVE') \
    AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') GROUP BY engine ORDER BY engine";
/// Where the sessions of replicas come from.
const REPLICAS: &str = "SELECT host FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' ORDER BY host";

/// What its settings say.
pub(super) fn of_settings(facts: &Facts, mysql: &Mysql) -> Vec<Finding> {
    use Severity::{Refuse, Warn};
    let setting = |name: &str| facts.setting(name);
    let oldest = mysql.dialect.oldest();
    let base = Path::new(setting("log_bin_basename")).file_name();
    let base = base.and_then(|name| name.to_str()).unwrap_or_default();
    let named_after_host =
        !setting("hostname").is_empty() && base.starts_with(&format!("{}-", setting("hostname")));
    let checks = [
        (
            release_of(setting("version")).is_none_or(|release| release < oldest),
            Refuse,
            "version",
            "its files are not known to this helper",
            "upgrade to MariaDB 10.5 or MySQL 8.0 first",
        ),
        (
            setting("read_only") != "OFF",
            Refuse,
            "read_only",
            "this server accepts no writes",
            "migrate from the primary's host",
        ),
        (
            !["", "0"].contains(&setting("innodb_force_recovery")),
            Refuse,
            "innodb_force_recovery",
            "the server runs with part of InnoDB switched off",
            "repair it first",
        ),
        (
            setting("wsrep_on") == "ON",
            Refuse,
            "wsrep_on",
            "it is a node of a Galera cluster, which other nodes write to",
            "take it out of the cluster first",
        ),
        (
            named_after_host,
            Refuse,
            "log_bin",
            "the binary log is named after this host: on another one the server would begin a new one and lose its position",
            "set log_bin to a name of its own on both hosts",
        ),
        (
            setting("innodb_flush_log_at_trx_commit") != "1",
            Warn,
            "innodb_flush_log_at_trx_commit",
            "commits acknowledged just before a crash may be lost; the clean stop of the fence keeps them",
            "nothing to do",
        ),
        (
            !base.is_empty() && setting("sync_binlog") == "0",
            Warn,
            "sync_binlog",
            "after a crash the binary log may end before the data; the clean stop of the fence keeps it whole",
            "nothing to do",
        ),
        (
            setting("innodb_doublewrite") == "OFF",
            Warn,
            "innodb_doublewrite",
            "a crash of the source can leave torn pages",
            "turn it on unless the storage writes whole pages",
        ),
        (
            setting("event_scheduler") == "ON",
            Warn,
            "event_scheduler",
            "its events stop at the fence and run on the target once it is activated",
            "nothing to do",
        ),
        (
            setting("rpl_semi_sync_master_enabled") == "ON"
                || setting("rpl_semi_sync_source_enabled") == "ON",
            Warn,
            "semi-synchronous replication",
            "on the target commits wait for a replica",
            "have a replica follow the target before clients are switched",
        ),
    ];
    let found = checks.into_iter().filter(|check| check.0);
    found
        .map(|(_, severity, subject, message, remedy)| {
            finding(severity, subject, message.to_owned(), remedy)
        })
        .collect()
}

/// Servers that follow this one: none may be promoted while it is fenced, and nothing here can keep them from it.
pub(super) fn of_replicas(mysql: &Mysql, client: &Client<'_>) -> Result<Option<Finding>, Refusal> {
    let rows = client.rows(REPLICAS)?;
    let hosts: Vec<String> = rows.into_iter().flatten().collect();
    if hosts.is_empty() {
        return Ok(None);
    }
    let severity = if mysql.config.standbys_barred {
        Severity::Warn
    } else {
        Severity::Refuse
    };
    Ok(Some(finding(
        severity,
        "replicas",
        format!(
            "other servers follow this one, and a promoted one would be a second writer: {}",
            hosts.join(", ")
        ),
        "keep everyone and everything from promoting them until the migration is final, then set \
         database.standbys_barred = true; point them at the target afterwards",
    )))
}

/// The programs that are configured must be those of the server that runs.
pub(super) fn of_programs(facts: &Facts, mysql: &Mysql) -> Result<Vec<Finding>, Refusal> {
    let mut found = Vec::new();
    let (runs, program) = (facts.setting("version"), mysql.server.program_version()?);
    if release_of(runs) != release_of(&program) {
        found.push(finding(
            Severity::Refuse,
            "database.server",
            format!(
                "{} is {program}, the server that runs is {runs}",
                mysql.config.server.display()
            ),
            "name the program of the server that runs",
        ));
    }
    let wanted = match mysql.server.run_as {
        RunAs::User { uid, .. } => uid,
        RunAs::Myself => rustix::process::geteuid().as_raw(),
    };
    match mysql.server.process()? {
        Some(process) if process.uid != wanted => found.push(finding(
            Severity::Refuse,
            "database.os_user",
            format!(
                "the server runs as user {}, not as {} ({wanted})",
                process.uid, mysql.config.os_user
            ),
            "set database.os_user to the user that the server runs as",
        )),
        _ => {}
    }
    Ok(found)
}

/// Every directory the server uses must be one that is frozen and moved.
pub(super) fn of_places(facts: &Facts, mysql: &Mysql) -> Vec<Finding> {
    let data = &mysql.config.data_directory;
    let within = |path: &str| {
        let path = data.join(path);
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        mysql
            .config
            .all_directories()
            .any(|known| real(&path).starts_with(real(known)))
    };
    let directory_of = |path: &str| Path::new(path).parent().map(Path::to_owned);
    let base = facts.setting("log_bin_basename");
    let mut used: Vec<(String, PathBuf)> = [
        "datadir",
        "innodb_log_group_home_dir",
        "innodb_undo_directory",
        "aria_log_dir_path",
    ]
    .iter()
    .filter(|name| !["", "NULL"].contains(&facts.setting(name)))
    .map(|name| ((*name).to_owned(), PathBuf::from(facts.setting(name))))
    .collect();
    used.extend(
        directory_of(base)
            .filter(|_| base.starts_with('/'))
            .map(|path| ("log_bin".to_owned(), path)),
    );
    let far = far_files(data).into_iter();
    used.extend(far.filter_map(|path| Some(("a table".to_owned(), path.parent()?.to_owned()))));
    let outside = used
        .into_iter()
        .filter(|(_, path)| !within(&path.display().to_string()));
    let mut found: Vec<Finding> = outside
        .map(|(what, path)| {
            finding(
                Severity::Refuse,
                "database.directories",
                format!(
                    "{what} lies in {}, which would be left behind",
                    path.display()
                ),
                "list it in database.directories, on both hosts",
            )
        })
        .collect();
    let home = facts.setting("innodb_data_home_dir");
    let at_home = ["", "NULL"].contains(&home)
        || data.join(home).canonicalize().ok() == data.canonicalize().ok();
    if let Err(refusal) = require_known_tablespace(facts.setting("innodb_data_file_path")) {
        found.push(finding(
            Severity::Refuse,
            "innodb_data_file_path",
            refusal.message,
            "migrate this one by hand",
        ));
    } else if !at_home {
        found.push(finding(
            Severity::Refuse,
            "innodb_data_home_dir",
            format!(
                "the system tablespace lies in {home}, and the fence knows only the data directory"
            ),
            "migrate this one by hand",
        ));
    }
    found
}

/// Files of tables with a directory of their own: InnoDB keeps a link file `.isl` for each, and a database or table may
/// be a symbolic link.
fn far_files(data: &Path) -> Vec<PathBuf> {
    let list = |directory: &Path| {
        let entries = std::fs::read_dir(directory).into_iter().flatten();
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .collect::<Vec<_>>()
    };
    let databases = list(data);
    let tables = databases
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|path| list(path));
    let far = |path: PathBuf| match path.extension() {
        Some(extension) if extension == "isl" => {
            let link = std::fs::read_to_string(&path).unwrap_or_default();
            Some(PathBuf::from(link.trim()))
        }
        _ => std::fs::read_link(&path).ok(),
    };
    databases
        .clone()
        .into_iter()
        .chain(tables)
        .filter_map(far)
        .collect()
}

/// Tables that are not InnoDB's: the clean stop closes them whole, except what lives in memory alone.
pub(super) fn of_tables(mysql: &Mysql, client: &Client<'_>) -> Result<Vec<Finding>, Refusal> {
    let rows = client.rows(FOREIGN_TABLES)?.into_iter();
    Ok(rows
        .filter_map(|row| match row.as_slice() {
            [engine, count, names, stored] => Some(table_finding(
                mysql,
                engine,
                &format!("{count} tables ({names})"),
                stored,
            )),
            _ => None,
        })
        .collect())
}

fn table_finding(mysql: &Mysql, engine: &str, tables: &str, stored: &str) -> Finding {
    if engine != "MEMORY" {
        return finding(
            Severity::Warn,
            &format!("{engine} tables"),
            format!(
                "{tables} survive no crash of the source whole; the clean stop of the fence keeps them"
            ),
            "ALTER TABLE ... ENGINE = InnoDB, or nothing",
        );
    }
    let lost = stored != "0" && !mysql.config.accept_memory_loss;
    finding(
        if lost {
            Severity::Refuse
        } else {
            Severity::Warn
        },
        "MEMORY tables",
        format!("{stored} rows of {tables} do not arrive on the target"),
        "empty them or convert them, or set database.accept_memory_loss = true",
    )
}

/// One finding.
pub(super) fn finding(severity: Severity, subject: &str, message: String, remedy: &str) -> Finding {
    Finding {
        severity,
        subject: subject.to_owned(),
        message,
        remedy: remedy.to_owned(),
    }
}
