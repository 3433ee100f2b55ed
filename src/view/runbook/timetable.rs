//! Clock times: the chain round by round, and the cutover step by step.

use snapmigrate_models::plan::{Plan, PlannedRound, RoundKind};
use snapmigrate_models::policy::TransferPath;
use snapmigrate_models::units::{Quantiles, Timestamp};

use super::super::table::markdown;
use super::super::units::{bytes, duration, minute, time};
use super::super::words;
use super::seconds;

/// The chain with the clock times of each round.
pub fn timetable(plan: &Plan) -> String {
    let rows: Vec<Vec<String>> = plan.rounds.iter().map(round).collect();
    let header = [
        "#",
        "Round",
        "Starts",
        "Snapshots complete",
        "In the target",
        "Changed data",
        "Path",
    ];
    format!(
        "All times are UTC: the middle of the forecast, and in brackets the time that nine in ten \
         cases do not exceed. Rounds follow one another without you; only the last one, behind the \
         fence, needs people.\n\n{}",
        markdown(&header, &rows)
    )
}

fn round(round: &PlannedRound) -> Vec<String> {
    let arrived = Quantiles {
        p50: round.snapshot_seconds.p50 + round.transfer_seconds.p50,
        p90: round.snapshot_seconds.p90 + round.transfer_seconds.p90,
        p99: round.snapshot_seconds.p99 + round.transfer_seconds.p99,
    };
    vec![
        round.index.to_string(),
        words::kind(round.kind).to_owned(),
        minute(round.start),
        at(round.start, round.snapshot_seconds),
        at(round.start, arrived),
        format!(
            "{} ({})",
            bytes(round.delta_bytes.p50),
            bytes(round.delta_bytes.p90)
        ),
        words::path(round.path).to_owned(),
    ]
}

fn at(start: Timestamp, after: Quantiles) -> String {
    format!(
        "{} ({})",
        minute(start + seconds(after.p50)),
        minute(start + seconds(after.p90))
    )
}

/// The steps of the cutover, with what each looks like when it went well.
pub fn cutover(plan: &Plan) -> String {
    let last = plan
        .rounds
        .iter()
        .find(|round| round.kind == RoundKind::Final);
    let fence = last.map_or(plan.window.start, |round| {
        round.start.max(plan.window.start)
    });
    let hop = last.map_or_else(String::new, |round| {
        format!(
            "snapshot {} (p90 {}), transfer {} (p90 {})",
            duration(round.snapshot_seconds.p50),
            duration(round.snapshot_seconds.p90),
            duration(round.transfer_seconds.p50),
            duration(round.transfer_seconds.p90),
        )
    });
    let serves = plan.forecast.write_downtime_seconds;
    format!(
        "Planned fence: **{}**. Target serves: **{}** (p90 {}).\n\n{}",
        time(fence),
        time(fence + seconds(serves.p50)),
        time(fence + seconds(serves.p90)),
        steps(plan, &hop)
    )
}

fn steps(plan: &Plan, hop: &str) -> String {
    let freeze = duration(plan.forecast.freeze_seconds.p50);
    let direct = plan.rounds.iter().any(|r| r.path == TransferPath::Direct);
    let step = |number: &str, what: &str, good: &str, serves: &str| {
        [number, what, good, serves].map(str::to_owned).to_vec()
    };
    let rows = vec![
        step(
            "1",
            "**gate**: fresh write rate, forecast, hosts, lineage",
            "no refusal",
            "source",
        ),
        step(
            "2",
            "**checkpoint**: the database writes its buffers",
            "done",
            "source",
        ),
        step(
            "3",
            "**fence**: the source accepts no commit, under a lease",
            "fence position noted",
            "nobody",
        ),
        step(
            "4",
            "**freeze, snapshot, thaw**",
            &format!("frozen for about {freeze}"),
            "nobody",
        ),
        step("5", "snapshots complete, data in the target", hop, "nobody"),
        step(
            "6",
            if direct {
                "**snapshot** of the target's volumes before they are mounted"
            } else {
                "**volumes** created and attached to the target instance"
            },
            if direct {
                "changed = written = read back"
            } else {
                "available, attached"
            },
            "nobody",
        ),
        step(
            "7",
            "**bring up and prove**: isolated standby, same identity, fence position replayed",
            "proved",
            "nobody",
        ),
        step(
            "8",
            "**commit**: the fence becomes permanent. POINT OF NO RETURN",
            "acknowledged",
            "nobody",
        ),
        step(
            "9",
            "**activate**: the target is promoted",
            "first write accepted",
            "target",
        ),
        step(
            "10",
            "redirect the clients (yours)",
            "application tested",
            "target",
        ),
        step(
            "11",
            "**compare** the final snapshots block by block",
            "no mismatch",
            "target",
        ),
    ];
    markdown(&["#", "Step", "Good when", "Who serves"], &rows)
}
