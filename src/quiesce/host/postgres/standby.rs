//! The target: an isolated standby, its proof, its promotion and its opening.
//!
//! A copy started plainly would stay on the source's timeline and inherit the fence; `standby.signal` keeps it from
//! writing until it is promoted, which moves it to a new timeline. Isolation is on the server's command line only, so
//! nothing is left to undo in its configuration: no TCP, a socket directory of the helper's, no archiving, no
//! upstream.

use super::server::{Running, Server};
use super::{Postgres, database};
use super::{lsn, replay};
use crate::quiesce::host::clock;
use crate::quiesce::host::durable;
use crate::quiesce::host::engine::{Expected, Started};
use crate::quiesce::protocol::{ActivateReply, ErrorCode, ProveReply, Refusal};
use std::thread;
use std::time::{Duration, Instant};

/// How long replay may take to reach the fence once the standby answers; after a clean stop there is nothing left to
/// replay, so that this only runs out on a copy that ends too early.
const REPLAY_WAIT: Duration = Duration::from_secs(30);
const REPLAY_POLL: Duration = Duration::from_millis(100);
/// Longest promotion.
const PROMOTE_SECONDS: u64 = 300;

const FACTS: &str = "SELECT concat_ws(' ', pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn(), '0/0'), \
    (SELECT system_identifier FROM pg_control_system()), (SELECT timeline_id FROM pg_control_checkpoint()))";

/// Turns the fenced copy into a standby and starts it isolated. Idempotent.
///
/// # Errors
/// `not_proved` when the copy is another cluster, `database` when it does not start.
pub fn start(postgres: &Postgres, expected: &Expected) -> Result<Started, Refusal> {
    let control = postgres.server.control()?;
    if control.system_identifier != expected.system_identifier {
        return Err(other_cluster(&control.system_identifier, expected));
    }
    let mut replayed = None;
    if postgres.server.running()? == Running::No {
        prepare(postgres)?;
        replayed = replay::replay_seconds(&postgres.server.start_with(&isolation(postgres))?);
    }
    Ok(Started {
        standby: facts(postgres)?,
        replay_seconds: replayed,
    })
}

/// Waits until everything up to the fence is replayed.
///
/// # Errors
/// `not_proved`, naming what is wrong.
pub fn prove(postgres: &Postgres, expected: &Expected) -> Result<ProveReply, Refusal> {
    let deadline = Instant::now() + REPLAY_WAIT;
    loop {
        let facts = facts(postgres)?;
        if !facts.in_recovery {
            return Err(Refusal::new(
                ErrorCode::NotProved,
                "the target is out of recovery already",
            ));
        }
        if facts.system_identifier != expected.system_identifier {
            return Err(other_cluster(&facts.system_identifier, expected));
        }
        match lsn::require_reached(&expected.lsn, &facts.replay_lsn) {
            Ok(()) => return Ok(facts),
            Err(refusal) if Instant::now() >= deadline => return Err(refusal),
            Err(_) => thread::sleep(REPLAY_POLL),
        }
    }
}

/// Promotes, commits once isolated, then restarts with the normal settings and commits once more.
///
/// # Errors
/// `database`; the call can be repeated.
pub fn activate(postgres: &Postgres) -> Result<ActivateReply, Refusal> {
    postgres.remove_fence()?;
    if is_standby(postgres) {
        run_isolated(postgres)?;
        promote(postgres)?;
    }
    let activated_at = clock::wall();
    let mut transactions = None;
    if postgres.closed().in_recovery().is_ok() {
        postgres.closed().probe_commit()?;
        postgres.server.stop_own()?;
        // No client has reached it yet, and the probe below takes one more.
        transactions = postgres
            .server
            .control()?
            .transactions
            .map(|begun| begun + 1);
    }
    // Started in the open it would stay a standby, and nobody would ever promote it.
    if is_standby(postgres) {
        return Err(database("the server ended before it was promoted"));
    }
    postgres
        .server
        .start_or_wait(Server::start, || postgres.open().in_recovery().is_ok())?;
    let probe = postgres.open().probe_commit()?;
    let timeline = timeline(
        &postgres
            .open()
            .query(&["SELECT pg_walfile_name(pg_current_wal_lsn())"])?,
    )?;
    Ok(ActivateReply {
        activated_at,
        first_target_write: probe.at,
        timeline,
        lsn: probe.lsn,
        transactions,
    })
}

/// Stops the isolated standby; returns whether one ran.
///
/// # Errors
/// `refused` when a server runs that is not isolated or not in recovery.
pub fn stop(postgres: &Postgres) -> Result<bool, Refusal> {
    if !postgres.config.data_directory.join("PG_VERSION").exists()
        || postgres.server.running()? == Running::No
    {
        return Ok(false);
    }
    match postgres.closed().in_recovery() {
        Ok(true) => postgres.server.stop_own().map(|()| true),
        Ok(false) => Err(Refusal::new(
            ErrorCode::Refused,
            "the target is promoted: it may hold writes of its own",
        )),
        Err(_) => Err(Refusal::new(
            ErrorCode::Refused,
            "the server that runs is not the isolated standby",
        )),
    }
}

fn prepare(postgres: &Postgres) -> Result<(), Refusal> {
    let data = &postgres.config.data_directory;
    let failed =
        |error: std::io::Error| database(format!("cannot prepare {}: {error}", data.display()));
    if data.join("recovery.signal").exists() {
        return Err(database(
            "the copy holds a recovery.signal: it is a point-in-time recovery, not a primary",
        ));
    }
    let owner = durable::owner_of(data).map_err(failed)?;
    // standby.signal first: from here on a start by anyone, even after a reboot, is a start as a standby.
    durable::replace(&data.join("standby.signal"), b"", Some(owner)).map_err(failed)?;
    // The copy was just mounted, so no server of this host runs on it: the lock file is the source's.
    durable::remove(&data.join("postmaster.pid")).map_err(failed)?;
    postgres.remove_fence()
}

/// Command line of the isolated standby.
fn isolation(postgres: &Postgres) -> String {
    let sockets = format!("unix_socket_directories='{}'", postgres.isolated.display());
    let settings = [
        "listen_addresses=''",
        sockets.as_str(),
        "unix_socket_permissions=0700",
        "hot_standby=on",
        "archive_mode=off",
        "primary_conninfo=''",
        "primary_slot_name=''",
        "restore_command=''",
        "archive_cleanup_command=''",
        "recovery_end_command=''",
        "recovery_min_apply_delay=0",
        "max_logical_replication_workers=0",
        "synchronous_standby_names=''",
    ];
    let all = settings.into_iter().chain(replay::LEGIBLE);
    let all: Vec<String> = all.map(|setting| format!("-c {setting}")).collect();
    all.join(" ")
}

/// Whether a start is a start as a standby; the promotion removes the file.
fn is_standby(postgres: &Postgres) -> bool {
    let signal = postgres.config.data_directory.join("standby.signal");
    signal.exists()
}

/// Starts the standby where only the helper reaches it. One in the open was started by a supervisor, or by hand, after
/// the isolated one had ended.
fn run_isolated(postgres: &Postgres) -> Result<(), Refusal> {
    if let Ok(true) = postgres.open().in_recovery() {
        postgres.server.stop_own()?;
    }
    let start = |server: &Server| server.start_with(&isolation(postgres)).map(|_| ());
    let serves = || postgres.closed().in_recovery().is_ok();
    postgres.server.start_or_wait(start, serves)
}

fn promote(postgres: &Postgres) -> Result<(), Refusal> {
    let statement = format!("SELECT pg_promote(true, {PROMOTE_SECONDS})");
    let promoted = postgres
        .closed()
        .query_within(&[&statement], Duration::from_secs(PROMOTE_SECONDS + 10))?;
    if promoted == "t" && !postgres.closed().in_recovery()? {
        return Ok(());
    }
    Err(database(format!(
        "the promotion did not finish within {PROMOTE_SECONDS} s"
    )))
}

fn facts(postgres: &Postgres) -> Result<ProveReply, Refusal> {
    let answer = postgres.closed().query(&[FACTS])?;
    let malformed = || database(format!("the standby's facts are \"{answer}\""));
    let [recovery, replay_lsn, system_identifier, timeline] = answer
        .split(' ')
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| malformed())?;
    Ok(ProveReply {
        replay_lsn: replay_lsn.to_owned(),
        system_identifier: system_identifier.to_owned(),
        timeline: timeline.parse().map_err(|_| malformed())?,
        in_recovery: recovery == "t",
    })
}

/// The timeline in the name of a log file: its first eight hexadecimal digits. The control file shows the new one
/// only after the next checkpoint.
fn timeline(walfile: &str) -> Result<u64, Refusal> {
    let digits = walfile
        .get(..8)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok());
    digits.ok_or_else(|| database(format!("\"{walfile}\" is not the name of a log file")))
}

fn other_cluster(found: &str, expected: &Expected) -> Refusal {
    let message = format!(
        "the volumes hold cluster {found}, not {}",
        expected.system_identifier
    );
    Refusal::new(ErrorCode::NotProved, message)
}
