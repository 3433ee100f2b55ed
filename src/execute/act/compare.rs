//! The full comparison of the final snapshots, with the counts of the final delta.

use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::progress::RoundProgress;
use snapmigrate_models::report::Verification;
use snapmigrate_models::step::{FailureClass, StepResult, VolumeDelta};

use super::Context;
use crate::execute::failure::Failure;
use crate::execute::{Auditor, Comparison};
use crate::transfer::compare::{self, Pair};

impl Context<'_> {
    pub(super) async fn compare(&self) -> Result<StepResult, Failure> {
        let round = self.final_state()?;
        let deltas = round.deltas.clone().unwrap_or_default();
        let changed_blocks = blocks(&deltas);
        if !self.progress.kept.is_empty() {
            let kept = &self.progress.kept;
            let awaited = self.await_all(&self.sides.target, kept).await;
            awaited.map_err(nothing_to_compare)?;
        }
        let written_blocks = self.written_to_target(round, changed_blocks).await?;
        let mut verification = match &self.sides.comparison {
            Comparison::Bytes => self.compare_bytes(round, &deltas).await?,
            Comparison::Audit(audit) => self.audit(audit, &deltas)?,
        };
        verification.changed_blocks = changed_blocks;
        verification.written_blocks = written_blocks;
        if !round.synced.is_empty() {
            verification.read_back_blocks = round.synced.iter().map(|s| s.read_back_blocks).sum();
        }
        Ok(StepResult::Compared { verification })
    }

    fn final_state(&self) -> Result<&RoundProgress, Failure> {
        let round = self
            .progress
            .final_round()
            .and_then(|index| self.progress.round(index));
        round.ok_or_else(|| Failure::permanent("there is no final round to compare"))
    }

    /// Blocks the final copy changed in the target; without a copy the volume is made from the
    /// snapshot itself and nothing else is written.
    async fn written_to_target(&self, last: &RoundProgress, changed: u64) -> Result<u64, Failure> {
        if !last.synced.is_empty() {
            return Ok(last.synced.iter().map(|s| s.written_blocks).sum());
        }
        let before = self
            .progress
            .final_round()
            .and_then(|index| index.checked_sub(1));
        let before = before.and_then(|index| self.progress.round(index));
        let mut written = 0;
        for copy in &last.copied {
            let older = before.and_then(|r| r.copied.iter().find(|c| c.volume == copy.volume));
            let older: Option<&SnapshotId> = older.map(|copy| &copy.snapshot);
            written += self
                .sides
                .target
                .changed_runs(older, &copy.snapshot)
                .await?
                .blocks;
        }
        Ok(if last.copied.is_empty() {
            changed
        } else {
            written
        })
    }

    async fn compare_bytes(
        &self,
        round: &RoundProgress,
        deltas: &[VolumeDelta],
    ) -> Result<Verification, Failure> {
        let mut comparison = compare::Comparison::default();
        for snapshot in &round.completed {
            let delta = deltas.iter().find(|delta| delta.volume == snapshot.volume);
            let pair = Pair {
                volume: snapshot.volume.clone(),
                source: snapshot.snapshot.clone(),
                target: self.final_snapshot(&snapshot.volume)?,
                delta_runs: delta.map_or_else(Vec::new, |delta| delta.runs.to_vec()),
            };
            comparison
                .add(&self.sides.source, &self.sides.target, &pair)
                .await?;
        }
        Ok(Verification {
            method: "sha256".to_owned(),
            blocks_compared: comparison.blocks_compared,
            mismatches: comparison.mismatches,
            changed_blocks: 0,
            written_blocks: 0,
            read_back_blocks: comparison.delta_read_back,
            digest: comparison.digest(),
        })
    }

    /// The audit looks at every block of the restored volumes, those of the delta among them.
    fn audit(&self, audit: &Auditor, deltas: &[VolumeDelta]) -> Result<Verification, Failure> {
        let found = audit(&self.progress.restored, deltas).map_err(Failure::permanent)?;
        Ok(Verification {
            method: "block_versions".to_owned(),
            blocks_compared: found.blocks_compared,
            mismatches: found.mismatches,
            changed_blocks: 0,
            written_blocks: 0,
            read_back_blocks: blocks(deltas),
            digest: found.digest,
        })
    }
}

fn blocks(deltas: &[VolumeDelta]) -> u64 {
    deltas.iter().map(|delta| delta.changed_blocks).sum()
}

/// What was kept of the target before it was mounted is lost: nothing can take its place.
fn nothing_to_compare(failed: Failure) -> Failure {
    if failed.class != FailureClass::Permanent {
        return failed;
    }
    Failure::permanent(format!(
        "{}: it held what the target's volumes were before they were mounted, so that the full comparison cannot \
         be made any more; what is proved is the base, written and read back in full, and each delta's changed, written \
         and read-back blocks, one set; keep the source",
        failed.message
    ))
}
