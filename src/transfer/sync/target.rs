//! The device or file that is brought to a snapshot's content: opened for one writer, written in long
//! aligned runs, read back from the medium where the system lets us.
//!
//! It knows blocks and bytes, not where they come from.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use snapmigrate_models::units::BLOCK_BYTES;

use super::SyncError;
use super::content::Content;
use crate::buffers::{Aligned, is_aligned};

/// A block as a buffer length.
pub const BLOCK: usize = 524_288;

/// Most pieces of one vectored write (Linux, `IOV_MAX`).
const PIECES_MAX: usize = 1024;

/// How written blocks are read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// Past the page cache, from the device or the file system's medium.
    Direct,
    /// Through the page cache: the file system offers no other way.
    Cached,
}

/// A device or file held by this process alone.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    file: File,
    direct: Option<File>,
    is_device: bool,
    identity: String,
    found_bytes: u64,
}

impl Target {
    /// Opens a device or file for this process alone; a file that does not exist is made.
    ///
    /// # Errors
    /// [`SyncError::InUse`] when it is mounted, part of another device or held by another sync.
    pub fn open(path: &Path) -> Result<Self, SyncError> {
        let kind = match fs::metadata(path) {
            Ok(found) => Some(found.file_type()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(SyncError::io("open", path)(error)),
        };
        match kind {
            Some(kind) if kind.is_block_device() => Self::device(path),
            Some(kind) if !kind.is_file() => Err(SyncError::NotATarget {
                path: path.to_owned(),
            }),
            _ => Self::regular(path),
        }
    }

    fn device(path: &Path) -> Result<Self, SyncError> {
        // On a block device O_EXCL is a claim: it fails while a file system, a device mapper or another
        // claim holds it, and keeps them away while we do (open(2)).
        let file = open(path, OFlags::RDWR | OFlags::EXCL).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => SyncError::InUse {
                path: path.to_owned(),
                by: mounted_at(path).unwrap_or_else(|| {
                    "mounted, swap, part of another device, or held by another program".to_owned()
                }),
            },
            _ => SyncError::io("open", path)(error),
        })?;
        let direct = open(path, OFlags::RDWR | OFlags::DIRECT).ok();
        let found_bytes = rustix::fs::seek(&file, SeekFrom::End(0))
            .map_err(|error| SyncError::io("measure", path)(error.into()))?;
        Ok(Self {
            identity: device_identity(path, found_bytes),
            path: path.to_owned(),
            file,
            direct,
            is_device: true,
            found_bytes,
        })
    }

    fn regular(path: &Path) -> Result<Self, SyncError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(SyncError::io("open", path))?;
        let in_use = |by: String| SyncError::InUse {
            path: path.to_owned(),
            by,
        };
        if let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            return Err(match error {
                Errno::WOULDBLOCK => in_use("another sync holds it".to_owned()),
                other => SyncError::io("lock", path)(other.into()),
            });
        }
        if let Some(device) = loop_device_of(path) {
            return Err(in_use(format!("it is the file behind {device}")));
        }
        let found = file.metadata().map_err(SyncError::io("measure", path))?;
        Ok(Self {
            direct: open(path, OFlags::RDONLY | OFlags::DIRECT).ok(),
            path: path.to_owned(),
            identity: format!("file {}:{}", found.dev(), found.ino()),
            file,
            is_device: false,
            found_bytes: found.len(),
        })
    }

    /// Device or file as it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What tells it from others of the same name.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Its size when it was opened.
    #[must_use]
    pub const fn found_bytes(&self) -> u64 {
        self.found_bytes
    }

    /// Whether it is a block device.
    #[must_use]
    pub const fn is_device(&self) -> bool {
        self.is_device
    }

    /// How it is read back.
    #[must_use]
    pub const fn read_back(&self) -> ReadBack {
        match self.direct {
            Some(_) => ReadBack::Direct,
            None => ReadBack::Cached,
        }
    }

    /// Makes a file that ends early as long as the volume; zeros appear behind its old end.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn grow(&self, bytes: u64) -> Result<(), SyncError> {
        if self.is_device || self.found_bytes >= bytes {
            return Ok(());
        }
        self.resize(bytes)
    }

    /// Gives a file this length.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn resize(&self, bytes: u64) -> Result<(), SyncError> {
        self.file
            .set_len(bytes)
            .map_err(SyncError::io("resize", &self.path))
    }

    /// Writes blocks in ascending order, neighbours in one call.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn write(&self, blocks: &[(u64, Content)]) -> Result<(), SyncError> {
        for run in blocks.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
            self.write_run(run)
                .map_err(SyncError::io("write", &self.path))?;
        }
        Ok(())
    }

    fn write_run(&self, run: &[(u64, Content)]) -> io::Result<()> {
        for part in run.chunk_by(|(_, one), (_, next)| one.is_zeros() == next.is_zeros()) {
            let from = part[0].0 * BLOCK_BYTES;
            if !part[0].1.is_zeros() {
                self.write_bytes(from, part)?;
            } else if self.is_device {
                let zeros = Aligned::zeroed(BLOCK);
                for (block, _) in part {
                    self.device_write(block * BLOCK_BYTES, &zeros)?;
                }
            } else {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                let bytes = part.len() as u64 * BLOCK_BYTES;
                match rustix::fs::fallocate(&self.file, flags, from, bytes) {
                    Err(Errno::OPNOTSUPP) => self.write_zeros(from, part.len())?,
                    done => done?,
                }
            }
        }
        Ok(())
    }

    fn write_zeros(&self, from: u64, blocks: usize) -> io::Result<()> {
        let zeros = vec![0; BLOCK];
        for block in 0..blocks as u64 {
            self.file.write_all_at(&zeros, from + block * BLOCK_BYTES)?;
        }
        Ok(())
    }

    fn write_bytes(&self, from: u64, run: &[(u64, Content)]) -> io::Result<()> {
        let blocks = run.iter().filter_map(|(_, content)| match content {
            Content::Bytes(bytes) => Some(bytes),
            Content::Zeros => None,
        });
        let slices: Vec<IoSlice<'_>> = blocks.map(|bytes| IoSlice::new(bytes)).collect();
        let direct = self.direct.as_ref().filter(|_| self.is_device);
        if direct.is_some() && !slices.iter().all(|slice| is_aligned(slice)) {
            let mut buffer = Aligned::zeroed(run.len() * BLOCK);
            for (into, bytes) in buffer.chunks_exact_mut(BLOCK).zip(slices) {
                into.copy_from_slice(&bytes);
            }
            return self.device_write(from, &buffer);
        }
        let mut at = from;
        for part in slices.chunks(PIECES_MAX) {
            write_slices(direct.unwrap_or(&self.file), at, &mut part.to_vec())?;
            at += part.len() as u64 * BLOCK_BYTES;
        }
        Ok(())
    }

    fn device_write(&self, from: u64, buffer: &Aligned) -> io::Result<()> {
        let file = self.direct.as_ref().unwrap_or(&self.file);
        file.write_all_at(buffer, from)
    }

    /// Reads one block as it is now; what lies behind a file's end is zeros.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn read(&self, block: u64, into: &mut Aligned) -> Result<(), SyncError> {
        let mut filled = 0;
        let mut file = self.direct.as_ref().unwrap_or(&self.file);
        while filled < BLOCK {
            match file.read_at(
                &mut into[filled..BLOCK],
                block * BLOCK_BYTES + filled as u64,
            ) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A file's odd end cannot be read past the page cache.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && !self.is_device => {
                    file = &self.file;
                }
                Err(error) => return Err(SyncError::io("read", &self.path)(error)),
            }
        }
        into[filled..BLOCK].fill(0);
        Ok(())
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn sync(&self) -> Result<(), SyncError> {
        self.file
            .sync_data()
            .map_err(SyncError::io("sync", &self.path))
    }

    /// The first byte at `from` or above that may not be zero, as far as the file system knows; `from` itself
    /// on a device.
    ///
    /// # Errors
    /// [`SyncError::Io`].
    pub fn next_data(&self, from: u64) -> Result<Option<u64>, SyncError> {
        if self.is_device {
            return Ok(Some(from));
        }
        match rustix::fs::seek(&self.file, SeekFrom::Data(from)) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NXIO) => Ok(None),
            Err(_) => Ok(Some(from)),
        }
    }

    /// What changes whenever someone writes to it or takes it away: see [`device_seal`]; of a file, its length and time.
    #[must_use]
    pub fn seal(&self) -> Option<String> {
        if !self.is_device {
            let found = self.file.metadata().ok()?;
            let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
            return Some(format!(
                "{} bytes at {seconds}.{nanoseconds:09}",
                found.len()
            ));
        }
        device_seal(&self.path)
    }
}

fn write_slices(file: &File, from: u64, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    let mut left = slices;
    let mut at = from;
    while !left.is_empty() {
        match rustix::io::pwritev(file, left, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut left, written);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The seal of a block device, without opening it: sectors written since the boot, and the number that the kernel
/// gives a disk whenever one is attached (`diskseq`, Linux 5.15; before it the counter of another attachment starts
/// at nought). A device that was away may have been written to elsewhere.
#[must_use]
pub fn device_seal(path: &Path) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let described = sysfs(path)?;
    let counters = fs::read_to_string(described.join("stat")).ok()?;
    let sectors = counters.split_whitespace().nth(6)?;
    let disk = fs::read_to_string(described.join("diskseq")).map_or_else(
        |_| String::new(),
        |number| format!(", disk {}", number.trim()),
    );
    Some(format!(
        "{sectors} sectors since boot {}{disk}",
        boot.trim()
    ))
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let opened = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
    Ok(File::from(opened?))
}

/// Where the kernel describes a block device.
fn sysfs(path: &Path) -> Option<PathBuf> {
    let number = fs::metadata(path).ok()?.rdev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    Some(PathBuf::from(format!("/sys/dev/block/{major}:{minor}")))
}

/// The serial number where there is one (EBS volumes on Nitro show their volume id), else name and size.
fn device_identity(path: &Path, bytes: u64) -> String {
    let serial = sysfs(path).and_then(|described| {
        ["device/serial", "serial", "wwid", "loop/backing_file"]
            .iter()
            .find_map(|name| fs::read_to_string(described.join(name)).ok())
    });
    match serial.as_deref().map(str::trim) {
        Some(serial) if !serial.is_empty() => format!("device {serial}, {bytes} bytes"),
        _ => format!("device {}, {bytes} bytes", path.display()),
    }
}

fn mounted_at(path: &Path) -> Option<String> {
    let number = fs::metadata(path).ok()?.rdev();
    let name = format!(
        "{}:{}",
        rustix::fs::major(number),
        rustix::fs::minor(number)
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(&name))?;
    Some(format!("it is mounted at {}", line.split(' ').nth(4)?))
}

fn loop_device_of(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let devices = fs::read_dir("/sys/block").ok()?;
    devices.filter_map(Result::ok).find_map(|device| {
        let backing = fs::read_to_string(device.path().join("loop/backing_file")).ok()?;
        (Path::new(backing.trim()) == path)
            .then(|| format!("/dev/{}", device.file_name().to_string_lossy()))
    })
}
