//! Freezing and thawing file systems through descriptors opened beforehand, so that a thaw needs no path and no disk.
//!
//! The two `ioctl`s here are the helper's only unsafe code.

use super::clock::{self, BootSeconds};
use super::freeze::{By, Ended, Freeze};
use crate::quiesce::protocol::{ErrorCode, Refusal};
use chrono::{DateTime, Utc};
use rustix::io::Errno;
use rustix::ioctl::{self, NoArg, Opcode};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `FIFREEZE` of `linux/fs.h`.
const FIFREEZE: Opcode = ioctl::opcode::read_write::<i32>(b'X', 119);
/// `FITHAW` of `linux/fs.h`.
const FITHAW: Opcode = ioctl::opcode::read_write::<i32>(b'X', 120);

/// What can be frozen: the kernel's file systems, or a test's.
pub trait Freezable: Send {
    /// Where it is mounted.
    fn mountpoint(&self) -> &Path;
    /// Writes everything out, before the clock of the freeze runs.
    ///
    /// # Errors
    /// The system's.
    fn flush(&self) -> Result<(), Errno>;
    /// Blocks all writing.
    ///
    /// # Errors
    /// `EBUSY` when it is frozen already.
    fn freeze(&self) -> Result<(), Errno>;
    /// Lets writing go on.
    ///
    /// # Errors
    /// `EINVAL` when it is not frozen.
    fn thaw(&self) -> Result<(), Errno>;
}

/// A mounted file system, held open.
pub struct Mounted {
    mountpoint: PathBuf,
    directory: File,
}

impl Mounted {
    /// Opens the mount point.
    ///
    /// # Errors
    /// `device` when it cannot be opened.
    pub fn open(mountpoint: &Path) -> Result<Self, Refusal> {
        let directory = File::open(mountpoint)
            .map_err(|error| device(mountpoint, "cannot be opened", error))?;
        Ok(Self {
            mountpoint: mountpoint.to_owned(),
            directory,
        })
    }
}

impl Freezable for Mounted {
    fn mountpoint(&self) -> &Path {
        &self.mountpoint
    }

    fn flush(&self) -> Result<(), Errno> {
        rustix::fs::syncfs(&self.directory)
    }

    fn freeze(&self) -> Result<(), Errno> {
        call::<FIFREEZE>(self.directory.as_fd())
    }

    fn thaw(&self) -> Result<(), Errno> {
        call::<FITHAW>(self.directory.as_fd())
    }
}

#[expect(unsafe_code, reason = "FIFREEZE and FITHAW have no safe wrapper")]
fn call<const REQUEST: Opcode>(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the kernel ignores the argument of both requests, reads and writes no memory of ours, and refuses
    // descriptors that are not of a file system that can freeze.
    unsafe { ioctl::ioctl(directory, NoArg::<REQUEST>::new()) }
}

/// The freeze machine with the file systems it holds. Its lock is held only for thawing and bookkeeping, never while
/// a file system is flushed or frozen, so the watchdog always gets in.
#[derive(Default)]
pub struct Freezer {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    machine: Freeze,
    frozen: Vec<Box<dyn Freezable>>,
}

impl Freezer {
    /// Freezes all of `file_systems` under `id`; on any failure all are thawed again. Returns when the first froze.
    ///
    /// # Errors
    /// `refused`, `device` or `freeze_broken`.
    pub fn freeze(
        &self,
        id: &str,
        limit_seconds: f64,
        file_systems: Vec<Box<dyn Freezable>>,
    ) -> Result<DateTime<Utc>, Refusal> {
        for file_system in &file_systems {
            file_system
                .flush()
                .map_err(|error| device(file_system.mountpoint(), "cannot be synced", error))?;
        }
        let frozen_at = clock::wall();
        {
            let mut held = self.locked();
            held.machine = held.machine.begin(id, limit_seconds, BootSeconds::now())?;
        }
        for file_system in file_systems {
            self.freeze_one(id, file_system)?;
        }
        let mut held = self.locked();
        match held.machine.completed(id, BootSeconds::now()) {
            Ok(machine) => held.machine = machine,
            Err(refusal) => {
                held.thaw(By::Watchdog);
                return Err(refusal);
            }
        }
        Ok(frozen_at)
    }

    fn freeze_one(&self, id: &str, file_system: Box<dyn Freezable>) -> Result<(), Refusal> {
        let outcome = file_system.freeze();
        let mut held = self.locked();
        if let Err(error) = outcome {
            held.thaw(By::Watchdog);
            return Err(device(file_system.mountpoint(), "cannot be frozen", error));
        }
        if matches!(held.machine.outcome(id), Ok(None)) {
            held.frozen.push(file_system);
            return Ok(());
        }
        let _ = file_system.thaw();
        Err(Refusal::new(
            ErrorCode::FreezeBroken,
            format!("freeze {id} was ended while it was being made"),
        ))
    }

    /// Ends freeze `id` for its owner.
    ///
    /// # Errors
    /// `freeze_broken` when the id is unknown, `device` when a file system does not thaw.
    pub fn thaw(&self, id: &str) -> Result<Ended, Refusal> {
        let mut held = self.locked();
        if let Some(ended) = held.machine.outcome(id)? {
            return Ok(ended);
        }
        held.thaw(By::Owner);
        held.machine.outcome(id)?.ok_or_else(|| {
            let message =
                format!("freeze {id}: a file system does not thaw yet, the watchdog tries on");
            Refusal::new(ErrorCode::Device, message)
        })
    }

    /// Thaws whatever is frozen, whoever owns it.
    pub fn thaw_all(&self) {
        let mut held = self.locked();
        if held.machine.active.is_some() {
            held.thaw(By::Watchdog);
        }
    }

    /// Thaws when the limit has passed; returns the id of the freeze that it ended.
    pub fn tick(&self, now: BootSeconds) -> Option<String> {
        let mut held = self.locked();
        if !held.machine.is_due(now) {
            return None;
        }
        held.thaw(By::Watchdog);
        held.machine.last.as_ref().map(|ended| ended.id.clone())
    }

    /// Whether any file system is frozen or about to be.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.locked().machine.active.is_some()
    }

    fn locked(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Thaws all, newest first; what does not thaw stays held, so that the watchdog tries again.
    fn thaw(&mut self, by: By) {
        let (mut held_on, mut stuck) = (true, Vec::new());
        for file_system in std::mem::take(&mut self.frozen).into_iter().rev() {
            match file_system.thaw() {
                Ok(()) => {}
                Err(Errno::INVAL) => held_on = false,
                Err(_) => stuck.push(file_system),
            }
        }
        if stuck.is_empty() {
            self.machine = self.machine.ended(by, held_on, BootSeconds::now());
        }
        self.frozen = stuck;
    }
}

/// Thaws what an earlier helper may have left frozen. A mount that is gone cannot be frozen.
#[must_use]
pub fn thaw_leftovers(mountpoints: &[PathBuf]) -> Vec<PathBuf> {
    let thawed = |mountpoint: &&PathBuf| {
        Mounted::open(mountpoint).is_ok_and(|mounted| mounted.thaw().is_ok())
    };
    mountpoints.iter().filter(thawed).cloned().collect()
}

fn device(mountpoint: &Path, what: &str, error: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        ErrorCode::Device,
        format!(
            "the file system at {} {what}: {error}",
            mountpoint.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};

    /// Counts freezes minus thaws; -1 refuses to freeze.
    struct Fake(Arc<AtomicI32>);

    impl Freezable for Fake {
        fn mountpoint(&self) -> &Path {
            Path::new("/fake")
        }
        fn flush(&self) -> Result<(), Errno> {
            Ok(())
        }
        fn freeze(&self) -> Result<(), Errno> {
            self.0
                .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst)
                .map(|_| ())
                .map_err(|_| Errno::BUSY)
        }
        fn thaw(&self) -> Result<(), Errno> {
            self.0
                .compare_exchange(1, 0, Ordering::SeqCst, Ordering::SeqCst)
                .map(|_| ())
                .map_err(|_| Errno::INVAL)
        }
    }

    fn fakes(states: &[&Arc<AtomicI32>]) -> Vec<Box<dyn Freezable>> {
        states
            .iter()
            .map(|state| Box::new(Fake(Arc::clone(state))) as Box<dyn Freezable>)
            .collect()
    }

    #[test]
    fn all_freeze_and_thaw_together() {
        let (one, two) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicI32::new(0)));
        let freezer = Freezer::default();
        freezer.freeze("f", 60.0, fakes(&[&one, &two])).unwrap();
        assert_eq!(
            (
                one.load(Ordering::SeqCst),
                two.load(Ordering::SeqCst),
                freezer.is_frozen()
            ),
            (1, 1, true)
        );
        assert!(freezer.thaw("f").unwrap().unbroken);
        assert_eq!(
            (
                one.load(Ordering::SeqCst),
                two.load(Ordering::SeqCst),
                freezer.is_frozen()
            ),
            (0, 0, false)
        );
    }

    #[test]
    fn one_that_cannot_freeze_thaws_the_others() {
        let (one, bad) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicI32::new(-1)));
        let freezer = Freezer::default();
        let refusal = freezer.freeze("f", 60.0, fakes(&[&one, &bad])).unwrap_err();
        assert_eq!(
            (
                refusal.code,
                one.load(Ordering::SeqCst),
                freezer.is_frozen()
            ),
            (ErrorCode::Device, 0, false)
        );
    }

    #[test]
    fn the_watchdog_ends_it_at_the_limit_and_the_owner_learns_it() {
        let one = Arc::new(AtomicI32::new(0));
        let freezer = Freezer::default();
        freezer.freeze("f", 60.0, fakes(&[&one])).unwrap();
        assert_eq!(freezer.tick(BootSeconds::now()), None);
        assert_eq!(
            freezer.tick(BootSeconds::now().plus(60.0)),
            Some("f".to_owned())
        );
        assert_eq!(one.load(Ordering::SeqCst), 0);
        assert!(!freezer.thaw("f").unwrap().unbroken);
    }

    #[test]
    fn a_stranger_that_thaws_breaks_the_freeze() {
        let one = Arc::new(AtomicI32::new(0));
        let freezer = Freezer::default();
        freezer.freeze("f", 60.0, fakes(&[&one])).unwrap();
        one.store(0, Ordering::SeqCst);
        assert!(!freezer.thaw("f").unwrap().unbroken);
    }
}
