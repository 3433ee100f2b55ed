//! What the database is, and what speaks against migrating it.

mod findings;

use super::client::Client;
use super::dialect::Dialect;
use super::{Mysql, database, marker};
use crate::quiesce::host::{clock, cluster, supervisors};
use crate::quiesce::protocol::{Finding, InspectReply, Refusal, Severity};
use chrono::TimeDelta;
use findings::finding;
use std::collections::BTreeMap;

const SETTINGS: [&str; 20] = [
    "version",
    "read_only",
    "hostname",
    "datadir",
    "log_bin_basename",
    "innodb_data_home_dir",
    "innodb_data_file_path",
    "innodb_log_group_home_dir",
    "innodb_undo_directory",
    "aria_log_dir_path",
    "innodb_force_recovery",
    "innodb_flush_log_at_trx_commit",
    "innodb_doublewrite",
    "sync_binlog",
    "event_scheduler",
    "wsrep_on",
    "rpl_semi_sync_master_enabled",
    "rpl_semi_sync_source_enabled",
    "gtid_mode",
    "pid_file",
];
const STATUS: [&str; 1] = ["Uptime"];
/// Facts and findings of a server that accepts connections.
///
/// # Errors
/// `database`.
pub fn running(mysql: &Mysql) -> Result<InspectReply, Refusal> {
    let open = mysql.open();
    let client = if open.read_only().is_ok() {
        open
    } else {
        mysql.closed()
    };
    let facts = Facts::of(mysql, &client)?;
    let position = client.position()?;
    let uptime = facts
        .status
        .get("uptime")
        .and_then(|text| text.parse().ok());
    Ok(InspectReply {
        engine: mysql.dialect.name().to_owned(),
        version: facts.setting("version").to_owned(),
        system_identifier: mysql.files().identity()?,
        timeline: 0,
        in_recovery: facts.setting("read_only") != "OFF",
        started_at: uptime.map(|seconds| clock::wall() - TimeDelta::seconds(seconds)),
        lsn: position.to_string(),
        data_directory: mysql.config.data_directory.display().to_string(),
        mounts: Vec::new(),
        findings: facts.findings(mysql, &client)?,
        transactions: mysql.dialect.transactions(&position),
    })
}

/// What the files of a stopped server tell.
///
/// # Errors
/// `database`.
pub fn stopped(mysql: &Mysql) -> Result<InspectReply, Refusal> {
    let why = if marker::is_placed(&mysql.config.data_directory) {
        "it is fenced"
    } else {
        "start it first"
    };
    let release = mysql.files().release();
    Ok(InspectReply {
        engine: mysql.dialect.name().to_owned(),
        version: release.map_or_else(String::new, |(major, minor)| format!("{major}.{minor}")),
        system_identifier: mysql.files().identity()?,
        timeline: 0,
        in_recovery: false,
        started_at: None,
        lsn: mysql.position_at_rest(None)?.to_string(),
        data_directory: mysql.config.data_directory.display().to_string(),
        mounts: Vec::new(),
        findings: vec![finding(
            Severity::Warn,
            "server",
            "it is stopped".to_owned(),
            why,
        )],
        transactions: None,
    })
}

/// Refuses the fence for what an inspection would refuse: the server may have changed since.
///
/// # Errors
/// `database`, naming the findings.
pub fn require_fenceable(mysql: &Mysql) -> Result<(), Refusal> {
    let open = mysql.open();
    let findings = Facts::of(mysql, &open)?.findings(mysql, &open)?;
    let refused: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refuse)
        .map(|finding| format!("{}: {}", finding.subject, finding.message))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(database(refused.join("; ")))
}

struct Facts {
    settings: BTreeMap<String, String>,
    status: BTreeMap<String, String>,
}

impl Facts {
    fn of(mysql: &Mysql, client: &Client<'_>) -> Result<Self, Refusal> {
        let settings = client.named("VARIABLES", &SETTINGS)?;
        let named = settings.get("version").map_or("", String::as_str);
        if named.contains("MariaDB") != (mysql.dialect == Dialect::Mariadb) {
            return Err(database(format!(
                "the server that answers is {named}, and database.engine says {}",
                mysql.dialect.name()
            )));
        }
        Ok(Self {
            status: client.named("STATUS", &STATUS)?,
            settings,
        })
    }

    fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", String::as_str)
    }

    fn findings(&self, mysql: &Mysql, client: &Client<'_>) -> Result<Vec<Finding>, Refusal> {
        let mut found = findings::of_settings(self, mysql);
        found.extend(cluster::findings(mysql.config.cluster_manager_paused));
        if let Some(process) = mysql.server.process()? {
            found.extend(supervisors::findings(
                process.pid,
                mysql.config.restarts_paused,
            ));
        }
        found.extend(findings::of_programs(self, mysql)?);
        found.extend(findings::of_places(self, mysql));
        found.extend(findings::of_tables(mysql, client)?);
        found.extend(findings::of_replicas(mysql, client)?);
        let prepared = client.prepared()?;
        if !prepared.is_empty() {
            found.push(finding(
                Severity::Refuse,
                "XA RECOVER",
                format!(
                    "prepared transactions could be committed on both sides: {}",
                    prepared.join(", ")
                ),
                "commit or roll them back, and keep applications from preparing new ones",
            ));
        }
        let appliers = client.rows(mysql.dialect.appliers())?.len();
        if appliers > 0 {
            found.push(finding(
                Severity::Warn,
                "appliers",
                format!("it applies changes from {appliers} other servers; the fence ends that, and the target goes on with it once it is activated"),
                "nothing to do unless both sides are to run again",
            ));
        }
        Ok(found)
    }
}
