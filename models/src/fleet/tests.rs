#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::check::check as check_plan;
use crate::fixtures::{now, policy, profile};
use crate::policy::WindowPolicy;

/// `count` instances, three to a domain.
fn fleet(count: usize) -> Policy {
    let member = |k: usize| FleetMember {
        instance: format!("i-{k:04}").parse().unwrap(),
        domain: Some(format!("cluster-{}", k / 3)),
        policy: toml::Table::new(),
    };
    Policy {
        fleet: Some(FleetPolicy {
            instances: (0..count).map(member).collect(),
            window_seconds: 3600.0,
            settle_seconds: 1800.0,
            cutovers_at_once: None,
            copies_at_once: Some(4),
            copy_mib_per_second: None,
        }),
        ..policy(7200.0)
    }
}

/// Two volumes of an instance, with ids of its own.
fn measured(instance: &InstanceId) -> Result<Profile, String> {
    let mut profile = profile(2, 40, 0.2);
    profile.inventory.instance = Some(instance.clone());
    let number = instance.as_str().trim_start_matches("i-");
    for (facts, seen) in profile
        .inventory
        .volumes
        .iter_mut()
        .zip(&mut profile.volumes)
    {
        let id = format!("{}x{number}", facts.volume);
        facts.volume = id.parse().unwrap();
        seen.volume = facts.volume.clone();
        facts.attached_to = Some(instance.clone());
    }
    Ok(profile)
}

fn planned(policy: &Policy) -> (FleetPlan, Vec<Plan>) {
    let mut plans = Vec::new();
    let keep = &mut |plan: &Plan| plans.push(plan.clone());
    let fleet = plan_fleet(policy, &measured, now(), 1, keep).unwrap();
    (fleet, plans)
}

#[test]
fn replicas_are_cut_over_apart_and_limits_are_kept() {
    let (fleet, plans) = planned(&fleet(7));
    assert_eq!(
        (fleet.instances.len(), fleet.refused.len()),
        (7, 0),
        "{:?}",
        fleet.refused
    );
    assert!(!check(&fleet).refused(), "{:?}", check(&fleet));
    let copies = fleet
        .limits
        .iter()
        .find(|limit| limit.limit.starts_with("copies"))
        .unwrap();
    assert!(copies.most <= 4.0, "{copies:?}");
    // Two of seven copy at a time: the others wait.
    let waiting = fleet
        .instances
        .iter()
        .filter(|one| one.waited_for.is_some())
        .count();
    assert!(waiting >= 4, "{waiting}");
    assert!(
        fleet
            .binding_constraint
            .starts_with("copies into us-east-1")
    );
    for (one, plan) in fleet.instances.iter().map(|one| {
        let plan = plans.iter().find(|plan| plan.digest == one.plan_digest);
        (one, plan.unwrap())
    }) {
        assert_eq!(plan.digest, plan.computed_digest());
        assert_eq!(
            (plan.rounds[0].start, plan.window),
            (one.base_start, one.window)
        );
        let inventory = measured(&one.instance).unwrap().inventory;
        let found = check_plan(plan, &inventory, now());
        assert!(!found.refused(), "{found:?}");
    }
}

#[test]
fn the_same_fleet_gives_the_same_bytes() {
    let (once, again) = (planned(&fleet(4)), planned(&fleet(4)));
    assert_eq!(once.0.to_json(), again.0.to_json());
    assert_eq!(FleetPlan::from_json(&once.0.to_json()).unwrap(), once.0);
}

#[test]
fn one_that_cannot_be_planned_does_not_keep_the_others_from_it() {
    let gone = |instance: &InstanceId| match instance.as_str() {
        "i-0001" => Err("no profile of it was given".to_owned()),
        _ => measured(instance),
    };
    let fleet = plan_fleet(&fleet(3), &gone, now(), 1, &mut |_| {}).unwrap();
    assert_eq!(fleet.instances.len(), 2);
    assert_eq!(fleet.refused[0].instance.as_str(), "i-0001");
    let text = format!("{:?}", check(&fleet));
    assert!(text.contains("no profile of it was given"), "{text}");
}

#[test]
fn windows_and_cutovers_at_once_are_kept() {
    let mut policy = fleet(4);
    policy.windows = vec![WindowPolicy {
        days: Vec::new(),
        start: "01:00".into(),
        end: "05:00".into(),
    }];
    policy.fleet.as_mut().unwrap().cutovers_at_once = Some(1);
    let (fleet, _) = planned(&policy);
    assert_eq!(fleet.instances.len(), 4, "{:?}", fleet.refused);
    for pair in fleet.instances.windows(2) {
        assert!(pair[0].over_by <= pair[1].window.start, "{pair:?}");
    }
    for one in &fleet.instances {
        let hour = one.window.start.format("%H").to_string();
        assert!(("01".."05").contains(&hour.as_str()), "{one:?}");
    }
}

#[test]
fn a_budget_is_that_of_all_together() {
    let mut policy = fleet(3);
    policy.budget_usd = Some(1.0);
    let error = plan_fleet(&policy, &measured, now(), 1, &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("budget_usd is 1.00") && error.contains("3 instances"),
        "{error}"
    );
}

#[test]
fn a_plan_that_breaks_its_promise_is_refused() {
    let (mut fleet, _) = planned(&fleet(3));
    let (first, rest) = fleet.instances.split_first_mut().unwrap();
    rest[0].window.start = first.window.start;
    fleet.limits[0].steps[0].used = 1e9;
    let found = check(&fleet.sealed());
    let text = format!("{found:?}");
    assert!(
        text.contains("may still be cut over") && text.contains("are allowed"),
        "{text}"
    );
}
