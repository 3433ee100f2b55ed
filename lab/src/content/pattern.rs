//! The bytes of a traced block: made from (volume, block, version), and read back into them.
//! So a data path that moves bytes moves identities, and a block altered on the way is refused.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::blocks::BLOCK_LEN;
use super::{ContentError, WriteMark};
use crate::workload::chance;

const MAGIC: &[u8; 16] = b"snapmigrate-lab\n";
const HEAD_LEN: usize = 32;
/// The filler repeats after this many bytes: cheap to make, and still no two blocks are alike.
const PAGE_LEN: usize = 4096;

/// What the bytes of one traced block say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub origin: String,
    pub version: u32,
    pub mark: Option<WriteMark>,
}

#[derive(Serialize, Deserialize)]
struct Label {
    origin: String,
    mark: Option<WriteMark>,
}

/// The 524 288 bytes of a block.
pub(super) fn encode(block: u64, identity: &Identity) -> Bytes {
    let Identity {
        origin,
        version,
        mark,
    } = identity;
    let mut data = filler(chance::mix(&[
        chance::hash_text(origin),
        block,
        u64::from(*version),
    ]));
    let label = Label {
        origin: origin.clone(),
        mark: mark.clone(),
    };
    let label = serde_json::to_vec(&label).expect("a label of strings and numbers is JSON");
    data[..16].copy_from_slice(MAGIC);
    data[16..24].copy_from_slice(&block.to_le_bytes());
    data[24..28].copy_from_slice(&version.to_le_bytes());
    data[28..32].copy_from_slice(&u32::try_from(label.len()).unwrap_or(0).to_le_bytes());
    data[HEAD_LEN..HEAD_LEN + label.len()].copy_from_slice(&label);
    data.into()
}

/// Reads a block's bytes back; `None` for a block of zeros (never written).
pub(super) fn decode(block: u64, data: &[u8]) -> Result<Option<Identity>, ContentError> {
    if data.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let identity = parse(data).ok_or(ContentError::NotTraced { block })?;
    if encode(block, &identity) != data {
        return Err(ContentError::NotTraced { block });
    }
    Ok(Some(identity))
}

fn parse(data: &[u8]) -> Option<Identity> {
    let number = |from: usize| {
        data.get(from..from + 4)?
            .try_into()
            .ok()
            .map(u32::from_le_bytes)
    };
    if data.len() != BLOCK_LEN || data.get(..16)? != MAGIC {
        return None;
    }
    let (version, label_len) = (number(24)?, usize::try_from(number(28)?).ok()?);
    let label = data.get(HEAD_LEN..HEAD_LEN.checked_add(label_len)?)?;
    let Label { origin, mark } = serde_json::from_slice(label).ok()?;
    Some(Identity {
        origin,
        version,
        mark,
    })
}

fn filler(seed: u64) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE_LEN);
    for word in 0..PAGE_LEN as u64 / 8 {
        page.extend_from_slice(&chance::mix(&[seed, word]).to_le_bytes());
    }
    page.repeat(BLOCK_LEN / PAGE_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(version: u32) -> Identity {
        Identity {
            origin: "vol-a".into(),
            version,
            mark: None,
        }
    }

    #[test]
    fn bytes_and_identity_are_the_same_thing() {
        let mark = Some(WriteMark {
            lsn: 99,
            ..WriteMark::default()
        });
        let marked = Identity {
            mark,
            ..identity(3)
        };
        let data = encode(0, &marked);
        assert_eq!(data.len(), BLOCK_LEN);
        assert_eq!(decode(0, &data).ok(), Some(Some(marked)));
        assert_ne!(encode(7, &identity(3)), encode(7, &identity(4)));
        assert_eq!(decode(7, &vec![0; BLOCK_LEN]).ok(), Some(None));
    }

    #[test]
    fn an_altered_or_misplaced_block_is_refused() {
        let data = encode(7, &identity(3));
        assert!(decode(8, &data).is_err());
        for at in [3, 20, 25, 30, 40, 300_000] {
            let mut altered = data.to_vec();
            altered[at] ^= 1;
            assert!(decode(7, &altered).is_err(), "byte {at}");
        }
    }
}
