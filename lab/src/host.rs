//! A simulated database host on virtual time: it speaks the host protocol and drives the writers of its volumes.
//! It must not know snapshots, lineage or any wire of AWS; the volumes are lent to it for each call.

mod base;
mod fence;
mod request;
mod revert;
mod seen;
mod source;
mod survey;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::clock::{seconds, seconds_between};
use crate::content::{Content, WriteMark};
use crate::scenario::{Database, Dist};
use crate::workload::{Grid, Workload, chance};
use base::Base;
use fence::{Fence, Guard};
use request::{Mount, Refusal, Request, refuse, reply, time};
use revert::{Clients, Reopened};

/// Where every simulated cluster's log begins.
const FIRST_LSN: u64 = 0x1_0000_0000;
/// Log bytes of one commit of ours.
const COMMIT_LSN_BYTES: u64 = 232;
/// One acknowledged commit: a flush of the log to a network disk.
const COMMIT_SECONDS: Dist = Dist {
    median: 0.004,
    sigma: 0.6,
};
/// A question that the helper answers from memory.
const ANSWER_SECONDS: Dist = Dist {
    median: 0.012,
    sigma: 0.4,
};
/// Dirty buffers pile up until a checkpoint writes them: PostgreSQL's default checkpoint_timeout.
const CHECKPOINT_PERIOD_SECONDS: f64 = 300.0;

/// What the host sees of the world's volumes.
pub trait Disks {
    /// The volumes in state `attached` to an instance at `at`, without the root volume, in the order of their devices.
    fn attached(&self, instance: &str, at: DateTime<Utc>) -> Vec<Attached>;
    /// What a volume holds.
    fn content(&self, volume: &str) -> Option<&Content>;
    /// What a completed snapshot holds that an account can read in a region.
    fn snapshot(&self, reader: (&str, &str), id: &str, at: DateTime<Utc>) -> Option<&Content>;
    /// The share of a volume's blocks that were loaded at `at`: 1 unless it was made from a snapshot of late.
    fn loaded(&self, volume: &str, at: DateTime<Utc>) -> f64;
    /// What a volume holds, with the writer that writes to it; data volumes of the scenario have one, even an idle one.
    fn disk(&mut self, volume: &str) -> Option<(&mut Content, Option<&mut Workload>)>;
}

/// One attached volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Its id.
    pub volume: String,
    /// The device it is attached as.
    pub device: String,
}

/// What a host is when the lab starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The database runs here.
    Source,
    /// An empty host.
    Target,
}

/// What a host is made of.
#[derive(Debug, Clone)]
pub struct HostSetup {
    /// The instance it is.
    pub instance: String,
    /// What runs on it.
    pub role: Role,
    /// When its writers begin.
    pub start: DateTime<Utc>,
    /// Seed of the lab.
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Standby,
    Absent,
}

/// The host.
#[derive(Debug, Clone)]
pub struct SimulatedHost {
    instance: String,
    key: u64,
    database: Database,
    grid: Grid,
    applied: u32,
    state: State,
    started_at: DateTime<Utc>,
    guard: Guard,
    last_checkpoint: DateTime<Utc>,
    system_identifier: String,
    timeline: u32,
    commits: u64,
    written_lsn: u64,
    mounts: Vec<Mount>,
    bases: BTreeMap<String, Base>,
    activated: Option<(u64, Value)>,
    clients: Clients,
    reopened: Option<Reopened>,
    calls: u64,
}

/// What an operation answers and how long that takes.
type Outcome = Result<(Value, f64), Refusal>;

impl SimulatedHost {
    /// A host at the lab's start.
    #[must_use]
    pub fn new(setup: &HostSetup, database: &Database) -> Self {
        let key = chance::mix(&[setup.seed, chance::hash_text(&setup.instance)]);
        let state = if setup.role == Role::Source {
            State::Running
        } else {
            State::Absent
        };
        Self {
            instance: setup.instance.clone(),
            key,
            database: database.clone(),
            grid: Grid::new(setup.start),
            applied: crate::workload::INITIAL_VERSION,
            state,
            started_at: setup.start,
            guard: Guard::new(),
            last_checkpoint: setup.start,
            system_identifier: (7_000_000_000_000_000_000 + key % 1_000_000_000_000_000)
                .to_string(),
            timeline: 1,
            commits: 0,
            written_lsn: FIRST_LSN,
            mounts: Vec::new(),
            bases: BTreeMap::new(),
            activated: None,
            clients: Clients::default(),
            reopened: None,
            calls: 0,
        }
    }

    /// Lets time pass up to `now`: writers write second by second, the watchdog acts when a lease or freeze ends.
    pub fn advance(&mut self, now: DateTime<Utc>, disks: &mut dyn Disks) {
        while let Some(event) = self.guard.next_event().filter(|at| *at <= now) {
            self.write_through(event, disks);
            if self.guard.watchdog(event) && self.state == State::Stopped {
                self.state = State::Running;
                self.started_at = event;
                self.clients.come(event);
            }
        }
        self.write_through(now, disks);
        self.finish_bases(now, disks);
    }

    /// Answers one request of the host protocol that arrives at `now`. The caller hands the answer over after the
    /// returned time has passed; the effects are those at the end of that time.
    pub fn handle(
        &mut self,
        now: DateTime<Utc>,
        disks: &mut dyn Disks,
        request: &Value,
    ) -> (Value, Duration) {
        self.advance(now, disks);
        // What a host is made of costs no draw: comparing hosts first changes nothing that comes later.
        self.calls += u64::from(request["op"] != "survey");
        let answer_seconds = self.draw(ANSWER_SECONDS, "answer");
        let outcome = self.dispatch(now, disks, Request(request));
        let (result, took) = match outcome {
            Ok((value, took)) => (Ok(value), took),
            Err(refusal) => (Err(refusal), 0.0),
        };
        let reply = reply(request, result, &self.describe(now));
        (
            reply,
            Duration::from_secs_f64((took.max(0.0) + answer_seconds).min(1e6)),
        )
    }

    fn dispatch(
        &mut self,
        now: DateTime<Utc>,
        disks: &mut dyn Disks,
        request: Request<'_>,
    ) -> Outcome {
        match request.op()? {
            "hello" => Ok((self.hello(now), 0.0)),
            "status" => Ok((self.status(now), 0.0)),
            "inspect" => self.inspect(now, disks),
            "survey" => Ok((self.survey(now, disks), 0.0)),
            "checkpoint" => self.checkpoint(now, disks),
            "probe_commit" => self.probe_commit(now),
            "fence" => self.fence(now, disks, request),
            "freeze" => self.freeze(now, request),
            "thaw" => self.thaw(now, request),
            "commit" => self.commit(now, request),
            "unfence" => self.unfence(now, request),
            "reopen" => self.reopen(now, request),
            "sync" => self.sync(now, disks, request),
            "sync_status" => self.sync_status(now, request),
            "release" => self.release(request),
            "bring_up" => self.bring_up(now, disks, request),
            "prove" => self.prove(request),
            "activate" => self.activate(now, request),
            "take_down" => self.take_down(),
            other => Err(refuse(
                "bad_request",
                format!("there is no operation `{other}`"),
            )),
        }
    }

    fn hello(&self, now: DateTime<Utc>) -> Value {
        let boot_id = format!("{:016x}", chance::mix(&[self.key, 9]));
        let version = env!("CARGO_PKG_VERSION");
        json!({ "version": version, "protocol": request::PROTOCOL, "host": self.instance, "boot_id": boot_id, "now": time(now), "abilities": ["sync", "revert", "survey"] })
    }

    fn status(&self, now: DateTime<Utc>) -> Value {
        let (fence, remaining) = match &self.guard.fence {
            Fence::None => ("none", None),
            Fence::Leased { until, .. } => ("leased", Some(seconds_between(now, *until))),
            Fence::Permanent { .. } => ("permanent", None),
        };
        json!({
            "epoch": self.guard.epoch, "fence": fence, "lease_remaining_seconds": remaining,
            "frozen": self.guard.freeze.is_some(), "database": self.state.word(),
        })
    }

    fn describe(&self, now: DateTime<Utc>) -> String {
        let database = self.state.word();
        match &self.guard.fence {
            Fence::None => format!("the database is {database}, there is no fence"),
            Fence::Permanent { at } => format!(
                "the database is {database}, fenced for good since {}",
                time(*at)
            ),
            Fence::Leased { until, .. } => {
                let left = seconds_between(now, *until);
                format!(
                    "the database is {database}, fenced, the lease runs for another {left:.1} s"
                )
            }
        }
    }

    /// The volumes of the database on this host: those with a writer.
    fn members(&self, at: DateTime<Utc>, disks: &mut dyn Disks) -> Vec<Attached> {
        let mut attached = disks.attached(&self.instance, at);
        attached.retain(|a| {
            disks
                .disk(&a.volume)
                .is_some_and(|(_, writer)| writer.is_some())
        });
        attached
    }

    fn write_through(&mut self, now: DateTime<Utc>, disks: &mut dyn Disks) {
        let (from, to) = (self.applied + 1, self.grid.complete(now));
        if to < from {
            return;
        }
        let writing = self.state == State::Running && self.guard.open();
        let members = self.members(now, disks);
        for member in &members {
            match disks.disk(&member.volume) {
                Some((Content::Traced(map), Some(writer))) if writing => writer.run(map, from, to),
                Some((_, Some(writer))) => writer.skip(to),
                _ => {}
            }
        }
        self.applied = to;
        if writing {
            self.stamp(&members, disks, false);
        }
    }

    /// Writes all that is dirty, and `more_blocks` blocks over all volumes, in the next tick.
    fn flush(&mut self, at: DateTime<Utc>, disks: &mut dyn Disks, more_blocks: u64, clean: bool) {
        let members = self.members(at, disks);
        let tick = self.applied + 1;
        let rate = |disks: &mut dyn Disks, volume: &str| match disks.disk(volume) {
            Some((_, Some(writer))) => writer.page_rate(),
            _ => 0.0,
        };
        let total: f64 = members.iter().map(|m| rate(disks, &m.volume)).sum();
        for member in &members {
            let share = if total > 0.0 {
                rate(disks, &member.volume) / total
            } else {
                0.0
            };
            if let Some((Content::Traced(map), Some(writer))) = disks.disk(&member.volume) {
                writer.flush(map, tick, chance::round(more_blocks as f64 * share));
            }
        }
        self.applied = tick;
        self.last_checkpoint = at;
        self.stamp(&members, disks, clean);
    }

    /// Writes the database's mark to all its volumes.
    fn stamp(&mut self, members: &[Attached], disks: &mut dyn Disks, clean: bool) {
        if members.is_empty() {
            return;
        }
        let bytes = |disks: &mut dyn Disks, volume: &str| match disks.disk(volume) {
            Some((_, Some(writer))) => writer.total().bytes,
            _ => 0,
        };
        self.written_lsn = FIRST_LSN + members.iter().map(|m| bytes(disks, &m.volume)).sum::<u64>();
        let mark = WriteMark {
            system_identifier: self.system_identifier.clone(),
            timeline: self.timeline,
            lsn: self.lsn(),
            tick: self.applied,
            clean,
            members: members.iter().map(|m| m.volume.clone()).collect(),
        };
        for member in members {
            if let Some((Content::Traced(map), Some(_))) = disks.disk(&member.volume) {
                map.set_mark(mark.clone(), self.applied);
            }
        }
    }

    fn lsn(&self) -> u64 {
        self.written_lsn + (self.commits + self.clients.taken) * COMMIT_LSN_BYTES
    }

    /// A draw of this call; one for each purpose, so that one more call shifts no other's.
    fn draw(&self, dist: Dist, purpose: &str) -> f64 {
        let hash = chance::mix(&[self.key, self.calls, chance::hash_text(purpose)]);
        chance::lognormal(dist.median, dist.sigma, hash)
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Standby => "standby",
            Self::Absent => "absent",
        }
    }
}

/// A time so many seconds later, in whole milliseconds.
fn after(at: DateTime<Utc>, duration_seconds: f64) -> DateTime<Utc> {
    at + seconds(duration_seconds)
}
