//! What the writer itself remembers: tick by tick which blocks it wrote. Append-only, and independent of every
//! snapshot, copy and version map, so that an audit can replay it against them.

/// Blocks per segment of the log: growing never copies more than 16 MiB.
const SEGMENT_BLOCKS: usize = 1 << 22;

/// The record of all writes to one volume.
#[derive(Debug, Clone)]
pub struct WriterLog {
    initial_blocks: u32,
    blocks: u64,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Default)]
struct Segment {
    /// (tick, end of its blocks).
    ticks: Vec<(u32, usize)>,
    blocks: Vec<u32>,
}

impl WriterLog {
    /// A log of a volume whose blocks `0..initial_blocks` held content before the lab started (version 1).
    #[must_use]
    pub fn new(initial_blocks: u32) -> Self {
        Self {
            initial_blocks,
            blocks: u64::from(initial_blocks),
            segments: Vec::new(),
        }
    }

    /// Records the distinct blocks written in one tick. Ticks never go back.
    pub fn append(&mut self, tick: u32, blocks: &[u32]) {
        debug_assert!(
            self.last_tick().is_none_or(|last| last <= tick),
            "ticks never go back"
        );
        let full = self
            .segments
            .last()
            .is_none_or(|s| s.blocks.len() >= SEGMENT_BLOCKS);
        if full {
            self.segments.push(Segment::default());
        }
        let highest = blocks.iter().max().map_or(0, |b| u64::from(*b) + 1);
        self.blocks = self.blocks.max(highest);
        if let Some(segment) = self.segments.last_mut() {
            segment.blocks.extend_from_slice(blocks);
            segment.ticks.push((tick, segment.blocks.len()));
        }
    }

    /// One more than the highest block ever written.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The tick last written.
    #[must_use]
    pub fn last_tick(&self) -> Option<u32> {
        self.segments.last()?.ticks.last().map(|(tick, _)| *tick)
    }

    /// The recorded ticks in order with their blocks.
    pub fn entries(&self) -> impl Iterator<Item = (u32, &[u32])> {
        self.segments.iter().flat_map(Segment::entries)
    }

    /// The version of each of `0..blocks` after all ticks up to and including `through`.
    #[must_use]
    pub fn replay(&self, blocks: u64, through: u32) -> Vec<u32> {
        let mut versions = vec![0; usize::try_from(blocks).unwrap_or(0)];
        let initial = usize::try_from(self.initial_blocks)
            .unwrap_or(0)
            .min(versions.len());
        versions[..initial].fill(1);
        for (tick, written) in self.entries().take_while(|(tick, _)| *tick <= through) {
            for block in written {
                if let Some(version) = usize::try_from(*block)
                    .ok()
                    .and_then(|b| versions.get_mut(b))
                {
                    *version = tick;
                }
            }
        }
        versions
    }
}

impl Segment {
    fn entries(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let starts = std::iter::once(0).chain(self.ticks.iter().map(|(_, end)| *end));
        self.ticks
            .iter()
            .zip(starts)
            .map(|((tick, end), start)| (*tick, &self.blocks[start..*end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_stops_where_it_is_told() {
        let mut log = WriterLog::new(2);
        log.append(2, &[1, 3]);
        log.append(5, &[3]);
        assert_eq!(log.replay(5, 1), vec![1, 1, 0, 0, 0]);
        assert_eq!(log.replay(5, 4), vec![1, 2, 0, 2, 0]);
        assert_eq!(log.replay(5, u32::MAX), vec![1, 2, 0, 5, 0]);
        assert_eq!(log.last_tick(), Some(5));
        assert_eq!(
            log.entries().map(|(t, b)| (t, b.len())).collect::<Vec<_>>(),
            vec![(2, 2), (5, 1)]
        );
    }
}
