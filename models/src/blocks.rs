//! Sets of 512 KiB blocks: runs in memory, on disk runs or a compressed bitmap, whichever is shorter.
//!
//! A volume of 16 TiB has 32 Mi blocks; a delta of millions of scattered ones would be tens of
//! megabytes of numbers. It must not know what the blocks mean.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roaring::RoaringBitmap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Runs beyond this are written as a bitmap. Below it a person can read them.
const MOST_RUNS: usize = 128;

/// A set of block indices. Seen as a slice it is its runs `[first, length]`, ascending, never touching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockSet {
    runs: Vec<(u64, u64)>,
}

impl std::ops::Deref for BlockSet {
    type Target = [(u64, u64)];

    fn deref(&self) -> &Self::Target {
        &self.runs
    }
}

impl BlockSet {
    /// The set of these runs `[first, length]`, in any order, overlapping or not.
    #[must_use]
    pub fn of(runs: Vec<(u64, u64)>) -> Self {
        Self { runs: joined(runs) }
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        let lengths = self.runs.iter().map(|run| run.1);
        lengths.fold(0, u64::saturating_add)
    }

    /// The bitmap, when every index fits in 32 bits: EBS volumes do, with room (64 TiB are 2^27 blocks).
    fn bitmap(&self) -> Option<RoaringBitmap> {
        let mut bitmap = RoaringBitmap::new();
        for (first, length) in &self.runs {
            let last = first.checked_add(length.checked_sub(1)?)?;
            bitmap.insert_range(u32::try_from(*first).ok()?..=u32::try_from(last).ok()?);
        }
        bitmap.optimize();
        Some(bitmap)
    }

    fn of_bitmap(bitmap: &RoaringBitmap) -> Self {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let mut blocks = bitmap.iter();
        while let Some(range) = blocks.next_range() {
            let (first, last) = (u64::from(*range.start()), u64::from(*range.end()));
            // A range ends at a container's border; the run goes on in the next one.
            match runs.last_mut() {
                Some((start, length)) if *start + *length == first => *length += last - first + 1,
                _ => runs.push((first, last - first + 1)),
            }
        }
        Self { runs }
    }
}

/// Sorted, joined where they touch, without empty ones.
fn joined(mut runs: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    runs.retain(|run| run.1 > 0);
    let apart =
        |pair: &[(u64, u64)]| matches!(pair, [one, other] if one.0.saturating_add(one.1) < other.0);
    if runs.windows(2).all(apart) {
        return runs;
    }
    runs.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(runs.len());
    for (first, length) in runs {
        let end = first.saturating_add(length);
        match joined.last_mut() {
            Some((start, held)) if start.saturating_add(*held) >= first => {
                *held = (*held).max(end - *start);
            }
            // Beyond the last number there is no block.
            _ if end > first => joined.push((first, end - first)),
            _ => {}
        }
    }
    joined
}

/// What a file holds: a list of runs, or `{"roaring": "base64"}` (portable format of the roaring bitmap
/// specification, github.com/RoaringBitmap/RoaringFormatSpec).
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OnDisk {
    Runs(Vec<(u64, u64)>),
    Bitmap { roaring: String },
}

impl Serialize for BlockSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.runs.len() <= MOST_RUNS {
            return self.runs.serialize(serializer);
        }
        let Some(bitmap) = self.bitmap() else {
            return self.runs.serialize(serializer);
        };
        let mut bytes = Vec::with_capacity(bitmap.serialized_size());
        bitmap
            .serialize_into(&mut bytes)
            .map_err(serde::ser::Error::custom)?;
        let roaring = STANDARD.encode(bytes);
        OnDisk::Bitmap { roaring }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BlockSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match OnDisk::deserialize(deserializer)? {
            OnDisk::Runs(runs) => Ok(Self::of(runs)),
            OnDisk::Bitmap { roaring } => {
                let bytes = STANDARD.decode(roaring).map_err(serde::de::Error::custom)?;
                let bitmap = RoaringBitmap::deserialize_from(bytes.as_slice());
                Ok(Self::of_bitmap(&bitmap.map_err(serde::de::Error::custom)?))
            }
        }
    }
}

impl JsonSchema for BlockSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BlockSet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A set of 512 KiB blocks: runs [first, length], ascending; or, when there are many, \
                            a roaring bitmap in its portable format, as base64.",
            "oneOf": [
                {
                    "type": "array",
                    "items": {
                        "type": "array",
                        "prefixItems": [
                            { "type": "integer", "minimum": 0 },
                            { "type": "integer", "minimum": 0 }
                        ],
                        "minItems": 2,
                        "maxItems": 2
                    }
                },
                {
                    "type": "object",
                    "properties": { "roaring": { "type": "string", "contentEncoding": "base64" } },
                    "required": ["roaring"]
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through_json(set: &BlockSet) -> (BlockSet, String) {
        let text = serde_json::to_string(set).expect("a set is JSON");
        (
            serde_json::from_str(&text).expect("and is read again"),
            text,
        )
    }

    fn scattered(count: u64, blocks: u64) -> BlockSet {
        // A multiplicative hash spreads them evenly, without chance.
        let block = |k: u64| k.wrapping_mul(0x9E37_79B9_7F4A_7C15) % blocks;
        BlockSet::of((0..count).map(|k| (block(k), 1)).collect())
    }

    #[test]
    fn a_short_list_stays_readable() {
        let set = BlockSet::of(vec![(7, 1), (1, 3), (4, 1), (9, 0)]);
        assert_eq!((&*set, set.blocks()), ([(1, 4), (7, 1)].as_slice(), 5));
        assert_eq!(through_json(&set).1, "[[1,4],[7,1]]");
    }

    #[test]
    fn both_forms_are_read() {
        let set = scattered(5000, 1 << 20);
        let (again, text) = through_json(&set);
        assert!(text.starts_with("{\"roaring\":\"") && again == set);
        let runs = serde_json::to_string(&*set).expect("runs are JSON");
        let old: BlockSet = serde_json::from_str(&runs).expect("an old file's long list");
        assert_eq!(old, set);
    }

    #[test]
    fn millions_of_scattered_blocks_of_the_largest_volume_stay_small() {
        let set = scattered(4_000_000, 1 << 25);
        let (again, text) = through_json(&set);
        assert!(set.blocks() > 3_500_000 && again == set);
        assert!(text.len() < 8 << 20, "{} bytes", text.len());
        let runs = serde_json::to_string(&*set).expect("runs are JSON").len();
        assert!(text.len() * 4 < runs, "{} against {runs} bytes", text.len());
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        for text in [
            "{\"roaring\":\"?\"}",
            "{\"roaring\":\"AAAA\"}",
            "{\"bits\":1}",
            "[[1]]",
            "3",
        ] {
            assert!(serde_json::from_str::<BlockSet>(text).is_err(), "{text}");
        }
        let beyond = BlockSet::of((0..300).map(|k| (u64::MAX - 2 * k, 1)).collect());
        assert_eq!(
            through_json(&beyond).0,
            beyond,
            "too large for a bitmap: a list"
        );
    }

    proptest! {
        #[test]
        fn any_set_survives_the_disk(runs in prop::collection::vec((0_u64..1 << 34, 0_u64..2000), 0..400)) {
            let set = BlockSet::of(runs);
            prop_assert!(set.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0));
            prop_assert_eq!(through_json(&set).0, set);
        }
    }
}
