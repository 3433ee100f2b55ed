//! SHA-256 checksums as the EBS direct APIs carry them: base64 in `x-amz-Checksum`.
//!
//! Must not know any operation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::refusal::invalid;
use super::request::header;
use crate::error::ApiError;

/// A SHA-256 digest.
pub type Sha = [u8; 32];

/// The digest of one block's data.
pub fn of(data: &[u8]) -> Sha {
    Sha256::digest(data).into()
}

/// The digest as a header's text.
pub fn text(digest: &Sha) -> String {
    STANDARD.encode(digest)
}

/// Reads the checksum headers; `None` when there is no checksum.
///
/// # Errors
/// `ValidationException/INVALID_PARAMETER_VALUE` for another algorithm than SHA256 or text that is no digest.
pub fn announced(headers: &HeaderMap) -> Result<Option<Sha>, ApiError> {
    let algorithm = header(headers, "x-amz-checksum-algorithm");
    if algorithm.is_some_and(|algorithm| algorithm != "SHA256") {
        return Err(invalid("ChecksumAlgorithm must be SHA256."));
    }
    let Some(text) = header(headers, "x-amz-checksum") else {
        return Ok(None);
    };
    if algorithm.is_none() {
        return Err(invalid("ChecksumAlgorithm is required with Checksum."));
    }
    let digest = STANDARD
        .decode(text)
        .ok()
        .and_then(|raw| Sha::try_from(raw).ok());
    digest
        .map(Some)
        .ok_or_else(|| invalid("Checksum is not a base64-encoded SHA-256 digest."))
}
