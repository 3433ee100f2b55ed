//! At the gate: the fresh write rate, the state of hosts and lineage, the forecast with both.

use chrono::TimeDelta;
use snapmigrate_models::forecast::at_gate;
use snapmigrate_models::step::StepResult;

use super::Context;
use super::preflight::refusals;
use crate::execute::failure::{Failure, is_not_found};
use crate::quiesce::protocol::{Checkpoint, DatabaseState, FenceState, Inspect, Status};

/// The rate is read over so many minutes.
const RATE_MINUTES: i64 = 10;

/// The last minutes are not in CloudWatch yet (CloudWatch, metric delay).
const DELAY_MINUTES: i64 = 2;

const PERIOD_SECONDS: u32 = 60;

/// Fresh rate of the group.
struct Rate {
    bytes_per_second: f64,
    ops_per_second: f64,
    seconds: f64,
}

impl Context<'_> {
    pub(super) async fn gate(&self) -> Result<StepResult, Failure> {
        let rate = self.fresh_rate().await?;
        let mut refusals = self.lineage().await?;
        refusals.extend(self.hosts().await?);
        let plan = self.plan;
        let mut evidence = self
            .progress
            .evidence(&plan.source.region, &plan.target.region);
        let known = rate.seconds > 0.0;
        evidence.fresh_write_bytes_per_second = known.then_some(rate.bytes_per_second);
        evidence.fresh_write_ops_per_second = known.then_some(rate.ops_per_second);
        Ok(StepResult::Gate {
            write_bytes_per_second: rate.bytes_per_second,
            write_ops_per_second: rate.ops_per_second,
            rate_seconds: rate.seconds,
            refusals,
            forecast: at_gate(plan, &evidence, self.clock.now(), plan.seed),
        })
    }

    async fn fresh_rate(&self) -> Result<Rate, Failure> {
        let to = self.clock.now() - TimeDelta::minutes(DELAY_MINUTES);
        let from = to - TimeDelta::minutes(RATE_MINUTES);
        let mut rate = Rate {
            bytes_per_second: 0.0,
            ops_per_second: 0.0,
            seconds: 0.0,
        };
        for volume in self.volumes() {
            let periods = self
                .sides
                .source
                .write_metrics(&volume, from, to, PERIOD_SECONDS)
                .await?;
            let seconds: f64 = periods.iter().map(|p| f64::from(p.period_seconds)).sum();
            if seconds > 0.0 {
                rate.bytes_per_second +=
                    periods.iter().map(|p| p.write_bytes).sum::<f64>() / seconds;
                rate.ops_per_second += periods.iter().map(|p| p.write_ops).sum::<f64>() / seconds;
                rate.seconds = rate.seconds.max(seconds);
            }
        }
        Ok(rate)
    }

    /// Both ancestors of the final delta must stand, or it would be a full copy.
    async fn lineage(&self) -> Result<Vec<String>, Failure> {
        let Some(last) = self.progress.rounds.values().next_back() else {
            return Ok(Vec::new());
        };
        let source: Vec<_> = last.completed.iter().map(|s| s.snapshot.clone()).collect();
        let target: Vec<_> = last.copied.iter().map(|s| s.snapshot.clone()).collect();
        let mut found = Vec::new();
        for (cloud, ids) in [(&self.sides.source, source), (&self.sides.target, target)] {
            if ids.is_empty() {
                continue;
            }
            match cloud.describe_snapshots(&ids).await {
                Ok(facts) => found.extend(
                    facts
                        .iter()
                        .filter(|s| s.state != "completed" || s.storage_tier == "archive")
                        .map(|s| {
                            format!("{} is {} in tier {}", s.snapshot, s.state, s.storage_tier)
                        }),
                ),
                Err(error) if is_not_found(&error) => {
                    found.push(format!("the chain is cut: {error}"))
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    async fn hosts(&self) -> Result<Vec<String>, Failure> {
        let source = self.source_host()?;
        let status = source.call(Status {}).await?;
        let found = source.call(Inspect {}).await?;
        let mut objections = refusals(&found);
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
        if known.is_none_or(|known| self.mounts(&found).as_ref() != Ok(&known.mounts)) {
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
