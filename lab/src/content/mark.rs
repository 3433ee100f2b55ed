//! The database's own mark on a traced volume: what the content of block 0 says about the writer.
//! It stands for superblock and control file, so a wrong or stale snapshot is caught by what it holds.

use serde::{Deserialize, Serialize};

/// What a database wrote last, carried in block 0 of each of its volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteMark {
    /// Identity of the database cluster.
    pub system_identifier: String,
    /// Timeline of the writer.
    pub timeline: u32,
    /// Log position in bytes: everything committed at or below it is on the volumes.
    pub lsn: u64,
    /// Tick of the last applied second.
    pub tick: u32,
    /// Whether the database was stopped cleanly: no recovery is needed.
    pub clean: bool,
    /// All volumes that the database lies on, by the id they had where it wrote.
    pub members: Vec<String>,
}

/// The log position in PostgreSQL's notation, for example `16/B374D848` (PostgreSQL documentation, type pg_lsn).
#[must_use]
pub fn format_lsn(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
}

/// Reads a log position in PostgreSQL's notation; `None` when it is not one.
#[must_use]
pub fn parse_lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let part = |hex: &str| u32::from_str_radix(hex, 16).ok().map(u64::from);
    Some((part(high)? << 32) | part(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_positions_survive_their_notation() {
        for lsn in [0, 0xB374_D848, 0x16_B374_D848, u64::MAX] {
            assert_eq!(parse_lsn(&format_lsn(lsn)), Some(lsn));
        }
        assert_eq!(parse_lsn("16-1"), None);
        assert_eq!(parse_lsn("16/xyz"), None);
    }
}
