//! Replay of a block trace: CSV `t_seconds,offset_bytes,size_bytes`, writes only, sorted by time, gzip allowed.
//! It must not know the volume beyond its size.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::content::BLOCK_BYTES;

const HEADER: &str = "t_seconds,offset_bytes,size_bytes";
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
/// A trace longer than this is a mistake of units: three years.
const LONGEST_SECONDS: f64 = 1e8;

/// Why a trace can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file could not be read.
    #[error("can't read the trace {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A line that is no write.
    #[error("line {line} of the trace {} can't be used: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what would do.
        message: String,
    },
    /// No writes.
    #[error("the trace {} holds no writes", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// One write of a trace in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceWrite {
    /// First block touched.
    pub first: u32,
    /// Last block touched.
    pub last: u32,
    /// Bytes written.
    pub bytes: u64,
}

/// A trace, by second.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    writes: Vec<TraceWrite>,
    /// Index of the first write of each second; one more entry than seconds.
    seconds: Vec<usize>,
}

impl Trace {
    /// Reads a trace whose writes must end below `limit_bytes`, shifted by `shift_bytes`.
    pub fn load(path: &Path, shift_bytes: u64, limit_bytes: u64) -> Result<Self, TraceError> {
        let read_error = |source| TraceError::Read {
            path: path.to_owned(),
            source,
        };
        let mut trace = Self::default();
        let mut lines = open(path).map_err(read_error)?.lines().enumerate();
        let bad = |line: usize, message: String| TraceError::Line {
            path: path.to_owned(),
            line: line + 1,
            message,
        };
        match lines.next() {
            Some((_, Ok(header))) if header.trim() == HEADER => {}
            Some((_, Err(source))) => return Err(read_error(source)),
            _ => return Err(bad(0, format!("the header must be `{HEADER}`"))),
        }
        for (number, line) in lines {
            let line = line.map_err(read_error)?;
            trace
                .add(&line, shift_bytes, limit_bytes)
                .map_err(|message| bad(number, message))?;
        }
        trace.seconds.push(trace.writes.len());
        if trace.writes.is_empty() {
            Err(TraceError::Empty {
                path: path.to_owned(),
            })
        } else {
            Ok(trace)
        }
    }

    /// Length in whole seconds.
    pub fn len_seconds(&self) -> i64 {
        i64::try_from(self.seconds.len()).unwrap_or(i64::MAX) - 1
    }

    /// The writes of one second; none outside the trace.
    pub fn second(&self, second: i64) -> &[TraceWrite] {
        let bounds = usize::try_from(second)
            .ok()
            .and_then(|s| Some((*self.seconds.get(s)?, *self.seconds.get(s + 1)?)));
        bounds.map_or(&[], |(from, to)| &self.writes[from..to])
    }

    fn add(&mut self, line: &str, shift_bytes: u64, limit_bytes: u64) -> Result<(), String> {
        let (at, offset, size) = parse(line)?;
        let second = usize::try_from(super::chance::floor(at)).unwrap_or(usize::MAX);
        if second + 1 < self.seconds.len() {
            return Err("it is earlier than the line before; sort the trace by time".into());
        }
        let start = offset
            .checked_add(shift_bytes)
            .ok_or("its offset is too large")?;
        let end = start.checked_add(size).filter(|end| *end <= limit_bytes);
        let end = end.ok_or_else(|| {
            format!("it writes beyond the volume's {limit_bytes} bytes; use a larger volume")
        })?;
        let block = |byte: u64| {
            u32::try_from(byte / BLOCK_BYTES).map_err(|_| "its offset is too large".to_owned())
        };
        self.seconds.resize(second + 1, self.writes.len());
        self.writes.push(TraceWrite {
            first: block(start)?,
            last: block(end - 1)?,
            bytes: size,
        });
        Ok(())
    }
}

fn parse(line: &str) -> Result<(f64, u64, u64), String> {
    let fields = line.trim().split(',').collect::<Vec<_>>();
    let [at, offset, size] = fields[..] else {
        return Err(format!("it has {} fields, three are needed", fields.len()));
    };
    let at: f64 = at
        .parse()
        .map_err(|_| format!("`{at}` is no time in seconds"))?;
    let offset = offset
        .parse()
        .map_err(|_| format!("`{offset}` is no offset in bytes"))?;
    let size = size
        .parse()
        .map_err(|_| format!("`{size}` is no size in bytes"))?;
    if !(0.0..LONGEST_SECONDS).contains(&at) {
        return Err(format!(
            "the time {at} s is not between 0 and {LONGEST_SECONDS} s"
        ));
    }
    if size == 0 {
        Err("a write of 0 bytes".into())
    } else {
        Ok((at, offset, size))
    }
}

fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::new(File::open(path)?);
    let gzipped = reader.fill_buf()?.starts_with(&GZIP_MAGIC);
    let plain: Box<dyn Read> = if gzipped {
        Box::new(flate2::bufread::MultiGzDecoder::new(reader))
    } else {
        Box::new(reader)
    };
    Ok(Box::new(BufReader::new(plain)))
}
