//! What the cluster is, and what speaks against migrating it.

use super::{Postgres, closed, database, marker};
use crate::quiesce::host::config::PostgresFence;
use crate::quiesce::host::{cluster, supervisors};
use crate::quiesce::protocol::{Finding, InspectReply, Refusal, Severity};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Everything in one round trip, as JSON. `pg_control_*` exist since 9.6; nothing here needs more than version 13.
const FACTS: &str = "SELECT json_build_object(
 'version', current_setting('server_version'), 'version_number', current_setting('server_version_num')::int,
 'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
 'timeline', (SELECT timeline_id FROM pg_control_checkpoint()),
 'in_recovery', pg_is_in_recovery(), 'started_at', pg_postmaster_start_time(),
 'transactions', CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_snapshot_xmax(pg_current_snapshot())::text::bigint END,
 'lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
 'data_directory', current_setting('data_directory'),
 'settings', (SELECT json_object_agg(name, setting) FROM pg_settings WHERE name IN
   ('fsync','full_page_writes','wal_level','archive_mode','synchronous_commit','synchronous_standby_names','hot_standby')),
 'prepared', (SELECT count(*) FROM pg_prepared_xacts),
 'standbys', (SELECT coalesce(json_agg(concat_ws(' ', application_name, host(client_addr), state, sync_state)), '[]')
   FROM pg_stat_replication),
 'slots', (SELECT coalesce(json_agg(concat_ws(' ', slot_name, slot_type, CASE WHEN active THEN 'active' END)), '[]')
   FROM pg_replication_slots),
 'subscriptions', (SELECT count(*) FROM pg_subscription),
 'enabled_subscriptions', (SELECT count(*) FROM pg_subscription WHERE subenabled),
 'workers', (SELECT coalesce(json_agg(DISTINCT backend_type), '[]') FROM pg_stat_activity WHERE backend_type NOT IN
   ('client backend','walsender','parallel worker','checkpointer','background writer','walwriter','archiver','startup',
    'walreceiver','autovacuum launcher','autovacuum worker','logical replication launcher','walsummarizer',
    'slotsync worker','io worker','logger')),
 'hba_file', current_setting('hba_file'),
 'databases', (SELECT json_agg(datname) FROM pg_database WHERE datallowconn))";

/// Unlogged tables of the database one is connected to.
const UNLOGGED: &str =
    "SELECT count(*) FROM pg_class WHERE relpersistence = 'u' AND relkind IN ('r','m')";

#[derive(Deserialize)]
struct Facts {
    version: String,
    version_number: u32,
    system_identifier: String,
    timeline: u64,
    in_recovery: bool,
    started_at: DateTime<Utc>,
    lsn: String,
    transactions: Option<u64>,
    data_directory: String,
    settings: std::collections::BTreeMap<String, String>,
    prepared: u64,
    standbys: Vec<String>,
    slots: Vec<String>,
    subscriptions: u64,
    enabled_subscriptions: u64,
    workers: Vec<String>,
    hba_file: std::path::PathBuf,
    databases: Vec<String>,
}

/// Facts and findings of a server that accepts connections.
///
/// # Errors
/// `database`.
pub fn running(postgres: &Postgres) -> Result<InspectReply, Refusal> {
    let open = postgres.open();
    let psql = if open.in_recovery().is_ok() {
        open
    } else {
        postgres.closed()
    };
    let facts: Facts = serde_json::from_str(&psql.query(&[&FACTS.replace('\n', " ")])?)
        .map_err(|error| database(format!("the facts are malformed: {error}")))?;
    let mut findings = findings(&facts);
    findings.extend(standbys(&facts, postgres.config.standbys_barred));
    findings.extend(cluster::findings(postgres.config.cluster_manager_paused));
    findings.extend(supervisors::findings(
        postgres.server.pid()?,
        postgres.config.restarts_paused,
    ));
    let unlogged = unlogged_tables(postgres, &psql, &facts)?;
    for (name, count) in &unlogged {
        findings.push(unlogged_finding(
            name,
            count,
            postgres.config.accept_unlogged_loss,
        ));
    }
    if postgres.config.fence == PostgresFence::PgHba {
        let workers = workers(&facts);
        findings.extend(closed::findings(
            postgres,
            !unlogged.is_empty(),
            &workers,
            &facts.hba_file,
        ));
    }
    if postgres.config.data_directory != std::path::Path::new(&facts.data_directory) {
        findings.push(finding(
            Severity::Refuse,
            "data_directory",
            format!("the server that answers uses {}", facts.data_directory),
            "set database.data_directory, port and socket_directory to those of one server",
        ));
    }
    Ok(reply(facts, findings))
}

/// Databases with unlogged tables, and how many; none that a fence keeps from being asked.
fn unlogged_tables(
    postgres: &Postgres,
    psql: &super::Psql<'_>,
    facts: &Facts,
) -> Result<Vec<(String, String)>, Refusal> {
    let mut found = Vec::new();
    if closed::is_closed(postgres)? {
        return Ok(found);
    }
    for name in &facts.databases {
        // \connect takes a quoted identifier; the name is data, never part of a statement.
        let connect = format!("\\connect \"{}\"", name.replace('"', "\"\""));
        let count = psql.query(&[&connect, UNLOGGED])?;
        if count != "0" {
            found.push((name.clone(), count));
        }
    }
    Ok(found)
}

/// What the server starts by itself and `pg_hba.conf` does not bind.
fn workers(facts: &Facts) -> Vec<String> {
    let subscriptions = (facts.enabled_subscriptions > 0).then(|| {
        format!(
            "the workers of {} enabled subscriptions",
            facts.enabled_subscriptions
        )
    });
    facts.workers.iter().cloned().chain(subscriptions).collect()
}

/// Servers that follow this one: none of them may be promoted while it is fenced, and nothing here can keep them from it.
fn standbys(facts: &Facts, barred: bool) -> Option<Finding> {
    if facts.standbys.is_empty() {
        return None;
    }
    let severity = if barred {
        Severity::Warn
    } else {
        Severity::Refuse
    };
    Some(finding(
        severity,
        "standbys",
        format!(
            "other servers follow this one, and a promoted one would be a second writer: {}",
            facts.standbys.join(", ")
        ),
        "keep everyone and everything from promoting them until the migration is final, then set database.standbys_barred = true; \
         point them at the target afterwards",
    ))
}

/// What the control file tells of a stopped cluster.
///
/// # Errors
/// `database`.
pub fn stopped(postgres: &Postgres) -> Result<InspectReply, Refusal> {
    let control = postgres.server.control()?;
    let version = std::fs::read_to_string(postgres.config.data_directory.join("PG_VERSION"))
        .map_err(|error| database(format!("PG_VERSION cannot be read: {error}")))?;
    let why = if marker::is_placed(&postgres.config.data_directory)? {
        "it is fenced"
    } else {
        "start it first"
    };
    Ok(InspectReply {
        engine: "postgres".to_owned(),
        version: version.trim().to_owned(),
        system_identifier: control.system_identifier,
        timeline: control.timeline,
        in_recovery: control.state.contains("recovery"),
        started_at: None,
        lsn: control.checkpoint_lsn,
        data_directory: postgres.config.data_directory.display().to_string(),
        mounts: Vec::new(),
        findings: vec![finding(
            Severity::Warn,
            "server",
            format!("it is stopped ({})", control.state),
            why,
        )],
        transactions: control.transactions,
    })
}

fn reply(facts: Facts, findings: Vec<Finding>) -> InspectReply {
    InspectReply {
        engine: "postgres".to_owned(),
        version: facts.version,
        system_identifier: facts.system_identifier,
        timeline: facts.timeline,
        in_recovery: facts.in_recovery,
        started_at: Some(facts.started_at),
        lsn: facts.lsn,
        data_directory: facts.data_directory,
        mounts: Vec::new(),
        findings,
        transactions: facts.transactions,
    }
}

fn findings(facts: &Facts) -> Vec<Finding> {
    use Severity::{Refuse, Warn};
    let setting = |name: &str| facts.settings.get(name).map_or("", String::as_str);
    let checks = [
        (
            facts.version_number < 130_000,
            Refuse,
            "server_version",
            "older than PostgreSQL 13",
            "upgrade first",
        ),
        (
            facts.in_recovery,
            Refuse,
            "recovery",
            "this server is a standby",
            "migrate from the primary's host",
        ),
        (
            setting("fsync") == "off",
            Refuse,
            "fsync",
            "with fsync off no copy of the disk is whole",
            "turn fsync on",
        ),
        (
            setting("wal_level") == "minimal",
            Refuse,
            "wal_level",
            "a log of level minimal cannot start as a standby",
            "set wal_level = replica and restart",
        ),
        (
            facts.prepared > 0,
            Refuse,
            "pg_prepared_xacts",
            "prepared transactions could be committed on both sides",
            "commit or roll them back, and keep applications from preparing new ones",
        ),
        (
            setting("full_page_writes") == "off",
            Warn,
            "full_page_writes",
            "a crash of the source can leave torn pages",
            "turn full_page_writes on unless the storage writes whole pages",
        ),
        (
            setting("hot_standby") == "off",
            Warn,
            "hot_standby",
            "it is switched on for the proof on the target",
            "nothing to do",
        ),
        (
            setting("archive_mode") != "off",
            Warn,
            "archive_mode",
            "the target archives its new timeline once it is activated",
            "let archive_command on the target write where its backups belong",
        ),
        (
            !setting("synchronous_standby_names").is_empty(),
            Warn,
            "synchronous_standby_names",
            "on the target commits wait for these standbys",
            "empty it, or have the standbys follow the target before clients are switched",
        ),
        (
            matches!(setting("synchronous_commit"), "off"),
            Warn,
            "synchronous_commit",
            "commits acknowledged just before a crash may be lost; the clean stop of the fence keeps them",
            "nothing to do",
        ),
        (
            facts.subscriptions > 0,
            Warn,
            "subscriptions",
            "it subscribes to another server, and so will the target once it is activated",
            "nothing to do unless both sides are to run again",
        ),
    ];
    let found = checks.into_iter().filter(|check| check.0);
    let slots = (!facts.slots.is_empty()).then(|| {
        finding(
            Warn,
            "replication slots",
            format!("slots hold the log for others: {}", facts.slots.join(", ")),
            "logical slots arrive on the target, physical ones too: point their readers at it, or drop them there",
        )
    });
    found
        .map(|(_, severity, subject, message, remedy)| {
            finding(severity, subject, message.to_owned(), remedy)
        })
        .chain(slots)
        .collect()
}

fn unlogged_finding(database: &str, count: &str, accepted: bool) -> Finding {
    let severity = if accepted {
        Severity::Warn
    } else {
        Severity::Refuse
    };
    let message = format!(
        "{count} unlogged tables in database {database} arrive empty: recovery resets them"
    );
    finding(
        severity,
        "unlogged tables",
        message,
        "ALTER TABLE ... SET LOGGED, or set database.accept_unlogged_loss = true",
    )
}

fn finding(severity: Severity, subject: &str, message: String, remedy: &str) -> Finding {
    Finding {
        severity,
        subject: subject.to_owned(),
        message,
        remedy: remedy.to_owned(),
    }
}
