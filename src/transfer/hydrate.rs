//! Reads every byte of a device once, so that a volume made from a snapshot has fetched all its blocks.
//!
//! Until then each first touch waits for the snapshot's storage (EBS user guide, "Initialize EBS volumes", which
//! reads the whole device in requests of 1 MiB, 32 at once, past the page cache; so does this). Nothing is
//! written to the device. It knows no snapshot and needs no AWS.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, SeekFrom};
use serde::{Deserialize, Serialize};
use snapmigrate_models::format::Document;

use super::sync::SyncError;
use crate::buffers::Aligned;

/// Bytes of one read.
const READ: u64 = 1 << 20;
/// Bytes that one thread takes at a time, and that the record counts.
const STRETCH: u64 = 16 << 20;
/// Reads at once unless said otherwise.
pub const READERS: usize = 32;
/// Times a read is tried.
const ATTEMPTS: u32 = 3;
const REPORT_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Hydration {
    /// Device, or a file.
    pub device: PathBuf,
    /// Reads at once.
    pub readers: usize,
    /// Most bytes per second; absent: as fast as it goes.
    pub bytes_per_second: Option<u64>,
    /// Where the record is kept from which an interrupted run goes on; absent: none.
    pub record: Option<PathBuf>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hydrated {
    /// Bytes of the device.
    pub total_bytes: u64,
    /// Bytes read, by this run and the ones it took up.
    pub done_bytes: u64,
    /// Bytes that an interrupted run had read.
    pub resumed_bytes: u64,
    /// Bytes per second since the last report; at the end, of the whole run.
    pub bytes_per_second: f64,
    /// Seconds that remain at the rate of the whole run.
    pub remaining_seconds: Option<f64>,
}

/// What is left on disk to go on from.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    format: String,
    device: String,
    total_bytes: u64,
    /// Stretches that were read, as runs `[first, length]`.
    done: Vec<(u64, u64)>,
}

impl Document for Record {
    const FORMAT: &'static str = "snapmigrate.hydration-state/1";
}

/// Reads the whole device, and tells `watch` about once a second. Ends early, without an error and with what
/// was read so far, when `stop` is set.
///
/// # Errors
/// [`SyncError::Io`] for a device that cannot be opened or, tried several times, not be read;
/// [`SyncError::State`] for a record of another device.
pub fn hydrate(
    wanted: &Hydration,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(&Hydrated),
) -> Result<Hydrated, SyncError> {
    let reading = Reading::open(wanted)?;
    let resumed = reading.done_bytes();
    let begun = Instant::now();
    let far = |rate: f64| Hydrated {
        total_bytes: reading.total,
        done_bytes: reading.done_bytes(),
        resumed_bytes: resumed,
        bytes_per_second: rate,
        remaining_seconds: None,
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..wanted.readers.max(1))
            .map(|_| scope.spawn(|| reading.run(stop)))
            .collect();
        let (mut at, mut last) = (Instant::now(), resumed);
        while readers.iter().any(|reader| !reader.is_finished()) {
            std::thread::sleep(LOOK_EVERY);
            if at.elapsed() < REPORT_EVERY {
                continue;
            }
            let now = far(0.0);
            let overall = rate(now.done_bytes - resumed, begun);
            watch(&Hydrated {
                bytes_per_second: rate(now.done_bytes - last, at),
                remaining_seconds: (overall > 0.0)
                    .then(|| (now.total_bytes - now.done_bytes) as f64 / overall),
                ..now
            });
            (at, last) = (Instant::now(), now.done_bytes);
            if let Err(error) = reading.save() {
                reading.fail(error);
            }
        }
    });
    reading.save()?;
    let end = far(rate(reading.done_bytes() - resumed, begun));
    reading.into_failure().map_or(Ok(end), Err)
}

fn rate(bytes: u64, since: Instant) -> f64 {
    bytes as f64 / since.elapsed().as_secs_f64().max(0.001)
}

/// One run.
struct Reading<'a> {
    wanted: &'a Hydration,
    file: File,
    total: u64,
    stretches: u64,
    next: AtomicU64,
    done: Mutex<Vec<bool>>,
    pace: Mutex<Option<Instant>>,
    failure: Mutex<Option<SyncError>>,
}

impl<'a> Reading<'a> {
    fn open(wanted: &'a Hydration) -> Result<Self, SyncError> {
        let path = &wanted.device;
        let open = |flags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
        // A file system without direct reads still fetches what is read through its cache.
        let opened = open(OFlags::RDONLY | OFlags::DIRECT).or_else(|_| open(OFlags::RDONLY));
        let file = File::from(opened.map_err(|error| SyncError::io("open", path)(error.into()))?);
        let total = rustix::fs::seek(&file, SeekFrom::End(0))
            .map_err(|error| SyncError::io("measure", path)(error.into()))?;
        let stretches = total.div_ceil(STRETCH);
        let done = recorded(wanted, total)?;
        Ok(Self {
            wanted,
            file,
            total,
            stretches,
            next: AtomicU64::new(0),
            done: Mutex::new(done),
            pace: Mutex::new(None),
            failure: Mutex::new(None),
        })
    }

    fn run(&self, stop: &AtomicBool) {
        let mut buffer = Aligned::zeroed(usize::try_from(READ).expect("a mebibyte fits memory"));
        loop {
            let stretch = self.next.fetch_add(1, Ordering::Relaxed);
            if stretch >= self.stretches {
                return;
            }
            if self.is_done(stretch) {
                continue;
            }
            let end = ((stretch + 1) * STRETCH).min(self.total);
            let mut at = stretch * STRETCH;
            while at < end {
                if stop.load(Ordering::Relaxed) || self.has_failed() {
                    return;
                }
                self.wait_for_turn();
                if let Err(error) = self.read(at, &mut buffer) {
                    self.fail(error);
                    return;
                }
                at += READ;
            }
            self.finish(stretch);
        }
    }

    fn read(&self, from: u64, buffer: &mut Aligned) -> Result<(), SyncError> {
        let end = (from + READ).min(self.total);
        let (mut at, mut attempts) = (from, 0);
        while at < end {
            match self.file.read_at(buffer, at) {
                Ok(0) => break,
                Ok(read) => at += read as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    attempts += 1;
                    if attempts >= ATTEMPTS {
                        return Err(SyncError::io("read", &self.wanted.device)(error));
                    }
                }
            }
        }
        Ok(())
    }

    fn wait_for_turn(&self) {
        let Some(limit) = self.wanted.bytes_per_second else {
            return;
        };
        let now = Instant::now();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let at = pace.map_or(now, |next| next.max(now));
        *pace = Some(at + Duration::from_secs_f64(READ as f64 / limit.max(1) as f64));
        drop(pace);
        std::thread::sleep(at.saturating_duration_since(now));
    }

    fn is_done(&self, stretch: u64) -> bool {
        self.with_done(|done| done[index(stretch)])
    }

    fn finish(&self, stretch: u64) {
        self.with_done(|done| done[index(stretch)] = true);
    }

    fn done_bytes(&self) -> u64 {
        let of = |(stretch, _): (usize, &bool)| {
            let from = stretch as u64 * STRETCH;
            (from + STRETCH).min(self.total) - from
        };
        self.with_done(|done| done.iter().enumerate().filter(|(_, d)| **d).map(of).sum())
    }

    fn save(&self) -> Result<(), SyncError> {
        let Some(path) = &self.wanted.record else {
            return Ok(());
        };
        let record = Record {
            format: Record::FORMAT.to_owned(),
            device: self.wanted.device.display().to_string(),
            total_bytes: self.total,
            done: self.with_done(|done| runs(done)),
        };
        let new = path.with_extension("new");
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(SyncError::io("make", dir))?;
        }
        fs::write(&new, record.to_json())
            .and_then(|()| fs::rename(&new, path))
            .map_err(SyncError::io("write", path))
    }

    fn fail(&self, error: SyncError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }

    fn has_failed(&self) -> bool {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.is_some()
    }

    fn into_failure(self) -> Option<SyncError> {
        self.failure
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn with_done<T>(&self, act: impl FnOnce(&mut Vec<bool>) -> T) -> T {
        act(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn index(stretch: u64) -> usize {
    usize::try_from(stretch).expect("a device's stretches fit memory")
}

fn runs(done: &[bool]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (at, _) in done.iter().enumerate().filter(|(_, done)| **done) {
        match runs.last_mut() {
            Some((first, length)) if *first + *length == at as u64 => *length += 1,
            _ => runs.push((at as u64, 1)),
        }
    }
    runs
}

/// What an interrupted run of the same device had read.
fn recorded(wanted: &Hydration, total: u64) -> Result<Vec<bool>, SyncError> {
    let mut done = vec![false; index(total.div_ceil(STRETCH))];
    let Some(path) = &wanted.record else {
        return Ok(done);
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(done),
        Err(error) => return Err(SyncError::io("read", path)(error)),
    };
    let refuse = |what: String| SyncError::State {
        dir: path.clone(),
        what,
    };
    let found = Record::from_json(&text).map_err(|error| {
        refuse(format!(
            "is unreadable ({error}): remove it to begin afresh"
        ))
    })?;
    if (found.device.as_str(), found.total_bytes) != (text_of(&wanted.device).as_str(), total) {
        return Err(refuse(format!(
            "is of {} with {} bytes: remove it to begin afresh",
            found.device, found.total_bytes
        )));
    }
    for (first, length) in found.done {
        let end = first.saturating_add(length).min(done.len() as u64);
        (first..end).for_each(|stretch| done[index(stretch)] = true);
    }
    Ok(done)
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("snapmigrate-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory can be made");
        dir
    }

    #[test]
    fn it_reads_everything_and_goes_on_where_it_was_stopped() {
        let dir = scratch("hydrate");
        let device = dir.join("device");
        let total = 3 * STRETCH + 5000;
        File::create(&device)
            .and_then(|file| file.set_len(total))
            .expect("room for a hole");
        let mut wanted = Hydration {
            device,
            readers: 3,
            bytes_per_second: None,
            record: Some(dir.join("record.json")),
        };
        let stopped = hydrate(&wanted, &AtomicBool::new(true), &mut |_| {});
        assert_eq!(stopped.expect("it stops").done_bytes, 0);
        let all = hydrate(&wanted, &AtomicBool::new(false), &mut |_| {}).expect("it reads");
        assert_eq!((all.done_bytes, all.resumed_bytes), (total, 0));
        let again = hydrate(&wanted, &AtomicBool::new(false), &mut |_| {}).expect("it reads");
        assert_eq!((again.done_bytes, again.resumed_bytes), (total, total));
        wanted.device = dir.join("record.json");
        let other = hydrate(&wanted, &AtomicBool::new(false), &mut |_| {});
        assert!(matches!(other, Err(SyncError::State { .. })));
        fs::remove_dir_all(dir).expect("it was made here");
    }

    #[test]
    fn a_limit_holds() {
        let dir = scratch("hydrate-pace");
        let device = dir.join("device");
        File::create(&device)
            .and_then(|file| file.set_len(8 * READ))
            .expect("room for a hole");
        let wanted = Hydration {
            device,
            readers: 4,
            bytes_per_second: Some(40 * READ),
            record: None,
        };
        let begun = Instant::now();
        hydrate(&wanted, &AtomicBool::new(false), &mut |_| {}).expect("it reads");
        assert!(
            begun.elapsed() >= Duration::from_millis(170),
            "seven waits of 25 ms"
        );
        fs::remove_dir_all(dir).expect("it was made here");
    }
}
