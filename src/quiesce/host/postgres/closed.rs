//! The fence of a server that goes on: everyone but the helper rejected, every other session and worker ended.
//!
//! In this order, so that there is no moment in which somebody could come back: rules, reload, proof that they hold, end
//! of all others, and only then the last commit, which is ours. What it holds is asked again before the commit of the
//! migration. It must not know leases and epochs beyond the number in the file.

use super::inspect;
use super::server::Running;
use super::{Postgres, backends, database, hba, marker, wal};
use crate::quiesce::host::clock::{self, BootSeconds};
use crate::quiesce::protocol::{
    ErrorCode, FenceReply, Finding, ProbeCommitReply, Refusal, Severity,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long a reload may take: the server looks at its signals within milliseconds.
const RELOAD_WAIT: Duration = Duration::from_secs(20);
const RELOAD_POLL: Duration = Duration::from_millis(50);
/// A database the helper's own rule does not let it into: every cluster has it.
const NOT_OURS: &str = "template1";
/// The log that is kept, MiB: what is kept anyway, or 64 segments. Few are begun while nobody writes, but
/// `archive_timeout` may end one, and a checkpoint after that would take the one with the fence's position away.
const KEPT_WAL_MIB: &str = "SELECT greatest(
 (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_keep_size'),
 (SELECT 64 * setting::bigint / 1048576 FROM pg_settings WHERE name = 'wal_segment_size'))";

/// What the server says of itself.
const IDENTITY: &str = "SELECT json_build_object(
 'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
 'timeline', (SELECT timeline_id FROM pg_control_checkpoint()),
 'in_recovery', pg_is_in_recovery(), 'started_at', pg_postmaster_start_time(),
 'prepared', (SELECT count(*) FROM pg_prepared_xacts),
 'others', (SELECT coalesce(json_agg(concat_ws(' ', backend_type, usename, datname)), '[]') FROM pg_stat_activity
   WHERE pid <> pg_backend_pid() AND coalesce(state, '') <> 'starting' AND backend_type NOT IN
   ('checkpointer','background writer','walwriter','archiver','autovacuum launcher','logical replication launcher',
    'walsummarizer','slotsync worker','io worker','logger','startup')),
 'lsn', CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn() END::text,
 'next_transaction', CASE WHEN pg_is_in_recovery() THEN NULL
   ELSE pg_snapshot_xmax(pg_current_snapshot())::text::bigint END)";

#[derive(Deserialize)]
struct Identity {
    system_identifier: String,
    timeline: u64,
    in_recovery: bool,
    started_at: DateTime<Utc>,
    prepared: u64,
    others: Vec<String>,
    lsn: Option<String>,
    next_transaction: Option<u64>,
}

/// Closes the server and says where it stood.
///
/// # Errors
/// `database` or `refused`; the caller opens it again.
pub fn close(postgres: &Postgres, epoch: u64) -> Result<FenceReply, Refusal> {
    require_closable(postgres)?;
    let config = &postgres.config;
    marker::quieten(&config.data_directory, epoch, kept_wal_mib(postgres)?)?;
    hba::close(&config.hba_file(), epoch, &config.superuser)?;
    reload(postgres)?;
    require_rejecting(postgres)?;
    let limit = Duration::from_secs(config.stop_seconds);
    backends::end_all(postgres.server.pid()?, BootSeconds::now(), limit)?;
    postgres.require_no_prepared_transactions()?;
    let probe = postgres.open().probe_commit()?;
    let fenced_at = clock::wall();
    let reply = facts(postgres, &probe, fenced_at)?;
    // What is dirty is replayed on the target otherwise; with nobody writing this is the last of it.
    postgres.open().query_within(&["CHECKPOINT"], limit)?;
    Ok(reply)
}

fn facts(
    postgres: &Postgres,
    probe: &ProbeCommitReply,
    fenced_at: DateTime<Utc>,
) -> Result<FenceReply, Refusal> {
    let identity = identity(postgres)?;
    Ok(FenceReply {
        fenced_at,
        last_source_write: probe.at,
        lsn: identity.lsn.unwrap_or_else(|| probe.lsn.clone()),
        system_identifier: identity.system_identifier,
        timeline: identity.timeline,
        // The probe took the last one before the next.
        transactions: identity.next_transaction.map(|next| next.saturating_sub(1)),
        started_at: Some(identity.started_at),
    })
}

fn kept_wal_mib(postgres: &Postgres) -> Result<u64, Refusal> {
    let kept = postgres.open().query(&[&KEPT_WAL_MIB.replace('\n', " ")])?;
    kept.parse()
        .map_err(|_| database(format!("the size of the log is no number: \"{kept}\"")))
}

/// What an inspection refuses, and what only this fence cannot do without.
fn require_closable(postgres: &Postgres) -> Result<(), Refusal> {
    let findings = inspect::running(postgres)?.findings;
    let refused: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refuse)
        .map(|finding| format!("{}: {}", finding.subject, finding.message))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::Refused, refused.join("; ")))
}

/// The server reads its files anew; a connection made after this was judged by them.
///
/// # Errors
/// `database` when it does not within the limit.
pub fn reload(postgres: &Postgres) -> Result<(), Refusal> {
    let before = postgres.open().query(&["SELECT clock_timestamp()"])?;
    postgres.open().query(&["SELECT pg_reload_conf()"])?;
    let loaded = format!("SELECT pg_conf_load_time() > '{before}'::timestamptz");
    let deadline = Instant::now() + RELOAD_WAIT;
    while postgres.open().query(&[&loaded])? != "t" {
        if Instant::now() >= deadline {
            return Err(database("the server did not reload its configuration"));
        }
        thread::sleep(RELOAD_POLL);
    }
    Ok(())
}

/// By trying: a file with a mistake elsewhere is not loaded, and the old rules would go on.
fn require_rejecting(postgres: &Postgres) -> Result<(), Refusal> {
    match postgres.open().connect_to(NOT_OURS) {
        // In whatever language the server speaks.
        Err(refusal) if refusal.message.contains("pg_hba.conf") => Ok(()),
        Err(refusal) => Err(database(format!(
            "the rules of the fence are not in force: a connection they reject fails otherwise ({})",
            refusal.message
        ))),
        Ok(()) => Err(database(format!(
            "the rules of the fence are not in force: the server still lets a connection to {NOT_OURS} in; look at \
             pg_hba_file_rules for a mistake in {}",
            postgres.config.hba_file().display()
        ))),
    }
}

/// Whether the fence stands in the file.
///
/// # Errors
/// `database` when the file cannot be read.
pub fn is_closed(postgres: &Postgres) -> Result<bool, Refusal> {
    hba::is_closed(&postgres.config.hba_file())
}

/// Before the commit of the migration: the same server since the fence, still a primary, rejecting, alone, and its log
/// without a commit.
///
/// # Errors
/// `refused`, saying what is not as it was.
pub fn require_unchanged(postgres: &Postgres, fenced: &FenceReply) -> Result<(), Refusal> {
    let refused = |what: String| Err(Refusal::new(ErrorCode::Refused, what));
    if postgres.server.running()? != Running::Yes {
        return refused(
            "the server behind the fence has ended: what it did last is not known".to_owned(),
        );
    }
    // A commit that did not wait for the disk is in no file before this.
    let limit = Duration::from_secs(postgres.config.stop_seconds);
    postgres.open().query_within(&["CHECKPOINT"], limit)?;
    let now = identity(postgres)?;
    // The record keeps milliseconds.
    let started = |at: DateTime<Utc>| at.timestamp_millis();
    let is = (
        &now.system_identifier,
        now.timeline,
        Some(started(now.started_at)),
        now.in_recovery,
    );
    if is
        != (
            &fenced.system_identifier,
            fenced.timeline,
            fenced.started_at.map(started),
            false,
        )
    {
        return refused(format!(
            "behind the fence the server became another: cluster {}, timeline {}, started {}, in recovery {}; at the \
             fence it was cluster {}, timeline {}, started {:?}",
            now.system_identifier,
            now.timeline,
            now.started_at,
            now.in_recovery,
            fenced.system_identifier,
            fenced.timeline,
            fenced.started_at
        ));
    }
    if now.prepared > 0 {
        return refused(format!(
            "{} transactions were prepared behind the fence",
            now.prepared
        ));
    }
    if !now.others.is_empty() {
        return refused(format!(
            "behind the fence the server has others than its own: {}",
            now.others.join(", ")
        ));
    }
    require_rejecting(postgres)?;
    let until = now.lsn.unwrap_or_default();
    wal::require_no_commits(&postgres.server, now.timeline, &fenced.lsn, &until)
}

fn identity(postgres: &Postgres) -> Result<Identity, Refusal> {
    serde_json::from_str(&postgres.open().query(&[&IDENTITY.replace('\n', " ")])?)
        .map_err(|error| database(format!("the server's identity is malformed: {error}")))
}

/// What speaks against this fence beyond what speaks against a migration: for each the clean stop is the way.
#[must_use]
pub fn findings(
    postgres: &Postgres,
    unlogged: bool,
    workers: &[String],
    hba_file: &Path,
) -> Vec<Finding> {
    let config = &postgres.config;
    let real = |path: &Path| fs::canonicalize(path).ok();
    let checks = [
        (
            unlogged,
            "unlogged tables",
            "their rows are in no log, which is all that proves this fence".to_owned(),
        ),
        (
            !workers.is_empty(),
            "background workers",
            format!(
                "no rule of pg_hba.conf binds what the server starts by itself: {}",
                workers.join(", ")
            ),
        ),
        (
            config.os_user != config.superuser,
            "database.superuser",
            format!(
                "behind this fence {} logs in as itself, and the superuser is {}",
                config.os_user, config.superuser
            ),
        ),
        (
            real(hba_file).is_none() || real(hba_file) != real(&config.hba_file()),
            "database.hba_file",
            format!(
                "the server reads {}, the helper would write {}",
                hba_file.display(),
                config.hba_file().display()
            ),
        ),
    ];
    let found = checks.into_iter().filter(|check| check.0);
    found
        .map(|(_, subject, message)| Finding {
            severity: Severity::Refuse,
            subject: subject.to_owned(),
            message: format!("fence = \"pg_hba\": {message}"),
            remedy: "mend it, or use the clean stop: database.fence = \"clean_stop\"".to_owned(),
        })
        .collect()
}
