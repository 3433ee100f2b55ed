//! What would change the downtime, and by how much, on the draws the candidates were compared on.

use crate::chain::{Circumstances, Run};
use crate::cost::PRICES;
use crate::limits::LIMITS;
use crate::plan::WhatIf;
use crate::policy::TransferPath;
use crate::units::{GIB, Quantiles, at_epoch_seconds};

use super::search::{Found, Search};

/// One row per change.
pub(super) fn what_if(search: &Search<'_>, found: &Found) -> Vec<WhatIf> {
    let plain = search.plain();
    let row = |change: &str, circumstances: Circumstances| WhatIf {
        change: change.to_owned(),
        write_downtime_seconds: Quantiles::of(
            &mut search.downtimes(&found.candidate, &search.under(circumstances)),
        ),
    };
    let throttled = |write_factor| Circumstances {
        write_factor,
        ..plain
    };
    let mut rows = vec![
        row("writers throttled to half", throttled(0.5)),
        row("writers throttled to a tenth", throttled(0.1)),
    ];
    if search.demand.path == TransferPath::Copy {
        let transfer_factor = 2.0;
        rows.push(row(
            "twice the copy rate",
            Circumstances {
                transfer_factor,
                ..plain
            },
        ));
        rows.push(time_based(search, found));
        rows.extend(pipelined(search, found));
    }
    if search.demand.path != TransferPath::Direct {
        let path = TransferPath::Direct;
        let change = "direct path into volumes filled before the fence";
        rows.push(row(change, Circumstances { path, ..plain }));
        rows.extend(io2(search, found));
    }
    rows.extend(other_window(search, found));
    rows
}

/// The last round's copy still running at the fence: shorter, and not what the executor does.
fn pipelined(search: &Search<'_>, found: &Found) -> Option<WhatIf> {
    let itinerary = &found.candidate.itinerary;
    if itinerary.rounds.is_empty() {
        return None;
    }
    let one = |draw| search.chain.pipelined_seconds(itinerary, draw);
    let mut seconds: Vec<f64> = search.draws.iter().map(one).collect();
    Some(WhatIf {
        change:
            "the last snapshot beside the copy before it (this version takes one round at a time)"
                .to_owned(),
        write_downtime_seconds: Quantiles::of(&mut seconds),
    })
}

/// The copy no later than AWS promises: a bound on bad luck, never slower than the standard one.
fn time_based(search: &Search<'_>, found: &Found) -> WhatIf {
    let runs = search.runs(&found.candidate.itinerary);
    let promised = |run: &Run| {
        let round = run.cutover.round;
        let late = (round.transfer_seconds - promised_seconds(round.delta_bytes)).max(0.0);
        run.cutover.write_downtime_seconds - late
    };
    let gib = |run: &Run| run.cutover.round.delta_bytes / GIB as f64;
    let mut seconds: Vec<f64> = runs.iter().map(promised).collect();
    let median = Quantiles::of(&mut runs.iter().map(gib).collect::<Vec<f64>>()).p50;
    WhatIf {
        change: format!(
            "time-based copy of the last delta: promised within 15 min, {:.2} USD (this version can't ask for it)",
            median * PRICES.time_based_copy_gib
        ),
        write_downtime_seconds: Quantiles::of(&mut seconds),
    }
}

/// Shortest completion that AWS takes for so many bytes: quarters of an hour, 500 MiB/s at most (AWS EBS
/// user guide, time-based copies).
fn promised_seconds(bytes: f64) -> f64 {
    let step = LIMITS.time_based_copy_step_seconds;
    let steps = (bytes / LIMITS.time_based_copy_bytes_per_second / step).ceil();
    steps.max(1.0) * step
}

/// Another volume type does not come sooner: until its data is in place, lazy loading sets its pace.
fn io2(search: &Search<'_>, found: &Found) -> Option<WhatIf> {
    let fast = |volume: &(u64, String)| matches!(volume.1.as_str(), "io1" | "io2");
    let all_fast = search.demand.volumes.iter().all(fast);
    (!all_fast).then(|| WhatIf {
        change: "io2 target: no gain, lazy loading sets the pace of fresh volumes of every type"
            .to_owned(),
        write_downtime_seconds: Quantiles::of(
            &mut search.downtimes(&found.candidate, &search.chain),
        ),
    })
}

/// The same rounds before the start time that differs most from the chosen one.
fn other_window(search: &Search<'_>, found: &Found) -> Option<WhatIf> {
    let windows = search.comparable(found);
    let other = windows.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let mut candidate = found.candidate.clone();
    let shift = other.0 - candidate.itinerary.fence;
    if shift.abs() < 1800.0 {
        return None;
    }
    let rounds = &mut candidate.itinerary.rounds;
    rounds.iter_mut().for_each(|start| *start += shift);
    candidate.itinerary.fence = other.0;
    let time = at_epoch_seconds(other.0).format("%a %H:%M UTC");
    Some(WhatIf {
        change: format!("cutover at {time} instead"),
        write_downtime_seconds: Quantiles::of(&mut search.downtimes(&candidate, &search.chain)),
    })
}
