//! Writes the dirty pages, so that a round holds them, and the stop of the fence and the recovery are short.

use super::client::Client;
use super::database;
use crate::quiesce::protocol::Refusal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest flush of all dirty pages.
const MOST: Duration = Duration::from_secs(7000);
/// Longest flush where the server has no way to say that it is done.
const PACED_SECONDS: u64 = 600;
/// A checkpoint's own record: where nothing is written the log ends that far behind it (`log0log.h`).
const CHECKPOINT_BYTES: u64 = 64;

/// Writes every page that is dirty now.
///
/// # Errors
/// `database`.
pub fn dirty_pages(open: &Client<'_>) -> Result<(), Refusal> {
    let names = ["innodb_log_checkpoint_now", "innodb_io_capacity"];
    let settings = open.named("VARIABLES", &names)?;
    if settings.contains_key("innodb_log_checkpoint_now") {
        return checkpoint(open);
    }
    paced(open, number(&settings, "innodb_io_capacity"))
}

/// The statement ends when the checkpoint has caught up with the log, which under load it never does: it is asked for a
/// second at a time, until the checkpoint has passed where the log ended at first.
fn checkpoint(open: &Client<'_>) -> Result<(), Refusal> {
    let names = ["Innodb_lsn_current", "Innodb_lsn_last_checkpoint"];
    let wanted = number(&open.named("STATUS", &names)?, "innodb_lsn_current");
    let deadline = Instant::now() + MOST;
    while Instant::now() < deadline {
        open.rows("SET SESSION max_statement_time = 1; SET GLOBAL innodb_log_checkpoint_now = ON")?;
        let reached = number(&open.named("STATUS", &names)?, "innodb_lsn_last_checkpoint");
        if reached + CHECKPOINT_BYTES >= wanted {
            return Ok(());
        }
    }
    Err(database(format!(
        "the dirty pages were not written within {} s",
        MOST.as_secs()
    )))
}

/// In one session that ends by itself: a helper that is killed meanwhile leaves no setting behind.
fn paced(open: &Client<'_>, pages_per_second: u64) -> Result<(), Refusal> {
    let status = open.named("STATUS", &["Innodb_buffer_pool_pages_dirty"])?;
    let dirty = number(&status, "innodb_buffer_pool_pages_dirty");
    let seconds = (dirty / pages_per_second.max(1) + 1).min(PACED_SECONDS);
    let statement = format!(
        "SET @before = @@GLOBAL.innodb_max_dirty_pages_pct; SET GLOBAL innodb_max_dirty_pages_pct = 0; \
         DO SLEEP({seconds}); SET GLOBAL innodb_max_dirty_pages_pct = @before"
    );
    open.rows_within(&statement, MOST).map(|_| ())
}

fn number(values: &BTreeMap<String, String>, name: &str) -> u64 {
    let value = values.get(name).and_then(|value| value.parse().ok());
    value.unwrap_or(0)
}
