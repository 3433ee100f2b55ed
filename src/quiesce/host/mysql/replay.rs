//! How long InnoDB replayed its log at a start, as the server's log tells.

use chrono::NaiveDateTime;

/// From "Starting crash recovery" until InnoDB is there. The times of MariaDB's log are cut to the second: so long at
/// least, so that of a short start not all is taken for replay. Nothing when either line is missing: MySQL's log has
/// neither with its default verbosity.
pub fn replay_seconds(log: &str) -> Option<f64> {
    let mut lines = log.lines();
    let mut said_at = |words: &str| time(lines.find(|line| line.contains(words))?);
    let begun = said_at("InnoDB: Starting crash recovery")?;
    let seconds = (said_at("log sequence number")? - begun).num_seconds();
    (seconds >= 0).then_some((seconds - 1).max(0) as f64)
}

/// The local time at a line's beginning; an hour before ten is padded with a space.
fn time(line: &str) -> Option<NaiveDateTime> {
    let mut words = line.split_whitespace();
    let text = format!("{} {}", words.next()?, words.next()?);
    NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MariaDB 10.11's, of a copy of a running server.
    const LOG: &str = "\
2026-11-30  9:59:58 0 [Note] Starting MariaDB 10.11.14-MariaDB-0+deb12u2 source revision as process 4711\n\
2026-11-30  9:59:58 0 [Note] InnoDB: Initializing buffer pool, total size = 128.000MiB, chunk size = 2.000MiB\n\
2026-11-30  9:59:58 0 [Note] InnoDB: Starting crash recovery from checkpoint LSN=46300\n\
2026-11-30 10:00:02 0 [Note] InnoDB: Starting final batch to recover 3141 pages from redo log.\n\
2026-11-30 10:00:05 0 [Note] InnoDB: 128 rollback segments are active.\n\
2026-11-30 10:00:05 0 [Note] InnoDB: log sequence number 17041987; transaction id 4242\n\
2026-11-30 10:00:06 0 [Note] mariadbd: ready for connections.\n";

    #[test]
    fn the_replay_is_what_lies_between_two_lines() {
        assert_eq!(replay_seconds(LOG), Some(6.0));
        let within_a_second = LOG.replace(" 9:59:58", "10:00:05");
        assert_eq!(replay_seconds(&within_a_second), Some(0.0));
    }

    #[test]
    fn a_log_that_does_not_tell_tells_nothing() {
        let without = |words: &str| {
            let kept = LOG.lines().filter(|line| !line.contains(words));
            kept.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(replay_seconds(&without("crash recovery")), None);
        assert_eq!(replay_seconds(&without("sequence number")), None);
        assert_eq!(replay_seconds(&LOG.replace("10:00:05", "09:00:05")), None);
        assert_eq!(replay_seconds(&LOG.replace("2026-", "at 2026-")), None);
    }
}
