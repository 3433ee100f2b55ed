//! How far a server has come: InnoDB's log position, and the transactions in its binary log where it keeps one.

use super::database;
use crate::quiesce::protocol::Refusal;
use std::fmt;

/// A position; as text `gtid 0-1-57, innodb 46980`, or `innodb 46980` without a binary log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// MariaDB's binary log state or MySQL's executed set; empty without one.
    pub gtid: String,
    /// InnoDB's log sequence number.
    pub lsn: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.gtid.is_empty() {
            write!(formatter, "gtid {}, ", self.gtid)?;
        }
        write!(formatter, "innodb {}", self.lsn)
    }
}

impl Position {
    /// The position with its set of transactions in one line.
    #[must_use]
    pub fn new(gtid: &str, lsn: u64) -> Self {
        let words = gtid.split([',', '\n']).map(str::trim);
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        Self {
            gtid: words.join(","),
            lsn,
        }
    }

    /// Reads what `Display` writes.
    ///
    /// # Errors
    /// `database` when the text is not a position.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = || database(format!("\"{text}\" is not a position of this engine"));
        let (gtid, lsn) = match text.strip_prefix("gtid ") {
            Some(rest) => rest.rsplit_once(", ").ok_or_else(malformed)?,
            None => ("", text),
        };
        let lsn = lsn.strip_prefix("innodb ").ok_or_else(malformed)?;
        Ok(Self::new(gtid, lsn.parse().map_err(|_| malformed())?))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_position_is_read_back_from_its_text() {
        for (gtid, lsn, text) in [
            ("", 7, "innodb 7"),
            ("0-1-57", 46_980, "gtid 0-1-57, innodb 46980"),
            ("0-1-57,\n1-2-3\n", 0, "gtid 0-1-57,1-2-3, innodb 0"),
        ] {
            let position = Position::new(gtid, lsn);
            assert_eq!(position.to_string(), text);
            assert_eq!(Position::parse(text).unwrap(), position);
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in [
            "",
            "0/3000028",
            "innodb",
            "innodb x",
            "gtid 0-1-2",
            "gtid 0-1-2, 7",
        ] {
            assert!(Position::parse(text).is_err(), "{text}");
        }
    }
}
