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
/// Longest flush between two looks at how far it is.
const LOOK_SECONDS: u64 = 5;
/// A checkpoint's own record: where nothing is written the log ends that far behind it (`log0log.h`).
const CHECKPOINT_BYTES: u64 = 64;

/// Status variables: where the log ends, where the newest checkpoint is, how many pages are dirty.
const END: &str = "innodb_lsn_current";
const CHECKPOINT: &str = "innodb_lsn_last_checkpoint";
const DIRTY: &str = "innodb_buffer_pool_pages_dirty";

/// Writes every page that is dirty now, at the most that the server's settings allow its background writes
/// (`innodb_io_capacity_max`).
///
/// MariaDB's `innodb_log_checkpoint_now` is not used: it ends when the log stands still, which under load it never does,
/// and cannot be killed until then (tried with 10.11).
///
/// # Errors
/// `database`.
pub fn dirty_pages(open: &Client<'_>) -> Result<(), Refusal> {
    let settings = ["innodb_io_capacity", "innodb_io_capacity_max"];
    let settings = open.named("VARIABLES", &settings)?;
    let pages_per_second = settings
        .values()
        .filter_map(|value| value.parse().ok())
        .max();
    let pages_per_second: u64 = pages_per_second.unwrap_or(1).max(1);
    let status = || open.named("STATUS", &[END, CHECKPOINT, DIRTY]);
    let first = status()?;
    let seconds = |dirty: u64| dirty / pages_per_second + 1;
    let Some(wanted) = first.get(END).and_then(|end| end.parse::<u64>().ok()) else {
        return paced(
            open,
            pages_per_second,
            seconds(number(&first, DIRTY)).min(PACED_SECONDS),
        );
    };
    let deadline = Instant::now() + MOST;
    let mut now = first;
    while number(&now, CHECKPOINT) + CHECKPOINT_BYTES < wanted && number(&now, DIRTY) > 0 {
        if Instant::now() > deadline {
            let most = MOST.as_secs();
            return Err(database(format!(
                "the dirty pages were not written within {most} s"
            )));
        }
        paced(
            open,
            pages_per_second,
            seconds(number(&now, DIRTY)).min(LOOK_SECONDS),
        )?;
        now = status()?;
    }
    Ok(())
}

/// In one session that ends by itself: a helper that is killed meanwhile leaves no setting behind.
fn paced(open: &Client<'_>, pages_per_second: u64, seconds: u64) -> Result<(), Refusal> {
    let statement = format!(
        "SET @pct = @@GLOBAL.innodb_max_dirty_pages_pct, @rate = @@GLOBAL.innodb_io_capacity; \
         SET GLOBAL innodb_io_capacity = {pages_per_second}; SET GLOBAL innodb_max_dirty_pages_pct = 0; \
         DO SLEEP({seconds}); \
         SET GLOBAL innodb_max_dirty_pages_pct = @pct; SET GLOBAL innodb_io_capacity = @rate"
    );
    open.rows_within(&statement, MOST).map(|_| ())
}

fn number(values: &BTreeMap<String, String>, name: &str) -> u64 {
    let value = values.get(name).and_then(|value| value.parse().ok());
    value.unwrap_or(0)
}
