//! What a host does while its database serves or is fenced. It must not know how a target is brought up.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::fence::{Fence, committed};
use super::request::{Request, refuse, time};
use super::{
    ANSWER_SECONDS, CHECKPOINT_PERIOD_SECONDS, COMMIT_SECONDS, Disks, Outcome, SimulatedHost,
    State, after, seconds_between,
};
use crate::content::format_lsn;
use crate::workload::chance;

/// The engine that is simulated.
pub(super) const ENGINE: &str = "postgres";
pub(super) const ENGINE_VERSION: &str = "15.8";
pub(super) const DATA_DIRECTORY: &str = "/var/lib/postgresql/15/main";

impl SimulatedHost {
    pub(super) fn inspect(&self, now: DateTime<Utc>, disks: &mut dyn Disks) -> Outcome {
        if self.state == State::Absent {
            return Err(refuse(
                "database",
                format!("no database lies on {}", self.instance),
            ));
        }
        let mounts = if self.mounts.is_empty() {
            self.own_mounts(now, disks)
        } else {
            self.brought_mounts()
        };
        let running = self.state != State::Stopped;
        let value = json!({
            "engine": ENGINE, "version": ENGINE_VERSION, "system_identifier": self.system_identifier,
            "timeline": self.timeline, "in_recovery": self.state == State::Standby,
            "started_at": running.then(|| time(self.started_at)), "lsn": format_lsn(self.lsn()),
            "data_directory": DATA_DIRECTORY, "mounts": mounts, "findings": [],
            "transactions": self.commits + self.clients.count(now),
        });
        Ok((value, self.draw(ANSWER_SECONDS, "inspect") * 20.0))
    }

    fn own_mounts(&self, now: DateTime<Utc>, disks: &mut dyn Disks) -> Vec<Value> {
        let mount = |(index, member): (usize, &super::Attached)| {
            let mountpoint = if index == 0 {
                "/var/lib/postgresql".to_owned()
            } else {
                format!("/srv/postgresql/{index}")
            };
            json!({ "mountpoint": mountpoint, "device": member.device, "fs_type": "xfs", "volume": member.volume })
        };
        self.members(now, disks)
            .iter()
            .enumerate()
            .map(mount)
            .collect()
    }

    fn brought_mounts(&self) -> Vec<Value> {
        let mount = |(index, m): (usize, &super::Mount)| {
            let device = format!("/dev/nvme{}n1", index + 1);
            json!({ "mountpoint": m.mountpoint, "device": device, "fs_type": "xfs", "volume": m.volume })
        };
        self.mounts.iter().enumerate().map(mount).collect()
    }

    pub(super) fn checkpoint(&mut self, now: DateTime<Utc>, disks: &mut dyn Disks) -> Outcome {
        self.require_writing("a checkpoint")?;
        let took = self.draw(self.database.checkpoint_seconds, "checkpoint");
        let finished = after(now, took);
        self.flush(now, disks, 0, false);
        Ok((
            json!({ "started_at": time(now), "finished_at": time(finished) }),
            took,
        ))
    }

    pub(super) fn probe_commit(&mut self, now: DateTime<Utc>) -> Outcome {
        self.require_writing("a commit")?;
        self.commits += 1;
        let took = self.draw(COMMIT_SECONDS, "commit");
        Ok((
            json!({ "at": time(after(now, took)), "lsn": format_lsn(self.lsn()) }),
            took,
        ))
    }

    pub(super) fn fence(
        &mut self,
        now: DateTime<Utc>,
        disks: &mut dyn Disks,
        request: Request<'_>,
    ) -> Outcome {
        let (epoch, until) = (
            request.number("epoch")?,
            after(now, request.seconds("lease_seconds")?),
        );
        self.guard.require_current(epoch)?;
        match &self.guard.fence {
            Fence::Permanent { .. } => return Err(committed()),
            Fence::Leased { answer, .. } => {
                let answer = answer.clone();
                self.guard.lease_until(epoch, until);
                return Ok((answer, 0.0));
            }
            Fence::None => {}
        }
        self.require_writing("a fence")?;
        let took = self.draw(self.database.fence_seconds, "fence");
        let last_write = after(now, self.draw(COMMIT_SECONDS, "commit").min(took));
        let fenced_at = after(now, took);
        if fenced_at >= until {
            return Err(refuse(
                "lease_ended",
                "the lease ended while the database was being fenced; it serves again",
            ));
        }
        self.clients.go(now);
        let transactions = self.commits + self.clients.taken;
        self.commits += 1;
        self.stop(now, disks);
        let answer = json!({
            "fenced_at": time(fenced_at), "last_source_write": time(last_write), "lsn": format_lsn(self.lsn()),
            "system_identifier": self.system_identifier, "timeline": self.timeline, "transactions": transactions,
        });
        self.guard.fenced((now, until), epoch, answer.clone());
        Ok((answer, took))
    }

    /// A clean stop: the more time since the last checkpoint, the more dirty buffers are written.
    fn stop(&mut self, now: DateTime<Utc>, disks: &mut dyn Disks) {
        let dirty_share = (seconds_between(self.last_checkpoint, now) / CHECKPOINT_PERIOD_SECONDS)
            .clamp(0.0, 1.0);
        let blocks = self.draw(self.database.shutdown_flush_blocks, "flush") * dirty_share;
        self.flush(now, disks, chance::round(blocks), true);
        self.state = State::Stopped;
    }

    pub(super) fn freeze(&mut self, now: DateTime<Utc>, request: Request<'_>) -> Outcome {
        let (epoch, limit_seconds) = (request.number("epoch")?, request.seconds("limit_seconds")?);
        self.guard.require_leased(epoch, now)?;
        if let Some(freeze) = &self.guard.freeze {
            return Err(refuse(
                "refused",
                format!("{} is active: thaw it first", freeze.id),
            ));
        }
        let took = self.draw(self.database.freeze_seconds, "freeze");
        if took >= limit_seconds {
            let message = format!(
                "freezing takes longer than the limit of {limit_seconds} s; nothing is frozen"
            );
            return Err(refuse("freeze_broken", message));
        }
        let id = self.guard.begin_freeze(now, after(now, limit_seconds));
        Ok((json!({ "frozen_at": time(now), "freeze_id": id }), took))
    }

    pub(super) fn thaw(&mut self, now: DateTime<Utc>, request: Request<'_>) -> Outcome {
        let id = request.text("freeze_id")?;
        if self.guard.freeze.as_ref().is_some_and(|f| f.id == id) {
            self.guard.end_freeze(now, true);
        }
        match &self.guard.last_freeze {
            Some(thawed) if thawed.id == id => {
                let value = json!({
                    "thawed_at": time(thawed.at), "frozen_seconds": thawed.frozen_seconds, "unbroken": thawed.unbroken,
                });
                Ok((value, 0.0))
            }
            _ => Err(refuse(
                "freeze_broken",
                format!("{id} is not known here; discard the snapshots taken under it"),
            )),
        }
    }

    pub(super) fn commit(&mut self, now: DateTime<Utc>, request: Request<'_>) -> Outcome {
        let epoch = request.number("epoch")?;
        if let Fence::Permanent { at } = self.guard.fence
            && self.guard.epoch == Some(epoch)
        {
            return Ok((json!({ "committed_at": time(at) }), 0.0));
        }
        let took = self.draw(COMMIT_SECONDS, "record");
        let at = after(now, took);
        self.guard.require_leased(epoch, at)?;
        self.guard.commit(at);
        Ok((json!({ "committed_at": time(at) }), took))
    }

    pub(super) fn unfence(&mut self, now: DateTime<Utc>, request: Request<'_>) -> Outcome {
        let epoch = request.number("epoch")?;
        self.guard.require_current(epoch)?;
        match self.guard.fence {
            Fence::Permanent { .. } => return Err(committed()),
            Fence::None => return Ok((json!({ "unfenced_at": time(now) }), 0.0)),
            Fence::Leased { .. } => {}
        }
        let took = self.draw(self.database.fence_seconds, "start");
        self.guard.release(now);
        self.guard.epoch = Some(epoch);
        self.state = State::Running;
        self.started_at = after(now, took);
        self.clients.come(self.started_at);
        Ok((json!({ "unfenced_at": time(self.started_at) }), took))
    }

    fn require_writing(&self, what: &str) -> Result<(), super::Refusal> {
        let word = self.state.word();
        match (&self.guard.fence, self.state) {
            (Fence::None, State::Running) if self.guard.freeze.is_none() => Ok(()),
            (Fence::None, _) => Err(refuse(
                "database",
                format!("{what} needs a serving database, this one is {word}"),
            )),
            (Fence::Leased { .. } | Fence::Permanent { .. }, _) => Err(refuse(
                "refused",
                format!("{what} needs a serving database, this one is fenced"),
            )),
        }
    }
}
