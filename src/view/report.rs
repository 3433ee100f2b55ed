//! The report: predicted against actual, and the proof that nothing was lost.

use snapmigrate_models::report::{
    Predicted, Report, ReportedHook, ReportedRevert, ReportedRound, Verification,
};
use snapmigrate_models::units::Quantiles;

use super::plan::{list, titled};
use super::spread::spread;
use super::table::table;
use super::units::{bytes, duration, usd, whole_bytes};
use super::words;

/// The whole report as text.
#[must_use]
pub fn report(report: &Report) -> String {
    let sections = [
        head(report),
        titled("Rounds", &rounds(&report.rounds)),
        titled("Predicted against actual", &clocks(report)),
        titled(
            "What the forecast's spread came from",
            &spread(&report.spread),
        ),
        titled("Times", &times(report)),
        titled("Hooks", &hooks(report)),
        titled("Proof", &proof(report)),
        titled(
            "Verification",
            &report
                .verification
                .as_ref()
                .map_or_else(String::new, verification),
        ),
        titled(
            "The way back",
            &report.revert.as_ref().map_or_else(String::new, revert),
        ),
        titled("Left behind", &list(&report.left_behind)),
    ];
    sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn head(report: &Report) -> String {
    let mut head = format!("{}: {}\n", report.name, words::outcome(report.outcome));
    head += &format!("  {}\n", report.reason);
    if let Some(line) = against_base(report) {
        head += &format!("  {line}\n");
    }
    if let Some(last) = report.adopted_plans.last() {
        let children = report.adopted_plans.len();
        head += &format!(
            "  carried out under {children} child plan(s) after the first one, at last {last:.12}\n"
        );
    }
    head
}

/// What the chain bought: write downtime against the time of one full snapshot.
fn against_base(report: &Report) -> Option<String> {
    let downtime = report.actual.write_downtime_seconds?;
    let base = report.actual.base_snapshot_seconds?;
    let share = if downtime > 0.0 && base > 2.0 * downtime {
        format!(", {:.0} times less", base / downtime)
    } else {
        String::new()
    };
    Some(format!(
        "write downtime {} against {} for the base snapshot alone{share}",
        duration(downtime),
        duration(base)
    ))
}

fn rounds(rounds: &[ReportedRound]) -> String {
    let maybe = |seconds: Option<f64>| seconds.map_or_else(dash, duration);
    let rows = rounds.iter().map(|round| {
        vec![
            round.index.to_string(),
            words::kind(round.kind).to_owned(),
            round
                .volumes
                .first()
                .map_or_else(dash, |v| v.started_at.format("%m-%d %H:%M:%S").to_string()),
            round
                .predicted_delta_bytes
                .map_or_else(dash, |delta| bytes(delta.p50)),
            round.delta_bytes.map_or_else(dash, whole_bytes),
            maybe(round.snapshot_seconds),
            maybe(round.transfer_seconds),
            extents(round),
        ]
    });
    let header = [
        "#",
        "kind",
        "taken (UTC)",
        "delta predicted",
        "delta",
        "snapshot",
        "transfer",
        "copies",
    ];
    table(&header, rows.collect(), &[0, 3, 4, 5, 6])
}

fn extents(round: &ReportedRound) -> String {
    let full = round
        .volumes
        .iter()
        .filter(|volume| volume.extent == "full")
        .count();
    match (full, round.volumes.len()) {
        (0, _) => "incremental".to_owned(),
        (full, all) if full == all => "full".to_owned(),
        (full, all) => format!("{full} of {all} full"),
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn clocks(report: &Report) -> String {
    let actual = &report.actual;
    let gate = report.predicted_at_gate.as_ref();
    let row = |name: &str,
               of: fn(&Predicted) -> Quantiles,
               unit: fn(f64) -> String,
               actual: Option<f64>| {
        let planned = of(&report.predicted);
        let at_gate = gate.map(of);
        vec![
            name.to_owned(),
            unit(planned.p50),
            unit(planned.p90),
            at_gate.map_or_else(dash, |value| unit(value.p50)),
            at_gate.map_or_else(dash, |value| unit(value.p90)),
            actual.map_or_else(dash, unit),
        ]
    };
    let rows = vec![
        row(
            "freeze",
            |p| p.freeze_seconds,
            duration,
            actual.freeze_seconds,
        ),
        row(
            "write downtime",
            |p| p.write_downtime_seconds,
            duration,
            actual.write_downtime_seconds,
        ),
        row(
            "read downtime",
            |p| p.read_downtime_seconds,
            duration,
            actual.read_downtime_seconds,
        ),
        row(
            "final delta",
            |p| p.final_delta_bytes,
            bytes,
            actual.final_delta_bytes.map(|b| b as f64),
        ),
        row("cost", |p| p.cost_usd, usd, actual.cost_usd),
    ];
    table(
        &["", "plan p50", "plan p90", "gate p50", "gate p90", "actual"],
        rows,
        &[1, 2, 3, 4, 5],
    )
}

fn times(report: &Report) -> String {
    let mut times: Vec<_> = report.actual.times.iter().collect();
    times.sort_by_key(|(_, at)| *at);
    times.into_iter().fold(String::new(), |out, (name, at)| {
        out + &format!("  {at}  {}\n", name.replace('_', " "))
    })
}

/// What the operator's own commands took.
fn hooks(report: &Report) -> String {
    let line = |hook: &ReportedHook| {
        let ReportedHook {
            name, phase, when, ..
        } = hook;
        format!(
            "  {name:<18} {when} {phase} {}: {}\n",
            hook.occasion,
            duration(hook.seconds)
        )
    };
    report.actual.hooks.iter().map(line).collect()
}

fn proof(report: &Report) -> String {
    let proof = &report.proof;
    let lines = [
        ("system identifier", proof.system_identifier.clone()),
        ("fence position", proof.fence_lsn.clone()),
        ("target replayed", proof.target_lsn.clone()),
        (
            "target timeline",
            proof.target_timeline.map(|timeline| timeline.to_string()),
        ),
    ];
    lines
        .into_iter()
        .fold(String::new(), |out, (name, value)| match value {
            Some(value) => out + &format!("  {name:<18} {value}\n"),
            None => out,
        })
}

fn revert(revert: &ReportedRevert) -> String {
    let count = revert.target_transactions.map_or_else(
        || "an unknown number of".to_owned(),
        |count| count.to_string(),
    );
    let words = |name: &str, value: Option<String>| match value {
        Some(value) => format!("  {name:<18} {value}\n"),
        None => String::new(),
    };
    let downtime = revert.write_downtime_seconds.map(duration);
    let between = format!(
        "{} at its activation, {} at its end",
        revert.activation_lsn.as_deref().unwrap_or("not recorded"),
        revert.target_lsn.as_deref().unwrap_or("not known")
    );
    words("nobody wrote for", downtime)
        + &words(
            "target took",
            Some(format!("{count} transactions: {between}")),
        )
        + &words("closed by", revert.target_closed_by.clone())
}

/// The comparison of source and target in a few lines.
#[must_use]
pub fn verification(verification: &Verification) -> String {
    let result = match verification.mismatches {
        0 => "no mismatch".to_owned(),
        1 => "1 MISMATCH".to_owned(),
        many => format!("{many} MISMATCHES"),
    };
    format!(
        "  {result} in {} blocks compared ({})\n  last delta: {} changed, {} written, {} read back\n  \
         digest {}\n",
        verification.blocks_compared,
        verification.method,
        verification.changed_blocks,
        verification.written_blocks,
        verification.read_back_blocks,
        verification.digest,
    )
}
