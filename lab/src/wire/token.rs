//! Sealed tokens: what a page token or a block token is for, where it points and when it was issued.
//!
//! A token is 27 bytes in standard base64 (36 characters, no padding): purpose, subject fingerprint, position, issue
//! second, and a keyed 64-bit seal. The seal notices altered, mixed-up and invented tokens; it is no cryptography.
//! Must not know which service uses it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Next page of ListSnapshotBlocks; the position is the first block index of the page.
    SnapshotPage = 1,
    /// Next page of ListChangedBlocks; the position is the first block index of the page.
    ChangedPage = 2,
    /// One block of one snapshot; the position is the block index.
    Block = 3,
    /// Next page of GetMetricData; the position counts the data points already sent.
    MetricPage = 4,
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// Not a token of this lab, or altered.
    Malformed,
    /// A good token, issued for something else.
    ForSomethingElse,
    /// Issued too long ago.
    Expired,
}

/// What an opened token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Where it points.
    pub position: u64,
    /// When it was issued, to the second.
    pub issued: DateTime<Utc>,
}

/// Seals and opens tokens under one key.
#[derive(Debug, Clone, Copy)]
pub struct Sealer {
    key: u64,
}

/// Largest position a token can carry (40 bits; 64 TiB has 2^27 blocks).
const POSITION_MAX: u64 = (1 << 40) - 1;

impl Sealer {
    /// Makes a sealer whose tokens are stable for equal `seed`.
    pub fn new(seed: u64) -> Sealer {
        Sealer {
            key: mix(seed ^ 0x746f_6b65_6e73_2121),
        }
    }

    /// Issues a token at `now`.
    pub fn seal(
        &self,
        purpose: Purpose,
        subject: u64,
        position: u64,
        now: DateTime<Utc>,
    ) -> String {
        let issued = u64::try_from(now.timestamp()).unwrap_or(0) & POSITION_MAX;
        let position = position.min(POSITION_MAX);
        let seal = self.seal_of(purpose as u8, subject, position, issued);
        let mut raw = [0_u8; 27];
        raw[0] = purpose as u8;
        raw[1..9].copy_from_slice(&subject.to_be_bytes());
        raw[9..14].copy_from_slice(&position.to_be_bytes()[3..]);
        raw[14..19].copy_from_slice(&issued.to_be_bytes()[3..]);
        raw[19..].copy_from_slice(&seal.to_be_bytes());
        STANDARD.encode(raw)
    }

    /// Opens a token and returns its position and when it was issued.
    ///
    /// # Errors
    /// [`TokenError`] when it is malformed, for another purpose or subject, or older than `lifetime_seconds`.
    pub fn open(
        &self,
        text: &str,
        expected: (Purpose, u64),
        now: DateTime<Utc>,
        lifetime_seconds: i64,
    ) -> Result<Opened, TokenError> {
        let raw: [u8; 27] = STANDARD
            .decode(text)
            .ok()
            .and_then(|raw| raw.try_into().ok())
            .ok_or(TokenError::Malformed)?;
        let (subject, position) = (be(&raw[1..9]), be(&raw[9..14]));
        let issued = be(&raw[14..19]);
        if self.seal_of(raw[0], subject, position, issued) != be(&raw[19..]) {
            return Err(TokenError::Malformed);
        }
        if (raw[0], subject) != (expected.0 as u8, expected.1) {
            return Err(TokenError::ForSomethingElse);
        }
        let issued = i64::try_from(issued)
            .ok()
            .and_then(|at| DateTime::from_timestamp(at, 0));
        let issued = issued.ok_or(TokenError::Malformed)?;
        if (now - issued).num_seconds() > lifetime_seconds {
            return Err(TokenError::Expired);
        }
        Ok(Opened { position, issued })
    }

    fn seal_of(&self, purpose: u8, subject: u64, position: u64, issued: u64) -> u64 {
        let start = mix(self.key ^ u64::from(purpose));
        mix(mix(mix(start ^ subject) ^ position) ^ issued)
    }
}

/// Fingerprints what a token is about: FNV-1a over the parts with separators.
pub fn subject(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn be(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use chrono::TimeDelta;

    fn now() -> DateTime<Utc> {
        "2026-11-02T08:00:00Z".parse().unwrap()
    }

    #[test]
    fn opens_only_for_its_purpose_subject_and_time() {
        let sealer = Sealer::new(7);
        let about = subject(&["snap-1"]);
        let token = sealer.seal(Purpose::Block, about, 42, now());
        let open = |expected, at| sealer.open(&token, expected, at, 60);
        assert_eq!(
            open((Purpose::Block, about), now()),
            Ok(Opened {
                position: 42,
                issued: now()
            })
        );
        assert_eq!(
            open((Purpose::Block, about), now() + TimeDelta::seconds(60)),
            Ok(Opened {
                position: 42,
                issued: now()
            })
        );
        assert_eq!(
            open((Purpose::Block, about), now() + TimeDelta::seconds(61)),
            Err(TokenError::Expired)
        );
        assert_eq!(
            open((Purpose::SnapshotPage, about), now()),
            Err(TokenError::ForSomethingElse)
        );
        let other = subject(&["snap-2"]);
        assert_eq!(
            open((Purpose::Block, other), now()),
            Err(TokenError::ForSomethingElse)
        );
        let foreign = Sealer::new(8).open(&token, (Purpose::Block, about), now(), 60);
        assert_eq!(foreign, Err(TokenError::Malformed));
    }

    #[test]
    fn every_altered_character_is_noticed() {
        let sealer = Sealer::new(7);
        let token = sealer.seal(Purpose::Block, 1, 42, now());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert_eq!(
                sealer.open(&altered, (Purpose::Block, 1), now(), 60),
                Err(TokenError::Malformed)
            );
        }
        assert_eq!(
            sealer.open("", (Purpose::Block, 1), now(), 60),
            Err(TokenError::Malformed)
        );
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(subject(&["ab", "c"]), subject(&["a", "bc"]));
    }
}
