//! Building the report: the plan's predictions beside what the progress holds.

mod hooks;

use std::collections::BTreeMap;

use chrono::SecondsFormat;

use super::revert::reported;
use super::{Actual, Predicted, Proof, Report, ReportedRound, ReportedSnapshot, RunOutcome};
use crate::cost::Spending;
use crate::evidence::Evidence;
use crate::format::Document;
use crate::plan::{Forecast, Plan, RoundKind};
use crate::progress::{Progress, RoundProgress};
use crate::step::{Action, round_kind};
use crate::units::{Blocks, Timestamp};

/// The report of a migration, finished or not: what did not happen is absent. It was begun with `first` and carried out
/// under `plan`: the same, or the last child that took over.
#[must_use]
pub fn build(first: &Plan, plan: &Plan, progress: &Progress) -> Report {
    let (outcome, reason) = ending(progress);
    Report {
        format: Report::FORMAT.to_owned(),
        name: plan.name.clone(),
        plan_digest: first.digest.clone(),
        adopted_plans: Vec::new(),
        outcome,
        reason,
        predicted: predicted(&first.forecast),
        predicted_at_gate: progress.gates.last().map(|gate| predicted(&gate.forecast)),
        spread: progress
            .gates
            .last()
            .map_or(&first.forecast, |gate| &gate.forecast)
            .spread
            .clone(),
        actual: actual(plan, progress),
        proof: proof(progress),
        rounds: rounds(&[first, plan], progress),
        verification: progress.verification.clone(),
        revert: reported(progress),
        left_behind: left_behind(plan, progress),
    }
}

/// A migration that is not closed is reported by what serves.
fn ending(progress: &Progress) -> (RunOutcome, String) {
    match &progress.closed {
        Some(closed) => (closed.outcome, closed.reason.clone()),
        None if progress.target_serves() => (
            RunOutcome::CutOver,
            "not closed: the target serves, the comparison is owed".to_owned(),
        ),
        None => (
            RunOutcome::Failed,
            "not closed: it goes on with the same command".to_owned(),
        ),
    }
}

const fn predicted(forecast: &Forecast) -> Predicted {
    Predicted {
        freeze_seconds: forecast.freeze_seconds,
        write_downtime_seconds: forecast.write_downtime_seconds,
        read_downtime_seconds: forecast.read_downtime_seconds,
        final_delta_bytes: forecast.final_delta_bytes,
        cost_usd: forecast.cost_usd,
    }
}

fn actual(plan: &Plan, progress: &Progress) -> Actual {
    let fence = progress.fence.as_ref();
    let facts = fence.and_then(|fence| fence.facts.as_ref());
    let freeze = fence.and_then(|fence| fence.freeze.as_ref());
    let activated = progress.activated.as_ref();
    let last = progress
        .final_round()
        .and_then(|index| progress.round(index));
    let downtime = facts
        .zip(activated)
        .map(|(from, to)| (to.first_target_write - from.last_source_write).as_seconds_f64());
    Actual {
        freeze_seconds: freeze.map(|f| (f.thawed_at - f.frozen_at).as_seconds_f64()),
        write_downtime_seconds: downtime,
        // The fence is a clean stop: the source serves no reads behind it either.
        read_downtime_seconds: downtime,
        final_delta_bytes: last.and_then(RoundProgress::delta_bytes),
        cost_usd: cost(plan, progress),
        base_snapshot_seconds: progress.round(0).and_then(RoundProgress::snapshot_seconds),
        times: times(&[
            ("fence", facts.map(|facts| facts.fenced_at)),
            ("freeze", freeze.map(|freeze| freeze.frozen_at)),
            (
                "snapshots_answered",
                freeze.map(|freeze| freeze.answered_at),
            ),
            ("thaw", freeze.map(|freeze| freeze.thawed_at)),
            (
                "last_source_write",
                facts.map(|facts| facts.last_source_write),
            ),
            (
                "activated",
                activated.map(|activated| activated.activated_at),
            ),
            (
                "first_target_write",
                activated.map(|activated| activated.first_target_write),
            ),
            ("switched", hooks::switched(plan, progress)),
        ]),
        hooks: hooks::reported(plan, progress),
    }
}

fn times(named: &[(&str, Option<Timestamp>)]) -> BTreeMap<String, String> {
    let stamp = |at: Timestamp| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    named
        .iter()
        .filter_map(|(name, at)| Some(((*name).to_owned(), stamp((*at)?))))
        .collect()
}

/// The price table over the measured quantities: bytes of the base and of every delta.
#[expect(clippy::cast_precision_loss, reason = "bytes below 2^53")]
fn cost(plan: &Plan, progress: &Progress) -> Option<f64> {
    let base = progress.round(0)?.delta_bytes()?;
    let evidence = Evidence::of(plan, progress);
    let mut spent = Spending::so_far(plan, &plan.model, &evidence);
    spent.base_bytes = base as f64;
    spent.listed_blocks = Blocks::covering(base).0 as f64;
    if progress.restored.is_empty() {
        spent.volumes_usd_month = 0.0;
    }
    Some(spent.usd())
}

fn proof(progress: &Progress) -> Proof {
    let facts = progress
        .fence
        .as_ref()
        .and_then(|fence| fence.facts.as_ref());
    let proved = progress.proof.as_ref();
    Proof {
        system_identifier: proved.map(|proved| proved.system_identifier.clone()),
        fence_lsn: facts.map(|facts| facts.lsn.clone()),
        target_lsn: proved.map(|proved| proved.replay_lsn.clone()),
        target_timeline: progress
            .activated
            .as_ref()
            .map(|activated| activated.timeline)
            .filter(|timeline| *timeline > 0),
    }
}

/// A round's prediction is the earliest: that of the first plan that has it.
fn rounds(plans: &[&Plan], progress: &Progress) -> Vec<ReportedRound> {
    let last = progress.final_round();
    let round = |(index, round): (&u32, &RoundProgress)| {
        let kind = round_kind(*index, last);
        let planned = plans
            .iter()
            .flat_map(|plan| &plan.rounds)
            .find(|p| p.kind == kind && (kind == RoundKind::Final || p.index == *index));
        ReportedRound {
            index: *index,
            kind,
            delta_bytes: round.delta_bytes(),
            predicted_delta_bytes: planned.map(|planned| planned.delta_bytes),
            snapshot_seconds: round.snapshot_seconds(),
            transfer_seconds: round.transfer_seconds(),
            volumes: snapshots(progress, *index, round),
        }
    };
    progress.rounds.iter().map(round).collect()
}

fn snapshots(progress: &Progress, index: u32, round: &RoundProgress) -> Vec<ReportedSnapshot> {
    let previous = index.checked_sub(1).and_then(|index| progress.round(index));
    let extent = extent(previous, round);
    let snapshot = |made: &crate::step::MadeSnapshot| {
        let completed = round.completed.iter().find(|s| s.volume == made.volume);
        let deltas = round
            .deltas
            .iter()
            .flatten()
            .find(|d| d.volume == made.volume);
        // On path `direct` the target's side of a round is what was kept of its volumes.
        let kept = progress.kept.iter().filter(|_| round.is_final);
        let mut copies = round.copies.iter().chain(kept);
        let copy = copies.find(|copy| copy.volume == made.volume);
        ReportedSnapshot {
            volume: made.volume.clone(),
            snapshot: made.snapshot.clone(),
            copy: copy.map(|copy| copy.snapshot.clone()),
            started_at: made.started_at,
            completed_at: completed.map(|completed| completed.completed_at),
            changed_blocks: deltas.map(|delta| delta.changed_blocks),
            extent: extent.to_owned(),
        }
    };
    round.snapshots.iter().map(snapshot).collect()
}

/// Incremental when the round before it stood completed on every side this one went to: the rule by
/// which the service copies only the difference (AWS EBS user guide, incremental snapshot copies).
fn extent(previous: Option<&RoundProgress>, round: &RoundProgress) -> &'static str {
    let stands = previous.is_some_and(|previous| {
        let copied = round.copies.is_empty() || !previous.copied.is_empty();
        !previous.completed.is_empty() && copied
    });
    if stands { "incremental" } else { "full" }
}

fn left_behind(plan: &Plan, progress: &Progress) -> Vec<String> {
    let gone = if progress.cleaned {
        progress.rounds.len().saturating_sub(2)
    } else {
        0
    };
    let mut left = Vec::new();
    if progress.reverted() {
        for pair in &progress.restored {
            left.push(format!(
                "{} in {} of account {}, with what the target took since its activation",
                pair.target, plan.target.region, plan.target.account
            ));
        }
    }
    if progress.deleted {
        return left;
    }
    for (index, round) in progress.rounds.iter().skip(gone) {
        for (volume, snapshot, copy) in round.members() {
            let source = &plan.source;
            left.push(format!(
                "{snapshot} of {volume}, round {index}, in {} of account {}",
                source.region, source.account
            ));
            if let Some(copy) = copy {
                let target = &plan.target;
                left.push(format!(
                    "{copy}, copy of {snapshot}, round {index}, in {} of account {}",
                    target.region, target.account
                ));
            }
        }
    }
    for kept in &progress.kept {
        left.push(format!(
            "{} of the volume for {}, from before it was mounted, in {} of account {}",
            kept.snapshot, kept.volume, plan.target.region, plan.target.account
        ));
    }
    let made = progress.tried(&Action::CreateVolumes) || progress.tried(&Action::PrepareVolumes);
    let back = progress.way_back.is_some();
    // Before the fence nothing is deleted: the same command goes on with them.
    let idle = progress.prepared && progress.activated.is_none() && !back;
    if idle {
        left.push(format!(
            "prepared volumes tagged snapmigrate:plan in {}, attached",
            plan.target.region
        ));
    }
    let not_deleted = back && made && !progress.undone.contains(&Action::DeleteVolumes.step_id());
    if not_deleted {
        left.push(format!(
            "restored volumes tagged snapmigrate:plan in {}",
            plan.target.region
        ));
    }
    for step in progress.doubted_freezes() {
        left.push(format!(
            "snapshots tagged snapmigrate:step {step} in {}, which do not count, if there are any",
            plan.source.region
        ));
    }
    left
}
