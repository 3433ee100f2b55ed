#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::fixtures::{now, policy, profile};
use crate::inventory::{SnapshotFacts, VolumeFacts};
use crate::schedule::make_plan;
use crate::units::span;

/// Refusals after `change` was made to plan or inventory, as `subject: message`.
fn refusals(change: impl FnOnce(&mut Plan, &mut Inventory)) -> Vec<String> {
    let profile = profile(2, 50, 0.2);
    let mut plan = make_plan(&profile, &policy(1e6), now(), 1).unwrap();
    let mut inventory = profile.inventory;
    change(&mut plan, &mut inventory);
    let findings = check(&plan, &inventory, now());
    let refused = findings
        .findings
        .into_iter()
        .filter(|f| f.severity == Severity::Refuse);
    refused
        .map(|f| format!("{}: {}", f.subject, f.message))
        .collect()
}

fn about_volume(change: impl FnOnce(&mut VolumeFacts)) -> String {
    refusals(|_, inventory| change(&mut inventory.volumes[0])).join("; ")
}

#[test]
fn an_unchanged_world_is_not_refused() {
    assert_eq!(refusals(|_, _| {}), Vec::<String>::new());
}

#[test]
fn a_changed_volume_is_named_with_its_change() {
    let cases = [
        (about_volume(|v| v.size_gib = 51), "was 50 GiB, is 51 GiB"),
        (
            about_volume(|v| v.volume_type = "st1".into()),
            "was gp3, is st1",
        ),
        (
            about_volume(|v| v.kms_key = Some("key".into())),
            "another key",
        ),
        (about_volume(|v| v.multi_attach = true), "Multi-Attach"),
        (
            about_volume(|v| v.created_at = Some(now() + span(5.0))),
            "created after",
        ),
        (about_volume(|v| v.state = "error".into()), "\"error\""),
        (about_volume(|v| v.attached_to = None), "not attached"),
        (
            about_volume(|v| v.device = Some("/dev/sdz".into())),
            "/dev/sdz",
        ),
    ];
    for (text, part) in cases {
        assert!(
            text.contains("vol-0001") && text.contains(part),
            "{text} lacks {part}"
        );
    }
}

#[test]
fn volumes_that_came_or_went_are_refused() {
    let gone = refusals(|_, inventory| drop(inventory.volumes.remove(0)));
    assert!(
        gone[0].contains("vol-0001") && gone[0].contains("not there"),
        "{gone:?}"
    );
    let came = refusals(|_, inventory| inventory.volumes.push(crate::fixtures::volume(9, 50)));
    assert!(
        came[0].contains("vol-0009") && came[0].contains("stay behind"),
        "{came:?}"
    );
}

#[test]
fn an_edited_plan_is_refused() {
    let edited = refusals(|plan, _| plan.policy.max_rounds += 1);
    assert!(edited[0].contains("digest"), "{edited:?}");
}

#[test]
fn a_window_in_the_past_is_refused() {
    let late = refusals(|plan, _| plan.window.end = now() - span(1.0));
    assert!(
        late.iter().any(|text| text.starts_with("window")),
        "{late:?}"
    );
}

fn snapshot(name: &str, state: &str, hours_ago: f64) -> SnapshotFacts {
    SnapshotFacts {
        snapshot: name.parse().unwrap(),
        volume: "vol-0002".parse().unwrap(),
        state: state.into(),
        state_message: None,
        progress: None,
        started_at: now() - span(3600.0 * hours_ago),
        completed_at: None,
        full_bytes: None,
        size_gib: 50,
        storage_tier: "standard".into(),
        encrypted: false,
        tags: std::collections::BTreeMap::new(),
    }
}

#[test]
fn a_foreign_pending_snapshot_is_refused_and_our_own_is_not() {
    let pending = |ours: bool| {
        refusals(|plan, inventory| {
            let mut snapshot = snapshot("snap-7", "pending", 0.0);
            if ours {
                let name = plan.policy.name.clone();
                snapshot.tags.insert("snapmigrate:migration".into(), name);
            }
            inventory.snapshots.push(snapshot);
        })
    };
    assert!(pending(false)[0].contains("snap-7"));
    assert_eq!(pending(true), Vec::<String>::new());
}

#[test]
fn failed_snapshots_take_the_places_of_pending_ones() {
    let failed = |volume_type: &str, count: u32| {
        refusals(|plan, inventory| {
            plan.volumes[1].volume_type = volume_type.into();
            inventory.volumes[1].volume_type = volume_type.into();
            let one = |k| snapshot(&format!("snap-{k}"), "error", 1.0);
            inventory.snapshots.extend((0..count).map(one));
        })
        .join("; ")
    };
    assert!(failed("st1", 1).contains("1 are allowed"));
    assert!(failed("gp3", 5).contains("5 are allowed"));
    assert!(!failed("gp3", 4).contains("allowed"));
}

/// All findings after `change`, as `severity subject: message; remedy`.
fn all_findings(change: impl FnOnce(&mut Plan, &mut Inventory)) -> String {
    let profile = profile(2, 50, 0.2);
    let mut plan = make_plan(&profile, &policy(1e6), now(), 1).unwrap();
    let mut inventory = profile.inventory;
    change(&mut plan, &mut inventory);
    let findings = check(&plan.sealed(), &inventory, now()).findings;
    let line = |f: &Finding| {
        format!(
            "{:?} {}: {}; {}\n",
            f.severity, f.subject, f.message, f.remedy
        )
    };
    findings.iter().map(line).collect()
}

#[test]
fn a_lifecycle_policy_that_goes_on_is_named_with_its_pace() {
    let told = all_findings(|_, inventory| {
        for (k, hours) in [13.0, 9.0, 5.0, 1.0].into_iter().enumerate() {
            let mut taken = snapshot(&format!("snap-{k}"), "completed", hours);
            let tag = (
                "aws:dlm:lifecycle-policy-id".to_owned(),
                "policy-0abc".to_owned(),
            );
            taken.tags.extend([tag]);
            inventory.snapshots.push(taken);
        }
    });
    assert!(
        told.contains("policy-0abc") && told.contains("4.0 h"),
        "{told}"
    );
    let ended = all_findings(|_, inventory| {
        let old = |k: u32| {
            snapshot(
                &format!("snap-{k}"),
                "completed",
                100.0 + 4.0 * f64::from(k),
            )
        };
        inventory.snapshots.extend((0..4).map(old));
    });
    assert!(!ended.contains("about every"), "{ended}");
}

#[test]
fn a_fence_waits_for_a_schedule_and_not_for_people() {
    let plan = make_plan(&profile(2, 50, 0.2), &policy(1e6), now(), 1).unwrap();
    let told = |tag: Option<&str>, last_hours_ago: f64| {
        let taken = |k: u32| {
            let hours = last_hours_ago + 6.0 * f64::from(k);
            let mut taken = snapshot(&format!("snap-{k}"), "completed", hours);
            let tag = tag.map(|key| (key.to_owned(), "policy-0abc".to_owned()));
            taken.tags.extend(tag);
            taken
        };
        let taken: Vec<_> = (0..4).map(taken).collect();
        foreign_in_the_way(&plan, &taken, now(), now() + span(600.0))
    };
    let lifecycle = Some("aws:dlm:lifecycle-policy-id");
    assert!(told(lifecycle, 5.95)[0].contains("policy-0abc"));
    assert!(told(lifecycle, 6.5)[0].contains("the next one is due"));
    assert!(told(lifecycle, 3.0).is_empty());
    // Begins within an hour, or not at all.
    assert!(told(lifecycle, 7.1).is_empty());
    assert!(told(None, 5.95).is_empty());
}

#[test]
fn a_snapshot_taken_since_the_plan_is_named() {
    let told = all_findings(|plan, inventory| {
        plan.made_at = now() - span(7200.0);
        inventory
            .snapshots
            .push(snapshot("snap-1", "completed", 1.0));
    });
    assert!(
        told.contains("Warn vol-0002: got a snapshot of someone else"),
        "{told}"
    );
}

#[test]
fn other_prices_are_named() {
    let told = all_findings(|plan, _| plan.cost[0].basis = "0.04 USD".into());
    assert!(
        told.contains("Warn snapshots at the source") && told.contains("0.04"),
        "{told}"
    );
}

#[test]
fn an_old_inventory_is_named() {
    let told = all_findings(|_, inventory| inventory.taken_at = now() - span(2.0 * 86_400.0));
    assert!(told.contains("48 h ago"), "{told}");
}

#[test]
fn a_window_the_policy_does_not_allow_is_refused() {
    let told = all_findings(|plan, _| {
        plan.policy.windows = vec![crate::policy::WindowPolicy {
            days: vec!["sun".into()],
            start: "02:00".into(),
            end: "02:01".into(),
        }];
    });
    assert!(told.contains("allows no fence at"), "{told}");
    let long = all_findings(|plan, _| plan.policy.max_rounds = 1);
    assert!(long.contains("allows 1 rounds"), "{long}");
    let poor = all_findings(|plan, _| plan.policy.budget_usd = Some(0.01));
    assert!(poor.contains("Refuse policy: allows 0.01 USD"), "{poor}");
}

#[test]
fn another_account_is_refused() {
    let text = refusals(|_, inventory| inventory.account = "999999999999".parse().unwrap());
    assert!(text[0].contains("999999999999"), "{text:?}");
}

#[test]
fn findings_are_read_back() {
    let findings = Findings {
        format: Findings::FORMAT.to_owned(),
        findings: Vec::new(),
    };
    assert_eq!(Findings::from_json(&findings.to_json()).unwrap(), findings);
}
