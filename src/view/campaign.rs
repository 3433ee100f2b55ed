//! A campaign as a table: how often plan and gate kept their word.

use snapmigrate_models::campaign::{
    Campaign, CampaignSummary, Coverage, PartCoverage, VerdictCount,
};

use super::table::table;

/// Runs without a report that are named; the JSON has them all.
const NAMED_FAILURES: usize = 10;

/// The campaign for the terminal.
#[must_use]
pub fn campaign(campaign: &Campaign) -> String {
    let CampaignSummary { runs, cut_over, .. } = campaign.summary;
    format!(
        "{}: {runs} runs, {cut_over} cut over\n\n{}\n{}\n{}{}{}{}{}{}",
        campaign.scenario,
        coverage(&campaign.summary),
        parts(&campaign.summary),
        truth(&campaign.summary),
        verdict("plan", &campaign.summary.verdict),
        in_hindsight(&campaign.summary),
        verdict("gate", &campaign.summary.verdict_at_gate),
        verdict(
            "gate after two rounds",
            &campaign.summary.verdict_at_gate_after_two_rounds
        ),
        failures(campaign)
    )
}

fn coverage(summary: &CampaignSummary) -> String {
    let header = [
        "predicted",
        "runs",
        "under P50",
        "under P90",
        "P90/P50",
        "|ln error|",
    ];
    let rows = [
        ("write downtime, plan", &summary.write_downtime_at_plan),
        ("write downtime, gate", &summary.write_downtime_at_gate),
        (
            "  after two rounds",
            &summary.write_downtime_at_gate_after_two_rounds,
        ),
        ("final delta, plan", &summary.final_delta_at_plan),
        ("final delta, gate", &summary.final_delta_at_gate),
        (
            "  after two rounds",
            &summary.final_delta_at_gate_after_two_rounds,
        ),
    ];
    let rows = rows.map(|(what, coverage)| row(what, coverage)).to_vec();
    table(&header, rows, &[1, 2, 3, 4, 5])
}

fn row(what: &str, coverage: &Coverage) -> Vec<String> {
    vec![
        what.to_owned(),
        coverage.runs.to_string(),
        format!("{:.1} %", coverage.under_p50_percent),
        format!("{:.1} %", coverage.under_p90_percent),
        format!("{:.2}", coverage.median_p90_over_p50),
        format!("{:.2}", coverage.median_abs_log_error),
    ]
}

/// What the gate expected of each step, in seconds.
fn parts(summary: &CampaignSummary) -> String {
    let header = [
        "step at the gate",
        "P50",
        "came",
        "under P50",
        "under P90",
        "P90/P50",
    ];
    let row = |part: &PartCoverage| {
        vec![
            format!("{:?}", part.step).to_lowercase(),
            format!("{:.0} s", part.median_p50_seconds),
            format!("{:.0} s", part.median_actual_seconds),
            format!("{:.0} %", part.coverage.under_p50_percent),
            format!("{:.0} %", part.coverage.under_p90_percent),
            format!("{:.2}", part.coverage.median_p90_over_p50),
        ]
    };
    let rows = summary.parts_at_gate.iter().map(row).collect();
    table(&header, rows, &[1, 2, 3, 4, 5])
}

fn truth(summary: &CampaignSummary) -> String {
    let truth = &summary.truth;
    format!(
        "truth: {} worlds by their own runs; luck alone makes P90 {:.2} and P99 {:.2} times a world's centre\n",
        truth.worlds, truth.luck_factor.p90, truth.luck_factor.p99
    )
}

fn verdict(moment: &str, counted: &VerdictCount) -> String {
    format!(
        "verdict at the {moment} right in {:.1} %: {} right, {} wrongly promised, {} wrongly refused, {} not scored \
         (within a fifth of the limit, or not known)\n",
        counted.right_percent,
        counted.right,
        counted.wrongly_promised,
        counted.wrongly_refused,
        counted.not_scored
    )
}

fn in_hindsight(summary: &CampaignSummary) -> String {
    format!(
        "  the best border on the plan's forecast over its limit, chosen in hindsight: right in {:.1} %\n",
        summary.verdict_in_hindsight_percent
    )
}

fn failures(campaign: &Campaign) -> String {
    let failed = campaign.runs.iter().filter_map(|run| {
        let failure = run.failure.as_ref()?;
        Some(format!("seed {}: {failure}\n", run.seed))
    });
    failed.take(NAMED_FAILURES).collect()
}
