//! The helper's operations on a target: mount and start isolated, prove, activate, take down.

mod placed;
pub mod rules;

use super::clock;
use super::engine::{Expected, Started};
use super::fence::Phase;
use super::service::{Host, log};
use crate::quiesce::protocol::*;
use rules::{Activation, no_target};
use serde::{Deserialize, Serialize};
use snapmigrate_models::step::Stack;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// How long an attached volume may take to show up as a device, and how often it is looked for.
const DEVICE_WAIT: Duration = Duration::from_secs(60);
const DEVICE_POLL: Duration = Duration::from_millis(200);
/// Longest mount or unmount: replaying a file system's log takes seconds on a volume still being loaded.
const MOUNT_LIMIT: Duration = Duration::from_secs(600);

/// What was brought up here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetRecord {
    /// The volumes and their places.
    pub mounts: Vec<MountRequest>,
    /// What is assembled from the volumes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<Stack>,
    /// How far it came.
    pub phase: TargetPhase,
    /// Highest epoch of a request that brought it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

/// How far a target came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetPhase {
    /// Mounted, perhaps in part, and started isolated, perhaps.
    Isolated,
    /// Being promoted: from here on it may hold writes of its own.
    Activating {
        /// Epoch of the migration.
        epoch: u64,
    },
    /// Serving.
    Active {
        /// Epoch of the migration.
        epoch: u64,
        /// What was answered.
        reply: ActivateReply,
    },
}

impl Host {
    pub(super) fn bring_up(
        &self,
        asked: &BringUp,
        epoch: Option<u64>,
    ) -> Result<BringUpReply, Refusal> {
        let _changing = self.changing();
        self.require_owner(epoch)?;
        self.require_free_for_target()?;
        let target = TargetRecord {
            mounts: asked.mounts.clone(),
            stacks: asked.stacks.clone(),
            phase: TargetPhase::Isolated,
            epoch,
        };
        self.store.update(|record| {
            record.target = Some(target.clone());
            Ok(())
        })?;
        self.mount_all(&target)?;
        let expected = Expected {
            system_identifier: asked.system_identifier.clone(),
            lsn: asked.lsn.clone(),
        };
        let Started {
            standby,
            replay_seconds,
        } = self.engine.start_isolated(&expected)?;
        Ok(BringUpReply {
            mounted: asked
                .mounts
                .iter()
                .map(|mount| mount.mountpoint.clone())
                .collect(),
            started_at: clock::wall(),
            replay_seconds,
            replay_lsn: standby.replay_lsn,
            system_identifier: standby.system_identifier,
            timeline: standby.timeline,
        })
    }

    /// Refuses an executor that another one has overtaken.
    fn require_owner(&self, epoch: Option<u64>) -> Result<(), Refusal> {
        let target = self.store.get().target;
        rules::owned(target.and_then(|target| target.epoch), epoch)
    }

    pub(super) fn prove(&self, asked: &Prove, epoch: Option<u64>) -> Result<ProveReply, Refusal> {
        let _changing = self.changing();
        self.require_owner(epoch)?;
        let expected = Expected {
            system_identifier: asked.system_identifier.clone(),
            lsn: asked.lsn.clone(),
        };
        // The host may have been booted, or the server killed, since it was brought up.
        self.mount_all(&self.isolated_target()?)?;
        self.engine.start_isolated(&expected)?;
        self.engine.prove(&expected)
    }

    pub(super) fn activate(&self, asked: &Activate) -> Result<ActivateReply, Refusal> {
        let _changing = self.changing();
        let epoch = asked.epoch;
        self.require_owner(Some(epoch))?;
        let record = self.store.get();
        let target = record.target.as_ref().map(|target| &target.phase);
        if let Activation::Done(reply) = rules::activation(&record.fence.phase, target, epoch)? {
            return Ok(reply);
        }
        if let Some(target) = &record.target {
            self.mount_all(target)?;
        }
        self.set_target_phase(TargetPhase::Activating { epoch })?;
        let reply = self.engine.activate()?;
        self.set_target_phase(TargetPhase::Active {
            epoch,
            reply: reply.clone(),
        })?;
        Ok(reply)
    }

    /// An activated target that was booted anew serves again by itself: nothing else on the host knows its volumes.
    pub(super) fn serve_after_reboot(&self) -> Result<(), Refusal> {
        if !self.rebooted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let _changing = self.changing();
        let record = self.store.get();
        if let (Phase::Open, Some(target)) = (&record.fence.phase, &record.target)
            && matches!(target.phase, TargetPhase::Active { .. })
        {
            self.mount_all(target)?;
            self.engine.unfence()?;
            log("the target was booted anew and serves again");
        }
        self.rebooted.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn take_down(&self, epoch: Option<u64>) -> Result<TakeDownReply, Refusal> {
        let _changing = self.changing();
        self.require_owner(epoch)?;
        let target = self.isolated_target()?;
        let stopped = self.engine.stop_isolated()?;
        let unmounted = self.unmount_all(&target)?;
        self.store.update(|record| {
            record.target = None;
            Ok(())
        })?;
        Ok(TakeDownReply { stopped, unmounted })
    }

    /// A source, fenced or serving, never becomes a target; nor does an activated target start anew.
    fn require_free_for_target(&self) -> Result<(), Refusal> {
        let record = self.store.get();
        let refused = |message: &str| Err(Refusal::new(ErrorCode::Refused, message));
        match (record.fence.phase, record.target.map(|target| target.phase)) {
            (Phase::Open, Some(TargetPhase::Isolated)) => Ok(()),
            (Phase::Open, Some(TargetPhase::Activating { .. } | TargetPhase::Active { .. })) => {
                refused("this target is activated: it serves")
            }
            (Phase::Open, None) => match self.engine.state() {
                DatabaseState::Absent => Ok(()),
                _ => refused(
                    "there is a database in the data directory already: unmount or move it first",
                ),
            },
            (
                Phase::Fencing { .. }
                | Phase::Leased { .. }
                | Phase::Releasing { .. }
                | Phase::Permanent { .. },
                _,
            ) => refused("this host holds the fenced source"),
        }
    }

    fn isolated_target(&self) -> Result<TargetRecord, Refusal> {
        let target = self.store.get().target.ok_or_else(no_target)?;
        match target.phase {
            TargetPhase::Isolated => Ok(target),
            TargetPhase::Activating { .. } | TargetPhase::Active { .. } => Err(Refusal::new(
                ErrorCode::Refused,
                "the target is activated: it is the one that serves",
            )),
        }
    }

    fn set_target_phase(&self, phase: TargetPhase) -> Result<(), Refusal> {
        self.store.update(|record| {
            if let Some(target) = &mut record.target {
                target.phase = phase;
            }
            Ok(())
        })
    }

    pub(super) fn sync_volume(&self, asked: &SyncVolume) -> Result<BaseReply, Refusal> {
        self.require_free_for_target()?;
        let disk = self.wait_until(&asked.volume, || self.volumes.disk(&asked.volume))?;
        self.bases.sync(asked, &disk)
    }

    pub(super) fn sync_status(&self, asked: &SyncStatus) -> Result<BaseReply, Refusal> {
        let disk = self.volumes.disk(&asked.volume)?;
        let wait = Duration::try_from_secs_f64(asked.wait_seconds).unwrap_or_default();
        self.bases.status(&asked.volume, disk.as_deref(), wait)
    }

    fn wait_for_disk(&self, volume: &str) -> Result<PathBuf, Refusal> {
        self.wait_until(volume, || self.volumes.disk(volume))
    }

    fn wait_for(&self, volume: &str) -> Result<PathBuf, Refusal> {
        self.wait_until(volume, || self.volumes.locate(volume))
    }

    fn wait_until(
        &self,
        volume: &str,
        look: impl Fn() -> Result<Option<PathBuf>, Refusal>,
    ) -> Result<PathBuf, Refusal> {
        let deadline = Instant::now() + DEVICE_WAIT;
        loop {
            match look()? {
                Some(device) if device.exists() => return Ok(device),
                _ if Instant::now() < deadline => thread::sleep(DEVICE_POLL),
                _ => {
                    let message = format!(
                        "volume {volume} is not attached to this host: no disk carries its id"
                    );
                    return Err(Refusal::new(ErrorCode::Device, message));
                }
            }
        }
    }
}

fn device_error(what: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(ErrorCode::Device, format!("{what}: {error}"))
}
