//! Seeded chance, one stream per entity, so that one more call somewhere never shifts the draws of
//! anything else. It must not know what is drawn.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The lab's chance: the seeds of its world and of its luck, and how often each named stream was opened.
#[derive(Debug, Clone)]
pub struct Chance {
    world: u64,
    luck: u64,
    opened: BTreeMap<String, u64>,
    struck: u64,
}

impl Chance {
    /// Chance that repeats with the seeds: the world's for what an entity is, the luck's for what its operations
    /// come to.
    pub fn of(world: u64, luck: u64) -> Chance {
        Chance {
            world,
            luck,
            opened: BTreeMap::new(),
            struck: 0,
        }
    }

    /// The stream of an entity, the same at every call and whatever the luck: for what is drawn once per entity.
    pub fn stream(&self, entity: &str) -> ChaCha8Rng {
        named(self.world, entity)
    }

    /// A fresh stream for the entity's next operation.
    pub fn next(&mut self, entity: &str) -> ChaCha8Rng {
        let number = self.opened.entry(entity.to_owned()).or_insert(0);
        *number += 1;
        named(self.luck, &format!("{entity}#{number}"))
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

fn named(seed: u64, name: &str) -> ChaCha8Rng {
    let digest = Sha256::digest(format!("{seed}/{name}"));
    ChaCha8Rng::from_seed(digest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entity_does_not_shift_another() {
        let (mut quiet, mut busy) = (Chance::of(5, 5), Chance::of(5, 5));
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

    #[test]
    fn luck_moves_operations_and_leaves_entities() {
        let (mut one, mut other) = (Chance::of(5, 5), Chance::of(5, 6));
        assert_eq!(
            one.stream("vol-a").random::<u64>(),
            other.stream("vol-a").random::<u64>()
        );
        assert_ne!(
            one.next("vol-a").random::<u64>(),
            other.next("vol-a").random::<u64>()
        );
    }
}
