//! Sharing and copying a completed set into the target.

use snapmigrate_models::step::{Action, CompletedSnapshot, MadeSnapshot, StepResult};

use super::Context;
use super::discard::discard;
use super::snapshots::{Replaceable, sorted};
use crate::cloud::CopyRequest;
use crate::execute::adopt::{self, Found};
use crate::execute::failure::Failure;
use crate::execute::names::{description, step_tags, volume_tags};

impl Context<'_> {
    pub(super) async fn share(&self, round: u32) -> Result<StepResult, Failure> {
        for snapshot in &self.round(round)?.completed {
            let account = &self.plan.target.account;
            let shared = self
                .sides
                .source
                .share_snapshot(&snapshot.snapshot, account);
            if let Err(error) = shared.await {
                return Err(self.told_apart(error.into(), &snapshot.snapshot).await);
            }
        }
        Ok(StepResult::Done)
    }

    /// Starts the copies that do not exist yet.
    pub(super) async fn copy(&self, round: u32, action: &Action) -> Result<StepResult, Failure> {
        let step = action.step_id();
        let mut found = Found::default();
        if self.attempt > 1 {
            let (cloud, tags) = (&self.sides.target, step_tags(self.plan, &step));
            let lost = self.answer_was_lost(&step);
            found = adopt::find(
                cloud,
                self.clock,
                &tags,
                &self.volumes(),
                lost,
                Some(self.stuck_before()),
            )
            .await?;
            discard(cloud, self.clock, found.spare.iter().map(|s| &s.snapshot)).await?;
        }
        if found.usable.is_empty() {
            self.base_stands(round).await?;
        }
        let mut copies = Vec::new();
        for original in &self.round(round)?.completed {
            copies.push(match found.usable.get(&original.volume) {
                Some(copy) => MadeSnapshot {
                    volume: original.volume.clone(),
                    snapshot: copy.snapshot.clone(),
                    started_at: copy.started_at,
                },
                None => {
                    let started = self.start_copy(&step, original).await;
                    started.map_err(|failure| failure.after(copies.len()))?
                }
            });
        }
        Ok(StepResult::Started {
            snapshots: sorted(copies),
        })
    }

    async fn start_copy(
        &self,
        step: &str,
        original: &CompletedSnapshot,
    ) -> Result<MadeSnapshot, Failure> {
        let volume = &original.volume;
        let planned = self
            .plan
            .volumes
            .iter()
            .find(|planned| planned.volume == *volume);
        // An encrypted source stays encrypted: within one account under its own key.
        let own_key = || planned.and_then(|planned| planned.kms_key.clone());
        let same_place = self.plan.source.account == self.plan.target.account
            && self.plan.source.region == self.plan.target.region;
        let policy_key = self.plan.policy.target.kms_key.clone();
        let request = CopyRequest {
            source_region: self.plan.source.region.clone(),
            source_snapshot: original.snapshot.clone(),
            kms_key: policy_key.or_else(|| if same_place { own_key() } else { None }),
            description: description(self.plan, step),
            tags: volume_tags(self.plan, step, volume),
        };
        let started_at = self.clock.now();
        let snapshot = match self.sides.target.copy_snapshot(&request).await {
            Ok(snapshot) => snapshot,
            Err(error) => return Err(self.told_apart(error.into(), &original.snapshot).await),
        };
        Ok(MadeSnapshot {
            volume: volume.clone(),
            snapshot,
            started_at,
        })
    }

    pub(super) async fn await_copies(&self, round: u32) -> Result<StepResult, Failure> {
        let pending = self.round(round)?.copies.clone();
        let snapshots = self
            .await_all(&self.sides.target, &pending, Replaceable::Yes)
            .await?;
        Ok(StepResult::Completed { snapshots })
    }
}
