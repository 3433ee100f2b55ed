//! Weekly series of half-hours from files: how many 4 KiB pages each volume wrote, and how many of them were
//! distinct. It must not know what is chosen by them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use snapmigrate_models::backtest::HalfHours;

use super::{next_line, open};

/// Columns that are read, in any order among others.
const COLUMNS: [&str; 4] = [
    "vol",
    "half_hour",
    "pages4k_written",
    "distinct_pages4k_bytes",
];
/// Half-hours of ten years: a later one is a mistake.
const MOST_HALF_HOURS: usize = 175_320;
/// Half-hours of all volumes together, 16 bytes each.
const MOST_IN_ALL: usize = 10_000_000;

/// Why a series cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// It could not be read to its end.
    #[error("cannot read {} beyond line {line}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Last line that was read.
        line: usize,
        /// The system's or the decompressor's answer.
        source: std::io::Error,
    },
    /// A column is missing.
    #[error("{} has no column `{column}` in its first line; vol, half_hour, pages4k_written and \
             distinct_pages4k_bytes are needed", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// Its name.
        column: &'static str,
    },
    /// A line that is no half-hour.
    #[error("line {line} of {} is no half-hour: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// Reads a series file, volume by volume; a half-hour that is missing had no writes.
///
/// # Errors
/// [`SeriesError`], with the line.
pub fn read_series(path: &Path) -> Result<BTreeMap<String, HalfHours>, SeriesError> {
    let failed = |line: usize, source| SeriesError::Read {
        path: path.to_owned(),
        line,
        source,
    };
    let mut reader = open(path).map_err(|error| failed(0, error))?;
    let (mut line, mut number) = (String::new(), 1);
    next_line(&mut reader, &mut line).map_err(|error| failed(0, error))?;
    let places = places(path, &line)?;
    let mut series = Series::default();
    while next_line(&mut reader, &mut line).map_err(|error| failed(number, error))? {
        number += 1;
        let problem = |problem| SeriesError::Line {
            path: path.to_owned(),
            line: number,
            problem,
        };
        series.add(&line, places).map_err(problem)?;
    }
    Ok(series.volumes)
}

fn places(path: &Path, header: &str) -> Result<[usize; 4], SeriesError> {
    let names: Vec<&str> = header
        .trim_start_matches('\u{feff}')
        .split(',')
        .map(str::trim)
        .collect();
    let mut places = [0; 4];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let found = names.iter().position(|name| *name == column);
        *place = found.ok_or_else(|| SeriesError::Column {
            path: path.to_owned(),
            column,
        })?;
    }
    Ok(places)
}

#[derive(Default)]
struct Series {
    volumes: BTreeMap<String, HalfHours>,
    in_all: usize,
}

impl Series {
    fn add(&mut self, line: &str, places: [usize; 4]) -> Result<(), String> {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let field = |k: usize| {
            fields
                .get(places[k])
                .copied()
                .ok_or_else(|| format!("{} is missing", COLUMNS[k]))
        };
        let slot: usize = field(1)?
            .parse()
            .map_err(|_| format!("`{}` is no number", super::shown(fields[places[1]])))?;
        if slot >= MOST_HALF_HOURS {
            return Err(format!(
                "half-hour {slot} is more than ten years after the first"
            ));
        }
        let (pages, bytes) = (amount(field(2)?)?, amount(field(3)?)?);
        let volume = self.volumes.entry(field(0)?.to_owned()).or_default();
        let longer = (slot + 1).saturating_sub(volume.pages.len());
        self.in_all += longer;
        if self.in_all > MOST_IN_ALL {
            return Err("more half-hours than a backtest takes".to_owned());
        }
        volume.pages.resize(volume.pages.len() + longer, 0.0);
        volume.distinct_bytes.resize(volume.pages.len(), 0.0);
        volume.pages[slot] += pages;
        volume.distinct_bytes[slot] += bytes;
        Ok(())
    }
}

fn amount(text: &str) -> Result<f64, String> {
    let sound = text
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite() && *n >= 0.0);
    sound.ok_or_else(|| format!("`{}` is no amount", super::shown(text)))
}
