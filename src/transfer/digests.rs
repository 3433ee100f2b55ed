//! SHA-256 of many blocks at once: what costs a transfer most of its processor time.
//!
//! The processor's SHA instructions take one block after the other, and wait between two rounds. With AVX-512, sixteen
//! blocks of equal length are hashed side by side, one in each lane; without it two, in the SHA instructions, each in
//! the other's waits. A single block, odd lengths and other processors take the ordinary way. It knows nothing of snapshots.

#[cfg(target_arch = "x86_64")]
mod constants;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod pairs;

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub type Sha = [u8; 32];

/// Digests of all blocks, in their order.
#[must_use]
pub fn sha256(blocks: &[&[u8]]) -> Vec<Sha> {
    // Without optimisation the side by side is slower: there only its own tests use it.
    #[cfg(target_arch = "x86_64")]
    if !cfg!(debug_assertions) {
        let groups = blocks.chunk_by(|one, next| one.len() == next.len());
        let together = if lanes::are_there() {
            lanes::LANES
        } else {
            pairs::PAIR
        };
        let together = groups.flat_map(|group| group.chunks(together));
        return together.flat_map(side_by_side).collect();
    }
    one_by_one(blocks)
}

/// Digests of blocks of one length, as many as go together.
#[cfg(target_arch = "x86_64")]
fn side_by_side(blocks: &[&[u8]]) -> Vec<Sha> {
    if !blocks[0].len().is_multiple_of(constants::CHUNK) {
        return one_by_one(blocks);
    }
    if blocks.len() >= lanes::WORTH_IT && lanes::are_there() {
        return lanes::sha256(blocks);
    }
    blocks.chunks(pairs::PAIR).flat_map(pair).collect()
}

#[cfg(target_arch = "x86_64")]
fn pair(blocks: &[&[u8]]) -> Vec<Sha> {
    match *blocks {
        [one, other] if pairs::are_there() => pairs::sha256([one, other]).into(),
        _ => one_by_one(blocks),
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

    /// As in a release build, however this one is made: in lanes where the processor has them, and in pairs.
    fn together(blocks: &[&[u8]]) -> Vec<Vec<Sha>> {
        #[cfg(target_arch = "x86_64")]
        if lanes::are_there() {
            let in_lanes = blocks.chunks(lanes::LANES).flat_map(lanes::sha256);
            return vec![in_lanes.collect(), in_pairs(blocks)];
        }
        vec![in_pairs(blocks)]
    }

    fn in_pairs(blocks: &[&[u8]]) -> Vec<Sha> {
        #[cfg(target_arch = "x86_64")]
        return blocks.chunks(pairs::PAIR).flat_map(pair).collect();
        #[cfg(not(target_arch = "x86_64"))]
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
            for found in together(&blocks) {
                prop_assert_eq!(found, one_by_one(&blocks));
            }
        }

        #[test]
        fn lengths_may_differ(lengths in proptest::collection::vec(prop_oneof![Just(640), Just(64), 0_usize..700], 0..60)) {
            let blocks: Vec<Vec<u8>> = lengths.iter().map(|length| vec![7; *length]).collect();
            let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(sha256(&blocks), one_by_one(&blocks));
        }
    }
}
