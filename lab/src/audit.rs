//! Says whether target volumes hold what the writer wrote. It reads the writer's log and the target's versions, and
//! must never use the snapshot, copy or lineage code whose errors it is there to find.

use sha2::{Digest, Sha256};

use crate::content::{BLOCKS_PER_GIB, Content, VersionMap};
use crate::workload::WriterLog;

/// How many differing blocks an audit names.
const FIRST_MISMATCHES: usize = 16;

/// What a comparison of all blocks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// All blocks of the volumes, the never-written ones included.
    pub blocks_compared: u64,
    /// Blocks whose version is not the one written last.
    pub mismatches: u64,
    /// The first of them: target volume and block.
    pub first_mismatches: Vec<(String, u64)>,
    /// Hex SHA-256 over (volume, block, version) of everything the targets hold.
    pub digest: String,
}

/// One target volume and the log it is compared with.
#[derive(Debug)]
pub struct AuditPair<'a> {
    /// What the writer of the source volume remembers.
    pub log: &'a WriterLog,
    /// Last tick that must be there; `None` means up to the tick that the target's own mark names, for a copy that was
    /// taken while the source went on writing.
    pub through: Option<u32>,
    /// Id of the target volume.
    pub target: &'a str,
    /// What the target holds.
    pub content: &'a Content,
}

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A byte-holding volume has no versions.
    #[error(
        "volume {volume} holds bytes: compare it with `verify`, an audit compares versions of traced volumes"
    )]
    NotTraced {
        /// The volume.
        volume: String,
    },
}

/// Compares every block of every pair.
///
/// # Errors
/// [`AuditError::NotTraced`] for byte-holding volumes.
pub fn audit(pairs: &[AuditPair<'_>]) -> Result<Audit, AuditError> {
    let mut audit = Audit {
        blocks_compared: 0,
        mismatches: 0,
        first_mismatches: Vec::new(),
        digest: String::new(),
    };
    let mut hasher = Sha256::new();
    for pair in pairs {
        let Content::Traced(map) = pair.content else {
            return Err(AuditError::NotTraced {
                volume: pair.target.to_owned(),
            });
        };
        compare(pair, map, &mut audit);
        digest(pair.target, map, &mut hasher);
    }
    audit.digest = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(audit)
}

fn compare(pair: &AuditPair<'_>, map: &VersionMap, audit: &mut Audit) {
    let through = pair
        .through
        .or_else(|| map.mark().map(|mark| mark.tick))
        .unwrap_or(u32::MAX);
    let longest = map.blocks().max(pair.log.blocks());
    for (block, expected) in (0..).zip(pair.log.replay(longest, through)) {
        let found = map.get(block);
        // Never written on either side is a claim too: zero must meet zero.
        audit.blocks_compared += 1;
        if expected != found {
            audit.mismatches += 1;
            if audit.first_mismatches.len() < FIRST_MISMATCHES {
                audit.first_mismatches.push((pair.target.to_owned(), block));
            }
        }
    }
}

fn digest(volume: &str, map: &VersionMap, hasher: &mut Sha256) {
    hasher.update(volume.as_bytes());
    let chunk = BLOCKS_PER_GIB;
    let mut buffer = Vec::new();
    for from in (0..map.blocks()).step_by(usize::try_from(chunk).unwrap_or(1)) {
        for block in from..(from + chunk).min(map.blocks()) {
            let version = map.get(block);
            if version != 0 {
                let block = u32::try_from(block).unwrap_or(u32::MAX);
                buffer.extend_from_slice(&block.to_le_bytes());
                buffer.extend_from_slice(&version.to_le_bytes());
            }
        }
        hasher.update(&buffer);
        buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::WriteMark;

    fn written() -> (WriterLog, VersionMap) {
        let (mut log, mut map) = (WriterLog::new(100), VersionMap::new("vol-a", 1));
        map.fill(0, 100, 1);
        for (tick, blocks) in [(2, [0u32, 5, 150]), (3, [0, 5, 7])] {
            log.append(tick, &blocks);
            map.set_sorted(&blocks, tick);
        }
        map.set_mark(
            WriteMark {
                tick: 3,
                ..WriteMark::default()
            },
            3,
        );
        (log, map)
    }

    fn check(log: &WriterLog, through: Option<u32>, map: &VersionMap) -> Audit {
        let content = Content::Traced(map.clone());
        let pair = AuditPair {
            log,
            through,
            target: "vol-b",
            content: &content,
        };
        audit(&[pair]).expect("traced")
    }

    #[test]
    fn a_true_copy_passes_and_one_altered_block_is_named() {
        let (log, mut map) = written();
        let good = check(&log, Some(3), &map);
        assert_eq!((good.blocks_compared, good.mismatches), (2048, 0));
        map.set(7, 2);
        let bad = check(&log, Some(3), &map);
        assert_eq!(
            (bad.mismatches, bad.first_mismatches),
            (1, vec![("vol-b".to_owned(), 7)])
        );
        assert_ne!(good.digest, bad.digest);
    }

    #[test]
    fn lost_and_surplus_blocks_are_mismatches_and_so_is_an_older_state() {
        let (log, mut map) = written();
        map.set(150, 0);
        map.set(160, 3);
        assert_eq!(check(&log, Some(3), &map).first_mismatches.len(), 2);
        let (log, newer) = written();
        assert_eq!(check(&log, None, &newer).mismatches, 0);
        assert_eq!(
            check(&log, Some(2), &newer).mismatches,
            3,
            "blocks 0, 5 and 7 are newer"
        );
    }
}
