//! Whether what the next link builds on still stands, asked before the link is made: somebody else may have deleted or
//! archived it, and the next link would be as large as the base.
//!
//! A copy is incremental when the most recent copy of the lineage still stands in the target and is not archived
//! (EBS user guide, copy a snapshot); a prepared volume needs the snapshot that it holds.

use std::time::Duration;

use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::progress::RoundProgress;
use snapmigrate_models::step::{CompletedSnapshot, FailureClass};

use super::Context;
use crate::cloud::Cloud;
use crate::execute::failure::{Failure, is_not_found};

/// What is said to be gone is asked for so often: an answer may be behind the world (EC2 API, eventual consistency).
const LOOKS: u32 = 3;

/// Pause between them while the source serves, and behind the fence.
const PAUSE: Duration = Duration::from_secs(20);
const PAUSE_FENCED: Duration = Duration::from_secs(2);

impl Context<'_> {
    /// The base of the link `round` stands, or a plan counts with a full one.
    ///
    /// # Errors
    /// [`FailureClass::Lineage`] when it is gone.
    pub(super) async fn base_stands(&self, round: u32) -> Result<(), Failure> {
        if self.progress.full.contains(&round) {
            return Ok(());
        }
        let Some((cloud, base)) = self.base_of(round) else {
            return Ok(());
        };
        for member in base {
            if let Some(trouble) = self.lost(cloud, &member.snapshot).await? {
                return Err(Failure::new(
                    FailureClass::Lineage,
                    format!(
                        "{trouble}, somebody else did that; the next link of {} would be as large as its base",
                        member.volume
                    ),
                ));
            }
        }
        Ok(())
    }

    /// What `round` is incremental to, and where that is.
    fn base_of(&self, round: u32) -> Option<(&Cloud, &[CompletedSnapshot])> {
        let earlier = self.progress.rounds.range(..round).rev();
        let mut earlier = earlier.map(|(_, round)| round);
        let arrived = |round: &&RoundProgress| !round.copied.is_empty() || !round.synced.is_empty();
        let base = earlier.find(arrived)?;
        Some(match base.copied.is_empty() {
            false => (&self.sides.target, base.copied.as_slice()),
            true => (&self.sides.source, base.completed.as_slice()),
        })
    }

    /// A refusal that is about a snapshot of a round which somebody else deleted or archived: the round is worth
    /// nothing then, while the request was right.
    pub(super) async fn told_apart(&self, refused: Failure, snapshot: &SnapshotId) -> Failure {
        if refused.class != FailureClass::Permanent {
            return refused;
        }
        match self.lost(&self.sides.source, snapshot).await {
            Ok(Some(trouble)) => Failure::new(
                FailureClass::Gone,
                format!("{trouble} before its data was in the target; somebody else did that"),
            ),
            _ => refused,
        }
    }

    /// What became of a snapshot that was completed; none when it stands.
    pub(super) async fn lost(
        &self,
        cloud: &Cloud,
        snapshot: &SnapshotId,
    ) -> Result<Option<String>, Failure> {
        let fenced = self.deadline.is_some();
        let pause = if fenced { PAUSE_FENCED } else { PAUSE };
        for look in 1.. {
            let trouble = match cloud
                .describe_snapshots(std::slice::from_ref(snapshot))
                .await
            {
                Ok(facts) => {
                    let found = facts.iter().find(|facts| {
                        facts.state != "completed" || facts.storage_tier == "archive"
                    });
                    return Ok(found.map(|facts| {
                        format!(
                            "{snapshot} is {} in tier {}",
                            facts.state, facts.storage_tier
                        )
                    }));
                }
                Err(error) if is_not_found(&error) => format!("{snapshot} is gone"),
                Err(error) => return Err(error.into()),
            };
            if look == LOOKS {
                return Ok(Some(trouble));
            }
            self.clock.sleep(pause).await;
        }
        Ok(None)
    }
}
