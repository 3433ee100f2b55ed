//! Versioned file formats: every file names its format, and an unknown one is refused.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// A file that cannot be read as what it should be.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Not JSON, or not of the expected shape.
    #[error("not a readable {expected} document: {source}")]
    Malformed {
        /// Format that was expected, such as `snapmigrate.plan/1`.
        expected: &'static str,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// Another format or version.
    #[error("format is {found:?}, this version of snapmigrate reads {expected:?}")]
    Unknown {
        /// Format that was expected.
        expected: &'static str,
        /// What the file says it is.
        found: String,
    },
}

/// A document that names its format in its field `format`.
pub trait Document: Serialize + DeserializeOwned {
    /// Name and version, such as `snapmigrate.plan/1`.
    const FORMAT: &'static str;

    /// Reads a document from JSON text.
    ///
    /// # Errors
    /// [`FormatError`] when the text is no JSON, names another format, or lacks a field.
    fn from_json(text: &str) -> Result<Self, FormatError> {
        let malformed = |source| FormatError::Malformed {
            expected: Self::FORMAT,
            source,
        };
        let value: serde_json::Value = serde_json::from_str(text).map_err(malformed)?;
        match value.get("format").and_then(|format| format.as_str()) {
            Some(format) if format == Self::FORMAT => {
                serde_json::from_value(value).map_err(malformed)
            }
            found => Err(FormatError::Unknown {
                expected: Self::FORMAT,
                found: found.unwrap_or("missing").to_owned(),
            }),
        }
    }

    /// The document as indented JSON with a final newline.
    fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("documents have string keys only");
        text.push('\n');
        text
    }
}

/// SHA-256 of a value's compact JSON, in lower-case hexadecimal.
#[must_use]
pub fn digest_of<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string(value).expect("documents have string keys only");
    hex(&Sha256::digest(text.as_bytes()))
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
