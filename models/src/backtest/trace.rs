//! A trace of writes in blocks, with its sums per minute. It must not know files or models.

use super::marks::Marks;
use crate::blocks::BlockSet;
use crate::observation::WritePeriod;
use crate::units::{BLOCK_BYTES, at_epoch_seconds};

/// Largest volume EBS has (io2 Block Express: 64 TiB; Amazon EBS User Guide, "EBS volume types").
const MAX_VOLUME_BYTES: u64 = 64 << 40;
/// A trace longer than this is a mistake of units: three years.
const LONGEST_SECONDS: f64 = 1e8;
/// Writes of one trace: 16 bytes each, 640 MB.
const MAX_WRITES: usize = 40_000_000;
/// Length of a metric period: CloudWatch's one-minute data of EBS volumes on Nitro instances.
const METRIC_SECONDS: u32 = 60;
/// Where the zero of a trace without a date is put: a Monday, midnight UTC.
const EPOCH_SECONDS: f64 = 1_704_067_200.0;

/// A write that cannot be in a trace.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadWrite {
    /// A time that is no time.
    #[error("the time {t_seconds} is no number of seconds, or negative")]
    Time {
        /// The time.
        t_seconds: f64,
    },
    /// Earlier than the write before.
    #[error(
        "the time {t_seconds} s is before the last one, {last_seconds} s: sort the trace by time"
    )]
    Order {
        /// The time.
        t_seconds: f64,
        /// Time of the write before.
        last_seconds: f64,
    },
    /// Unbelievably late.
    #[error("the time {t_seconds} s is more than three years after the first: is it in seconds?")]
    Late {
        /// The time.
        t_seconds: f64,
    },
    /// Nothing written.
    #[error("a write of 0 bytes")]
    Empty,
    /// Beyond the largest volume.
    #[error(
        "it writes {size_bytes} bytes at {offset_bytes}, beyond the 64 TiB of the largest volume"
    )]
    Beyond {
        /// Where.
        offset_bytes: u64,
        /// How much.
        size_bytes: u64,
    },
    /// Too many writes for the memory a backtest may take.
    #[error("it is write number {number}, more than a backtest takes: cut or thin the trace")]
    TooMany {
        /// Which one.
        number: usize,
    },
}

#[derive(Clone, Copy, Debug)]
struct Write {
    at: f64,
    first: u32,
    blocks: u32,
}

/// The writes of one volume over some time. Times count from the start of the first write's minute.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    name: String,
    start_seconds: f64,
    /// Where the trace's zero lies, in seconds since 1970; absent for a trace without a date.
    epoch_seconds: Option<f64>,
    writes: Vec<Write>,
    minutes: Vec<(f64, f64)>,
    /// Metrics that were given instead of summed up.
    metrics: Vec<WritePeriod>,
    end_bytes: u64,
    /// One more than the highest block written.
    end_block: u32,
}

/// A volume whose writes are known as blocks, with the metrics that a service shows of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// When the recording begins, in seconds since 1970.
    pub epoch_seconds: f64,
    /// Size of the volume.
    pub size_bytes: u64,
    /// Its metrics, also from before the recording, oldest first.
    pub metrics: Vec<WritePeriod>,
}

impl Trace {
    /// A trace without writes.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// A trace of `writes` (seconds since the recording began, in order; block) to a volume whose
    /// metrics are known. Writes out of order are left out.
    pub fn of_blocks(recorded: Recorded, writes: impl Iterator<Item = (f64, u32)>) -> Self {
        let mut trace = Self {
            name: recorded.name,
            epoch_seconds: Some(recorded.epoch_seconds),
            metrics: recorded.metrics,
            end_bytes: recorded.size_bytes,
            ..Self::default()
        };
        for (at, first) in writes.take(MAX_WRITES) {
            if at >= trace.seconds() {
                trace.add(at, first, 1);
            }
        }
        trace
    }

    /// Adds the next write.
    ///
    /// # Errors
    /// [`BadWrite`] when it cannot be; the trace is as before then.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "minutes of at most three years; blocks of at most 64 TiB"
    )]
    pub fn push(
        &mut self,
        t_seconds: f64,
        offset_bytes: u64,
        size_bytes: u64,
    ) -> Result<(), BadWrite> {
        if !(t_seconds >= 0.0 && t_seconds.is_finite()) {
            return Err(BadWrite::Time { t_seconds });
        }
        if self.writes.is_empty() {
            let period = f64::from(METRIC_SECONDS);
            self.start_seconds = (t_seconds / period).floor() * period;
        }
        let at = t_seconds - self.start_seconds;
        let end_bytes = self.sound(at, offset_bytes, size_bytes)?;
        let first = offset_bytes / BLOCK_BYTES;
        let last = (end_bytes - 1) / BLOCK_BYTES;
        self.add(at, first as u32, (last - first + 1) as u32);
        let minute = (at / f64::from(METRIC_SECONDS)) as usize;
        self.minutes
            .resize(self.minutes.len().max(minute + 1), (0.0, 0.0));
        let sums = &mut self.minutes[minute];
        *sums = (sums.0 + size_bytes as f64, sums.1 + 1.0);
        self.end_bytes = self.end_bytes.max(end_bytes);
        Ok(())
    }

    fn add(&mut self, at: f64, first: u32, blocks: u32) {
        self.end_block = self.end_block.max(first.saturating_add(blocks));
        self.writes.push(Write { at, first, blocks });
    }

    /// Where the write ends, if it can be.
    fn sound(&self, at: f64, offset_bytes: u64, size_bytes: u64) -> Result<u64, BadWrite> {
        let t_seconds = at + self.start_seconds;
        let last = self.writes.last().map_or(0.0, |write| write.at);
        if at < last {
            let last_seconds = last + self.start_seconds;
            return Err(BadWrite::Order {
                t_seconds,
                last_seconds,
            });
        }
        if at > LONGEST_SECONDS {
            return Err(BadWrite::Late { t_seconds });
        }
        if size_bytes == 0 {
            return Err(BadWrite::Empty);
        }
        if self.writes.len() >= MAX_WRITES {
            let number = self.writes.len() + 1;
            return Err(BadWrite::TooMany { number });
        }
        let end = offset_bytes.checked_add(size_bytes);
        end.filter(|end| *end <= MAX_VOLUME_BYTES)
            .ok_or(BadWrite::Beyond {
                offset_bytes,
                size_bytes,
            })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the trace's own clock shows at its start.
    #[must_use]
    pub fn start_seconds(&self) -> f64 {
        self.start_seconds
    }

    /// Until the last write.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.writes.last().map_or(0.0, |write| write.at)
    }

    /// Number of writes.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.writes.len()
    }

    /// Where the last write by address ends: the volume is at least this large.
    #[must_use]
    pub fn end_bytes(&self) -> u64 {
        self.end_bytes
    }

    /// The distinct blocks written from `from` until before `to`.
    #[must_use]
    pub fn blocks(&self, from: f64, to: f64) -> BlockSet {
        let mut marks = Marks::new(self.end_block);
        for write in self.between(from, to) {
            marks.mark(write.first, write.blocks);
        }
        marks.blocks()
    }

    /// Numbers of distinct blocks written from `from` until before each of `ends`, which ascend.
    #[must_use]
    pub fn counts(&self, from: f64, ends: &[f64]) -> Vec<u64> {
        let mut marks = Marks::new(self.end_block);
        let mut since = from;
        let mut counts = Vec::with_capacity(ends.len());
        for &end in ends {
            for write in self.between(since, end) {
                marks.mark(write.first, write.blocks);
            }
            since = end;
            counts.push(marks.count());
        }
        counts
    }

    fn between(&self, from: f64, to: f64) -> &[Write] {
        let begin = self.writes.partition_point(|write| write.at < from);
        let end = self.writes.partition_point(|write| write.at < to);
        &self.writes[begin..end.max(begin)]
    }

    /// Where the trace's start lies, in seconds since 1970.
    #[must_use]
    pub fn epoch_seconds(&self) -> f64 {
        self.epoch_seconds.unwrap_or(EPOCH_SECONDS)
    }

    /// Sums per minute, as CloudWatch would have them; minutes without writes are zeros.
    #[must_use]
    pub fn periods(&self) -> Vec<WritePeriod> {
        if self.minutes.is_empty() {
            return self.metrics.clone();
        }
        let epoch = self.epoch_seconds();
        let period = |(minute, sums): (usize, &(f64, f64))| WritePeriod {
            start: at_epoch_seconds(epoch + minute as f64 * f64::from(METRIC_SECONDS)),
            period_seconds: METRIC_SECONDS,
            write_bytes: sums.0,
            write_ops: sums.1,
        };
        self.minutes.iter().enumerate().map(period).collect()
    }
}
