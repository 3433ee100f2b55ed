//! How long a standby replayed its log before it answered, as its server log tells.

const REDO: &str = "LOG:  redo starts at";
const CONSISTENT: &str = "LOG:  consistent recovery state reached";

/// What the server must be told so that its log can be read: where it writes, in which language, and a line's prefix,
/// the seconds since 1970.
pub const LEGIBLE: [&str; 5] = [
    "logging_collector=off",
    "log_destination=stderr",
    "log_min_messages=warning",
    "lc_messages=C",
    "log_line_prefix='%n '",
];

/// From the start of redo until a consistent state, in a log written with [`LEGIBLE`]: xlogrecovery.c says both at
/// level LOG, and of redo only when there is anything behind the last checkpoint. Nothing when it tells of no
/// consistent state.
pub fn replay_seconds(log: &str) -> Option<f64> {
    let (before, _) = log.split_once(CONSISTENT)?;
    let consistent = time(before.lines().last()?)?;
    let redo = before.lines().find(|line| line.contains(REDO));
    let seconds = consistent - redo.map_or(Some(consistent), time)?;
    (seconds >= 0.0).then_some(seconds)
}

fn time(line: &str) -> Option<f64> {
    line.split_once(' ')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PostgreSQL 15's, of a copy of a running cluster.
    const LOG: &str = "\
1764508000.100 LOG:  starting PostgreSQL 15.14 (Debian 15.14-0+deb12u1) on x86_64-pc-linux-gnu\n\
1764508000.190 LOG:  database system was interrupted; last known up at 2026-11-30 13:06:02 UTC\n\
1764508000.420 LOG:  entering standby mode\n\
1764508000.450 LOG:  database system was not properly shut down; automatic recovery in progress\n\
1764508000.480 LOG:  redo starts at 0/1A03D90\n\
1764508023.230 LOG:  invalid record length at 0/2F4A1B8: wanted 24, got 0\n\
1764508023.231 LOG:  consistent recovery state reached at 0/2F4A1B8\n\
1764508023.240 LOG:  database system is ready to accept read-only connections\n";

    #[test]
    fn the_replay_is_what_lies_between_two_lines() {
        let seconds = replay_seconds(LOG);
        assert!(
            seconds.is_some_and(|s| (s - 22.751).abs() < 1e-6),
            "{seconds:?}"
        );
    }

    #[test]
    fn behind_a_clean_stop_there_is_nothing_to_replay() {
        let clean = LOG.lines().filter(|line| !line.contains("redo starts"));
        assert_eq!(
            replay_seconds(&clean.collect::<Vec<_>>().join("\n")),
            Some(0.0)
        );
    }

    #[test]
    fn a_log_that_does_not_tell_tells_nothing() {
        let without = |words: &str| {
            let kept = LOG.lines().filter(|line| !line.contains(words));
            kept.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(replay_seconds(&without("consistent")), None);
        // Another prefix, and a clock that was set back meanwhile.
        assert_eq!(
            replay_seconds(&LOG.replace("1764508", "[77] 1764508")),
            None
        );
        assert_eq!(
            replay_seconds(&LOG.replace("1764508023", "1764507023")),
            None
        );
    }
}
