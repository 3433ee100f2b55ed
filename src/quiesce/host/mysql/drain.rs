//! Before the stop: transactions that have written and are still open get a while to end, and are then ended.
//!
//! A stop ends them too, but rolls a large one back while nobody is served. Here the server serves on meanwhile, and
//! a rollback that takes too long refuses the fence.

use super::client::Client;
use crate::quiesce::host::config::MysqlConfig;
use crate::quiesce::protocol::{ErrorCode, Refusal};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);

/// Waits for, then ends, every transaction that began before this call and has written.
///
/// # Errors
/// `refused` when one is still being rolled back at the time limit of a stop.
pub fn transactions(open: &Client<'_>, config: &MysqlConfig) -> Result<(), Refusal> {
    let asked_at = open.value("SELECT NOW()")?;
    let ended = |limit| wait_until_none(open, &asked_at, Duration::from_secs(limit));
    if ended(config.transaction_seconds)? {
        return Ok(());
    }
    for session in sessions(open, &asked_at)? {
        // An error is a session that has just ended.
        let _ = open.rows(&format!("KILL CONNECTION {session}"));
    }
    if ended(config.stop_seconds)? {
        return Ok(());
    }
    let message = format!(
        "transactions of sessions {} are still being rolled back: the stop would wait for them",
        sessions(open, &asked_at)?.join(", ")
    );
    Err(Refusal::new(ErrorCode::Refused, message))
}

fn wait_until_none(open: &Client<'_>, asked_at: &str, limit: Duration) -> Result<bool, Refusal> {
    let deadline = Instant::now() + limit;
    loop {
        if sessions(open, asked_at)?.is_empty() {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
}

/// Sessions whose transaction began before `asked_at` and has changed rows. Prepared ones have no session any more.
fn sessions(open: &Client<'_>, asked_at: &str) -> Result<Vec<String>, Refusal> {
    let statement = format!(
        "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_started < '{asked_at}' \
         AND trx_rows_modified > 0 AND trx_mysql_thread_id > 0"
    );
    let rows = open.rows(&statement)?.into_iter();
    Ok(rows.filter_map(|row| row.into_iter().next()).collect())
}
