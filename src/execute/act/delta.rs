//! Counting what changed between two rounds.

use snapmigrate_models::blocks::BlockSet;
use snapmigrate_models::evidence::VolumePeriods;
use snapmigrate_models::ids::{SnapshotId, VolumeId};
use snapmigrate_models::progress::RoundProgress;
use snapmigrate_models::step::{CompletedSnapshot, FailureClass, StepResult, VolumeDelta};
use snapmigrate_models::units::Blocks;

use super::Context;
use crate::execute::failure::Failure;
use crate::measure::writes_between;

impl Context<'_> {
    pub(super) async fn measure_delta(&self, round: u32) -> Result<StepResult, Failure> {
        let previous = round
            .checked_sub(1)
            .and_then(|index| self.progress.round(index));
        let mut deltas = Vec::new();
        for snapshot in &self.round(round)?.completed {
            deltas.push(self.delta(round, snapshot).await?);
        }
        let writes = self.writes_since(previous, round).await?;
        Ok(StepResult::Deltas { deltas, writes })
    }

    /// Since the round before, or since the newest one before it that still stands: somebody may have deleted what is
    /// in between.
    async fn delta(
        &self,
        round: u32,
        snapshot: &CompletedSnapshot,
    ) -> Result<VolumeDelta, Failure> {
        let earlier = self.progress.rounds.range(..round).rev();
        let mut ancestors = earlier.filter_map(|(_, round)| member(round, &snapshot.volume));
        let Some(mut older) = ancestors.next() else {
            return match self.written(snapshot).await {
                Err(refused) => Err(self.told_apart(refused, &snapshot.snapshot).await),
                counted => counted,
            };
        };
        loop {
            let refused = match self.changed(older, snapshot).await {
                Err(refused) if refused.class == FailureClass::Permanent => refused,
                counted => return counted,
            };
            if self.lost(&self.sides.source, older).await?.is_none() {
                return Err(self.told_apart(refused, &snapshot.snapshot).await);
            }
            match ancestors.next() {
                Some(ancestor) => older = ancestor,
                None => return self.written(snapshot).await,
            }
        }
    }

    /// What was written in the time the delta covers. Behind the fence nobody asks any more.
    async fn writes_since(
        &self,
        previous: Option<&RoundProgress>,
        round: u32,
    ) -> Result<Vec<VolumePeriods>, Failure> {
        let round = self.round(round)?;
        let from = previous.and_then(RoundProgress::point_in_time);
        let Some((from, to)) = from.zip(round.point_in_time()) else {
            return Ok(Vec::new());
        };
        if round.is_final {
            return Ok(Vec::new());
        }
        let volumes = self.volumes();
        Ok(writes_between(&self.sides.source, &volumes, from, to).await?)
    }

    async fn changed(
        &self,
        older: &SnapshotId,
        newer: &CompletedSnapshot,
    ) -> Result<VolumeDelta, Failure> {
        let found = self
            .sides
            .source
            .changed_runs(Some(older), &newer.snapshot)
            .await?;
        let volume = newer.volume.clone();
        Ok(VolumeDelta {
            volume,
            changed_blocks: found.blocks,
            runs: BlockSet::of(found.runs),
        })
    }

    /// All written blocks: the service's full size tells them without millions of listed blocks.
    async fn written(&self, base: &CompletedSnapshot) -> Result<VolumeDelta, Failure> {
        let changed_blocks = match base.full_bytes {
            Some(bytes) => Blocks::covering(bytes).0,
            None => {
                self.sides
                    .source
                    .changed_runs(None, &base.snapshot)
                    .await?
                    .blocks
            }
        };
        Ok(VolumeDelta {
            volume: base.volume.clone(),
            changed_blocks,
            runs: BlockSet::default(),
        })
    }
}

/// The completed snapshot of a volume in a round.
fn member<'a>(round: &'a RoundProgress, volume: &VolumeId) -> Option<&'a SnapshotId> {
    round
        .completed
        .iter()
        .find(|s| s.volume == *volume)
        .map(|s| &s.snapshot)
}
