//! PostgreSQL's log positions, `0/3000028`.

use super::database;
use crate::quiesce::protocol::{ErrorCode, Refusal};

/// The position as a number of bytes.
///
/// # Errors
/// `database` when the text is not one.
pub fn parse(text: &str) -> Result<u64, Refusal> {
    let parts = text.trim().split_once('/');
    let hex = |part: &str| u64::from(u32::from_str_radix(part, 16).unwrap_or(u32::MAX));
    match parts {
        Some((high, low)) if is_hex(high) && is_hex(low) => Ok(hex(high) << 32 | hex(low)),
        _ => Err(database(format!("\"{text}\" is not a log position"))),
    }
}

/// Name of the log's file that holds `position` (`XLogFileName` of `xlog_internal.h`).
#[must_use]
pub fn segment(timeline: u64, position: u64, segment_bytes: u64) -> String {
    let (number, in_a_group) = (position / segment_bytes, (1 << 32) / segment_bytes);
    format!(
        "{timeline:08X}{:08X}{:08X}",
        number / in_a_group,
        number % in_a_group
    )
}

/// Refuses unless `reached` is at or after `wanted`.
///
/// # Errors
/// `not_proved`, naming both.
pub fn require_reached(wanted: &str, reached: &str) -> Result<(), Refusal> {
    if parse(reached)? >= parse(wanted)? {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::NotProved,
        format!("the log ends at {reached}, before {wanted}"),
    ))
}

fn is_hex(part: &str) -> bool {
    (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn positions_compare_as_numbers_not_as_text() {
        assert_eq!(parse("1/0").unwrap(), 1 << 32);
        assert_eq!(parse("0/FFFFFFFF").unwrap(), 0xFFFF_FFFF);
        assert!(require_reached("9/0", "10/0").is_ok());
        assert!(require_reached("0/300", "0/300").is_ok());
        assert_eq!(
            require_reached("0/301", "0/300").unwrap_err().code,
            ErrorCode::NotProved
        );
    }

    #[test]
    fn a_segment_is_named_as_the_server_names_it() {
        let name = |text, bytes| segment(1, parse(text).unwrap(), bytes);
        assert_eq!(name("0/1E4E820", 16 << 20), "000000010000000000000001");
        assert_eq!(name("0/2000000", 16 << 20), "000000010000000000000002");
        assert_eq!(name("A/FF000028", 16 << 20), "000000010000000A000000FF");
        assert_eq!(name("A/FF000028", 1 << 20), "000000010000000A00000FF0");
        assert_eq!(name("A/FF000028", 1 << 30), "000000010000000A00000003");
        assert_eq!(segment(26, 1 << 32, 64 << 20), "0000001A0000000100000000");
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in ["", "0", "0/", "/0", "x/0", "0/123456789", "+1/0"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
