//! Traces of writes from files: CSV `t_seconds,offset_bytes,size_bytes`, sorted by time, gzip allowed; and from
//! a scenario's write processes. It must not know what they are used for.

mod scenario;
mod series;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use snapmigrate_models::backtest::{BadWrite, Trace};

pub use scenario::of_scenario;
pub use series::{SeriesError, read_series};

/// First line of a trace file.
const HEADER: &str = "t_seconds,offset_bytes,size_bytes";
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
/// Three numbers take less than this; a longer line is no trace and is not read to its end.
const MAX_LINE_BYTES: u64 = 256;

/// Why a trace file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It could not be read to its end.
    #[error("cannot read {} beyond line {line}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Last line that was read.
        line: usize,
        /// The system's or the decompressor's answer.
        source: io::Error,
    },
    /// The first line is not the header.
    #[error("{} must begin with the line `{HEADER}`, it begins with `{found}`", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Its first line, cut.
        found: String,
    },
    /// A line that is no write.
    #[error("line {line} of {} is no write: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A write that cannot be.
    #[error("line {line} of {} cannot be used: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Why.
        source: BadWrite,
    },
    /// A header and nothing else.
    #[error("{} holds no writes", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a trace file; its name is the trace's.
///
/// # Errors
/// [`TraceError`], with the line.
pub fn read(path: &Path) -> Result<Trace, TraceError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let mut trace = Trace::new(name.unwrap_or_default());
    let failed = |line: usize, source| TraceError::Read {
        path: path.to_owned(),
        line,
        source,
    };
    let mut reader = open(path).map_err(|error| failed(0, error))?;
    let mut line = String::new();
    let mut number = 0;
    while next_line(&mut reader, &mut line).map_err(|error| failed(number, error))? {
        number += 1;
        match number {
            1 => check_header(path, &line)?,
            _ => add(&mut trace, path, number, &line)?,
        }
    }
    match number {
        0 => check_header(path, "").map(|()| trace),
        _ if trace.writes() == 0 => Err(TraceError::Empty {
            path: path.to_owned(),
        }),
        _ => Ok(trace),
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::new(File::open(path)?);
    if reader.fill_buf()?.starts_with(&GZIP_MAGIC) {
        return Ok(Box::new(BufReader::new(MultiGzDecoder::new(reader))));
    }
    Ok(Box::new(reader))
}

/// Reads one line, or as much of it as a line may have; false at the end.
fn next_line(reader: &mut impl BufRead, line: &mut String) -> io::Result<bool> {
    let mut bytes = Vec::new();
    reader.take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)?;
    line.clear();
    line.push_str(&String::from_utf8_lossy(&bytes));
    Ok(!bytes.is_empty())
}

fn check_header(path: &Path, line: &str) -> Result<(), TraceError> {
    if line.trim_start_matches('\u{feff}').trim() == HEADER {
        return Ok(());
    }
    Err(TraceError::Header {
        path: path.to_owned(),
        found: shown(line),
    })
}

fn add(trace: &mut Trace, path: &Path, line: usize, text: &str) -> Result<(), TraceError> {
    let path = || path.to_owned();
    let text = text.trim();
    let (at, offset, size) = parse(text).map_err(|problem| TraceError::Line {
        path: path(),
        line,
        problem,
    })?;
    trace
        .push(at, offset, size)
        .map_err(|source| TraceError::Write {
            path: path(),
            line,
            source,
        })
}

fn parse(text: &str) -> Result<(f64, u64, u64), String> {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let [at, offset, size] = fields[..] else {
        return Err(format!(
            "`{}` has {} fields, three are needed",
            shown(text),
            fields.len()
        ));
    };
    let whole = |text: &str, what: &str| {
        text.parse::<u64>()
            .map_err(|_| format!("`{}` is no {what}", shown(text)))
    };
    let seconds = at
        .parse()
        .map_err(|_| format!("`{}` is no time in seconds", shown(at)))?;
    Ok((
        seconds,
        whole(offset, "offset in bytes")?,
        whole(size, "size in bytes")?,
    ))
}

/// The beginning of a text, fit for a terminal.
fn shown(text: &str) -> String {
    text.trim()
        .chars()
        .take(60)
        .flat_map(char::escape_debug)
        .collect()
}
