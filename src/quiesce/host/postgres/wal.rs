//! What the log holds between two positions: proof that nobody committed. Knows `pg_waldump`'s words and no server.

use super::lsn;
use super::server::Server;
use crate::quiesce::protocol::{ErrorCode, Refusal};
use std::time::Duration;

/// Longest reading: what a fenced server logs is a few records a minute.
const READ: Duration = Duration::from_secs(120);
/// Records of the resource manager `Transaction` that end one, or promise to (`xactdesc.c`).
const ENDINGS: [&str; 3] = ["COMMIT ", "COMMIT_PREPARED ", "PREPARE "];
/// How many are named.
const NAMED: usize = 3;

/// Refuses when a transaction was committed or prepared from `from` to `until` on `timeline`.
///
/// No commit of maintenance is excepted: autovacuum is off behind this fence, and what the helper asks of the server
/// takes no transaction id. An anti-wraparound vacuum that begins all the same is found here.
///
/// # Errors
/// `refused`, naming the first ones, or why the log cannot be read.
pub fn require_no_commits(
    server: &Server,
    timeline: u64,
    from: &str,
    until: &str,
) -> Result<(), Refusal> {
    let (first, after) = (lsn::parse(from)?, lsn::parse(until)?);
    if after <= first {
        return Ok(());
    }
    let logs = server.config.data_directory.join("pg_wal");
    let logs = logs.display().to_string();
    // Named, for otherwise it takes the segments' size from whichever file comes first, and one made in advance is empty.
    let bytes = server.control()?.segment_bytes;
    let segments = [first, after - 1].map(|position| lsn::segment(timeline, position, bytes));
    let arguments = [
        "--path",
        &logs,
        "--start",
        from,
        "--end",
        until,
        "--rmgr",
        "Transaction",
        &segments[0],
        &segments[1],
    ];
    let records = server
        .run("pg_waldump", &arguments, READ)
        .map_err(|error| refused(format!("the log since the fence cannot be read: {error}")))?;
    let endings = endings(&records);
    if endings.is_empty() {
        return Ok(());
    }
    Err(refused(format!(
        "{} transactions were committed or prepared behind the fence, the first: {}",
        endings.len(),
        endings[..endings.len().min(NAMED)].join("; ")
    )))
}

fn endings(records: &str) -> Vec<&str> {
    let ends = |line: &&str| {
        let described = line.split_once("desc: ").map_or("", |(_, text)| text);
        ENDINGS.iter().any(|ending| described.starts_with(ending))
    };
    records.lines().filter(ends).collect()
}

fn refused(message: String) -> Refusal {
    Refusal::new(ErrorCode::Refused, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = "\
rmgr: Transaction len (rec/tot):     34/    34, tx:        735, lsn: 0/01510C80, prev 0/01510C48, desc: COMMIT 2026-11-29 17:00:00.000000 UTC
rmgr: Transaction len (rec/tot):     34/    34, tx:        736, lsn: 0/01510CA8, prev 0/01510C80, desc: ABORT 2026-11-29 17:00:00.000000 UTC
rmgr: Transaction len (rec/tot):    194/   194, tx:        737, lsn: 0/01510CD0, prev 0/01510CA8, desc: PREPARE gid a: 2026-11-29 17:00:00.000000 UTC
";

    #[test]
    fn commits_and_prepares_are_found_and_aborts_are_not() {
        let found = endings(RECORDS);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("tx:        735") && found[1].contains("PREPARE gid"));
        assert!(endings("").is_empty());
    }
}
