//! What a traced volume holds: for each block the version last written to it, and no bytes.
//! Chunks are shared between clones until one of them is written. It knows nothing of snapshots' lineage or of time.

use std::sync::Arc;

use super::blocks::{BLOCKS_PER_GIB, BlockSet};
use super::pattern::Identity;
use super::{ContentError, WriteMark};

/// Blocks per shared chunk: 1024 versions are one 4 KiB page and 512 MiB of volume, small enough that a short
/// round copies few of them and large enough that 16 TiB needs only 32 768 pointers.
const CHUNK_BLOCKS: usize = 1024;

/// Words of a block set that one chunk fills.
const CHUNK_WORDS: usize = CHUNK_BLOCKS / 64;

type Chunk = [u32; CHUNK_BLOCKS];

static EMPTY: Chunk = [0; CHUNK_BLOCKS];

/// Block to version (0 = never written, 1 = initial content, else the tick of the last write). Cloning is cheap.
#[derive(Clone, Debug)]
pub struct VersionMap {
    origin: Arc<str>,
    blocks: u64,
    chunks: Vec<Option<Arc<Chunk>>>,
    mark: Option<Arc<WriteMark>>,
}

impl VersionMap {
    /// An empty volume of `size_gib` GiB; `origin` names the volume whose writes its versions count.
    #[must_use]
    pub fn new(origin: &str, size_gib: u64) -> Self {
        let blocks = size_gib * BLOCKS_PER_GIB;
        let chunks = vec![None; chunk_count(blocks)];
        Self {
            origin: origin.into(),
            blocks,
            chunks,
            mark: None,
        }
    }

    /// The volume whose write process made the versions.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Blocks that the volume can hold.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The database's mark in block 0, if a database has written one.
    #[must_use]
    pub fn mark(&self) -> Option<&WriteMark> {
        self.mark.as_deref()
    }

    /// Writes the database's mark, which is the content of block 0, at `version`.
    pub fn set_mark(&mut self, mark: WriteMark, version: u32) {
        self.set(0, version);
        self.mark = Some(Arc::new(mark));
    }

    pub(super) fn put_mark(&mut self, mark: Option<WriteMark>) {
        self.mark = mark.map(Arc::new);
    }

    pub(super) fn adopt_origin(&mut self, origin: &str) {
        self.origin = origin.into();
    }

    /// Fills blocks `from..to` with one version, sharing one chunk wherever a whole chunk is filled.
    pub fn fill(&mut self, from: u64, to: u64, version: u32) {
        let (mut block, to) = (from, to.min(self.blocks));
        let full = Arc::new([version; CHUNK_BLOCKS]);
        while block < to {
            let (chunk, at) = place(block);
            if at == 0 && to - block >= CHUNK_BLOCKS as u64 {
                self.chunks[chunk] = Some(Arc::clone(&full));
                block += CHUNK_BLOCKS as u64;
            } else {
                self.set(block, version);
                block += 1;
            }
        }
    }

    /// The version of a block; 0 beyond the end.
    #[must_use]
    pub fn get(&self, block: u64) -> u32 {
        let (chunk, at) = place(block);
        self.chunks
            .get(chunk)
            .and_then(Option::as_ref)
            .map_or(0, |c| c[at])
    }

    /// What the bytes of a block say; nothing where none were written.
    pub(super) fn identity(&self, block: u64) -> Option<Identity> {
        let version = self.get(block);
        (version != 0).then(|| Identity {
            origin: self.origin.as_ref().to_owned(),
            version,
            mark: self.mark().filter(|_| block == 0).cloned(),
        })
    }

    /// Sets the version of one block; blocks beyond the end are ignored.
    pub fn set(&mut self, block: u64, version: u32) {
        if block < self.blocks {
            let (chunk, at) = place(block);
            writable(&mut self.chunks[chunk])[at] = version;
        }
    }

    /// Sets one version on many blocks given in ascending order: each chunk is made writable once.
    pub fn set_sorted(&mut self, blocks: &[u32], version: u32) {
        let (mut chunks, mut passed) = (self.chunks.iter_mut(), 0);
        let mut current: Option<&mut Chunk> = None;
        for block in blocks {
            let (chunk, at) = place(u64::from(*block));
            if chunk >= passed {
                current = chunks.nth(chunk - passed).map(writable);
                passed = chunk + 1;
            }
            let Some(versions) = &mut current else { return };
            versions[at] = version;
        }
    }

    /// The blocks ever written.
    #[must_use]
    pub fn written_blocks(&self) -> BlockSet {
        let mut words = Vec::with_capacity(self.chunks.len() * CHUNK_WORDS);
        for chunk in &self.chunks {
            match chunk {
                None => words.extend([0; CHUNK_WORDS]),
                Some(versions) => words.extend(
                    versions
                        .chunks(64)
                        .map(|versions| word(versions, |_, v| v != 0)),
                ),
            }
        }
        BlockSet::from_words(words)
    }

    /// The blocks whose version differs, those written on one side only included.
    #[must_use]
    pub fn changed_since(&self, older: &Self) -> BlockSet {
        let count = self.chunks.len().max(older.chunks.len());
        let mut words = Vec::with_capacity(count * CHUNK_WORDS);
        for index in 0..count {
            let (new, old) = (self.chunk(index), older.chunk(index));
            if same_chunk(new, old) {
                words.extend([0; CHUNK_WORDS]);
                continue;
            }
            let (new, old) = (new.map_or(&EMPTY, |c| &**c), old.map_or(&EMPTY, |c| &**c));
            let pairs = new.chunks(64).zip(old.chunks(64));
            words.extend(pairs.map(|(new, old)| word(new, |at, version| version != old[at])));
        }
        BlockSet::from_words(words)
    }

    /// This content with the blocks of `delta` taken from `newer`; the mark comes along only with block 0.
    #[must_use]
    pub fn overlay(&self, delta: &BlockSet, newer: &Self) -> Self {
        let mut result = self.clone();
        result.grow(newer.blocks);
        for index in 0..newer.chunks.len() {
            let taken = delta
                .range(number(index, 0), number(index + 1, 0))
                .collect::<Vec<_>>();
            if !taken.is_empty() {
                result.take_from(newer, index, &taken);
            }
        }
        if delta.contains(0) {
            result.mark.clone_from(&newer.mark);
        }
        result
    }

    /// This content on a volume of `size_gib` GiB.
    ///
    /// # Errors
    /// [`ContentError::TooSmall`] when the volume is smaller than the content.
    pub fn grown_to(&self, size_gib: u64) -> Result<Self, ContentError> {
        let blocks = size_gib * BLOCKS_PER_GIB;
        if blocks < self.blocks {
            return Err(ContentError::TooSmall {
                size_gib,
                needed_gib: self.blocks / BLOCKS_PER_GIB,
            });
        }
        let mut result = self.clone();
        result.grow(blocks);
        Ok(result)
    }

    /// Takes blocks of one chunk from `newer`; a chunk that has become equal is shared, so a copy costs no memory.
    fn take_from(&mut self, newer: &Self, index: usize, taken: &[u64]) {
        for block in taken {
            self.set(*block, newer.get(*block));
        }
        if self.chunks[index].as_deref() == newer.chunks[index].as_deref() {
            self.chunks[index].clone_from(&newer.chunks[index]);
        }
    }

    fn grow(&mut self, blocks: u64) {
        self.blocks = self.blocks.max(blocks);
        self.chunks.resize(chunk_count(self.blocks), None);
    }

    fn chunk(&self, index: usize) -> Option<&Arc<Chunk>> {
        self.chunks.get(index).and_then(Option::as_ref)
    }
}

fn writable(slot: &mut Option<Arc<Chunk>>) -> &mut Chunk {
    Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; CHUNK_BLOCKS])))
}

fn same_chunk(a: Option<&Arc<Chunk>>, b: Option<&Arc<Chunk>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// One bit for each of up to 64 versions of which `holds` is true.
fn word(versions: &[u32], holds: impl Fn(usize, u32) -> bool) -> u64 {
    let bit = |(at, version): (usize, &u32)| u64::from(holds(at, *version)) << at;
    versions
        .iter()
        .enumerate()
        .map(bit)
        .fold(0, |word, bit| word | bit)
}

fn chunk_count(blocks: u64) -> usize {
    usize::try_from(blocks.div_ceil(CHUNK_BLOCKS as u64)).unwrap_or(usize::MAX)
}

fn place(block: u64) -> (usize, usize) {
    let block = usize::try_from(block).unwrap_or(usize::MAX);
    (block / CHUNK_BLOCKS, block % CHUNK_BLOCKS)
}

fn number(chunk: usize, at: usize) -> u64 {
    (chunk * CHUNK_BLOCKS + at) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Naive = BTreeMap<u64, u32>;
    type Writes = Vec<(u64, u32)>;

    fn writes() -> impl Strategy<Value = Writes> {
        proptest::collection::vec((0u64..4096, 1u32..50), 0..60)
    }

    fn write(map: &mut VersionMap, naive: &mut Naive, writes: &Writes) {
        for (block, version) in writes {
            map.set(*block, *version);
            naive.insert(*block, *version);
        }
    }

    fn changed(a: &Naive, b: &Naive) -> Vec<u64> {
        let all = a
            .keys()
            .chain(b.keys())
            .copied()
            .collect::<std::collections::BTreeSet<_>>();
        all.into_iter().filter(|k| a.get(k) != b.get(k)).collect()
    }

    fn equal(map: &VersionMap, naive: &Naive) -> bool {
        (0..4096).all(|b| map.get(b) == naive.get(&b).copied().unwrap_or(0))
            && map.written_blocks() == naive.keys().copied().collect::<BlockSet>()
    }

    proptest! {
        #[test]
        fn clones_changes_and_overlays_agree_with_a_plain_map(first in writes(), then in writes(), other in writes()) {
            let (mut map, mut naive) = (VersionMap::new("vol-a", 2), Naive::new());
            write(&mut map, &mut naive, &first);
            let (old, old_naive) = (map.clone(), naive.clone());
            write(&mut map, &mut naive, &then);
            prop_assert!(equal(&old, &old_naive), "a clone changed with its original");
            prop_assert!(equal(&map, &naive));
            let delta = map.changed_since(&old);
            prop_assert_eq!(delta.iter().collect::<Vec<_>>(), changed(&naive, &old_naive));
            prop_assert_eq!(&delta, &old.changed_since(&map));
            prop_assert!(equal(&old.overlay(&delta, &map), &naive), "parent + delta is not the newer content");
            let mut foreign = VersionMap::new("vol-a", 2);
            write(&mut foreign, &mut Naive::new(), &other);
            let wrong = foreign.overlay(&delta, &map).changed_since(&map);
            prop_assert_eq!(wrong, foreign.changed_since(&map).difference(&delta));
        }

        #[test]
        fn sorted_writes_and_fills_agree_with_single_writes(
            blocks in proptest::collection::btree_set(0u32..4096, 0..200), from in 0u64..4096, span in 0u64..4096,
        ) {
            let (mut bulk, mut single) = (VersionMap::new("vol-a", 2), VersionMap::new("vol-a", 2));
            bulk.fill(from, from + span, 1);
            (from..from + span).for_each(|b| single.set(b, 1));
            bulk.set_sorted(&blocks.iter().copied().collect::<Vec<_>>(), 7);
            blocks.iter().for_each(|b| single.set(u64::from(*b), 7));
            prop_assert!(bulk.changed_since(&single).is_empty());
        }
    }

    #[test]
    fn the_mark_travels_only_with_block_zero() {
        let mut old = VersionMap::new("vol-a", 1);
        old.set_mark(
            WriteMark {
                lsn: 10,
                ..WriteMark::default()
            },
            2,
        );
        let mut new = old.clone();
        new.set_mark(
            WriteMark {
                lsn: 20,
                ..WriteMark::default()
            },
            3,
        );
        new.set(5, 3);
        let lost = old.overlay(&[5].into_iter().collect(), &new);
        assert_eq!(lost.mark().map(|m| m.lsn), Some(10));
        let whole = old.overlay(&new.changed_since(&old), &new);
        assert_eq!(whole.mark().map(|m| m.lsn), Some(20));
    }

    #[test]
    fn a_smaller_volume_is_refused() {
        assert!(matches!(
            VersionMap::new("vol-a", 2).grown_to(1),
            Err(ContentError::TooSmall { .. })
        ));
        assert_eq!(
            VersionMap::new("vol-a", 1)
                .grown_to(2)
                .map(|m| m.blocks())
                .ok(),
            Some(4096)
        );
    }
}
