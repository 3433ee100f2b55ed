//! The final snapshot: freeze, CreateSnapshots, thaw. The set counts only when the host attests one
//! unbroken freeze from before the call until its answer; on any doubt it is discarded.

use std::time::Duration;

use snapmigrate_models::ids::InstanceId;
use snapmigrate_models::step::{Action, FailureClass, MadeSnapshot, StepResult};
use snapmigrate_models::units::Timestamp;

use super::Context;
use super::discard::discard;
use crate::cloud::CloudError;
use crate::execute::adopt;
use crate::execute::failure::Failure;
use crate::execute::names::{description, step_tags};
use crate::quiesce::protocol::{FenceState, Freeze, FreezeReply, Status, Thaw, ThawReply};

/// The call's answer must be there this long before the host thaws by itself.
pub(super) const MARGIN_SECONDS: f64 = 3.0;

impl Context<'_> {
    pub(super) async fn freeze(&self, round: u32, attempt: u32) -> Result<StepResult, Failure> {
        self.discard_earlier(round, attempt).await?;
        let epoch = self.progress.epoch().unwrap_or(0);
        self.require_lease(epoch).await?;
        let Some(instance) = &self.plan.source.instance else {
            let message =
                "the plan names no source instance: volumes outside of one cannot be frozen";
            return Err(Failure::permanent(message));
        };
        let excluded = self.excluded().await?;
        self.keep_spacing().await;
        // Fresh credentials and a warm connection: nothing but the call itself happens frozen.
        self.sides.source.identity().await?;
        let step = Action::FreezeSnapshot { round, attempt }.step_id();
        let limit_seconds = self.plan.policy.freeze_limit_seconds;
        let host = self.source_host()?;
        let asked_at = self.clock.now();
        let frozen = host
            .call(Freeze {
                epoch,
                limit_seconds,
            })
            .await?;
        // Where a message takes its time, the file systems were frozen long before we heard of it, and the thaw will
        // take as long.
        let on_the_way = match host.is_carried() {
            true => 2.0 * (self.clock.now() - asked_at).as_seconds_f64(),
            false => 0.0,
        };
        let answer = self
            .take_final(instance, &excluded, &step, on_the_way)
            .await;
        let answered_at = self.clock.now();
        let thawed = self
            .source_host()?
            .call(Thaw {
                freeze_id: frozen.freeze_id.clone(),
            })
            .await;
        let taken = Taken {
            frozen,
            answer,
            answered_at,
            thawed: thawed.map_err(Failure::from),
        };
        self.judge(taken, &step).await
    }

    async fn take_final(
        &self,
        instance: &InstanceId,
        excluded: &[snapmigrate_models::ids::VolumeId],
        step: &str,
        on_the_way_seconds: f64,
    ) -> Result<Vec<MadeSnapshot>, CloudError> {
        let limit = self.plan.policy.freeze_limit_seconds - on_the_way_seconds;
        let patience = Duration::from_secs_f64((limit - MARGIN_SECONDS).max(limit / 2.0).max(0.1));
        let (tags, text) = (step_tags(self.plan, step), description(self.plan, step));
        self.sides
            .source
            .create_snapshots(instance, excluded, &text, &tags, Some(patience))
            .await
    }

    async fn judge(&self, taken: Taken, step: &str) -> Result<StepResult, Failure> {
        let doubt = match (&taken.answer, &taken.thawed) {
            (Err(error), _) => Failure::from(error.clone()),
            (_, Err(failure)) => failure.clone(),
            (Ok(set), Ok(thaw)) if thaw.unbroken => match self.require_whole(set) {
                Ok(()) => return Ok(taken.counts(set, thaw)),
                Err(failure) => failure,
            },
            (_, Ok(thaw)) => Failure::transient(format!(
                "the freeze did not hold until the answer (frozen for {:.1} s)",
                thaw.frozen_seconds
            )),
        };
        if let Ok(set) = &taken.answer {
            let made = set.iter().map(|made| &made.snapshot);
            let discarded = discard(&self.sides.source, self.clock, made.clone()).await;
            discarded.map_err(|failure| failure.leaving(made))?;
        } else if doubt.class == FailureClass::Unknown {
            self.discard_tagged(step, true).await?;
        }
        // What was in doubt is gone: the next attempt starts from nothing.
        let class = match doubt.class {
            FailureClass::Permanent
            | FailureClass::Integrity
            | FailureClass::Lineage
            | FailureClass::Gone => doubt.class,
            _ => FailureClass::Transient,
        };
        Err(Failure::new(
            class,
            format!("{}; the file systems are thawed", doubt.message),
        ))
    }

    /// Nothing of an earlier freeze may stand beside the set that counts.
    async fn discard_earlier(&self, round: u32, attempt: u32) -> Result<(), Failure> {
        for earlier in 1..attempt {
            let step = Action::FreezeSnapshot {
                round,
                attempt: earlier,
            }
            .step_id();
            let lost = earlier + 1 == attempt && self.answer_was_lost(&step);
            self.discard_tagged(&step, lost).await?;
        }
        Ok(())
    }

    /// The way back: nothing of a freeze that does not count is left.
    pub(super) async fn discard_freezes(&self) -> Result<StepResult, Failure> {
        for step in self.progress.doubted_freezes() {
            self.discard_tagged(&step, self.answer_was_lost(&step))
                .await?;
        }
        Ok(StepResult::Done)
    }

    async fn discard_tagged(&self, step: &str, answer_lost: bool) -> Result<(), Failure> {
        let (cloud, tags) = (&self.sides.source, step_tags(self.plan, step));
        let found =
            adopt::find(cloud, self.clock, &tags, &self.volumes(), answer_lost, None).await?;
        let found = found.usable.values().chain(&found.spare);
        discard(cloud, self.clock, found.map(|s| &s.snapshot)).await
    }

    async fn require_lease(&self, epoch: u64) -> Result<(), Failure> {
        let status = self.source_host()?.call(Status {}).await?;
        let ours = status.fence == FenceState::Leased && status.epoch == Some(epoch);
        if !ours {
            return Err(Failure::permanent(format!(
                "the source is not fenced under number {epoch} any more: the lease ended or another \
                 executor took over"
            )));
        }
        if status.frozen {
            let message = "an earlier freeze still holds; the host ends it within its limit";
            return Err(Failure::transient(message));
        }
        Ok(())
    }
}

/// A freeze with everything that came of it.
struct Taken {
    frozen: FreezeReply,
    answer: Result<Vec<MadeSnapshot>, CloudError>,
    answered_at: Timestamp,
    thawed: Result<ThawReply, Failure>,
}

impl Taken {
    fn counts(&self, set: &[MadeSnapshot], thaw: &ThawReply) -> StepResult {
        StepResult::Frozen {
            frozen_at: self.frozen.frozen_at,
            answered_at: self.answered_at,
            thawed_at: thaw.thawed_at,
            snapshots: set.to_vec(),
        }
    }
}
