#![expect(clippy::unwrap_used, reason = "tests")]

mod child;
mod direct;
mod laws;
mod monotone;
mod rivals;
mod verdicts;

use super::*;
use crate::blocks::BlockSet;
use crate::check::{Severity, check};
use crate::fixtures::{now, policy, profile};
use crate::observation::{ObservedDelta, WritePeriod};
use crate::plan::{RoundKind, Verdict};
use crate::policy::WindowPolicy;

fn planned(profile: &Profile, policy: &Policy) -> Plan {
    make_plan(profile, policy, now(), 1).unwrap()
}

fn ordered(quantiles: &Quantiles) -> bool {
    quantiles.p50 <= quantiles.p90 && quantiles.p90 <= quantiles.p99 && quantiles.p99.is_finite()
}

/// Half-hour deltas of a hot set: blocks 0 to 600, and a hundred others each time.
fn with_deltas(mut profile: Profile, count: u32) -> Profile {
    for seen in &mut profile.volumes {
        for k in 0..count {
            let from = now() - span(f64::from(count - k) * 1800.0);
            seen.deltas.push(ObservedDelta {
                from_snapshot: format!("snap-{k}").parse().unwrap(),
                to_snapshot: format!("snap-{}", k + 1).parse().unwrap(),
                from,
                to: from + span(1800.0),
                changed_blocks: 700,
                runs: BlockSet::of(vec![(0, 600), (10_000 + 100 * u64::from(k), 100)]),
            });
        }
    }
    profile
}

#[test]
fn fourteen_hours_without_a_delta_is_planned_and_wide() {
    let plan = planned(&profile(1, 2560, 0.2), &policy(1800.0));
    let base = plan.rounds[0].snapshot_seconds.p50 / 3600.0;
    assert!((10.0..20.0).contains(&base), "{base} h");
    assert!(matches!(
        plan.verdict,
        Verdict::Converges | Verdict::ConvergesInWindow
    ));
    assert!(plan.confidence < plan.policy.confidence);
    let downtime = plan.forecast.write_downtime_seconds;
    assert!(downtime.p90 > 2.0 * downtime.p50, "{downtime:?}");
    let findings = check(&plan, &profile(1, 2560, 0.2).inventory, now());
    assert!(
        !findings.refused()
            && findings
                .findings
                .iter()
                .any(|f| f.severity == Severity::Warn)
    );
}

#[test]
fn deltas_narrow_the_forecast_and_give_the_full_confidence() {
    let wide = planned(&profile(1, 2560, 0.2), &policy(1800.0));
    let narrow = planned(&with_deltas(profile(1, 2560, 0.2), 6), &policy(1800.0));
    let width =
        |plan: &Plan| plan.forecast.final_delta_bytes.p90 / plan.forecast.final_delta_bytes.p50;
    assert!(width(&narrow) < width(&wide));
    assert!((narrow.confidence - 0.9).abs() < 1e-9);
    assert_eq!(
        narrow.verdict,
        Verdict::Converges,
        "{}",
        narrow.binding_constraint
    );
}

#[test]
fn the_rounds_lead_from_base_to_final_in_order() {
    let plan = planned(&profile(2, 500, 0.5), &policy(1800.0));
    assert_eq!(plan.rounds[0].kind, RoundKind::Base);
    assert_eq!(plan.rounds.last().unwrap().kind, RoundKind::Final);
    assert!(
        plan.rounds
            .windows(2)
            .all(|pair| pair[0].start <= pair[1].start)
    );
    assert!(plan.rounds.len() <= 13 && plan.window.start < plan.window.end);
    assert!(plan.bounds.latest_fence <= plan.window.end);
    assert_eq!(plan.digest, plan.computed_digest());
}

#[test]
fn the_quiet_night_is_found() {
    let plan = planned(&profile(1, 2560, 1.0), &policy(1800.0));
    let hour = plan
        .window
        .start
        .format("%H")
        .to_string()
        .parse::<u32>()
        .unwrap();
    // The start is an early one: rounds taken at once follow a service that is not known yet.
    assert!((0..6).contains(&hour), "{}", plan.window.start);
}

#[test]
fn windows_of_the_policy_are_kept() {
    let mut policy = policy(7200.0);
    policy.windows = vec![WindowPolicy {
        days: vec!["sun".into()],
        start: "02:00".into(),
        end: "06:00".into(),
    }];
    let plan = planned(&with_deltas(profile(1, 100, 0.2), 4), &policy);
    assert_eq!(plan.window.start.format("%a").to_string(), "Sun");
    assert_eq!(plan.window.end.format("%a %H:%M").to_string(), "Sun 06:00");
    assert!(plan.rounds.last().unwrap().start >= plan.window.start);
}

#[test]
fn windows_are_on_the_operators_clock() {
    let mut policy = policy(7200.0);
    policy.time_zone = Some("America/New_York".into());
    policy.windows = vec![WindowPolicy {
        days: vec!["sat".into()],
        start: "22:00".into(),
        end: "23:00".into(),
    }];
    let plan = planned(&with_deltas(profile(1, 100, 0.2), 4), &policy);
    // Winter: five hours behind UTC, so the window opens on Sunday there.
    assert_eq!(plan.window.end.format("%a %H:%M").to_string(), "Sun 04:00");
    let local = plan.policy.local(plan.window.start).unwrap();
    assert!(local.starts_with("Sat 2026-11-21 22:"), "{local}");
    assert!(!check(&plan, &profile(1, 100, 0.2).inventory, now()).refused());
}

#[test]
fn a_limit_below_the_fixed_times_does_not_converge() {
    let plan = planned(&with_deltas(profile(1, 500, 0.2), 4), &policy(5.0));
    assert_eq!(plan.verdict, Verdict::DoesNotConverge);
    assert!(
        plan.binding_constraint.contains("fixed times"),
        "{}",
        plan.binding_constraint
    );
    assert!(check(&plan, &profile(1, 500, 0.2).inventory, now()).refused());
}

#[test]
fn a_flood_of_scattered_writes_needs_a_lower_rate() {
    let plan = planned(&profile(1, 2560, 20.0), &policy(900.0));
    assert_eq!(plan.verdict, Verdict::NeedsLowerWriteRate);
    assert!(
        plan.binding_constraint.contains("MB/s"),
        "{}",
        plan.binding_constraint
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let once = planned(&profile(2, 300, 1.0), &policy(1800.0)).to_json();
    assert_eq!(
        once,
        planned(&profile(2, 300, 1.0), &policy(1800.0)).to_json()
    );
}

#[test]
fn a_written_plan_is_read_back_the_same() {
    let plan = planned(&with_deltas(profile(1, 300, 1.0), 3), &policy(1800.0));
    let read = Plan::from_json(&plan.to_json()).unwrap();
    assert_eq!(read.to_json(), plan.to_json());
    assert_eq!(read.computed_digest(), plan.digest);
}

#[test]
fn the_order_of_volumes_changes_nothing() {
    let mut shuffled = profile(3, 300, 1.0);
    shuffled.volumes.reverse();
    shuffled.inventory.volumes.reverse();
    let mut plan = planned(&shuffled, &policy(1800.0));
    let straight = planned(&profile(3, 300, 1.0), &policy(1800.0));
    plan.profile_digest.clone_from(&straight.profile_digest);
    assert_eq!(plan.sealed().to_json(), straight.to_json());
}

#[test]
fn a_completed_snapshot_serves_as_base() {
    let mut profile = with_deltas(profile(1, 500, 0.2), 4);
    profile
        .inventory
        .snapshots
        .push(crate::inventory::SnapshotFacts {
            snapshot: "snap-9".parse().unwrap(),
            volume: "vol-0001".parse().unwrap(),
            state: "completed".into(),
            state_message: None,
            progress: None,
            started_at: now() - span(3600.0),
            completed_at: Some(now() - span(1800.0)),
            full_bytes: None,
            size_gib: 500,
            storage_tier: "standard".into(),
            encrypted: false,
            tags: std::collections::BTreeMap::new(),
        });
    let plan = planned(&profile, &policy(1800.0));
    assert_eq!(
        plan.volumes[0].reusable_base.as_ref().unwrap().as_str(),
        "snap-9"
    );
    assert!(plan.rounds[0].snapshot_seconds.p99 == 0.0);
    assert!(!check(&plan, &profile.inventory, now()).refused());
    profile.inventory.snapshots[0].storage_tier = "archive".into();
    assert!(
        planned(&profile, &policy(1800.0)).volumes[0]
            .reusable_base
            .is_none()
    );
}

#[test]
fn direct_is_shown_and_not_chosen_unasked() {
    let plan = planned(&profile(1, 300, 1.0), &policy(1800.0));
    let chosen: Vec<TransferPath> = plan
        .paths
        .iter()
        .filter(|p| p.chosen)
        .map(|p| p.path)
        .collect();
    assert_eq!(chosen, vec![TransferPath::Copy]);
    let direct = plan
        .paths
        .iter()
        .find(|p| p.path == TransferPath::Direct)
        .unwrap();
    assert!(direct.final_hop_seconds.is_some() && direct.cost_usd.is_some() && !direct.chosen);
}

const KEY: &str = "arn:aws:kms:us-east-1:ACCOUNT:key/1";

fn refusal(change: impl Fn(&mut Profile, &mut Policy)) -> String {
    let (mut profile, mut policy) = (profile(1, 100, 1.0), policy(1800.0));
    change(&mut profile, &mut policy);
    make_plan(&profile, &policy, now(), 1)
        .unwrap_err()
        .to_string()
}

#[test]
fn contradictions_name_both_sides() {
    let cases = [
        (
            refusal(|_, p| p.budget_usd = Some(0.0)),
            ["budget_usd is 0", "Copy"],
        ),
        (
            refusal(|_, p| p.budget_usd = Some(0.5)),
            ["budget_usd is 0.50", "expected to cost"],
        ),
        (
            refusal(|_, p| p.confidence = 1.0),
            ["confidence is 1", "between 0 and 1"],
        ),
        (
            refusal(|_, p| p.confidence = f64::NAN),
            ["confidence is NaN", "between 0 and 1"],
        ),
        (
            refusal(|_, p| p.max_rounds = 0),
            ["max_rounds is 0", "at least 1"],
        ),
        (
            refusal(|_, p| p.time_zone = Some("Mars/Olympus".into())),
            ["time_zone", "Europe/Berlin"],
        ),
        (
            refusal(|_, p| p.target.kms_key = Some(KEY.replace("ACCOUNT", "999999999999"))),
            ["999999999999", "account is 111122223333"],
        ),
        (
            refusal(|_, p| {
                let key = KEY.replace("us-east-1", "us-west-2");
                p.target.kms_key = Some(key.replace("ACCOUNT", "111122223333"));
            }),
            ["us-west-2", "region is us-east-1"],
        ),
        (
            refusal(|_, p| p.latest_finish = Some(now())),
            ["latest_finish", "already"],
        ),
        (
            refusal(|_, p| p.latest_finish = Some(now() + span(60.0))),
            ["latest_finish", "base"],
        ),
        (
            refusal(|_, p| p.target.zone = "eu-west-1a".parse().unwrap()),
            ["eu-west-1a", "us-east-1"],
        ),
        (
            refusal(|_, p| p.paths = vec![TransferPath::Share]),
            ["copy", "does not allow"],
        ),
        (
            refusal(|q, _| {
                q.volumes.clear();
                q.inventory.volumes.clear();
            }),
            ["i-0001", "no data volumes"],
        ),
        (
            refusal(|q, _| q.inventory.volumes[0].state = "error".into()),
            ["vol-0001", "error"],
        ),
        (
            refusal(|q, _| q.inventory.volumes[0].attached_to = None),
            ["vol-0001", "not attached"],
        ),
        (
            refusal(|q, _| q.inventory.volumes[0].encrypted = true),
            ["vol-0001", "kms_key"],
        ),
        (
            refusal(|q, _| q.volumes.clear()),
            ["vol-0001", "not measured"],
        ),
    ];
    for (text, parts) in cases {
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}

#[test]
fn a_target_that_is_the_source_is_refused() {
    let text = refusal(|_, policy| {
        policy.target.region = "eu-west-1".parse().unwrap();
        policy.target.zone = "eu-west-1a".parse().unwrap();
    });
    assert!(text.contains("already"), "{text}");
}

#[test]
fn the_default_key_cannot_leave_its_account() {
    let text = refusal(|profile, policy| {
        profile.inventory.volumes[0].encrypted = true;
        policy.target.account = "444455556666".parse().unwrap();
    });
    assert!(
        text.contains("aws/ebs") && text.contains("vol-0001"),
        "{text}"
    );
}

#[test]
fn another_account_in_the_region_is_shared_with() {
    let mut policy = policy(1800.0);
    policy.target.account = "444455556666".parse().unwrap();
    policy.target.region = "eu-west-1".parse().unwrap();
    policy.target.zone = "eu-west-1b".parse().unwrap();
    let plan = planned(&profile(1, 300, 0.2), &policy);
    assert!(
        plan.rounds
            .iter()
            .all(|round| round.path == TransferPath::Share)
    );
    assert!(plan.cost.iter().all(|line| !line.item.contains("transfer")));
}
