//! The server's processes beside its own: sessions, workers, and connections that are still being made.
//!
//! A connection that was being authenticated when the rules changed goes on by the old ones, and `pg_stat_activity` does
//! not show it before it is in: so the processes are looked at, by the title that each gives itself. Connections begun
//! after the rules were loaded are left alone: the rules bind them, and clients try again all the time.

use super::database;
use crate::quiesce::host::clock::BootSeconds;
use crate::quiesce::protocol::{ErrorCode, Refusal};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);
/// Looks in a row that must find none: a process may be about to appear in the first.
const QUIET_LOOKS: u32 = 2;
/// `/proc/PID/stat` counts in these (`USER_HZ`, `proc_pid_stat(5)`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Titles of the processes that serve the server itself (`miscinit.c`, `GetBackendTypeDesc`, versions 13 to 18). None of
/// them commits a client's transaction; the autovacuum launcher ends by itself when autovacuum is off.
const OWN: [&str; 11] = [
    "checkpointer",
    "background writer",
    "walwriter",
    "autovacuum launcher",
    "logical replication launcher",
    "logger",
    "stats collector",
    "startup",
    "walsummarizer",
    "slotsync worker",
    "archiver",
];

/// What an archiver adds to its title.
const ARCHIVER: [&str; 3] = ["last was ", "archiving ", "failed on "];

/// A process of the server's.
#[derive(Debug, Clone, PartialEq)]
struct Process {
    pid: i32,
    title: String,
    started: BootSeconds,
}

/// Ends every process below the server `postmaster` that is not its own and that rules loaded at `loaded` do not bind;
/// waits until none is left.
///
/// # Errors
/// `refused`, naming those that are left at the time limit.
pub fn end_all(postmaster: i32, loaded: BootSeconds, limit: Duration) -> Result<(), Refusal> {
    let deadline = Instant::now() + limit;
    let mut quiet = 0;
    while quiet < QUIET_LOOKS {
        let found = unbound(postmaster, loaded)?;
        quiet = if found.is_empty() { quiet + 1 } else { 0 };
        if !found.is_empty() && Instant::now() >= deadline {
            return Err(left(&found));
        }
        for process in found {
            // An error is a process that has just ended.
            let _ = Pid::from_raw(process.pid).map(|pid| kill_process(pid, Signal::TERM));
        }
        thread::sleep(POLL);
    }
    Ok(())
}

fn unbound(postmaster: i32, loaded: BootSeconds) -> Result<Vec<Process>, Refusal> {
    let processes = fs::read_dir("/proc")
        .map_err(|error| database(format!("processes cannot be listed: {error}")))?;
    let pids = processes
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let children = pids.filter_map(|pid| child(pid, postmaster));
    let bound = |process: &Process| process.started > loaded && is_connection(&process.title);
    Ok(children
        .filter(|process| !is_own(&process.title) && !bound(process))
        .collect())
}

/// The process, if it is a child of `parent` that has not ended.
fn child(pid: i32, parent: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything. From there on: state, parent, ..., start as the 20th.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let (state, of, ticks) = (fields.first()?, fields.get(1)?, fields.get(19)?);
    if *state == "Z" || of.parse() != Ok(parent) {
        return None;
    }
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let title = String::from_utf8_lossy(&words).replace('\0', " ");
    Some(Process {
        pid,
        title: title.trim().to_owned(),
        started: BootSeconds(ticks.parse::<f64>().ok()? / TICKS_PER_SECOND),
    })
}

fn left(found: &[Process]) -> Refusal {
    let titles: Vec<String> = found
        .iter()
        .map(|process| format!("{} ({})", process.title, process.pid))
        .collect();
    Refusal::new(
        ErrorCode::Refused,
        format!(
            "the server still has others than its own processes: {}",
            titles.join(", ")
        ),
    )
}

/// `postgres: TITLE`, or `postgres: CLUSTER_NAME: TITLE`.
fn is_own(title: &str) -> bool {
    let Some(rest) = title.strip_prefix("postgres: ") else {
        return false;
    };
    let named = rest.split_once(": ").map(|(_, title)| title);
    [Some(rest), named].into_iter().flatten().any(is_own_title)
}

fn is_own_title(title: &str) -> bool {
    let archives = title
        .strip_prefix("archiver ")
        .is_some_and(|what| ARCHIVER.iter().any(|known| what.starts_with(known)));
    archives || OWN.contains(&title) || title.starts_with("io worker ") && !title.contains('[')
}

/// A client's: its title names where it comes from, or it has none of its own yet.
fn is_connection(title: &str) -> bool {
    let from = |word: &str| {
        let port = word
            .strip_suffix(')')
            .and_then(|word| word.rsplit_once('('));
        word == "[local]" || port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    };
    match title.strip_prefix("postgres: ") {
        Some(rest) => rest.split(' ').any(from),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_processes_are_told_from_sessions() {
        for own in [
            "postgres: checkpointer",
            "postgres: 15/main: walwriter",
            "postgres: 15/main: archiver last was 00000001000000000000000A",
            "postgres: io worker 2",
        ] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "postgres: shop shop 10.0.0.7(5000) idle in transaction",
            "postgres: 15/main: shop shop [local] authentication",
            "postgres: 15/main: walsender repl 10.0.0.8(5001) streaming 0/3000028",
            "postgres: logical replication worker for subscription 16394",
            "postgres: autovacuum worker shop",
            "postgres: pg_cron launcher",
            "postgres: checkpointer shop [local] idle",
            "postgres: archiver shop [local] idle",
            "/usr/lib/postgresql/15/bin/postgres -D /data",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn only_connections_are_bound_by_rules() {
        for bound in [
            "postgres: shop shop 10.0.0.7(5000) authentication",
            "postgres: 15/main: shop shop [local] startup",
            "/usr/lib/postgresql/15/bin/postgres -D /data",
        ] {
            assert!(is_connection(bound), "{bound}");
        }
        for free in [
            "postgres: pg_cron launcher",
            "postgres: autovacuum worker shop",
        ] {
            assert!(!is_connection(free), "{free}");
        }
    }

    #[test]
    fn children_are_found_and_ended() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("it can be started");
        let me = i32::try_from(std::process::id()).unwrap_or_default();
        let before = BootSeconds::now().plus(-3600.0);
        let found = |loaded| {
            unbound(me, loaded).is_ok_and(|found| found.iter().any(|it| it.title == "sleep 60"))
        };
        assert!(found(BootSeconds::now().plus(1.0)), "older than the rules");
        assert!(!found(before), "younger than the rules");
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
        assert!(!found(BootSeconds::now().plus(1.0)));
    }
}
