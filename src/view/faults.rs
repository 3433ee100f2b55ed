//! A fault campaign for the terminal: what was done to the executor, how it ended, and which promises broke.

use snapmigrate_models::faults::{FaultCampaign, FaultViolation, ScenarioCounts};

/// Broken promises that are named; the JSON has them all.
const NAMED: usize = 20;

/// The campaign for the terminal.
#[must_use]
pub fn faults(campaign: &FaultCampaign) -> String {
    let outcomes: Vec<String> = campaign
        .outcomes
        .iter()
        .map(|(outcome, runs)| format!("{runs} {}", outcome.replace('_', " ")))
        .collect();
    format!(
        "{}: {} runs from seed {}, {} faults, {} kills\n{}ended: {}\n{}",
        campaign.scenario,
        campaign.runs,
        campaign.first_seed,
        campaign.faults_injected,
        campaign.kills,
        scenarios(&campaign.by_scenario),
        outcomes.join(", "),
        violations(&campaign.violations)
    )
}

fn scenarios(counts: &[ScenarioCounts]) -> String {
    let line = |counts: &ScenarioCounts| {
        format!(
            "  {}: {} runs, {} kills, {} promises broken\n",
            counts.scenario, counts.runs, counts.kills, counts.violations
        )
    };
    counts.iter().map(line).collect()
}

fn violations(found: &[FaultViolation]) -> String {
    if found.is_empty() {
        return "no promise was broken".to_owned();
    }
    let named = found.iter().take(NAMED).map(|violation| {
        let FaultViolation {
            scenario,
            seed,
            kill_point,
            broken,
        } = violation;
        format!("  {scenario}, seed {seed}, killed last: {kill_point}\n    {broken}\n")
    });
    let named: String = named.collect();
    format!("{} promises were broken:\n{named}", found.len())
}
