//! Bulk writing that never rests is no job that ends, but a stream as small writes are: it has a rhythm and a
//! level of its own. It must not know paths or chance.

use crate::dirty::Written;

use super::record::Entry;

/// Newest time that is looked at: as long as the record keeps what was measured.
const LOOKED_SECONDS: f64 = 6.0 * 3600.0;
/// Less tells nothing.
const LEAST_SECONDS: f64 = 1800.0;
/// Share of that time from which bulk writing is a stream.
const STEADY_SHARE: f64 = 0.8;

/// Whether bulk writing hardly ever rests.
pub(super) fn steady(entries: &[Entry]) -> bool {
    let end = entries.last().map_or(0.0, Entry::end);
    let newest = || {
        entries
            .iter()
            .filter(|entry| entry.start >= end - LOOKED_SECONDS)
    };
    let known: f64 = newest().map(|entry| entry.seconds).sum();
    let bulk = newest().filter(|entry| entry.written.bulk_blocks > 0.0);
    let bulk: f64 = bulk.map(|entry| entry.seconds).sum();
    known >= LEAST_SECONDS && bulk >= STEADY_SHARE * known
}

/// The small writes alone, then the bulk writing alone in the place of small writes.
pub(super) fn apart(entries: &[Entry]) -> [Vec<Entry>; 2] {
    let only = |part: fn(Written) -> f64| {
        let one = |entry: &Entry| Entry {
            written: Written {
                small: part(entry.written),
                bulk_blocks: 0.0,
            },
            calm_seconds: entry.seconds,
            ..*entry
        };
        entries.iter().map(one).collect()
    };
    [
        only(|written| written.small),
        only(|written| written.bulk_blocks),
    ]
}

/// Paths of both streams as one: what the second wrote is bulk writing.
pub(super) fn together(small: Vec<Vec<Written>>, bulk: &[Vec<Written>]) -> Vec<Vec<Written>> {
    let both = |(mut small, bulk): (Vec<Written>, &Vec<Written>)| {
        for (sum, bulk) in small.iter_mut().zip(bulk) {
            sum.bulk_blocks += bulk.small + bulk.bulk_blocks;
        }
        small
    };
    small.into_iter().zip(bulk).map(both).collect()
}
