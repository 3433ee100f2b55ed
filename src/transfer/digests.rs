//! SHA-256 of many blocks at once: what costs a transfer most of its processor time.
//!
//! The processor's SHA instructions take one block after the other. With AVX-512, sixteen blocks of equal length are
//! hashed side by side, one in each lane, in half the time; a few blocks, odd lengths and other processors take the
//! ordinary way. It knows nothing of snapshots.

#[cfg(target_arch = "x86_64")]
mod lanes;

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub type Sha = [u8; 32];

/// Digests of all blocks, in their order.
#[must_use]
pub fn sha256(blocks: &[&[u8]]) -> Vec<Sha> {
    #[cfg(target_arch = "x86_64")]
    if lanes::are_there() && !cfg!(debug_assertions) {
        // Without optimisation lanes are slower: there only their own test uses them.
        let groups = blocks.chunk_by(|one, next| one.len() == next.len());
        let lanes = groups.flat_map(|group| group.chunks(lanes::LANES));
        return lanes.flat_map(lanes_or_one_by_one).collect();
    }
    one_by_one(blocks)
}

#[cfg(target_arch = "x86_64")]
fn lanes_or_one_by_one(blocks: &[&[u8]]) -> Vec<Sha> {
    if blocks.len() >= lanes::WORTH_IT && blocks[0].len().is_multiple_of(lanes::CHUNK) {
        lanes::sha256(blocks)
    } else {
        one_by_one(blocks)
    }
}

fn one_by_one(blocks: &[&[u8]]) -> Vec<Sha> {
    let digest = |block: &&[u8]| Sha256::digest(block).into();
    blocks.iter().map(digest).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As in a release build, however this one is made.
    fn in_lanes(blocks: &[&[u8]]) -> Vec<Sha> {
        #[cfg(target_arch = "x86_64")]
        if lanes::are_there() {
            return blocks
                .chunks(lanes::LANES)
                .flat_map(lanes::sha256)
                .collect();
        }
        one_by_one(blocks)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn many_at_once_are_what_each_is_alone(
            chunks in 0_usize..20,
            seeds in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let fill = |seed: &u8| -> Vec<u8> {
                (0..chunks * 64).map(|at| seed.wrapping_mul(31) ^ u8::try_from(at * at % 251).unwrap_or(0)).collect()
            };
            let blocks: Vec<Vec<u8>> = seeds.iter().map(fill).collect();
            let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(in_lanes(&blocks), one_by_one(&blocks));
        }

        #[test]
        fn lengths_may_differ(lengths in proptest::collection::vec(prop_oneof![Just(640), Just(64), 0_usize..700], 0..60)) {
            let blocks: Vec<Vec<u8>> = lengths.iter().map(|length| vec![7; *length]).collect();
            let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(sha256(&blocks), one_by_one(&blocks));
        }
    }
}
