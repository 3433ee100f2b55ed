//! A cutover that is taken back: the source serves all it ever acknowledged, the target's commits are given up.

use super::database::Database;
use super::load::Acknowledged;
use super::scene::{PATIENCE, Scene};
use super::source::until;
use chrono::{DateTime, Utc};
use serde_json::Value;
use snapmigrate::quiesce::protocol::{DatabaseState, FenceState, Status};

/// Commits that make it certain that a side serves.
const SOME_COMMITS: usize = 50;

impl<D: Database> Scene<D> {
    /// Waits until the side that serves by now took some commits.
    pub fn await_commits(&self, side: &str) {
        let before = self.load.count();
        until(
            &format!("the clients commit on the {side}"),
            PATIENCE,
            || self.load.count() > before + SOME_COMMITS,
        );
    }

    /// Proves a way back that gave the target's writes up; `cut_over` is the report before it.
    pub fn prove_reverted(self, cut_over: &Value) {
        let report = self.stage.report();
        check_report(&report, cut_over);
        self.check_sides();
        self.check_commits(&report);
    }

    fn check_sides(&self) {
        let status = self.stage.target.call(Status {});
        assert_eq!(
            (status.fence, status.database),
            (FenceState::Permanent, DatabaseState::Stopped)
        );
        let status = self.stage.source.call(Status {});
        assert_eq!(
            (status.fence, status.database),
            (FenceState::None, DatabaseState::Running)
        );
    }

    /// What the source acknowledged, before the cutover and after the revert, is on it; the target's commits are not.
    fn check_commits(self, report: &Value) {
        self.await_commits("source");
        let Scene { load, stage, .. } = self;
        let acknowledged = load.finish();
        let fence = instant(report, "/actual/times/fence");
        let reopened = instant(report, "/revert/source_reopened_at");
        let of_source = |commit: &&Acknowledged| commit.at <= fence || commit.at >= reopened;
        let kept: Vec<Acknowledged> = acknowledged.iter().filter(of_source).cloned().collect();
        let missing = stage.cluster.clients().missing(&kept);
        assert_eq!(missing, Vec::<i64>::new());
        assert!(
            kept.len() + SOME_COMMITS <= acknowledged.len(),
            "the target took some"
        );
    }
}

fn check_report(report: &Value, cut_over: &Value) {
    assert_eq!(report["outcome"], "reverted", "{report}");
    assert_eq!(
        report["proof"], cut_over["proof"],
        "the cutover is told as it was"
    );
    let back = &report["revert"];
    let number = |name: &str| back[name].as_f64().unwrap_or_default();
    assert!(
        number("target_transactions") >= SOME_COMMITS as f64,
        "{back}"
    );
    assert!(number("write_downtime_seconds") > 0.0, "{back}");
    assert_eq!(back["target_writes_discarded"], true, "{back}");
    assert_eq!(back["target_closed_by"], "committed", "{back}");
}

fn instant(report: &Value, pointer: &str) -> DateTime<Utc> {
    let text = report.pointer(pointer).and_then(Value::as_str);
    let text = text.unwrap_or_else(|| panic!("no {pointer}: {report}"));
    text.parse().expect("RFC 3339")
}
