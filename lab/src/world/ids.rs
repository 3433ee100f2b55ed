//! Resource ids: 17 hex digits behind a prefix, drawn from the seed. They must not depend on anything
//! but the seed, the prefix and how many of the kind were made before.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Makes ids; the same seed and salt make the same ids in the same order.
#[derive(Debug, Clone)]
pub struct Ids {
    seed: u64,
    salt: i64,
    made: BTreeMap<&'static str, u64>,
}

impl Ids {
    /// `salt` keeps two runs of a server over one directory apart; 0 in process.
    pub fn new(seed: u64, salt: i64) -> Ids {
        Ids {
            seed,
            salt,
            made: BTreeMap::new(),
        }
    }

    /// The next id of a kind, e.g. `snap-0…` for `snap`.
    pub fn next(&mut self, prefix: &'static str) -> String {
        let number = self.made.entry(prefix).or_insert(0);
        *number += 1;
        let digest = Sha256::digest(format!("{}/{}/{prefix}/{number}", self.seed, self.salt));
        let hex: String = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{prefix}-0{hex}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_repeat_with_the_seed() {
        let (mut one, mut same, mut other) = (Ids::new(1, 0), Ids::new(1, 0), Ids::new(1, 9));
        let first = one.next("snap");
        assert_eq!(first.len(), "snap-".len() + 17);
        assert_eq!(first, same.next("snap"));
        assert_ne!(first, other.next("snap"));
        assert_ne!(first, one.next("snap"));
    }
}
