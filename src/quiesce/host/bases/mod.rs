//! Volumes that a target's host brings to a snapshot and holds until they are mounted.
//!
//! A base is held by an exclusive claim on its device; its seal, the device's write counter, tells whether anybody wrote
//! to it in the moments between two claims, or with rights that no claim stops. Once mounted it is never a base again.

mod record;
mod run;

use super::service::log;
use super::volumes::Volumes;
use crate::quiesce::protocol::{
    BaseDone, BaseReply, BaseState, BaseTrouble, ErrorCode, Refusal, ReleaseReply, SyncVolume,
};
use crate::transfer::sync::device_seal;
use record::{BaseRecord, Phase, Shelf};
use run::Run;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for one status.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What is known of one volume while the helper runs.
#[derive(Default)]
struct Slot {
    run: Option<Run>,
    /// The claim on the device.
    claim: Option<File>,
    trouble: Option<BaseTrouble>,
}

struct Inner {
    shelf: Shelf,
    slots: Mutex<BTreeMap<String, Slot>>,
    changed: Condvar,
}

/// All bases of a host.
#[derive(Clone)]
pub struct Bases(Arc<Inner>);

impl Bases {
    /// With records below the helper's state directory.
    pub fn below(state: &Path) -> Self {
        Self(Arc::new(Inner {
            shelf: Shelf::below(state),
            slots: Mutex::new(BTreeMap::new()),
            changed: Condvar::new(),
        }))
    }

    /// Begins, goes on, or renews the credentials of what is under way; answers at once.
    ///
    /// # Errors
    /// `not_a_base` when the volume does not hold `from`, `refused` when something else is under way on it, `device`.
    pub fn sync(&self, asked: &SyncVolume, disk: &Path) -> Result<BaseReply, Refusal> {
        let mut slots = self.slots();
        let slot = slots.entry(asked.volume.clone()).or_default();
        let known = self.0.shelf.read(&asked.volume)?;
        let same = known
            .as_ref()
            .filter(|r| r.is_of(asked.from.as_deref(), &asked.to));
        if let Some(run) = &mut slot.run {
            if same.is_none() {
                let message = format!("another sync of {} is under way", asked.volume);
                return Err(Refusal::new(ErrorCode::Refused, message));
            }
            run.renew(&asked.reader.credentials);
            return Ok(told(slot, known.as_ref()));
        }
        if let Some(BaseRecord {
            phase: Phase::Held { .. },
            ..
        }) = same
        {
            drop(slots);
            return self.status(&asked.volume, Some(disk), Duration::ZERO);
        }
        let resumed = same.is_some_and(|record| record.phase == Phase::Writing);
        if !resumed {
            self.may_begin(asked, known.as_ref(), slot, disk)?;
        }
        let record = BaseRecord::writing(asked.from.as_deref(), &asked.to);
        self.0.shelf.write(&asked.volume, &record)?;
        // The worker claims the device itself; what happens in between shows in the seal.
        (slot.claim, slot.trouble) = (None, None);
        let forget = asked.from.is_none() && !resumed;
        let state_dir = self.0.shelf.sync_directory(&asked.volume);
        slot.run = Some(Run::start(self, asked, disk, state_dir, forget)?);
        Ok(told(slot, Some(&record)))
    }

    fn may_begin(
        &self,
        asked: &SyncVolume,
        known: Option<&BaseRecord>,
        slot: &mut Slot,
        disk: &Path,
    ) -> Result<(), Refusal> {
        let Some(from) = &asked.from else {
            // Every block is written: what it held does not matter, if only nobody else uses it.
            return match slot.claim {
                Some(_) => Ok(()),
                None => claim(disk).map(drop),
            };
        };
        let volume = &asked.volume;
        let not = |why: String| {
            let message = format!(
                "{volume} is no base for {}: {why}; it must be written whole",
                asked.to
            );
            Refusal::new(ErrorCode::NotABase, message)
        };
        let record = known.ok_or_else(|| not("nothing was ever written to it here".to_owned()))?;
        if record.to != *from {
            return Err(not(format!("it holds {}, not {from}", record.to)));
        }
        match self.checked(volume, record, slot, disk)? {
            Phase::Held { .. } => Ok(()),
            Phase::Broken { reason } => Err(not(reason)),
            Phase::Mounted => Err(not("it was mounted".to_owned())),
            Phase::Writing => Err(not(format!("it is only half way to {}", record.to))),
        }
    }

    /// How far a volume is, as soon as it is no longer being written, at the latest after `wait`.
    ///
    /// # Errors
    /// `device` when the record cannot be read or written.
    pub fn status(
        &self,
        volume: &str,
        disk: Option<&Path>,
        wait: Duration,
    ) -> Result<BaseReply, Refusal> {
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let mut slots = self.slots();
        loop {
            let runs = slots.get(volume).is_some_and(|slot| slot.run.is_some());
            let left = until.saturating_duration_since(Instant::now());
            if !runs || left.is_zero() {
                break;
            }
            let waited = self.0.changed.wait_timeout(slots, left);
            slots = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let Some(mut record) = self.0.shelf.read(volume)? else {
            return Ok(told(&Slot::default(), None));
        };
        let slot = slots.entry(volume.to_owned()).or_default();
        if slot.run.is_none() {
            record.phase = match disk {
                Some(disk) => self.checked(volume, &record, slot, disk)?,
                None if matches!(record.phase, Phase::Held { .. }) => Phase::Broken {
                    reason: "its device is gone: no disk carries its id".to_owned(),
                },
                None => record.phase,
            };
        }
        Ok(told(slot, Some(&record)))
    }

    /// The phase after a look at the device: held means claimed, and the seal as it was.
    fn checked(
        &self,
        volume: &str,
        record: &BaseRecord,
        slot: &mut Slot,
        disk: &Path,
    ) -> Result<Phase, Refusal> {
        let Phase::Held { seal, .. } = &record.phase else {
            return Ok(record.phase.clone());
        };
        let now = device_seal(disk);
        if now.as_ref() != Some(seal) {
            let now = now.unwrap_or_else(|| "nothing".to_owned());
            let reason = format!(
                "{} was written to since it held {}, if only by mounting it, or was detached (it was left at \
                 {seal}, now it is at {now})",
                disk.display(),
                record.to
            );
            slot.claim = None;
            let phase = Phase::Broken { reason };
            self.0
                .shelf
                .write(volume, &record.in_phase(phase.clone()))?;
            return Ok(phase);
        }
        if slot.claim.is_none() {
            slot.claim = Some(claim(disk)?);
        }
        Ok(record.phase.clone())
    }

    /// A volume is about to be mounted: the last look at its seal, and the end of it as a base.
    ///
    /// # Errors
    /// `not_a_base` when anybody wrote to it, `refused` while it is being written, `device`.
    pub fn mounting(&self, volume: &str, volumes: &Volumes) -> Result<(), Refusal> {
        let mut slots = self.slots();
        let Some(record) = self.0.shelf.read(volume)? else {
            return Ok(());
        };
        let slot = slots.entry(volume.to_owned()).or_default();
        if slot.run.is_some() {
            let message = format!("{volume} is still being written");
            return Err(Refusal::new(ErrorCode::Refused, message));
        }
        let disk = volumes.disk(volume)?.ok_or_else(|| gone(volume))?;
        match self.checked(volume, &record, slot, &disk)? {
            Phase::Mounted => {}
            Phase::Held { .. } => {
                self.0
                    .shelf
                    .write(volume, &record.in_phase(Phase::Mounted))?;
            }
            Phase::Broken { reason } => return Err(Refusal::new(ErrorCode::NotABase, reason)),
            Phase::Writing => {
                let message = format!("{volume} is only half way to {}", record.to);
                return Err(Refusal::new(ErrorCode::NotABase, message));
            }
        }
        slot.claim = None;
        Ok(())
    }

    /// Ends what is under way on a volume and forgets it.
    ///
    /// # Errors
    /// `device` when the record cannot be removed.
    pub fn release(&self, volume: &str) -> Result<ReleaseReply, Refusal> {
        let slot = self.slots().remove(volume);
        let released = slot.is_some() || self.0.shelf.read(volume)?.is_some();
        if let Some(run) = slot.and_then(|slot| slot.run) {
            run.end();
        }
        self.0.shelf.forget(volume)?;
        Ok(ReleaseReply { released })
    }

    /// The worker of a volume has ended: with what it did, or with why it did not.
    fn ended(&self, volume: &str, number: u64, disk: &Path, end: Result<BaseDone, BaseTrouble>) {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(volume) else {
            return;
        };
        if slot.run.as_ref().is_none_or(|run| run.number != number) {
            return;
        }
        slot.run = None;
        let held = end.and_then(|done| self.hold(volume, disk, slot, done));
        if let Err(trouble) = held {
            log(&format!(
                "{volume} was not brought to its snapshot: {}",
                trouble.message
            ));
            slot.trouble = Some(trouble);
        }
        drop(slots);
        self.0.changed.notify_all();
    }

    fn hold(
        &self,
        volume: &str,
        disk: &Path,
        slot: &mut Slot,
        done: BaseDone,
    ) -> Result<(), BaseTrouble> {
        let seal =
            run::seal_of(&self.0.shelf.sync_directory(volume)).ok_or_else(|| BaseTrouble {
                code: ErrorCode::Device,
                message: format!("{} tells nothing of what is written to it", disk.display()),
            })?;
        slot.claim = Some(claim(disk).map_err(of_refusal)?);
        let record = self.0.shelf.read(volume).map_err(of_refusal)?;
        let Some(mut record) = record else {
            return Ok(());
        };
        record.phase = Phase::Held { done, seal };
        self.0.shelf.write(volume, &record).map_err(of_refusal)
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody else may mount or claim the device while this is open (open(2), O_EXCL on block devices). Opened for reading:
/// closing it is no reason for anybody to look at the device anew.
fn claim(disk: &Path) -> Result<File, Refusal> {
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    let opened = rustix::fs::open(disk, flags, Mode::empty());
    opened.map(File::from).map_err(|error| {
        let message = format!(
            "{} cannot be held ({error}): unmount it or stop what uses it",
            disk.display()
        );
        Refusal::new(ErrorCode::Device, message)
    })
}

fn gone(volume: &str) -> Refusal {
    let message = format!("volume {volume} is not attached to this host: no disk carries its id");
    Refusal::new(ErrorCode::Device, message)
}

fn of_refusal(refusal: Refusal) -> BaseTrouble {
    BaseTrouble {
        code: refusal.code,
        message: refusal.message,
    }
}

fn told(slot: &Slot, record: Option<&BaseRecord>) -> BaseReply {
    let none = BaseReply {
        state: BaseState::Unknown,
        from: record.and_then(|record| record.from.clone()),
        to: record.map(|record| record.to.clone()),
        progress: None,
        done: None,
        trouble: None,
    };
    let Some(record) = record else { return none };
    if let Some(run) = &slot.run {
        return BaseReply {
            state: BaseState::Running,
            progress: run.progress(),
            ..none
        };
    }
    let broken = |reason: &str| BaseReply {
        state: BaseState::Broken,
        trouble: Some(BaseTrouble {
            code: ErrorCode::NotABase,
            message: reason.to_owned(),
        }),
        ..none.clone()
    };
    match &record.phase {
        Phase::Held { done, .. } => BaseReply {
            state: BaseState::Held,
            done: Some(done.clone()),
            ..none
        },
        Phase::Mounted => broken("it was mounted: even a read-only mount replays a log"),
        Phase::Broken { reason } => broken(reason),
        Phase::Writing => BaseReply {
            state: BaseState::Failed,
            trouble: slot.trouble.clone().or_else(|| {
                Some(BaseTrouble {
                    code: ErrorCode::Service,
                    message: "the helper was started anew in the middle of it".to_owned(),
                })
            }),
            ..none
        },
    }
}

/// The program that works for the helper, beside it: it carries the AWS clients, which the helper does not.
pub(super) fn program() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("snapmigrate-sync-worker");
    if program.exists() {
        return Ok(program);
    }
    let message = format!(
        "{} is not there: path direct needs it beside the helper",
        program.display()
    );
    Err(std::io::Error::new(std::io::ErrorKind::NotFound, message))
}
