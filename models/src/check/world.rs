//! Whether place and volumes are still those of the plan.

use crate::inventory::{Inventory, VolumeFacts};
use crate::plan::{Plan, PlannedVolume};
use crate::units::Timestamp;

use super::walk::{finding, refuse};
use super::{Finding, Severity};

/// All checks of place and volumes.
pub(super) fn walk(plan: &Plan, inventory: &Inventory, now: Timestamp, found: &mut Vec<Finding>) {
    fresh(inventory, now, found);
    place(plan, inventory, found);
    for volume in &plan.volumes {
        let mut facts = inventory.volumes.iter();
        match facts.find(|facts| facts.volume == volume.volume) {
            Some(facts) => changed(plan, volume, facts, found),
            None => found.push(refuse(
                &volume.volume,
                "is not there any more".into(),
                "measure and plan again",
            )),
        }
    }
    newcomers(plan, inventory, found);
}

/// What was seen long ago says little of the present.
fn fresh(inventory: &Inventory, now: Timestamp, found: &mut Vec<Finding>) {
    let age = now - inventory.taken_at;
    if age > chrono::TimeDelta::days(1) {
        let message = format!("is of {}, {} h ago", inventory.taken_at, age.num_hours());
        let remedy = "check against the account instead of a profile, or measure again";
        found.push(finding(Severity::Note, &"inventory", message, remedy));
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
        let name = |key: &Option<String>| key.clone().unwrap_or_else(|| "no key".to_owned());
        let (was, is) = (name(&planned.kms_key), name(&facts.kms_key));
        add(
            format!("has another key than when the plan was made: was {was}, is {is}"),
            again,
        );
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
