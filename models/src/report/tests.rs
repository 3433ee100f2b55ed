//! The report of stories told by hand.

use super::{RunOutcome, build};
use crate::report::Report;
use crate::story::{Story, plan};

const WHOLE: &str = "preflight s0 +36000 a0 d0 h0 c0 +7200 w0 round1 gate check fence +20 f2 +60 a2 h2 c2 d2 \
                     +40 w2 vol att up prove commit +5 act cmp clean";

fn report(text: &str) -> Report {
    build(&plan(), &plan(), &Story::of(text).progress)
}

#[test]
fn a_whole_migration_fills_every_field() {
    let report = report(WHOLE);
    assert_eq!(report.actual.base_snapshot_seconds, Some(36000.0));
    assert_eq!(report.actual.freeze_seconds, Some(2.0));
    assert_eq!(report.actual.write_downtime_seconds, Some(126.0));
    assert_eq!(report.actual.final_delta_bytes, Some(10 * 524_288));
    assert!(report.actual.cost_usd.is_some_and(|usd| usd >= 0.0));
    let names: Vec<&str> = report.actual.times.keys().map(String::as_str).collect();
    let expected = [
        "activated",
        "fence",
        "first_target_write",
        "freeze",
        "last_source_write",
        "snapshots_answered",
        "thaw",
    ];
    assert_eq!(names, expected);
    assert!(
        report
            .actual
            .times
            .values()
            .all(|time| time.ends_with('Z') && time.contains('.'))
    );
    assert_eq!(report.proof.fence_lsn.as_deref(), Some("0/10"));
    assert_eq!(report.proof.target_timeline, Some(2));
    assert!(report.predicted_at_gate.is_some());
    let kinds: Vec<String> = report
        .rounds
        .iter()
        .map(|r| format!("{:?}", r.kind))
        .collect();
    assert_eq!(kinds, ["Base", "Round", "Final"]);
    let extents: Vec<&str> = report
        .rounds
        .iter()
        .map(|r| r.volumes[0].extent.as_str())
        .collect();
    assert_eq!(extents, ["full", "incremental", "incremental"]);
    assert_eq!(report.rounds[0].transfer_seconds, Some(7200.0));
    assert_eq!(report.rounds[2].snapshot_seconds, Some(60.0));
    assert!(
        report
            .rounds
            .iter()
            .all(|round| round.predicted_delta_bytes.is_some())
    );
    assert_eq!(report.left_behind.len(), 4, "two rounds, both sides");
}

#[test]
fn what_did_not_happen_is_absent() {
    let report = report("preflight s0");
    assert_eq!(report.outcome, RunOutcome::Failed);
    assert_eq!(report.actual.freeze_seconds, None);
    assert_eq!(report.actual.write_downtime_seconds, None);
    assert!(report.actual.times.is_empty());
    assert_eq!(report.rounds.len(), 1);
    assert_eq!(report.rounds[0].volumes[0].completed_at, None);
}
