//! The helper's operations: from a request to an answer, by the machines' decisions, the engine and the file systems.
//!
//! Three locks, always taken in this order: the engine's (one change of the database at a time), the record's, the
//! freezer's. The watchdog's thaw takes only the last.

use super::bases::Bases;
use super::clock::{self, BootSeconds};
use super::config::MountConfig;
use super::engine::Engine;
use super::fence::{Effect, Event, Phase};
use super::filesystem::{Freezer, thaw_leftovers};
use super::record::Store;
use super::survey::Kept;
use super::volumes::Volumes;
use crate::quiesce::protocol::*;
use serde::Serialize;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest lease that is accepted, in seconds: a day. Anything longer is a mistake in units, and would leave a database
/// closed for as long.
const MAX_LEASE_SECONDS: f64 = 86_400.0;

/// The helper.
pub struct Host {
    pub(super) engine: Box<dyn Engine>,
    pub(super) store: Store,
    pub(super) volumes: Volumes,
    pub(super) bases: Bases,
    pub(super) mount_config: MountConfig,
    pub(super) freezer: Freezer,
    changing: Mutex<()>,
    pub(super) boot_id: String,
    pub(super) kept: Kept,
    pub(super) next_freeze: AtomicU64,
    /// Whether an activated target of an earlier boot is still to be looked after.
    pub(super) rebooted: AtomicBool,
    /// The list of what was installed with this helper, when it was.
    pub manifest: Option<PathBuf>,
}

impl Host {
    /// A helper that has taken over what an earlier one left: thawed first, then the fence as the record says.
    ///
    /// # Errors
    /// `device` when the record cannot be written.
    pub fn new(
        engine: Box<dyn Engine>,
        store: Store,
        boot_id: &str,
        kept: Kept,
        mount_config: MountConfig,
    ) -> Result<Self, Refusal> {
        for mountpoint in thaw_leftovers(&store.get().frozen) {
            log(&format!(
                "thawed {}, which an earlier helper left frozen",
                mountpoint.display()
            ));
        }
        let rebooted = store.get().fence.boot_id != boot_id;
        store.update(|record| {
            record.fence = record.fence.clone().resumed(boot_id);
            Ok(())
        })?;
        let bases = Bases::below(store.directory());
        Ok(Self {
            engine,
            store,
            volumes: Volumes::default(),
            bases,
            mount_config,
            freezer: Freezer::default(),
            changing: Mutex::new(()),
            boot_id: boot_id.to_owned(),
            kept,
            next_freeze: AtomicU64::new(1),
            rebooted: AtomicBool::new(rebooted),
            manifest: None,
        })
    }

    /// Answers one request of an executor whose fence has this epoch, if it has one yet.
    ///
    /// # Errors
    /// The refusal, with the host's state filled in.
    pub fn answer(&self, op: Op, epoch: Option<u64>) -> Result<Value, Refusal> {
        let answer = match op {
            Op::Hello(_) => to_value(self.hello()),
            Op::Status(_) => to_value(self.status()),
            Op::Inspect(_) => self.inspect().and_then(to_value),
            Op::Survey(asked) => self.survey(&asked).and_then(to_value),
            Op::Checkpoint(_) => self.checkpoint().and_then(to_value),
            Op::ProbeCommit(_) => self.engine.probe_commit().and_then(to_value),
            Op::Fence(fence) => self.fence(&fence).and_then(to_value),
            Op::Freeze(freeze) => self.freeze(&freeze).and_then(to_value),
            Op::Thaw(thaw) => self.thaw(&thaw).and_then(to_value),
            Op::Commit(commit) => self.commit(&commit).and_then(to_value),
            Op::Unfence(unfence) => self.unfence(&unfence).and_then(to_value),
            Op::Reopen(reopen) => self.reopen(&reopen).and_then(to_value),
            Op::SyncVolume(asked) => self.sync_volume(&asked).and_then(to_value),
            Op::SyncStatus(asked) => self.sync_status(&asked).and_then(to_value),
            Op::Release(asked) => self.bases.release(&asked.volume).and_then(to_value),
            Op::BringUp(bring_up) => self.bring_up(&bring_up, epoch).and_then(to_value),
            Op::Prove(prove) => self.prove(&prove, epoch).and_then(to_value),
            Op::Activate(activate) => self.activate(&activate).and_then(to_value),
            Op::Leave(_) => self.leave().and_then(to_value),
            Op::TakeDown(_) => self.take_down(epoch).and_then(to_value),
        };
        answer.map_err(|refusal| Refusal {
            state: self.describe(),
            ..refusal
        })
    }

    /// The watchdog's quick duty: thaw at the limit. Takes only the freezer's lock.
    pub fn tick_freeze(&self) {
        if let Some(id) = self.freezer.tick(BootSeconds::now()) {
            log(&format!("freeze {id} reached its limit and was thawed"));
        }
    }

    /// The watchdog's slow duty: let the database go at the lease's end, and try until it serves.
    ///
    /// # Errors
    /// Why the database does not serve yet.
    pub fn tick_lease(&self) -> Result<(), Refusal> {
        match self.apply(Event::Tick)? {
            Effect::Release => {
                let _changing = self.changing();
                self.release()
            }
            Effect::None | Effect::Stop => self.serve_after_reboot(),
        }
    }

    /// Thaws whatever is frozen, before the helper ends.
    pub fn thaw_all(&self) {
        self.freezer.thaw_all();
    }

    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inspect(&self) -> Result<InspectReply, Refusal> {
        let mut reply = self.engine.inspect()?;
        for mount in self.database_mounts()? {
            reply.findings.extend(self.mount_findings(&mount));
            reply.mounts.push(self.volumes.fact(&mount));
        }
        Ok(reply)
    }

    fn checkpoint(&self) -> Result<CheckpointReply, Refusal> {
        let started_at = clock::wall();
        self.engine.checkpoint()?;
        Ok(CheckpointReply {
            started_at,
            finished_at: clock::wall(),
        })
    }

    fn fence(&self, asked: &Fence) -> Result<FenceReply, Refusal> {
        let lease_seconds = bounded("lease_seconds", asked.lease_seconds, MAX_LEASE_SECONDS)?;
        let _changing = self.changing();
        let asked_event = Event::FenceAsked {
            epoch: asked.epoch,
            lease_seconds,
        };
        self.require_fenceable(asked.epoch)?;
        if self.apply(asked_event)? == Effect::Stop {
            self.stop_under_lease(asked)?;
        }
        match self.store.get().fence.phase {
            Phase::Leased { facts, .. } => Ok(facts),
            _ => Err(Refusal::new(
                ErrorCode::LeaseEnded,
                "the lease ended while the database was being fenced",
            )),
        }
    }

    /// Fences the engine; whatever goes wrong ends in a serving database, now or by the watchdog.
    fn stop_under_lease(&self, asked: &Fence) -> Result<(), Refusal> {
        let expected = asked.expected.as_ref();
        let outcome = expected
            .map_or(Ok(()), |expected| self.require_same_server(expected))
            .and_then(|()| self.stop_engine(asked.epoch));
        let (event, refusal) = match outcome {
            Ok(facts) => (Event::Stopped(facts), None),
            Err(refusal) => (
                Event::StopFailed {
                    reason: refusal.message.clone(),
                },
                Some(refusal),
            ),
        };
        if self.apply(event)? == Effect::Release
            && let Err(late) = self.release()
        {
            log(&format!(
                "the database does not serve again yet: {}",
                late.message
            ));
        }
        refusal.map_or(Ok(()), Err)
    }

    fn commit(&self, asked: &Commit) -> Result<CommitReply, Refusal> {
        if self.freezer.is_frozen() {
            return Err(Refusal::new(
                ErrorCode::Refused,
                "the file systems are frozen: thaw before the commit",
            ));
        }
        let _changing = self.changing();
        self.require_fence_held(asked.epoch)?;
        self.apply(Event::CommitAsked {
            epoch: asked.epoch,
            at: clock::wall(),
        })?;
        match self.store.get().fence.phase {
            Phase::Permanent { committed_at } => Ok(CommitReply { committed_at }),
            _ => Err(Refusal::new(
                ErrorCode::LeaseEnded,
                "the commit was not recorded",
            )),
        }
    }

    /// What the fence promised must still hold when it is made permanent. Whatever cannot be shown refuses the commit:
    /// nothing is in doubt then, and the source serves again.
    fn require_fence_held(&self, epoch: u64) -> Result<(), Refusal> {
        let fence = self.store.get().fence;
        let Phase::Leased { facts, .. } = &fence.phase else {
            return Ok(());
        };
        fence.require_leased(epoch, BootSeconds::now())?;
        self.engine.require_fenced(facts).map_err(|refusal| {
            let message = format!(
                "no commit, the fence is not shown to hold: {}",
                refusal.message
            );
            Refusal::new(ErrorCode::Refused, message)
        })
    }

    fn unfence(&self, asked: &Unfence) -> Result<UnfenceReply, Refusal> {
        let _changing = self.changing();
        if self.apply(Event::UnfenceAsked { epoch: asked.epoch })? == Effect::Release {
            self.release()?;
        }
        Ok(UnfenceReply {
            unfenced_at: clock::wall(),
        })
    }

    /// Lets the database serve again. The caller holds `changing`.
    pub(super) fn release(&self) -> Result<(), Refusal> {
        let Phase::Releasing { reason } = self.store.get().fence.phase else {
            return Ok(());
        };
        log(&format!("unfencing: {reason}"));
        self.freezer.thaw_all();
        self.engine.unfence()?;
        self.apply(Event::Released)?;
        log("the database serves again");
        Ok(())
    }

    /// One step of the fence machine, durable before it returns.
    pub(super) fn apply(&self, event: Event) -> Result<Effect, Refusal> {
        self.store.update(|record| {
            let (fence, effect) = record.fence.after(event, BootSeconds::now())?;
            record.fence = fence;
            Ok(effect)
        })
    }
}

/// Writes a line for the service manager's journal. Never blocks a thaw: callers thaw first.
pub(super) fn log(line: &str) {
    let _ = writeln!(std::io::stderr(), "snapmigrate-host: {line}");
}

pub(super) fn bounded(name: &str, seconds: f64, most: f64) -> Result<f64, Refusal> {
    if seconds > 0.0 && seconds <= most {
        return Ok(seconds);
    }
    Err(Refusal::new(
        ErrorCode::BadRequest,
        format!("{name} must be above 0 and at most {most}, not {seconds}"),
    ))
}

fn to_value(reply: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(reply).map_err(|error| {
        Refusal::new(
            ErrorCode::BadRequest,
            format!("cannot encode the answer: {error}"),
        )
    })
}
