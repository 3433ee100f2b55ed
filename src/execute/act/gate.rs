//! At the gate: the fresh writes, the state of hosts and lineage, the forecast with both.

use std::time::Duration;

use chrono::TimeDelta;
use snapmigrate_models::check::foreign_in_the_way;
use snapmigrate_models::evidence::{Evidence, VolumePeriods};
use snapmigrate_models::forecast::at_gate;
use snapmigrate_models::observation::WritePeriod;
use snapmigrate_models::step::{ServerIdentity, StepResult};
use snapmigrate_models::units::Timestamp;

use super::Context;
use super::preflight::refusals;
use crate::execute::failure::Failure;
use crate::measure::writes_between;
use crate::quiesce::protocol::{
    Checkpoint, DatabaseState, FenceState, Inspect, InspectReply, Status,
};

/// The rate is the mean over so many minutes, the newest there are.
const RATE: TimeDelta = TimeDelta::minutes(10);

/// A rate older than this says nothing about now (CloudWatch is one to five minutes late).
const FRESH: TimeDelta = TimeDelta::minutes(15);

/// The gate reads this much of the past at most; what was read before is in the journal.
const RECENT: TimeDelta = TimeDelta::hours(3);

/// Fresh rate of the group.
#[derive(Default)]
struct Rate {
    bytes_per_second: f64,
    ops_per_second: f64,
    seconds: f64,
}

impl Context<'_> {
    pub(super) async fn gate(&self) -> Result<StepResult, Failure> {
        let (plan, now) = (self.plan, self.clock.now());
        let known = Evidence::of(plan, self.progress);
        let recent_writes = self.unread_writes(&known, now).await?;
        let mut evidence = known.with_writes(self.progress, &recent_writes);
        let rate = fresh_rate(&evidence.recent_writes, now);
        self.base_stands(self.progress.next_index()).await?;
        let found = self.source_host()?.call(Inspect {}).await?;
        let mut refusals = self.hosts(&found).await?;
        refusals.extend(self.bases().await?);
        refusals.extend(self.foreign_snapshots().await?);
        let measured = rate.seconds > 0.0;
        evidence.fresh_write_bytes_per_second = measured.then_some(rate.bytes_per_second);
        evidence.fresh_write_ops_per_second = measured.then_some(rate.ops_per_second);
        Ok(StepResult::Gate {
            write_bytes_per_second: rate.bytes_per_second,
            write_ops_per_second: rate.ops_per_second,
            rate_seconds: rate.seconds,
            recent_writes,
            refusals,
            forecast: at_gate(plan, &evidence, self.clock.now(), plan.seed),
            server: Some(ServerIdentity {
                system_identifier: found.system_identifier,
                timeline: found.timeline,
                started_at: found.started_at,
            }),
        })
    }

    /// The minutes of the last hours that no round and no earlier gate has read, those that were
    /// published late among them.
    async fn unread_writes(
        &self,
        known: &Evidence,
        now: Timestamp,
    ) -> Result<Vec<VolumePeriods>, Failure> {
        let read = |told: &VolumePeriods| told.periods.last().map(WritePeriod::until);
        let ends = known.recent_writes.iter().map(read);
        let read_until = ends.min().flatten().unwrap_or(now - RECENT);
        let (volumes, from) = (self.volumes(), read_until.max(now - RECENT));
        Ok(writes_between(&self.sides.source, &volumes, from, now).await?)
    }

    /// Somebody else's snapshots that the final one would meet.
    async fn foreign_snapshots(&self) -> Result<Vec<String>, Failure> {
        let now = self.clock.now();
        let downtime = self.plan.bounds.max_write_downtime_seconds;
        let downtime = Duration::try_from_secs_f64(downtime).unwrap_or_default();
        let mut found = Vec::new();
        for volume in self.volumes() {
            let snapshots = self.sides.source.snapshots_of(&volume).await?;
            found.extend(foreign_in_the_way(
                self.plan,
                &snapshots,
                now,
                now + downtime,
            ));
        }
        Ok(found)
    }

    async fn hosts(&self, found: &InspectReply) -> Result<Vec<String>, Failure> {
        let status = self.source_host()?.call(Status {}).await?;
        let mut objections = refusals(found);
        if status.fence != FenceState::None || status.frozen {
            objections.push("the source host is fenced or frozen by someone else".to_owned());
        }
        if status.database != DatabaseState::Running {
            objections.push("the source's database does not run".to_owned());
        }
        let known = self.progress.preflight.as_ref();
        let same = known.and_then(|known| known.system_identifier.as_ref());
        if same != Some(&found.system_identifier) {
            objections.push("the source's database is not the one of the preflight".to_owned());
        }
        if known.is_none_or(|known| self.mounts(found).as_ref() != Ok(&known.mounts)) {
            objections.push("the source's file systems are not those of the preflight".to_owned());
        }
        let target = self.target_host()?.call(Status {}).await?;
        if target.database == DatabaseState::Running {
            objections.push("a database accepts writes on the target host".to_owned());
        }
        Ok(objections)
    }

    pub(super) async fn checkpoint(&self) -> Result<StepResult, Failure> {
        self.source_host()?.call(Checkpoint {}).await?;
        Ok(StepResult::Done)
    }
}

/// The mean of the newest minutes of each volume, added up; all zero where none is fresh.
fn fresh_rate(writes: &[VolumePeriods], now: Timestamp) -> Rate {
    let periods = || writes.iter().flat_map(|told| &told.periods);
    let newest = periods().map(WritePeriod::until).max();
    let Some(to) = newest.filter(|end| now - *end < FRESH) else {
        return Rate::default();
    };
    let mut rate = Rate::default();
    for told in writes {
        let recent = || told.periods.iter().filter(|p| p.until() > to - RATE);
        let seconds: f64 = recent().map(|p| f64::from(p.period_seconds)).sum();
        if seconds > 0.0 {
            rate.bytes_per_second += recent().map(|p| p.write_bytes).sum::<f64>() / seconds;
            rate.ops_per_second += recent().map(|p| p.write_ops).sum::<f64>() / seconds;
            rate.seconds = rate.seconds.max(seconds);
        }
    }
    rate
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn told(minutes: &[i64]) -> VolumePeriods {
        let period = |minute: &i64| WritePeriod {
            start: DateTime::UNIX_EPOCH + TimeDelta::minutes(*minute),
            period_seconds: 60,
            write_bytes: 6000.0,
            write_ops: 60.0,
        };
        VolumePeriods {
            volume: "vol-01".parse().expect("a volume"),
            periods: minutes.iter().map(period).collect(),
        }
    }

    #[test]
    fn the_rate_is_that_of_the_newest_minutes_of_all_volumes() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::minutes(100);
        let rate = fresh_rate(&[told(&[10, 95, 96]), told(&[96])], now);
        let close = |value: f64, expected: f64| (value - expected).abs() < 1e-9;
        assert!(close(rate.bytes_per_second, 200.0) && close(rate.ops_per_second, 2.0));
        assert!(close(rate.seconds, 120.0));
    }

    #[test]
    fn old_minutes_are_no_rate() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::minutes(100);
        assert!(fresh_rate(&[told(&[10, 80])], now).seconds == 0.0);
        assert!(fresh_rate(&[], now).seconds == 0.0);
    }
}
