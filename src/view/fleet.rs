//! A fleet: what sets the pace, day by day, instance by instance.

use std::collections::BTreeMap;

use snapmigrate_models::fleet::{FleetPlan, LimitUse, PlannedInstance, check};
use snapmigrate_models::plan::Verdict;

use super::findings::findings;
use super::plan::titled;
use super::table::table;
use super::units::{duration, minute, time, usd};
use super::words;

/// Instances that are told one by one; the document has all.
const TOLD: usize = 24;

/// The whole fleet as text.
#[must_use]
pub fn fleet(fleet: &FleetPlan) -> String {
    let found = check(fleet);
    let objections = match found.findings.is_empty() {
        true => String::new(),
        false => titled("Check", &findings(&found)),
    };
    let sections = [
        head(fleet),
        titled("Shared limits", &limits(&fleet.limits)),
        titled("Day by day", &days(fleet)),
        titled("In order of cutover", &instances(&fleet.instances)),
        objections,
    ];
    let told = sections.into_iter().filter(|section| !section.is_empty());
    told.collect::<Vec<_>>().join("\n")
}

fn head(fleet: &FleetPlan) -> String {
    let holds = |one: &&PlannedInstance| {
        matches!(one.verdict, Verdict::Converges | Verdict::ConvergesInWindow)
    };
    let holding = fleet.instances.iter().filter(holds).count();
    let volumes: u32 = fleet.instances.iter().map(|one| one.volumes).sum();
    let worst = fleet.instances.iter().max_by(|a, b| {
        a.write_downtime_seconds
            .p90
            .total_cmp(&b.write_downtime_seconds.p90)
    });
    let worst = worst.map_or_else(String::new, |one| {
        format!(
            "  longest    {} (P90), {}\n",
            duration(one.write_downtime_seconds.p90),
            one.instance
        )
    });
    format!(
        "{}: {} of {} instances keep the limit, {volumes} volumes, {} without a plan\n  {}\n\n  \
         from       {}\n  until      {}\n{worst}  cost       {} expected, {} at P90 each\n  made       {}, seed {}\n  \
         digest     {}\n",
        fleet.name,
        holding,
        fleet.instances.len() + fleet.refused.len(),
        fleet.refused.len(),
        fleet.binding_constraint,
        time(fleet.span.start),
        time(fleet.span.end),
        usd(fleet.cost_usd.p50),
        usd(fleet.cost_usd.p90),
        time(fleet.made_at),
        fleet.seed,
        fleet.digest,
    )
}

fn limits(limits: &[LimitUse]) -> String {
    let row = |limit: &LimitUse| {
        vec![
            limit.limit.clone(),
            format!("{:.1}", limit.allowed),
            format!("{:.1}", limit.most),
            limit.unit.clone(),
            format!("{:.0} h", limit.full_hours),
        ]
    };
    let header = ["limit", "allowed", "most taken", "unit", "taken up"];
    table(&header, limits.iter().map(row).collect(), &[1, 2, 4])
}

/// Bases begun, in the target, and windows opened on each day (UTC).
fn days(fleet: &FleetPlan) -> String {
    let mut days: BTreeMap<String, [u32; 3]> = BTreeMap::new();
    for one in &fleet.instances {
        for (kind, at) in [one.base_start, one.base_ready, one.window.start]
            .into_iter()
            .enumerate()
        {
            days.entry(at.format("%Y-%m-%d %a").to_string())
                .or_default()[kind] += 1;
        }
    }
    let row = |(day, counts): (String, [u32; 3])| {
        let mut row = vec![day];
        row.extend(counts.map(|count| count.to_string()));
        row
    };
    let header = [
        "day (UTC)",
        "bases begin",
        "bases in the target",
        "cutovers",
    ];
    table(&header, days.into_iter().map(row).collect(), &[1, 2, 3])
}

fn instances(instances: &[PlannedInstance]) -> String {
    let row = |one: &PlannedInstance| {
        vec![
            one.order.to_string(),
            one.instance.to_string(),
            one.domain.clone().unwrap_or_default(),
            one.volumes.to_string(),
            minute(one.base_start),
            minute(one.window.start),
            minute(one.over_by),
            duration(one.write_downtime_seconds.p50),
            duration(one.write_downtime_seconds.p90),
            words::verdict(one.verdict).to_owned(),
        ]
    };
    let header = [
        "#",
        "instance",
        "domain",
        "volumes",
        "base begins",
        "window opens",
        "over by",
        "downtime p50",
        "p90",
        "verdict",
    ];
    let told = instances.iter().take(TOLD).map(row).collect();
    let more = match instances.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!("  ... and {more} more; --json or -o FOLDER has all\n"),
    };
    table(&header, told, &[0, 3, 7, 8]) + &more
}
