//! Volumes that an earlier run of this migration has prepared, and nothing has mounted: they need what changed since, not
//! every block. They are taken over all or not at all.

use snapmigrate_models::ids::{SnapshotId, VolumeId};
use snapmigrate_models::inventory::VolumeFacts;
use snapmigrate_models::plan::PlannedVolume;
use snapmigrate_models::step::VolumePair;

use super::Context;
use crate::cloud::Tags;
use crate::execute::failure::{Failure, is_not_found};
use crate::execute::names::{MIGRATION_TAG, PLAN_TAG, STEP_TAG, VOLUME_TAG, plan_tags};
use crate::quiesce::protocol::{BaseState, SyncStatus};

/// A last delta may still be under way.
const WAIT_SECONDS: f64 = 60.0;

impl Context<'_> {
    /// The pairs with what they hold, when there is one for every volume of the plan.
    pub(super) async fn bases_of_an_earlier_run(
        &self,
        step: &str,
    ) -> Result<Option<Vec<VolumePair>>, Failure> {
        let candidates = self.candidates(step).await?;
        let mut pairs = Vec::new();
        for planned in &self.plan.volumes {
            let fitting = candidates.iter().filter(|facts| self.fits(planned, facts));
            let Some(pair) = self.first_held(planned, fitting).await? else {
                return Ok(None);
            };
            pairs.push(pair);
        }
        pairs.sort_by(|a, b| a.source.cmp(&b.source));
        Ok(Some(pairs).filter(|pairs| !pairs.is_empty()))
    }

    /// What is left of the volumes that were taken over: an earlier run made them, under its own tags.
    pub(super) async fn taken_over(&self) -> Result<Vec<VolumeFacts>, Failure> {
        let mut found = Vec::new();
        for pair in self
            .progress
            .restored
            .iter()
            .filter(|pair| pair.holds.is_some())
        {
            match self
                .sides
                .target
                .describe_volumes(std::slice::from_ref(&pair.target))
                .await
            {
                Err(error) if is_not_found(&error) => {}
                described => found.extend(described?),
            }
        }
        Ok(found)
    }

    /// What another plan of this migration prepared.
    async fn candidates(&self, step: &str) -> Result<Vec<VolumeFacts>, Failure> {
        let ours = plan_tags(self.plan);
        let tags = Tags::from([
            (MIGRATION_TAG.to_owned(), self.plan.policy.name.clone()),
            (STEP_TAG.to_owned(), step.to_owned()),
        ]);
        let mut found = self.sides.target.volumes_tagged(&tags).await?;
        found.retain(|facts| facts.tags.get(PLAN_TAG) != ours.get(PLAN_TAG));
        Ok(found)
    }

    /// It is what this plan would make, where this plan would attach it.
    fn fits(&self, planned: &PlannedVolume, facts: &VolumeFacts) -> bool {
        let target = &self.plan.target;
        let made = self.empty_volume("", planned);
        facts.tags.get(VOLUME_TAG).map(String::as_str) == Some(planned.volume.as_str())
            && facts.state == "in-use"
            && target.instance.is_some()
            && facts.attached_to == target.instance
            && facts.zone == made.zone
            && facts.size_gib == made.size_gib
            && facts.volume_type == made.volume_type
            && facts.encrypted == (made.encrypted || made.kms_key.is_some())
            && (made.kms_key.is_none() || facts.kms_key == made.kms_key)
    }

    async fn first_held<'a>(
        &self,
        planned: &PlannedVolume,
        fitting: impl Iterator<Item = &'a VolumeFacts>,
    ) -> Result<Option<VolumePair>, Failure> {
        for facts in fitting {
            if let Some(holds) = self.held_of(&planned.volume, &facts.volume).await? {
                return Ok(Some(VolumePair {
                    source: planned.volume.clone(),
                    target: facts.volume.clone(),
                    holds: Some(holds),
                }));
            }
        }
        Ok(None)
    }

    /// The source's snapshot that the host holds a volume at; none when it does not, or the snapshot can be no base.
    async fn held_of(
        &self,
        source: &VolumeId,
        target: &VolumeId,
    ) -> Result<Option<SnapshotId>, Failure> {
        let status = SyncStatus {
            volume: target.to_string(),
            wait_seconds: WAIT_SECONDS,
        };
        let reply = self.target_host()?.call(status).await?;
        let to = reply.to.filter(|_| reply.state == BaseState::Held);
        let Some(to) = to.and_then(|to| to.parse::<SnapshotId>().ok()) else {
            return Ok(None);
        };
        match self
            .sides
            .source
            .describe_snapshots(std::slice::from_ref(&to))
            .await
        {
            Ok(facts) => {
                let usable = facts.iter().any(|facts| {
                    facts.volume == *source
                        && facts.state == "completed"
                        && facts.storage_tier != "archive"
                });
                Ok(usable.then_some(to))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
