//! What a schedule comes to: verdict, what binds, and the reasons.

use crate::chain::{Circumstances, Run};
use crate::observation::ServiceStep;
use crate::plan::Verdict;
use crate::policy::{Policy, TransferPath};
use crate::units::{BLOCK_BYTES, at_epoch_seconds};

use super::Play;
use super::levels::highest;
use super::search::{Found, Search, prior_only};

/// Verdict with its reasons.
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) binding: String,
    pub(crate) rationale: Vec<String>,
}

pub(crate) fn judge(search: &Search<'_>, found: &Found, play: &Play, policy: &Policy) -> Judgement {
    let limit = policy.max_write_downtime_seconds;
    let windows = search.comparable(found);
    let holds = |window: &&(f64, f64)| window.1 <= limit;
    let passing = windows.iter().filter(holds).count();
    let factor = if passing == 0 {
        write_factor(search)
    } else {
        1.0
    };
    let verdict = match (passing, factor > 0.0) {
        (0, false) => Verdict::DoesNotConverge,
        (0, true) => Verdict::NeedsLowerWriteRate,
        (n, _) if n == windows.len() => Verdict::Converges,
        _ => Verdict::ConvergesInWindow,
    };
    let binding = match verdict {
        Verdict::NeedsLowerWriteRate => {
            let rate = search.expected_write_rate() * factor / 1e6;
            format!(
                "the write rate: below {rate:.2} MB/s the limit would hold; {}",
                binding(play)
            )
        }
        Verdict::ConvergesInWindow => {
            let open = spans_words(&windows, limit);
            format!("the start time: the limit holds {open}; {}", binding(play))
        }
        Verdict::Converges | Verdict::DoesNotConverge => binding(play),
    };
    Judgement {
        verdict,
        rationale: rationale(search, found, play, policy),
        binding,
    }
}

/// Most stretches of start times that are told one by one.
const TOLD_SPANS: usize = 4;

/// The start times that keep the limit, as stretches of neighbours.
fn spans_words(windows: &[(f64, f64)], limit: f64) -> String {
    let time = |at: f64| at_epoch_seconds(at).format("%a %H:%M").to_string();
    let mut spans: Vec<(f64, f64)> = Vec::new();
    let mut open = false;
    for (fence, seconds) in windows {
        match (spans.last_mut().filter(|_| open), *seconds <= limit) {
            (Some(last), true) => last.1 = *fence,
            (None, true) => spans.push((*fence, *fence)),
            (_, false) => {}
        }
        open = *seconds <= limit;
    }
    let word = |span: &(f64, f64)| match span.1 - span.0 < 1.0 {
        true => format!("at {}", time(span.0)),
        false => format!("from {} to {}", time(span.0), time(span.1)),
    };
    let told: Vec<String> = spans.iter().take(TOLD_SPANS).map(word).collect();
    let more = match spans.len().saturating_sub(TOLD_SPANS) {
        0 => String::new(),
        more => format!(" and in {more} more stretches"),
    };
    format!("when it starts {}{more} (UTC)", told.join(", "))
}

/// The share of today's writing at which a hurried chain would keep the limit; 0 when at none.
fn write_factor(search: &Search<'_>) -> f64 {
    let mut eager = search.eager();
    // As soon as possible means sooner with less to move.
    let start = eager.itinerary.base_at;
    eager.itinerary.rounds.fill(start);
    eager.itinerary.fence = start;
    let passes = |factor: f64| {
        let chain = search.under(Circumstances {
            write_factor: factor,
            ..search.plain()
        });
        search.downtime(&eager, &chain) <= search.demand.limit_seconds
    };
    highest(passes, 1.0)
}

/// The largest part of the median downtime, in words.
fn binding(play: &Play) -> String {
    let median = |part: &dyn Fn(&Run) -> f64| play.column(part).p50;
    let all = median(&|run| run.cutover.write_downtime_seconds);
    let fixed = median(&|run| run.cutover.fixed_seconds);
    let snapshot = median(&|run| run.cutover.round.snapshot_seconds);
    let transfer = median(&|run| run.cutover.round.transfer_seconds);
    let gib = median(&|run| run.cutover.round.delta_bytes) / (1_u64 << 30) as f64;
    let around = all - snapshot - transfer;
    if fixed > 0.6 * all {
        return format!(
            "fixed times of snapshot, transfer, restore and start: {fixed:.0} s of {all:.0} s, \
             whatever the delta's size"
        );
    }
    if snapshot >= transfer && snapshot >= around {
        return format!(
            "the snapshot of the last delta ({gib:.2} GiB): {snapshot:.0} s of {all:.0} s"
        );
    }
    if transfer >= around {
        return format!(
            "the transfer of the last delta ({gib:.2} GiB): {transfer:.0} s of {all:.0} s"
        );
    }
    format!("restore, start and switch of the target: {around:.0} s of {all:.0} s")
}

fn rationale(search: &Search<'_>, found: &Found, play: &Play, policy: &Policy) -> Vec<String> {
    let mut words = vec![
        base_words(search),
        window_words(search, found),
        rounds_words(found),
        path_words(search),
        "order at the end: CHECKPOINT, last round, CHECKPOINT, fence, freeze and snapshot: what the \
         database still holds in memory is flushed before it counts"
            .to_owned(),
    ];
    let downtime = play.forecast_downtime();
    if prior_only(search.model) {
        words.push(format!(
            "no delta of at least one volume was measured: the verdict holds at even odds only (P90 is \
             {:.1} x the median). Base and rounds measure it without risk, and the gate decides at \
             {} with what they measured",
            downtime.p90 / downtime.p50.max(1e-9),
            policy.confidence
        ));
    }
    if search.model.database && policy.lease_seconds < downtime.p99 {
        words.push(format!(
            "the fence's lease of {:.0} s is shorter than the downtime's P99 of {:.0} s",
            policy.lease_seconds, downtime.p99
        ));
    }
    words.push(lazy_words(search, policy));
    words
}

/// How long the restored volumes are slow.
fn lazy_words(search: &Search<'_>, policy: &Policy) -> String {
    if search.demand.path == TransferPath::Direct {
        return "the target's volumes are written in full before the fence: nothing loads lazily after it".to_owned();
    }
    let volumes = search.model.volumes.iter();
    let blocks = volumes.map(|volume| volume.base_blocks).fold(0.0, f64::max);
    let bytes = blocks * BLOCK_BYTES as f64;
    if let Some(rate) = policy.target.initialization_mib_per_second {
        let hours = bytes / (f64::from(rate) * 1_048_576.0) / 3600.0;
        return format!(
            "restored volumes load lazily: at the provisioned {rate} MiB/s all data is in place after \
             {hours:.1} h (AWS: within a tenth of the rate, 99 % of the time)"
        );
    }
    let mut services = search.model.services.iter();
    let service = services.find(|model| model.step == ServiceStep::Initialize);
    let hours = service.map_or(0.0, |model| model.mean_seconds(bytes, [0.0; 2])) / 3600.0;
    format!(
        "restored volumes load lazily: first reads are slow until the data is in place, after about \
         {hours:.1} h ({}); target.initialization_mib_per_second bounds that",
        service.map_or_else(String::new, crate::service::ServiceModel::provenance)
    )
}

fn base_words(search: &Search<'_>) -> String {
    let ready = at_epoch_seconds(search.base_ready).format("%Y-%m-%d %H:%M UTC");
    match search.demand.reusable_at {
        Some(at) => format!(
            "base: the completed snapshots of {} serve as base; their data is in the target by {ready} (nine in ten)",
            at.format("%Y-%m-%d %H:%M UTC")
        ),
        None => format!(
            "base: starts at once, no recent completed snapshot of every volume exists; in the target by {ready} (nine in ten)"
        ),
    }
}

fn window_words(search: &Search<'_>, found: &Found) -> String {
    let time = |at: f64| at_epoch_seconds(at).format("%a %H:%M UTC").to_string();
    let windows = search.comparable(found);
    let worst = windows.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let worst = worst.copied().unwrap_or_default();
    format!(
        "window: {} start times considered; the chosen one, not before {}, gives {:.0} s, the worst \
         later one ({}) {:.0} s; the earliest is taken unless a later one gains 2 %",
        found.windows.len(),
        time(found.candidate.itinerary.fence),
        found.downtime_seconds,
        time(worst.0),
        worst.1
    )
}

fn rounds_words(found: &Found) -> String {
    let each: Vec<String> = found
        .by_rounds
        .iter()
        .map(|(rounds, seconds)| format!("{rounds}: {seconds:.0} s"))
        .collect();
    format!(
        "rounds between base and final, with the downtime they lead to: {}; {} taken, more gain less than 2 %",
        each.join(", "),
        found.candidate.itinerary.rounds.len()
    )
}

fn path_words(search: &Search<'_>) -> String {
    let chosen = search
        .demand
        .options
        .iter()
        .find(|o| o.available && o.path == search.demand.path);
    let name = format!("{:?}", search.demand.path).to_lowercase();
    format!(
        "path: {name}, {}",
        chosen.map_or("", |option| option.reason.as_str())
    )
}
