//! Base and rounds: snapshots of the group while the database runs.

use std::time::Duration;

use chrono::TimeDelta;
use snapmigrate_models::ids::{SnapshotId, VolumeId};
use snapmigrate_models::inventory::SnapshotFacts;
use snapmigrate_models::plan::PlannedRound;
use snapmigrate_models::step::{Action, CompletedSnapshot, MadeSnapshot, StepResult};
use snapmigrate_models::units::Timestamp;

use super::Context;
use super::discard::discard;
use crate::cloud::Cloud;
use crate::execute::adopt::{self, Found};
use crate::execute::failure::{Failure, is_not_found};
use crate::execute::names::{description, step_tags};

/// A snapshot that is not found for so long is gone; until then it may not be seen yet (EC2 API, eventual consistency:
/// minutes). By the own stopwatch: when the service says that it was made is another clock's word.
const GRACE_SECONDS: f64 = 600.0;

/// The same behind the fence, where every second is downtime and another set is made soon.
const GRACE_FENCED_SECONDS: f64 = 120.0;

/// EBS asks for 15 s between snapshots of one volume (EC2 API errors,
/// SnapshotCreationPerVolumeRateExceeded); one more for clocks that differ.
const SPACING_SECONDS: i64 = 16;

/// Whether another one in the place of a stuck one would be any faster.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaceable {
    /// A copy that is deleted is given up.
    Yes,
    /// A snapshot of a volume is not.
    No,
}

/// A copy is stuck when it takes this multiple of what the base was planned to take in 99 of 100 cases.
const STUCK_FACTOR: f64 = 3.0;

/// Never sooner than this: slow outliers of the service last hours.
const LEAST_STUCK_SECONDS: f64 = 6.0 * 3600.0;

fn are_under_way(pending: &[MadeSnapshot], stuck_before: Timestamp) -> Result<(), Failure> {
    match pending.iter().find(|made| made.started_at < stuck_before) {
        Some(stuck) => Err(Failure::permanent(format!(
            "{} has been pending since {}, {STUCK_FACTOR} times what the base was planned to take at most: it is stuck",
            stuck.snapshot, stuck.started_at
        ))),
        None => Ok(()),
    }
}

impl Context<'_> {
    pub(super) async fn snapshot(
        &self,
        round: u32,
        action: &Action,
    ) -> Result<StepResult, Failure> {
        let may_reuse = round == 0 && self.attempt == 1;
        if may_reuse && let Some(base) = self.reusable_base().await? {
            return Ok(StepResult::Started { snapshots: base });
        }
        let step = action.step_id();
        if self.attempt > 1
            && let Some(snapshots) = self.adopt_set(&step).await?
        {
            return Ok(StepResult::Started { snapshots });
        }
        self.base_stands(round).await?;
        self.keep_spacing().await;
        Ok(StepResult::Started {
            snapshots: self.create_set(&step).await?,
        })
    }

    /// Completed snapshots named by the plan stand in for a new base, when all volumes have one.
    async fn reusable_base(&self) -> Result<Option<Vec<MadeSnapshot>>, Failure> {
        let named: Option<Vec<(VolumeId, SnapshotId)>> = self
            .plan
            .volumes
            .iter()
            .map(|planned| Some((planned.volume.clone(), planned.reusable_base.clone()?)))
            .collect();
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            return Ok(None);
        };
        let ids: Vec<SnapshotId> = named.iter().map(|(_, snapshot)| snapshot.clone()).collect();
        let facts = match self.sides.source.describe_snapshots(&ids).await {
            Ok(facts) => facts,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let usable = |s: &SnapshotFacts| s.state == "completed" && s.storage_tier != "archive";
        Ok(facts
            .iter()
            .all(usable)
            .then(|| facts.iter().map(made).collect::<Vec<_>>())
            .map(sorted))
    }

    /// The set of an earlier attempt; what is left of an incomplete one is deleted.
    async fn adopt_set(&self, step: &str) -> Result<Option<Vec<MadeSnapshot>>, Failure> {
        let (cloud, volumes) = (&self.sides.source, self.volumes());
        let tags = step_tags(self.plan, step);
        let lost = self.answer_was_lost(step);
        let found = adopt::find(cloud, self.clock, &tags, &volumes, lost, None).await?;
        let Found { usable, mut spare } = found;
        let complete = volumes.iter().all(|volume| usable.contains_key(volume));
        let set: Vec<SnapshotFacts> = usable.into_values().collect();
        if !complete {
            spare.extend(set.iter().cloned());
        }
        discard(cloud, self.clock, spare.iter().map(|s| &s.snapshot)).await?;
        Ok(complete.then(|| sorted(set.iter().map(made).collect())))
    }

    /// Waits until the next snapshot of these volumes is allowed.
    pub(super) async fn keep_spacing(&self) {
        let taken = self.progress.rounds.values().filter_map(|round| {
            round
                .snapshots
                .iter()
                .map(|snapshot| snapshot.started_at)
                .max()
        });
        let failed = self.progress.failing.values().filter(|failing| {
            matches!(
                failing.action,
                Action::Snapshot { .. } | Action::FreezeSnapshot { .. }
            )
        });
        let last = taken.chain(failed.map(|failing| failing.at)).max();
        // Never longer than the spacing itself: a wall clock that was set back would hold up the cutover.
        if let Some(last) = last {
            let now = self.clock.now();
            let allowed = last.min(now) + TimeDelta::seconds(SPACING_SECONDS);
            let left = (allowed - now).to_std().unwrap_or_default();
            self.clock.sleep(left).await;
        }
    }

    async fn create_set(&self, step: &str) -> Result<Vec<MadeSnapshot>, Failure> {
        let cloud = &self.sides.source;
        let (tags, text) = (step_tags(self.plan, step), description(self.plan, step));
        let Some(instance) = &self.plan.source.instance else {
            let mut set = Vec::new();
            for volume in self.volumes() {
                let made = cloud.create_snapshot(&volume, &text, &tags).await;
                set.push(made.map_err(|error| Failure::from(error).after(set.len()))?);
            }
            return Ok(sorted(set));
        };
        let excluded = self.excluded().await?;
        let set = cloud
            .create_snapshots(instance, &excluded, &text, &tags, None)
            .await?;
        self.require_whole(&set)?;
        Ok(set)
    }

    /// Data volumes of the instance that are not migrated.
    pub(super) async fn excluded(&self) -> Result<Vec<VolumeId>, Failure> {
        let Some(instance) = &self.plan.source.instance else {
            return Ok(Vec::new());
        };
        let wanted = self.volumes();
        let attached = self.sides.source.instance_volumes(instance).await?.data;
        let others = attached.into_iter().map(|facts| facts.volume);
        Ok(others.filter(|volume| !wanted.contains(volume)).collect())
    }

    /// A set counts only when it holds exactly the volumes of the plan.
    pub(super) fn require_whole(&self, set: &[MadeSnapshot]) -> Result<(), Failure> {
        let has = |volume: &VolumeId| set.iter().any(|made| made.volume == *volume);
        let missing: Vec<String> = self
            .volumes()
            .iter()
            .filter(|v| !has(v))
            .map(ToString::to_string)
            .collect();
        if missing.is_empty() && set.len() == self.plan.volumes.len() {
            return Ok(());
        }
        let taken = set.len();
        Err(Failure::permanent(format!(
            "the set of {taken} snapshot(s) is not the {} volume(s) of the plan, missing: {}; were \
             volumes attached or detached since the plan was made?",
            self.plan.volumes.len(),
            if missing.is_empty() {
                "none".to_owned()
            } else {
                missing.join(", ")
            }
        )))
    }

    pub(super) async fn await_snapshots(&self, round: u32) -> Result<StepResult, Failure> {
        let pending = self.round(round)?.snapshots.clone();
        let snapshots = self
            .await_all(&self.sides.source, &pending, Replaceable::No)
            .await?;
        Ok(StepResult::Completed { snapshots })
    }

    /// Waits until all are completed, and where they are replaceable none of them is stuck. Snapshots of volumes are
    /// waited for however long it takes: newer ones of the volume stay pending until the oldest completes, and one that is
    /// deleted runs on (EBS user guide), so another one would only queue behind it.
    ///
    /// A permanent failure means that a member ended in `error`, is stuck or gone: it has to be made anew.
    pub(super) async fn await_all(
        &self,
        cloud: &Cloud,
        pending: &[MadeSnapshot],
        replaceable: Replaceable,
    ) -> Result<Vec<CompletedSnapshot>, Failure> {
        let ids: Vec<SnapshotId> = pending.iter().map(|made| made.snapshot.clone()).collect();
        let poll = self.poll();
        let grace = match self.deadline {
            None => GRACE_SECONDS,
            Some(_) => GRACE_FENCED_SECONDS,
        };
        loop {
            match cloud.describe_snapshots(&ids).await {
                Ok(facts) => {
                    if let Some(done) = self.all_completed(pending, &facts)? {
                        return Ok(done);
                    }
                }
                Err(error) if is_not_found(&error) && poll.waited_seconds() >= grace => {
                    return Err(Failure::permanent(format!("a snapshot is gone: {error}")));
                }
                Err(error) if is_not_found(&error) => {}
                Err(error) => return Err(error.into()),
            }
            if replaceable == Replaceable::Yes && self.deadline.is_none() {
                are_under_way(pending, self.stuck_before())?;
            }
            self.keep_lease().await?;
            poll.pause("snapshots are still pending").await?;
        }
    }

    /// A copy that has been pending since before this instant is stuck: one may take as long as a full scan, and that is
    /// waited for; this is a multiple of it.
    pub(super) fn stuck_before(&self) -> Timestamp {
        let longest = |round: &PlannedRound| {
            let (snapshot, transfer) = (round.snapshot_seconds, round.transfer_seconds);
            snapshot.p99.max(transfer.p99)
        };
        let base = self.plan.rounds.first().map_or(0.0, longest);
        let seconds = (base * STUCK_FACTOR).max(LEAST_STUCK_SECONDS);
        let span = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        self.clock.now() - TimeDelta::from_std(span).unwrap_or(TimeDelta::days(365))
    }

    fn all_completed(
        &self,
        pending: &[MadeSnapshot],
        facts: &[SnapshotFacts],
    ) -> Result<Option<Vec<CompletedSnapshot>>, Failure> {
        if let Some(bad) = facts.iter().find(|facts| facts.state == "error") {
            let message = format!("{} ended in state error", bad.snapshot);
            return Err(Failure::permanent(message));
        }
        if facts.iter().any(|facts| facts.state != "completed") {
            return Ok(None);
        }
        let now = self.clock.now();
        let completed = pending.iter().filter_map(|made| {
            let facts = facts.iter().find(|facts| facts.snapshot == made.snapshot)?;
            Some(completed(made, facts, now))
        });
        Ok(Some(completed.collect()))
    }
}

fn completed(made: &MadeSnapshot, facts: &SnapshotFacts, now: Timestamp) -> CompletedSnapshot {
    CompletedSnapshot {
        volume: made.volume.clone(),
        snapshot: made.snapshot.clone(),
        started_at: made.started_at,
        completed_at: facts.completed_at.unwrap_or(now),
        full_bytes: facts.full_bytes,
    }
}

pub(super) fn made(facts: &SnapshotFacts) -> MadeSnapshot {
    MadeSnapshot {
        volume: facts.volume.clone(),
        snapshot: facts.snapshot.clone(),
        started_at: facts.started_at,
    }
}

pub(super) fn sorted(mut set: Vec<MadeSnapshot>) -> Vec<MadeSnapshot> {
    set.sort_by(|a, b| a.volume.cmp(&b.volume));
    set
}
