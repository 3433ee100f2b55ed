//! What writes to a volume: processes that draw blocks second by second, the writer's own log and the minute sums.
//! It must not know snapshots, lineage or the wire, and shares no formula with anything that forecasts it.

mod build;
mod bursts;
pub mod chance;
mod jobs;
mod log;
mod meter;
mod process;
mod rate;
mod skew;
mod spec;
mod tick;
mod trace;

use std::path::Path;

use chrono::{DateTime, Utc};
use toml::Table;

pub use log::WriterLog;
pub use meter::{MinuteSample, Written};
pub use spec::{JobSpec, Kind, Noise, ProcessSpec, Rhythm};
pub use tick::Grid;
pub use trace::TraceError;

use crate::content::{BLOCKS_PER_GIB, VersionMap};
use chance::Draws;
use meter::Meter;
use process::Process;

/// Version of content that was there before the lab started.
pub const INITIAL_VERSION: u32 = 1;

/// Why a workload can't be built.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// A process of a volume.
    #[error("process {number} of the workload of {volume} can't be used")]
    Process {
        /// The volume.
        volume: String,
        /// The process, counted from 1.
        number: usize,
        /// Why.
        source: Box<WorkloadError>,
    },
    /// A key is missing, unknown or of the wrong type.
    #[error("{message}")]
    Malformed {
        /// What is wrong, with the key's name.
        message: String,
    },
    /// A key that must be there.
    #[error("a process of kind {kind:?} needs `{key}`")]
    Missing {
        /// The key.
        key: &'static str,
        /// The kind.
        kind: Kind,
    },
    /// A key that means nothing for the kind.
    #[error("a process of kind {kind:?} has no `{key}`")]
    Misplaced {
        /// The key.
        key: &'static str,
        /// The kind.
        kind: Kind,
    },
    /// A value that can't be.
    #[error("`{key}` is {value}, it {rule}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What holds for it.
        rule: &'static str,
    },
    /// A span outside the volume, or an empty one.
    #[error(
        "its span of {span_gib} GiB from {start_gib} GiB does not lie in the volume's {size_gib} GiB, or is empty; \
         set `start_gib` and `span_gib`"
    )]
    Span {
        /// Where it begins.
        start_gib: f64,
        /// Its length.
        span_gib: f64,
        /// The volume's size.
        size_gib: u64,
    },
    /// The trace can't be used.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// What a workload is built for.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadSetup<'a> {
    /// Seed of the lab.
    pub seed: u64,
    /// Id of the volume.
    pub volume: &'a str,
    /// Size of the volume in GiB.
    pub size_gib: u64,
    /// GiB written before the lab starts.
    pub written_gib: f64,
    /// The lab's virtual start.
    pub start: DateTime<Utc>,
    /// Where relative trace paths start.
    pub base_dir: &'a Path,
}

impl WorkloadSetup<'_> {
    fn initial_blocks(&self) -> u32 {
        let blocks = chance::round(self.written_gib * BLOCKS_PER_GIB as f64);
        u32::try_from(blocks.min(self.size_gib * BLOCKS_PER_GIB)).unwrap_or(u32::MAX)
    }
}

/// The write processes of one volume with their state, log and minute sums.
#[derive(Debug, Clone)]
pub struct Workload {
    volume: String,
    size_gib: u64,
    initial_blocks: u32,
    seed: u64,
    grid: Grid,
    processes: Vec<Process>,
    meter: Meter,
    log: WriterLog,
    applied: u32,
    scratch: Vec<u32>,
}

impl Workload {
    /// Builds the workload from the scenario's `[[volumes.workload]]` tables.
    ///
    /// # Errors
    /// [`WorkloadError`] naming the volume, the process and the key.
    pub fn new(setup: &WorkloadSetup<'_>, tables: &[Table]) -> Result<Self, WorkloadError> {
        let initial_blocks = setup.initial_blocks();
        let grid = Grid::new(setup.start);
        Ok(Self {
            volume: setup.volume.to_owned(),
            size_gib: setup.size_gib,
            initial_blocks,
            seed: chance::mix(&[setup.seed, chance::hash_text(setup.volume)]),
            grid,
            processes: build::processes(setup, tables)?,
            meter: Meter::new(grid.second(INITIAL_VERSION + 1).div_euclid(60)),
            log: WriterLog::new(initial_blocks),
            applied: INITIAL_VERSION,
            scratch: Vec::new(),
        })
    }

    /// What the volume holds when the lab starts.
    #[must_use]
    pub fn initial_content(&self) -> VersionMap {
        let mut map = VersionMap::new(&self.volume, self.size_gib);
        map.fill(0, u64::from(self.initial_blocks), INITIAL_VERSION);
        map
    }

    /// The writer's log.
    #[must_use]
    pub fn log(&self) -> &WriterLog {
        &self.log
    }

    /// All that was written since the lab started.
    #[must_use]
    pub fn total(&self) -> Written {
        self.meter.total()
    }

    /// Applies the ticks `from..=to`, one after the other. Block 0 carries the database's mark and is written in each.
    pub fn run(&mut self, map: &mut VersionMap, from: u32, to: u32) {
        for tick in from..=to {
            let mut blocks = std::mem::take(&mut self.scratch);
            let second = self.grid.second(tick);
            let mut written = Written::default();
            self.processes
                .iter_mut()
                .for_each(|p| written += p.second(second, &mut blocks));
            self.commit(map, tick, blocks, written);
        }
    }

    /// Writes what is dirty in memory at `tick`, and `more_blocks` more blocks, chosen as the page processes choose
    /// them: a forced checkpoint, or a clean stop.
    pub fn flush(&mut self, map: &mut VersionMap, tick: u32, more_blocks: u64) {
        let mut blocks = std::mem::take(&mut self.scratch);
        let mut written = Written::default();
        let mut draws = Draws::new(&[self.seed, 41, u64::from(tick)]);
        let total = self.page_rate();
        for process in &mut self.processes {
            written += process.drain(&mut blocks);
            let share = if total > 0.0 {
                process.page_rate() / total
            } else {
                0.0
            };
            let count = chance::round(more_blocks as f64 * share);
            written += process.flush_pages(count, &mut draws, &mut blocks);
        }
        self.commit(map, tick, blocks, written);
    }

    /// Lets ticks pass without writing, up to and including `tick`.
    pub fn skip(&mut self, tick: u32) {
        self.applied = self.applied.max(tick);
    }

    /// Mean page writes per second, by which volumes share what a clean stop flushes.
    #[must_use]
    pub fn page_rate(&self) -> f64 {
        self.processes.iter().map(Process::page_rate).sum()
    }

    /// Whole minutes that begin in `from..to`: those before the lab's start by the same rates, later ones as recorded,
    /// none that is not over yet.
    #[must_use]
    pub fn metrics(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<MinuteSample> {
        let first =
            from.timestamp().div_euclid(60) + i64::from(from.timestamp().rem_euclid(60) > 0);
        let known = self.grid.second(self.applied + 1).div_euclid(60);
        let end = to.timestamp().div_euclid(60) + i64::from(to.timestamp().rem_euclid(60) > 0);
        (first..end.min(known))
            .filter_map(|minute| self.sample(minute))
            .collect()
    }

    fn sample(&self, minute: i64) -> Option<MinuteSample> {
        let started = self.grid.second(INITIAL_VERSION + 1);
        let mut written = self.meter.minute(minute);
        if minute * 60 < started {
            let before = self.history(minute);
            let share = (started - minute * 60).min(60).unsigned_abs();
            written += Written {
                ops: before.ops * share / 60,
                bytes: before.bytes * share / 60,
            };
        }
        let at = DateTime::from_timestamp(minute * 60, 0)?;
        Some(MinuteSample {
            at,
            write_bytes: written.bytes,
            write_ops: written.ops,
        })
    }

    fn history(&self, minute: i64) -> Written {
        let mut written = Written::default();
        self.processes
            .iter()
            .for_each(|p| written += p.history(minute));
        written
    }

    fn commit(&mut self, map: &mut VersionMap, tick: u32, mut blocks: Vec<u32>, written: Written) {
        blocks.push(0);
        blocks.sort_unstable();
        blocks.dedup();
        map.set_sorted(&blocks, tick);
        self.log.append(tick, &blocks);
        self.meter
            .add(self.grid.second(tick).div_euclid(60), written);
        self.applied = self.applied.max(tick);
        blocks.clear();
        self.scratch = blocks;
    }
}

#[cfg(test)]
mod tests;
