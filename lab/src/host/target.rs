//! Bringing a database up from restored volumes, proving and promoting it. It must not know how a source is fenced
//! beyond that a fence forbids serving.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::fence::{Fence, committed};
use super::request::{Mount, Refusal, Request, refuse, time};
use super::{ANSWER_SECONDS, COMMIT_SECONDS, Disks, Outcome, SimulatedHost, State, after};
use crate::content::{Content, WriteMark, format_lsn, parse_lsn};

/// A database that was stopped cleanly starts without replaying its log: this share of a recovery's time.
const CLEAN_START_SHARE: f64 = 0.4;

impl SimulatedHost {
    pub(super) fn bring_up(
        &mut self,
        now: DateTime<Utc>,
        disks: &mut dyn Disks,
        request: Request<'_>,
    ) -> Outcome {
        let (mounts, system_identifier) = (request.mounts()?, request.text("system_identifier")?);
        if self.state == State::Standby && self.mounts == mounts {
            return Ok((self.brought_up(None), 0.0));
        }
        if self.state != State::Absent {
            let word = self.state.word();
            return Err(refuse(
                "refused",
                format!("a database is {word} here; a target must be empty"),
            ));
        }
        let mark = self.read_volumes(now, disks, &mounts)?;
        if mark.system_identifier != system_identifier {
            let found = &mark.system_identifier;
            let message = format!("the volumes hold the database {found}, not {system_identifier}");
            return Err(refuse("database", message));
        }
        self.mount_bases(&mounts)?;
        let recovery_seconds = self.draw(self.database.recovery_seconds, "recovery");
        let lazily = mounts.iter().map(|m| 1.0 - disks.loaded(&m.volume, now));
        let lazily = lazily.fold(0.0, f64::max);
        let share = self.database.loaded_start_share;
        let unclean_seconds = recovery_seconds * (share + (1.0 - share) * lazily);
        let took = unclean_seconds * if mark.clean { CLEAN_START_SHARE } else { 1.0 };
        let replay_seconds = took - unclean_seconds * CLEAN_START_SHARE;
        self.started_at = after(now, took);
        self.state = State::Standby;
        self.mounts = mounts;
        (self.system_identifier, self.timeline) = (mark.system_identifier, mark.timeline);
        (self.written_lsn, self.commits) = (mark.lsn, 0);
        Ok((self.brought_up(Some(replay_seconds)), took))
    }

    /// What `bring_up` answers; a standby that ran already has no start to tell of.
    fn brought_up(&self, replay_seconds: Option<f64>) -> serde_json::Value {
        let mounted = self
            .mounts
            .iter()
            .map(|m| m.mountpoint.clone())
            .collect::<Vec<_>>();
        json!({
            "mounted": mounted, "started_at": time(self.started_at), "replay_seconds": replay_seconds,
            "replay_lsn": format_lsn(self.lsn()),
            "system_identifier": self.system_identifier, "timeline": self.timeline,
        })
    }

    /// The one mark that all volumes of the database carry.
    fn read_volumes(
        &self,
        now: DateTime<Utc>,
        disks: &dyn Disks,
        mounts: &[Mount],
    ) -> Result<WriteMark, Refusal> {
        let attached = disks.attached(&self.instance, now);
        let mut found: Vec<(&str, WriteMark)> = Vec::new();
        for Mount { volume, .. } in mounts {
            if !attached.iter().any(|a| a.volume == *volume) {
                return Err(refuse(
                    "device",
                    format!("volume {volume} is not attached to {}", self.instance),
                ));
            }
            let Some(Content::Traced(map)) = disks.content(volume) else {
                return Err(refuse(
                    "device",
                    format!("volume {volume} holds nothing that can be simulated"),
                ));
            };
            let mark = map.mark().ok_or_else(|| {
                refuse("database", format!("no database lies on volume {volume}"))
            })?;
            found.push((map.origin(), mark.clone()));
        }
        one_database(&found)
    }

    pub(super) fn prove(&self, request: Request<'_>) -> Outcome {
        let (identifier, lsn) = (request.text("system_identifier")?, request.text("lsn")?);
        let wanted = parse_lsn(lsn)
            .ok_or_else(|| refuse("bad_request", format!("`lsn` is `{lsn}`, no log position")))?;
        if self.state != State::Standby {
            let word = self.state.word();
            return Err(refuse(
                "not_proved",
                format!("only a standby can be proved, this database is {word}"),
            ));
        }
        if self.system_identifier != identifier {
            let found = &self.system_identifier;
            return Err(refuse(
                "not_proved",
                format!("this is the database {found}, not {identifier}"),
            ));
        }
        if self.lsn() < wanted {
            let replayed = format_lsn(self.lsn());
            let message = format!(
                "the target has everything up to {replayed}, the fence is at {lsn}: the volumes are too old"
            );
            return Err(refuse("not_proved", message));
        }
        let value = json!({
            "replay_lsn": format_lsn(self.lsn()), "system_identifier": self.system_identifier,
            "timeline": self.timeline, "in_recovery": true,
        });
        Ok((value, self.draw(ANSWER_SECONDS, "prove") * 10.0))
    }

    /// Promotes a standby.
    pub(super) fn activate(&mut self, now: DateTime<Utc>, request: Request<'_>) -> Outcome {
        let epoch = request.number("epoch")?;
        self.guard.require_current(epoch)?;
        if self.guard.fence != Fence::None {
            return Err(committed());
        }
        // Asked again after a lost answer, the host says what it said.
        if let Some((_, reply)) = self.activated.as_ref().filter(|(done, _)| *done == epoch) {
            return Ok((reply.clone(), self.draw(ANSWER_SECONDS, "activate again")));
        }
        if self.state != State::Standby {
            let word = self.state.word();
            return Err(refuse(
                "refused",
                format!("only a standby can be activated, this database is {word}"),
            ));
        }
        let took = self.draw(self.database.promote_seconds, "promote");
        let activated_at = after(now, took);
        let first_write = after(activated_at, self.draw(COMMIT_SECONDS, "commit"));
        self.guard.epoch = Some(epoch);
        self.state = State::Running;
        self.timeline += 1;
        self.commits += 1;
        self.clients.begin(first_write);
        let value = json!({
            "activated_at": time(activated_at), "first_target_write": time(first_write),
            "timeline": self.timeline, "lsn": format_lsn(self.lsn()), "transactions": self.commits,
        });
        self.activated = Some((epoch, value.clone()));
        Ok((value, crate::seconds_between(now, first_write)))
    }

    pub(super) fn take_down(&mut self) -> Outcome {
        if matches!(self.state, State::Running | State::Stopped) {
            let word = self.state.word();
            return Err(refuse(
                "refused",
                format!("the database here is {word}: only a target's standby is taken down"),
            ));
        }
        let stopped = self.state == State::Standby;
        let unmounted = self
            .mounts
            .drain(..)
            .map(|m| m.mountpoint)
            .collect::<Vec<_>>();
        self.state = State::Absent;
        Ok((
            json!({ "stopped": stopped, "unmounted": unmounted }),
            self.draw(ANSWER_SECONDS, "unmount") * 20.0,
        ))
    }
}

/// Checks that the volumes are all those of one database, at one point in time.
fn one_database(found: &[(&str, WriteMark)]) -> Result<WriteMark, Refusal> {
    let Some((first_origin, first)) = found.first() else {
        return Err(refuse("bad_request", "`mounts` names no volume"));
    };
    for (origin, mark) in found {
        if (&mark.system_identifier, mark.lsn, mark.timeline)
            != (&first.system_identifier, first.lsn, first.timeline)
        {
            let (one, other) = (format_lsn(first.lsn), format_lsn(mark.lsn));
            return Err(refuse(
                "database",
                format!(
                    "the volumes are of different points in time: that of {first_origin} is at {one}, that of {origin} at {other}"
                ),
            ));
        }
    }
    let missing = first
        .members
        .iter()
        .find(|member| !found.iter().any(|(origin, _)| origin == member));
    match missing {
        Some(member) => Err(refuse(
            "database",
            format!("the database also lies on the volume of {member}, which is not mounted"),
        )),
        None => Ok(first.clone()),
    }
}
