//! A line of the host protocol as one word without special characters, compressed: for ways that carry commands and
//! limited output. A survey of a host with hundreds of locales fits 24,000 characters.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};

use super::protocol::MAX_LINE_BYTES;

/// The line as one word.
///
/// # Errors
/// None that memory does not have.
pub fn pack(line: &str) -> io::Result<String> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(line.as_bytes())?;
    Ok(STANDARD.encode(packed.finish()?))
}

/// The line of a word.
///
/// # Errors
/// `InvalidData` for what [`pack`] did not make, or a line longer than the protocol allows.
pub fn unpack(word: &str) -> io::Result<String> {
    let broken = |error: &dyn std::fmt::Display| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is no packed line: {error}"),
        )
    };
    let bytes = STANDARD
        .decode(word.trim())
        .map_err(|error| broken(&error))?;
    let mut line = String::new();
    let mut limited = GzDecoder::new(bytes.as_slice()).take(MAX_LINE_BYTES as u64 + 1);
    limited
        .read_to_string(&mut line)
        .map_err(|error| broken(&error))?;
    if line.len() > MAX_LINE_BYTES {
        return Err(broken(&"it is too long"));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nonsense_and_bombs_are_refused() {
        assert!(unpack("").is_err() && unpack("%%%").is_err() && unpack("aGVsbG8=").is_err());
        assert!(unpack(&pack(&"x".repeat(MAX_LINE_BYTES + 1)).unwrap()).is_err());
    }

    #[test]
    fn a_long_survey_fits_the_output_of_a_command() {
        let locales: Vec<String> = (0..900).map(|n| format!("l{n}_XX.utf8")).collect();
        assert!(pack(&locales.join("\",\"")).unwrap().len() < 24_000);
    }

    proptest! {
        #[test]
        fn every_line_survives_the_round_trip(line in ".{0,200}") {
            prop_assert_eq!(unpack(&pack(&line).unwrap()).unwrap(), line);
        }
    }
}
