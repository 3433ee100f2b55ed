//! A plan: verdict first, then the clocks, the chain, the paths, the cost and the reasons.

use snapmigrate_models::plan::{Forecast, Plan, PlannedRound};
use snapmigrate_models::units::Quantiles;

use super::spread::spread;
use super::table::table;
use super::units::{bytes, duration, gib, minute, per_second, percent, quantiles, time, usd};
use super::words;

/// The whole plan as text.
#[must_use]
pub fn plan(plan: &Plan) -> String {
    let sections = [
        head(plan),
        titled("Forecast", &forecast(&plan.forecast)),
        titled(
            "What the spread of the write downtime comes from",
            &spread(&plan.forecast.spread),
        ),
        titled("Rounds", &rounds(&plan.rounds)),
        titled("Go/no-go at the gate", &bounds(plan)),
        titled("Volumes", &volumes(plan)),
        titled("Paths", &paths(plan)),
        titled("Cost", &cost(plan)),
        titled("What if", &what_if(plan)),
        titled("Better tools for this", &alternatives(plan)),
        titled("Why", &list(&plan.rationale)),
        titled(
            "Where the numbers come from",
            &list(&plan.forecast.provenance),
        ),
    ];
    sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn head(plan: &Plan) -> String {
    let place = |place: &snapmigrate_models::plan::Place| {
        format!("{} {} ({})", place.region, place.account, place.zone)
    };
    format!(
        "{}: {} (confidence {})\n  {}\n\n  migration  {}\n  from       {}\n  to         {}\n  \
         window     {} to {}\n  made       {}, seed {}\n  digest     {}\n",
        plan.name,
        words::verdict(plan.verdict),
        percent(plan.confidence),
        plan.binding_constraint,
        plan.name,
        place(&plan.source),
        place(&plan.target),
        time(plan.window.start),
        time(plan.window.end),
        time(plan.made_at),
        plan.seed,
        plan.digest,
    ) + &local(plan)
}

/// The window on the operator's own clock.
fn local(plan: &Plan) -> String {
    let (start, end) = (plan.window.start, plan.window.end);
    let local = plan.policy.local(start).zip(plan.policy.local(end));
    local.map_or_else(String::new, |(start, end)| {
        format!("  local time {start} to {end}\n")
    })
}

/// A section with its title; nothing when it is empty.
pub(super) fn titled(title: &str, body: &str) -> String {
    if body.is_empty() {
        String::new()
    } else {
        format!("{title}\n{body}")
    }
}

/// One line per item.
pub(super) fn list(items: &[String]) -> String {
    items
        .iter()
        .fold(String::new(), |out, item| out + "  - " + item + "\n")
}

/// The three clocks, the final delta and the cost, as quantiles.
#[must_use]
pub fn forecast(forecast: &Forecast) -> String {
    let row = |name: &str, value: Quantiles, unit: fn(f64) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend(quantiles(value, unit));
        row
    };
    let rows = vec![
        row("freeze", forecast.freeze_seconds, duration),
        row("write downtime", forecast.write_downtime_seconds, duration),
        row("read downtime", forecast.read_downtime_seconds, duration),
        row("final delta", forecast.final_delta_bytes, bytes),
        row("cost", forecast.cost_usd, usd),
    ];
    table(&["", "p50", "p90", "p99"], rows, &[1, 2, 3])
}

fn rounds(rounds: &[PlannedRound]) -> String {
    let range = |value: Quantiles, unit: fn(f64) -> String| {
        format!("{} .. {}", unit(value.p50), unit(value.p90))
    };
    let rows = rounds.iter().map(|round| {
        vec![
            round.index.to_string(),
            words::kind(round.kind).to_owned(),
            minute(round.start),
            words::path(round.path).to_owned(),
            range(round.delta_bytes, bytes),
            range(round.snapshot_seconds, duration),
            range(round.transfer_seconds, duration),
        ]
    });
    let header = [
        "#",
        "kind",
        "start",
        "path",
        "delta p50 .. p90",
        "snapshot p50 .. p90",
        "transfer p50 .. p90",
    ];
    table(&header, rows.collect(), &[0])
}

fn bounds(plan: &Plan) -> String {
    let bounds = &plan.bounds;
    let rows = vec![
        vec![
            format!(
                "write downtime forecast at {}",
                percent(plan.policy.confidence)
            ),
            format!("at most {}", duration(bounds.max_write_downtime_seconds)),
        ],
        vec![
            "fresh write rate of the group".to_owned(),
            format!("at most {}", per_second(bounds.max_write_bytes_per_second)),
        ],
        vec![
            "rounds".to_owned(),
            format!("at most {}", bounds.max_rounds),
        ],
        vec![
            "fence".to_owned(),
            format!("by {}", time(bounds.latest_fence)),
        ],
    ];
    table(&["number", "go"], rows, &[])
}

fn volumes(plan: &Plan) -> String {
    let rows = plan.volumes.iter().map(|volume| {
        vec![
            volume.volume.to_string(),
            volume.device.clone(),
            gib(volume.size_gib),
            format!("{} -> {}", volume.volume_type, volume.target_volume_type),
            volume.kms_key.as_ref().map_or("no", |_| "yes").to_owned(),
            volume
                .reusable_base
                .as_ref()
                .map_or_else(|| "new".to_owned(), ToString::to_string),
        ]
    });
    table(
        &["volume", "device", "size", "type", "encrypted", "base"],
        rows.collect(),
        &[2],
    )
}

fn paths(plan: &Plan) -> String {
    let rows = plan.paths.iter().map(|choice| {
        vec![
            choice.volume.to_string(),
            words::path(choice.path).to_owned(),
            if choice.chosen { "chosen" } else { "" }.to_owned(),
            choice
                .final_hop_seconds
                .map_or_else(String::new, |hop| duration(hop.p50)),
            choice.cost_usd.map_or_else(String::new, usd),
            choice.reason.clone(),
        ]
    });
    table(
        &["volume", "path", "", "last hop p50", "cost", "reason"],
        rows.collect(),
        &[3, 4],
    )
}

fn cost(plan: &Plan) -> String {
    let rows = plan.cost.iter().map(|line| {
        vec![
            line.item.clone(),
            usd(line.usd.p50),
            usd(line.usd.p90),
            line.basis.clone(),
        ]
    });
    table(&["item", "p50", "p90", "basis"], rows.collect(), &[1, 2])
}

fn alternatives(plan: &Plan) -> String {
    let line = |way: &snapmigrate_models::plan::Alternative| {
        format!(
            "{}: {} ({}; {})",
            way.name, way.promise, way.limits, way.source
        )
    };
    list(&plan.alternatives.iter().map(line).collect::<Vec<_>>())
}

fn what_if(plan: &Plan) -> String {
    if plan.what_if.is_empty() {
        return String::new();
    }
    let rows = plan.what_if.iter().map(|case| {
        let downtime = case.write_downtime_seconds;
        vec![
            case.change.clone(),
            duration(downtime.p50),
            duration(downtime.p90),
        ]
    });
    table(
        &["change", "write downtime p50", "p90"],
        rows.collect(),
        &[1, 2],
    )
}
