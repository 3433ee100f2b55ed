//! Seeded chance, one stream per entity, so that one more call somewhere never shifts the draws of
//! anything else. It must not know what is drawn.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The lab's chance: a seed and how often each named stream was opened.
#[derive(Debug)]
pub struct Chance {
    seed: u64,
    opened: BTreeMap<String, u64>,
    struck: u64,
}

impl Chance {
    /// Chance that repeats with the seed.
    pub fn new(seed: u64) -> Chance {
        Chance {
            seed,
            opened: BTreeMap::new(),
            struck: 0,
        }
    }

    /// The stream of an entity, the same at every call: for what is drawn once per entity.
    pub fn stream(&self, entity: &str) -> ChaCha8Rng {
        let digest = Sha256::digest(format!("{}/{entity}", self.seed));
        ChaCha8Rng::from_seed(digest.into())
    }

    /// A fresh stream for the entity's next operation.
    pub fn next(&mut self, entity: &str) -> ChaCha8Rng {
        let number = self.opened.entry(entity.to_owned()).or_insert(0);
        *number += 1;
        let name = format!("{entity}#{number}");
        self.stream(&name)
    }

    /// Whether a fault with this probability strikes the entity's next operation.
    pub fn strikes(&mut self, entity: &str, per_mille: f64) -> bool {
        let strikes = per_mille > 0.0 && self.next(entity).random::<f64>() * 1000.0 < per_mille;
        self.struck += u64::from(strikes);
        strikes
    }

    /// How many faults struck so far.
    pub const fn struck(&self) -> u64 {
        self.struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entity_does_not_shift_another() {
        let (mut quiet, mut busy) = (Chance::new(5), Chance::new(5));
        for _ in 0..10 {
            busy.next("vol-b");
        }
        assert_eq!(
            quiet.next("vol-a").random::<u64>(),
            busy.next("vol-a").random::<u64>()
        );
        assert_ne!(
            quiet.next("vol-a").random::<u64>(),
            quiet.next("vol-b").random::<u64>()
        );
    }
}
