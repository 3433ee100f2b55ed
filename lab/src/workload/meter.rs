//! Bytes and operations written per UTC minute, the raw material of the volume's metrics.
//! It must not know who asks or how late a metric appears.

use std::ops::AddAssign;

use chrono::{DateTime, Utc};

/// What was written in a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Write operations.
    pub ops: u64,
    /// Bytes written.
    pub bytes: u64,
}

impl AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.ops += other.ops;
        self.bytes += other.bytes;
    }
}

/// One UTC minute of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinuteSample {
    /// When the minute began.
    pub at: DateTime<Utc>,
    /// Bytes written in it.
    pub write_bytes: u64,
    /// Write operations in it.
    pub write_ops: u64,
}

/// The recorded minutes since a first one.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    first_minute: i64,
    minutes: Vec<Written>,
    total: Written,
}

impl Meter {
    pub fn new(first_minute: i64) -> Self {
        Self {
            first_minute,
            minutes: Vec::new(),
            total: Written::default(),
        }
    }

    pub fn add(&mut self, minute: i64, written: Written) {
        self.total += written;
        let Ok(index) = usize::try_from(minute - self.first_minute) else {
            return;
        };
        if index >= self.minutes.len() {
            self.minutes.resize(index + 1, Written::default());
        }
        self.minutes[index] += written;
    }

    pub fn minute(&self, minute: i64) -> Written {
        let index = usize::try_from(minute - self.first_minute).ok();
        index
            .and_then(|i| self.minutes.get(i))
            .copied()
            .unwrap_or_default()
    }

    pub fn total(&self) -> Written {
        self.total
    }
}
