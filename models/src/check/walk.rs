//! The single checks, one function each.

use crate::format::Document;
use crate::inventory::{Inventory, SnapshotFacts, VolumeFacts};
use crate::plan::{Plan, PlannedVolume, Verdict};
use crate::units::Timestamp;

use super::{Finding, Severity};

/// All checks in turn.
pub(super) fn walk(plan: &Plan, inventory: &Inventory, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    document(plan, &mut found);
    verdict(plan, &mut found);
    odds(plan, &mut found);
    times(plan, now, &mut found);
    policy(plan, &mut found);
    place(plan, inventory, &mut found);
    for volume in &plan.volumes {
        match inventory
            .volumes
            .iter()
            .find(|facts| facts.volume == volume.volume)
        {
            Some(facts) => changed(plan, volume, facts, &mut found),
            None => found.push(refuse(
                &volume.volume,
                "is not there any more".into(),
                "measure and plan again",
            )),
        }
    }
    newcomers(plan, inventory, &mut found);
    lineage(plan, inventory, &mut found);
    found
}

fn finding(severity: Severity, subject: &dyn ToString, message: String, remedy: &str) -> Finding {
    Finding {
        severity,
        subject: subject.to_string(),
        message,
        remedy: remedy.to_owned(),
    }
}

fn refuse(subject: &dyn ToString, message: String, remedy: &str) -> Finding {
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
        let remedy =
            "measure with a probe snapshot pair, or let the gate decide after the first rounds";
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
    if !(policy.confidence > 0.0 && policy.confidence < 1.0) {
        let message = format!(
            "asks for a confidence of {}, outside (0, 1)",
            policy.confidence
        );
        found.push(refuse(&"policy", message, "set confidence to 0.9"));
    }
    if policy
        .latest_finish
        .is_some_and(|latest| latest <= plan.window.start)
    {
        let message = "must be finished before the window starts".into();
        found.push(refuse(
            &"policy",
            message,
            "move latest_finish or the windows",
        ));
    }
    if policy
        .budget_usd
        .is_some_and(|budget| plan.forecast.cost_usd.p90 > budget)
    {
        let message = format!(
            "allows {:.2} USD, the forecast's P90 is {:.2} USD",
            policy.budget_usd.unwrap_or_default(),
            plan.forecast.cost_usd.p90
        );
        found.push(finding(
            Severity::Warn,
            &"policy",
            message,
            "raise budget_usd or expect to stop",
        ));
    }
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

fn place(plan: &Plan, inventory: &Inventory, found: &mut Vec<Finding>) {
    let (account, region) = (&inventory.account, &inventory.region);
    if *account != plan.source.account || *region != plan.source.region {
        let message = format!(
            "is for {} in {}, the inventory is of {account} in {region}",
            plan.source.account, plan.source.region
        );
        found.push(refuse(
            &"plan",
            message,
            "use the source account's credentials and region",
        ));
    }
    if inventory.instance != plan.source.instance {
        let name = |id: &Option<crate::ids::InstanceId>| {
            id.as_ref()
                .map_or("no instance".to_owned(), ToString::to_string)
        };
        let message = format!(
            "is for {}, the volumes now belong to {}",
            name(&plan.source.instance),
            name(&inventory.instance)
        );
        found.push(refuse(&"plan", message, "measure and plan again"));
    }
}

fn changed(plan: &Plan, planned: &PlannedVolume, facts: &VolumeFacts, found: &mut Vec<Finding>) {
    let again = "measure and plan again";
    let mut add =
        |message: String, remedy: &str| found.push(refuse(&planned.volume, message, remedy));
    if facts.size_gib != planned.size_gib {
        add(
            format!("was {} GiB, is {} GiB", planned.size_gib, facts.size_gib),
            again,
        );
    }
    if facts.volume_type != planned.volume_type {
        add(
            format!("was {}, is {}", planned.volume_type, facts.volume_type),
            again,
        );
    }
    if facts.kms_key != planned.kms_key {
        add("has another key than when the plan was made".into(), again);
    }
    if facts.multi_attach {
        add(
            "has Multi-Attach: one host's freeze does not hold the others' writes".into(),
            "turn it off",
        );
    }
    if facts
        .created_at
        .is_some_and(|created| created > plan.made_at)
    {
        add(
            "was created after the plan was made: it is another volume".into(),
            again,
        );
    }
    if !matches!(facts.state.as_str(), "in-use" | "available") {
        add(
            format!("is in state {:?}", facts.state),
            "wait or repair, then check again",
        );
    }
    let attached = facts.attached_to == plan.source.instance;
    if plan.source.instance.is_some() && !attached {
        add(
            "is not attached to the plan's instance any more".into(),
            "attach it, or plan again",
        );
    } else if attached
        && facts
            .device
            .as_deref()
            .is_some_and(|device| device != planned.device)
    {
        add(
            format!("was {}, is {:?}", planned.device, facts.device),
            again,
        );
    }
    if facts.zone != plan.source.zone {
        found.push(finding(
            Severity::Warn,
            &planned.volume,
            format!(
                "is in {}, the plan's source is {}",
                facts.zone, plan.source.zone
            ),
            "its service times may differ",
        ));
    }
}

fn newcomers(plan: &Plan, inventory: &Inventory, found: &mut Vec<Finding>) {
    let planned = |facts: &&VolumeFacts| plan.volumes.iter().any(|v| v.volume == facts.volume);
    for facts in inventory.volumes.iter().filter(|facts| !planned(facts)) {
        let message =
            "belongs to the instance but not to the plan: its data would stay behind".into();
        found.push(refuse(
            &facts.volume,
            message,
            "measure and plan again, or detach it",
        ));
    }
}

fn lineage(plan: &Plan, inventory: &Inventory, found: &mut Vec<Finding>) {
    for snapshot in inventory
        .snapshots
        .iter()
        .filter(|snapshot| snapshot.state == "pending")
    {
        let foreign = snapshot.tags.get("snapmigrate:migration") != Some(&plan.policy.name);
        if foreign
            && plan
                .volumes
                .iter()
                .any(|volume| volume.volume == snapshot.volume)
        {
            let message = format!(
                "of {} is pending and not ours: ours would queue behind it",
                snapshot.snapshot
            );
            found.push(refuse(
                &snapshot.volume,
                message,
                "wait for it, or pause what takes it",
            ));
        }
    }
    for volume in &plan.volumes {
        let Some(base) = &volume.reusable_base else {
            continue;
        };
        let sound = |s: &SnapshotFacts| s.state == "completed" && s.storage_tier == "standard";
        if !inventory
            .snapshots
            .iter()
            .any(|snapshot| snapshot.snapshot == *base && sound(snapshot))
        {
            let message = format!(
                "was to serve as base of {} and can't any more",
                volume.volume
            );
            found.push(refuse(base, message, "plan again"));
        }
    }
}
