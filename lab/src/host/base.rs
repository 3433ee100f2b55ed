//! Volumes that a target's host brings to a snapshot's content and holds until they are mounted.
//! It must not know lineage or any wire of AWS: it reads the two snapshots it is told to.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::request::{Mount, Refusal, Request, refuse, time};
use super::{ANSWER_SECONDS, Disks, Outcome, SimulatedHost, after, seconds_between};
use crate::content::{BLOCK_BYTES, BlockSet, Content, VersionMap};
use crate::workload::chance;

/// Blocks of one page of a listing (EBS user guide, direct APIs).
const PAGE_BLOCKS: f64 = 10_000.0;

/// How far a base is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// Written from `since` on, for as long as is left.
    Running { since: DateTime<Utc> },
    /// Ended early.
    Failed,
    /// Holds its goal since then.
    Held { at: DateTime<Utc> },
    /// Mounted once: never a base again.
    Mounted,
}

/// One volume.
#[derive(Debug, Clone)]
pub(super) struct Base {
    from: Option<String>,
    to: String,
    started_at: DateTime<Utc>,
    /// Credentials end then.
    expires_at: DateTime<Utc>,
    /// What is left to do, in seconds, from `since`.
    left_seconds: f64,
    all_seconds: f64,
    changed: u64,
    resumed: u64,
    digest: u64,
    goal: Option<VersionMap>,
    stage: Stage,
}

/// One order.
struct Order<'a> {
    volume: &'a str,
    from: Option<&'a str>,
    to: &'a str,
    account: &'a str,
    region: &'a str,
    expires_at: DateTime<Utc>,
}

impl SimulatedHost {
    pub(super) fn sync(
        &mut self,
        now: DateTime<Utc>,
        disks: &mut dyn Disks,
        request: Request<'_>,
    ) -> Outcome {
        let order = order(request)?;
        if order.expires_at <= now {
            return Err(refuse("service", "the credentials have expired"));
        }
        if !disks
            .attached(&self.instance, now)
            .iter()
            .any(|a| a.volume == order.volume)
        {
            let message = format!(
                "volume {} is not attached to {}",
                order.volume, self.instance
            );
            return Err(refuse("device", message));
        }
        let same = |base: &Base| base.to == order.to && base.from.as_deref() == order.from;
        match self.bases.get_mut(order.volume) {
            Some(base) if same(base) && matches!(base.stage, Stage::Running { .. }) => {
                base.expires_at = order.expires_at;
            }
            Some(base) if same(base) && matches!(base.stage, Stage::Held { .. }) => {}
            Some(base) if same(base) && base.stage == Stage::Failed => {
                base.expires_at = order.expires_at;
                base.resumed = base.done();
                base.stage = Stage::Running { since: now };
            }
            Some(Base {
                stage: Stage::Running { .. },
                to,
                ..
            }) => {
                return Err(refuse(
                    "refused",
                    format!("{} is being brought to {to}", order.volume),
                ));
            }
            _ => self.begin(now, disks, &order)?,
        }
        let answer = self.draw(ANSWER_SECONDS, "sync");
        Ok((self.base_reply(order.volume, now), answer))
    }

    fn begin(
        &mut self,
        now: DateTime<Utc>,
        disks: &dyn Disks,
        order: &Order<'_>,
    ) -> Result<(), Refusal> {
        if self.mounts.iter().any(|mount| mount.volume == order.volume) {
            return Err(refuse("refused", format!("{} is mounted", order.volume)));
        }
        if let Some(from) = order.from {
            self.require_base(order.volume, from)?;
        }
        let reader = (order.account, order.region);
        let read = |id: &str| match disks.snapshot(reader, id, now) {
            Some(Content::Traced(map)) => Ok(map),
            _ => Err(refuse(
                "refused",
                format!("{id} cannot be read with these credentials"),
            )),
        };
        let to = read(order.to)?;
        let Some(Content::Traced(held)) = disks.content(order.volume) else {
            return Err(refuse("device", format!("{} holds bytes", order.volume)));
        };
        if held.blocks() < to.blocks() {
            let message = format!(
                "{} is smaller than the volume of {}",
                order.volume, order.to
            );
            return Err(refuse("refused", message));
        }
        let (changed, goal) = match order.from {
            Some(from) => {
                let delta = to.changed_since(read(from)?);
                let goal = held.overlay(&delta, to);
                (delta, goal)
            }
            None => (to.written_blocks(), to.clone()),
        };
        let digest = changed.iter().fold(0, |digest, block| {
            chance::mix(&[digest, block, u64::from(to.get(block))])
        });
        let all_seconds = self.sync_seconds(order.volume, to.blocks(), &changed);
        let base = Base {
            from: order.from.map(str::to_owned),
            to: order.to.to_owned(),
            started_at: now,
            expires_at: order.expires_at,
            left_seconds: all_seconds,
            all_seconds,
            changed: changed.len(),
            resumed: 0,
            digest,
            goal: Some(goal),
            stage: Stage::Running { since: now },
        };
        self.bases.insert(order.volume.to_owned(), base);
        Ok(())
    }

    fn require_base(&self, volume: &str, from: &str) -> Result<(), Refusal> {
        let holds = match self.bases.get(volume) {
            Some(base) if base.stage == Stage::Mounted => "was mounted".to_owned(),
            Some(base) if matches!(base.stage, Stage::Held { .. }) && base.to == from => {
                return Ok(());
            }
            Some(base) => format!("holds {}", base.to),
            None => "was never brought to any snapshot here".to_owned(),
        };
        Err(refuse(
            "not_a_base",
            format!("{volume} {holds}, not {from}: it must be written whole"),
        ))
    }

    fn sync_seconds(&self, volume: &str, blocks: u64, changed: &BlockSet) -> f64 {
        let sync = self.database.sync;
        let pages = blocks as f64 / PAGE_BLOCKS;
        let bytes = changed.len() as f64 * BLOCK_BYTES as f64;
        let rate = self.draw(sync.mib_per_second, &format!("sync rate {volume}")) * 1_048_576.0;
        let rate = rate.min(sync.most_blocks_per_second * BLOCK_BYTES as f64);
        let whole = self.draw(sync.overhead_seconds, "sync overhead")
            + self.draw(sync.page_seconds, "sync page") * pages
            + bytes / rate;
        let hash = chance::mix(&[self.key, self.calls, chance::hash_text("sync luck")]);
        let slow = (hash as f64 / u64::MAX as f64) < sync.slow_probability;
        whole * if slow { sync.slow_factor } else { 1.0 }
    }

    /// As soon as it is no longer being written, at the latest after the time that was asked for.
    pub(super) fn sync_status(&mut self, now: DateTime<Utc>, request: Request<'_>) -> Outcome {
        let volume = request.text("volume")?;
        let wait_seconds = request.0["wait_seconds"].as_f64().unwrap_or(0.0);
        let reply = self.base_reply(volume, now);
        let Some((base, since)) = self.bases.get(volume).and_then(running) else {
            return Ok((reply, 0.0));
        };
        let ends = after(since, base.left_seconds).min(base.expires_at);
        let took = seconds_between(now, ends).clamp(0.0, wait_seconds.clamp(0.0, 60.0));
        let mut told = reply;
        if after(now, took) >= ends {
            // The caller gets this answer at that very moment.
            self.settle_base(volume, ends);
            told = self.base_reply(volume, ends);
        }
        Ok((told, took))
    }

    pub(super) fn release(&mut self, request: Request<'_>) -> Outcome {
        let volume = request.text("volume")?;
        let released = self.bases.remove(volume).is_some();
        Ok((
            json!({ "released": released }),
            self.draw(ANSWER_SECONDS, "release"),
        ))
    }

    /// Ends what has ended by `now`, and puts what was written onto the volumes.
    pub(super) fn finish_bases(&mut self, now: DateTime<Utc>, disks: &mut dyn Disks) {
        let volumes: Vec<String> = self.bases.keys().cloned().collect();
        for volume in volumes {
            let ends = self.bases.get(&volume).and_then(running);
            let ends =
                ends.map(|(base, since)| after(since, base.left_seconds).min(base.expires_at));
            if let Some(ends) = ends.filter(|ends| *ends <= now) {
                self.settle_base(&volume, ends);
            }
            let Some(base) = self.bases.get_mut(&volume) else {
                continue;
            };
            if matches!(base.stage, Stage::Held { .. })
                && let Some(goal) = base.goal.take()
                && let Some((content, _)) = disks.disk(&volume)
            {
                *content = Content::Traced(goal);
            }
        }
    }

    fn settle_base(&mut self, volume: &str, at: DateTime<Utc>) {
        let Some(base) = self.bases.get_mut(volume) else {
            return;
        };
        let Stage::Running { since } = base.stage else {
            return;
        };
        let left = base.left_seconds - seconds_between(since, at);
        // Instants are whole milliseconds.
        base.left_seconds = if left < 2e-3 { 0.0 } else { left };
        base.stage = if base.left_seconds > 0.0 {
            Stage::Failed
        } else {
            Stage::Held { at }
        };
    }

    /// A volume that is mounted is no base any more.
    pub(super) fn mount_bases(&mut self, mounts: &[Mount]) -> Result<(), Refusal> {
        for mount in mounts {
            let Some(base) = self.bases.get_mut(&mount.volume) else {
                continue;
            };
            if !matches!(base.stage, Stage::Held { .. }) {
                let message = format!("{} does not hold {} yet", mount.volume, base.to);
                return Err(refuse("refused", message));
            }
            base.stage = Stage::Mounted;
        }
        Ok(())
    }

    fn base_reply(&self, volume: &str, now: DateTime<Utc>) -> Value {
        let Some(base) = self.bases.get(volume) else {
            return json!({ "state": "unknown", "from": null, "to": null, "progress": null, "done": null, "trouble": null });
        };
        let trouble = |code: &str, message: &str| json!({ "code": code, "message": message });
        let (state, done, trouble) = match base.stage {
            Stage::Running { .. } => ("running", Value::Null, Value::Null),
            Stage::Failed => (
                "failed",
                Value::Null,
                trouble("service", "the credentials have expired"),
            ),
            Stage::Mounted => (
                "broken",
                Value::Null,
                trouble("not_a_base", "it was mounted"),
            ),
            Stage::Held { at } => ("held", base.told(at), Value::Null),
        };
        let progress = running(base).map(|(base, since)| {
            let share = 1.0 - (base.left_seconds - seconds_between(since, now)) / base.all_seconds;
            let rate = base.changed as f64 / base.all_seconds;
            let done = chance::round(base.changed as f64 * share.clamp(0.0, 1.0));
            json!({ "changed_blocks": base.changed, "done_blocks": done, "blocks_per_second": rate })
        });
        json!({
            "state": state, "from": base.from, "to": base.to, "progress": progress, "done": done, "trouble": trouble,
        })
    }
}

impl Base {
    /// Blocks written so far, while it does not run.
    fn done(&self) -> u64 {
        let share = 1.0 - self.left_seconds / self.all_seconds.max(1e-9);
        chance::round(self.changed as f64 * share.clamp(0.0, 1.0))
    }

    fn told(&self, at: DateTime<Utc>) -> Value {
        json!({
            "changed_blocks": self.changed, "written_blocks": self.changed, "read_back_blocks": self.changed,
            "resumed_blocks": self.resumed, "method": "block_versions", "digest": format!("{:016x}", self.digest),
            "started_at": time(self.started_at), "finished_at": time(at),
        })
    }
}

fn running(base: &Base) -> Option<(&Base, DateTime<Utc>)> {
    match base.stage {
        Stage::Running { since } => Some((base, since)),
        _ => None,
    }
}

fn order(request: Request<'_>) -> Result<Order<'_>, Refusal> {
    let reader = Request(&request.0["reader"]);
    let credentials = Request(&reader.0["credentials"]);
    let key = credentials.text("access_key_id")?;
    let expires = credentials.text("expires_at")?;
    let expires = DateTime::parse_from_rfc3339(expires)
        .map_err(|_| refuse("bad_request", "`expires_at` is no time"))?;
    Ok(Order {
        volume: request.text("volume")?,
        from: request.0["from"].as_str(),
        to: request.text("to")?,
        account: key.strip_prefix("ASIA").unwrap_or(key),
        region: reader.text("region")?,
        expires_at: expires.with_timezone(&Utc),
    })
}
