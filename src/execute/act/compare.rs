//! The full comparison of the final snapshots, with the counts of the final delta; on path `direct`, where the target's
//! snapshot may be lost, what was read back before the mount.

use sha2::{Digest, Sha256};
use snapmigrate_models::format::hex;
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::progress::RoundProgress;
use snapmigrate_models::report::Verification;
use snapmigrate_models::step::{FailureClass, StepResult, VolumeDelta};

use super::Context;
use super::snapshots::Replaceable;
use crate::execute::failure::{Failure, is_not_found};
use crate::execute::{Auditor, Comparison};
use crate::transfer::compare::{self, Pair};

impl Context<'_> {
    pub(super) async fn compare(&self) -> Result<StepResult, Failure> {
        let round = self.final_state()?;
        let deltas = round.deltas.clone().unwrap_or_default();
        let changed_blocks = blocks(&deltas);
        let written_blocks = self.written_to_target(round, changed_blocks).await?;
        let mut verification = match &self.sides.comparison {
            _ if self.kept_is_lost().await? => self.read_back()?,
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

    /// Waits for what was kept of the target before it was mounted. Nothing can take its place: the volumes have been
    /// written to since.
    async fn kept_is_lost(&self) -> Result<bool, Failure> {
        let (kept, target) = (&self.progress.kept, &self.sides.target);
        if kept.is_empty() {
            return Ok(false);
        }
        let Err(failed) = self.await_all(target, kept, Replaceable::No).await else {
            return Ok(false);
        };
        if failed.class != FailureClass::Permanent {
            return Err(failed);
        }
        let ids: Vec<SnapshotId> = kept.iter().map(|kept| kept.snapshot.clone()).collect();
        match target.describe_snapshots(&ids).await {
            Ok(facts) if facts.iter().any(|facts| facts.state == "error") => Ok(true),
            Err(error) if is_not_found(&error) => Ok(true),
            Ok(_) => Err(failed),
            Err(error) => Err(error.into()),
        }
    }

    /// What the target's host compared before it let the volumes be mounted: since they were last written whole, every
    /// block that a round changed was read back from the device and was what the source's snapshot holds, each round
    /// began where the one before had ended (which the journal accepts no other way), and the devices' write counters
    /// stood still in between.
    fn read_back(&self) -> Result<Verification, Failure> {
        let mut synced = Vec::new();
        for round in self.progress.rounds.values().rev() {
            synced.extend(&round.synced);
            if round.synced.iter().any(|volume| volume.from.is_none()) {
                break;
            }
        }
        if synced.last().is_none_or(|volume| volume.from.is_some()) {
            return Err(Failure::permanent("the volumes were never written whole"));
        }
        let mut digest = Sha256::new();
        for volume in &synced {
            digest.update(format!(
                "{} {} {}\n",
                volume.volume, volume.to, volume.digest
            ));
        }
        Ok(Verification {
            method: "read_back".to_owned(),
            blocks_compared: synced.iter().map(|volume| volume.read_back_blocks).sum(),
            mismatches: 0,
            changed_blocks: 0,
            written_blocks: 0,
            read_back_blocks: 0,
            digest: hex(&digest.finalize()),
        })
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
