//! What a plan says of itself and the clock, one function each.

use crate::format::Document;
use crate::inventory::Inventory;
use crate::limits::LIMITS;
use crate::plan::{Plan, Verdict};
use crate::policy::{Hours, ImpossibleWish, TransferPath};
use crate::units::{Timestamp, epoch_seconds};

use super::{Finding, Severity, lineage, world};

/// All checks in turn.
pub(super) fn walk(plan: &Plan, inventory: &Inventory, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    document(plan, &mut found);
    verdict(plan, &mut found);
    odds(plan, &mut found);
    times(plan, now, &mut found);
    policy(plan, &mut found);
    prices(plan, &mut found);
    shared_limits(plan, &mut found);
    world::walk(plan, inventory, now, &mut found);
    lineage::walk(plan, inventory, now, &mut found);
    found
}

pub(super) fn finding(
    severity: Severity,
    subject: &dyn ToString,
    message: String,
    remedy: &str,
) -> Finding {
    Finding {
        severity,
        subject: subject.to_string(),
        message,
        remedy: remedy.to_owned(),
    }
}

pub(super) fn refuse(subject: &dyn ToString, message: String, remedy: &str) -> Finding {
    finding(Severity::Refuse, subject, message, remedy)
}

fn document(plan: &Plan, found: &mut Vec<Finding>) {
    if plan.format != Plan::FORMAT {
        found.push(refuse(
            &"plan",
            format!("has format {:?}", plan.format),
            "plan again",
        ));
    }
    if plan.digest != plan.computed_digest() {
        let message = "was changed after it was made: its digest does not match".into();
        found.push(refuse(
            &"plan",
            message,
            "use the file as `plan` wrote it, or plan again",
        ));
    }
    if plan.volumes.is_empty() || plan.rounds.is_empty() {
        found.push(refuse(
            &"plan",
            "has no volumes or no rounds".into(),
            "plan again",
        ));
    }
}

fn verdict(plan: &Plan, found: &mut Vec<Finding>) {
    if matches!(
        plan.verdict,
        Verdict::DoesNotConverge | Verdict::NeedsLowerWriteRate
    ) {
        let message = format!(
            "predicts a write downtime above the limit of {:.0} s: {}",
            plan.policy.max_write_downtime_seconds, plan.binding_constraint
        );
        found.push(refuse(
            &"plan",
            message,
            "see the plan's what-if table, or raise the limit",
        ));
    }
}

fn odds(plan: &Plan, found: &mut Vec<Finding>) {
    if plan.confidence < plan.policy.confidence {
        let message = format!(
            "gives its verdict at {:.0} in 100 only, the policy wants {:.0}: no delta was measured yet",
            100.0 * plan.confidence,
            100.0 * plan.policy.confidence
        );
        let remedy = match plan.policy.probe_snapshots {
            true => {
                "measure with a probe snapshot pair, or let the gate decide after the first rounds"
            }
            false => {
                "let the gate decide after the first rounds: the policy allows no probe snapshots"
            }
        };
        found.push(finding(Severity::Warn, &"plan", message, remedy));
    }
}

fn times(plan: &Plan, now: Timestamp, found: &mut Vec<Finding>) {
    let window = plan.window;
    if window.end <= window.start {
        found.push(refuse(
            &"window",
            "ends before it starts".into(),
            "plan again",
        ));
    } else if window.end <= now || plan.bounds.latest_fence < now {
        found.push(refuse(
            &"window",
            format!("is over since {}", window.end),
            "plan again",
        ));
    }
    if now < plan.made_at {
        let message = format!("was made at {}, which is in the future", plan.made_at);
        found.push(finding(
            Severity::Warn,
            &"plan",
            message,
            "check this machine's clock",
        ));
    }
    if now - plan.made_at > chrono::TimeDelta::days(7) {
        let message = format!("was made at {}, more than a week ago", plan.made_at);
        found.push(finding(
            Severity::Warn,
            &"plan",
            message,
            "measure and plan again",
        ));
    }
    let disorder = plan
        .rounds
        .windows(2)
        .any(|pair| pair[1].start < pair[0].start);
    if disorder {
        found.push(refuse(
            &"plan",
            "has rounds out of order".into(),
            "plan again",
        ));
    }
}

fn policy(plan: &Plan, found: &mut Vec<Finding>) {
    let policy = &plan.policy;
    if let Err(impossible) = policy.validate() {
        found.push(refuse(
            &"policy",
            impossible.to_string(),
            "correct it and plan again",
        ));
    }
    if !allowed(plan) {
        let message = format!("allows no fence at {}", plan.window.start);
        found.push(refuse(&"policy", message, "plan again within its windows"));
    }
    if plan.rounds.len() > policy.max_rounds as usize + 1 {
        let message = format!(
            "allows {} rounds after the base, the plan has {}",
            policy.max_rounds,
            plan.rounds.len().saturating_sub(1)
        );
        found.push(refuse(&"policy", message, "plan again"));
    }
    let too_late = policy
        .latest_finish
        .is_some_and(|latest| latest <= plan.window.start);
    if too_late || plan.bounds.latest_fence <= plan.window.start {
        let message = "must be finished before the window starts".into();
        found.push(refuse(
            &"policy",
            message,
            "move latest_finish or the windows",
        ));
    }
    budget(plan, found);
    if policy.lease_seconds < plan.forecast.write_downtime_seconds.p90 {
        let message = format!(
            "lets the fence stand for {:.0} s, the forecast's P90 of the write downtime is {:.0} s",
            policy.lease_seconds, plan.forecast.write_downtime_seconds.p90
        );
        found.push(finding(
            Severity::Warn,
            &"policy",
            message,
            "raise lease_seconds",
        ));
    }
}

/// The window begins where the policy's windows allow it.
fn allowed(plan: &Plan) -> bool {
    let start = epoch_seconds(plan.window.start);
    let zone = plan.policy.zone().unwrap_or(chrono_tz::UTC);
    let mut hours = plan.policy.windows.iter().map(|window| window.hours(zone));
    let open = |hours: Result<Hours, ImpossibleWish>| {
        hours.is_ok_and(|hours| !hours.spans(start, start + 1.0).is_empty())
    };
    plan.policy.windows.is_empty() || hours.any(open)
}

fn budget(plan: &Plan, found: &mut Vec<Finding>) {
    let Some(budget) = plan.policy.budget_usd else {
        return;
    };
    let cost = plan.forecast.cost_usd;
    let (severity, level, amount) = match cost {
        cost if cost.p50 > budget => (Severity::Refuse, "P50", cost.p50),
        cost if cost.p90 > budget => (Severity::Warn, "P90", cost.p90),
        _ => return,
    };
    let message = format!("allows {budget:.2} USD, the forecast's {level} is {amount:.2} USD");
    let remedy = "raise budget_usd or expect to stop";
    found.push(finding(severity, &"policy", message, remedy));
}

/// The lines' prices are those this program knows.
fn prices(plan: &Plan, found: &mut Vec<Finding>) {
    for line in &plan.cost {
        let Some(today) = crate::cost::basis(&line.item).filter(|today| *today != line.basis)
        else {
            continue;
        };
        let message = format!(
            "was priced as {:?}, this version's price is {today:?}",
            line.basis
        );
        let remedy = "plan again for a cost by today's prices";
        found.push(finding(Severity::Warn, &line.item, message, remedy));
    }
}

/// More copies than may run side by side wait for each other.
fn shared_limits(plan: &Plan, found: &mut Vec<Finding>) {
    let (volumes, most) = (plan.volumes.len(), LIMITS.copies_per_destination_region);
    let copies = plan
        .rounds
        .iter()
        .any(|round| round.path == TransferPath::Copy);
    if copies && volumes > most {
        let message = format!(
            "copies {volumes} snapshots per round, {} takes {most} at a time: they run in waves",
            plan.target.region
        );
        let remedy = "ask AWS support for more concurrent copies, or keep other copies away";
        found.push(finding(Severity::Warn, &"plan", message, remedy));
    }
}
