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

#[test]
fn a_foreign_pending_snapshot_is_refused_and_our_own_is_not() {
    let pending = |ours: bool| {
        refusals(|plan, inventory| {
            let mut snapshot = SnapshotFacts {
                snapshot: "snap-7".parse().unwrap(),
                volume: "vol-0002".parse().unwrap(),
                state: "pending".into(),
                state_message: None,
                progress: None,
                started_at: now(),
                completed_at: None,
                full_bytes: None,
                size_gib: 50,
                storage_tier: "standard".into(),
                encrypted: false,
                tags: std::collections::BTreeMap::new(),
            };
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
