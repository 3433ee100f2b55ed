//! From the last round to the fence: one more round, wait, gate, checkpoint, fence.

use super::words::{delta, instant, seconds_between, span};
use super::{Next, View};
use crate::evidence::Evidence;
use crate::progress::GatePassage;
use crate::report::RunOutcome;
use crate::step::Action;
use crate::units::Timestamp;

/// A passage of the gate counts for so long: enough for a checkpoint, short against a day's rhythm.
const GATE_COUNTS_SECONDS: f64 = 900.0;

/// Pause after a gate that did not open: the metrics it reads come once a minute and settle in five.
const GATE_PAUSE_SECONDS: f64 = 300.0;

/// Another round must lower the forecast downtime at least to this share of it.
const WORTHWHILE: f64 = 0.9;

/// A round before the window starts this much earlier than its expected duration asks for.
const ROUND_MARGIN: f64 = 1.3;

/// How often a postponed cutover looks again by itself.
const POSTPONED_SECONDS: f64 = 60.0;

/// When the cutover may begin.
pub(super) fn opens_at(view: View<'_>) -> Timestamp {
    let window = view.plan.window.start;
    if view.progress.orders.cutover {
        window.min(view.now)
    } else {
        window
    }
}

/// The fence must be up before this.
pub(super) fn closes_at(view: View<'_>) -> Timestamp {
    view.plan.window.end.min(view.plan.bounds.latest_fence)
}

pub(super) fn toward_cutover(view: View<'_>) -> Next {
    let (opens, closes) = (opens_at(view), closes_at(view));
    let replan = view.plan.policy.replan;
    if view.progress.orders.postponed && (replan || view.now < closes) {
        return postponed(view, closes);
    }
    if view.now >= closes {
        let reason = format!("the window closed at {}{}", instant(closes), why_not(view));
        return view.missed(&reason).unwrap_or_else(|| aborted(reason));
    }
    if let Some(next) = another_round(view, opens, closes) {
        return next;
    }
    if view.now < opens {
        let reason = format!("the chain is ready, the window opens at {}", instant(opens));
        return Next::WaitUntil { at: opens, reason };
    }
    at_gate(view, closes)
}

fn postponed(view: View<'_>, closes: Timestamp) -> Next {
    let later = view.now + delta(POSTPONED_SECONDS);
    let (at, then) = match view.now < closes {
        true => (
            later.min(closes),
            "waiting for `postpone --release`, `cutover` or `abort`",
        ),
        false => (
            later,
            "the window has closed; when it is released another one is planned",
        ),
    };
    let how = match view.progress.orders.flagged {
        true => "by the flag file beside the journal",
        false => "by the operator",
    };
    let reason = format!("postponed {how}, {then}");
    Next::WaitUntil { at, reason }
}

fn at_gate(view: View<'_>, closes: Timestamp) -> Next {
    let current = view
        .progress
        .gates
        .last()
        .filter(|g| g.rounds == view.progress.next_index());
    let Some(gate) = current else {
        return knock(view, "the chain is ready");
    };
    if let Some(next) = view.bases_after(gate) {
        return next;
    }
    let objections = objections(view, gate);
    let age = seconds_between(gate.at, view.now);
    if objections.is_empty() && age < GATE_COUNTS_SECONDS {
        return through(view, gate);
    }
    if objections.is_empty() {
        return knock(
            view,
            &format!("the last passage of the gate is {} old", span(age)),
        );
    }
    let again = gate.at + delta(GATE_PAUSE_SECONDS);
    let objections = objections.join("; ");
    match () {
        () if view.now >= again => knock(view, &format!("{objections} at the last gate")),
        () if again < closes || view.plan.policy.replan => Next::WaitUntil {
            at: again.min(closes),
            reason: objections,
        },
        () => aborted(format!(
            "{objections}; the window closes at {}",
            instant(closes)
        )),
    }
}

fn knock(view: View<'_>, reason: &str) -> Next {
    let attempt = view.progress.gates.last().map_or(0, |gate| gate.attempt) + 1;
    let reason = format!("{reason}: write rate, hosts and lineage are looked at before the fence");
    view.attempt(Action::Gate { attempt }, reason)
}

fn through(view: View<'_>, gate: &GatePassage) -> Next {
    let attempt = gate.attempt;
    let downtime = downtime(view, &gate.forecast);
    let limit = view.plan.bounds.max_write_downtime_seconds;
    let numbers = format!(
        "forecast write downtime {} within {}",
        span(downtime),
        span(limit)
    );
    if !view.progress.checkpoints.contains(&attempt) {
        let reason =
            format!("{numbers}; dirty buffers are written first, so that the fence is short");
        return view.attempt(Action::Checkpoint { attempt }, reason);
    }
    let reason = format!(
        "{numbers}, {:.1} MB/s written; the source is fenced for at most {}",
        gate.write_bytes_per_second / 1e6,
        span(view.plan.policy.lease_seconds)
    );
    view.attempt(
        Action::Fence {
            epoch: next_epoch(view),
        },
        reason,
    )
}

/// Numbers of fences grow over executors and migrations, so that a host knows the newest owner: the
/// seconds of the clock, never less than one more than the last.
pub(super) fn next_epoch(view: View<'_>) -> u64 {
    let clock = u64::try_from(view.now.timestamp()).unwrap_or(0);
    let reverted = view.progress.revert.as_ref().map(|revert| revert.epoch);
    let last = view.progress.epoch().max(reverted);
    clock.max(last.map_or(1, |last| last + 1))
}

fn downtime(view: View<'_>, forecast: &crate::plan::Forecast) -> f64 {
    forecast
        .write_downtime_seconds
        .at_confidence(view.plan.policy.confidence)
}

fn objections(view: View<'_>, gate: &GatePassage) -> Vec<String> {
    let bounds = &view.plan.bounds;
    let mut found = gate.refusals.clone();
    let downtime = downtime(view, &gate.forecast);
    if downtime > bounds.max_write_downtime_seconds {
        let limit = span(bounds.max_write_downtime_seconds);
        found.push(format!(
            "forecast write downtime {} is above {limit}",
            span(downtime)
        ));
    }
    if gate.write_bytes_per_second > bounds.max_write_bytes_per_second {
        found.push(format!(
            "{:.1} MB/s written is above {:.1} MB/s",
            gate.write_bytes_per_second / 1e6,
            bounds.max_write_bytes_per_second / 1e6
        ));
    }
    found
}

fn why_not(view: View<'_>) -> String {
    let gate = view.progress.gates.last();
    let objections = gate
        .map(|gate| objections(view, gate))
        .filter(|found| !found.is_empty());
    match objections {
        Some(found) => format!("; at the last gate: {}", found.join("; ")),
        None if view.progress.orders.postponed => "; the cutover was postponed".to_owned(),
        None => " before the chain was ready".to_owned(),
    }
}

fn aborted(reason: String) -> Next {
    let reason = format!("{reason}; nothing was fenced, the source serves");
    Next::Stop {
        outcome: RunOutcome::Aborted,
        reason,
    }
}

/// One more round, when the forecast says that it lowers the downtime enough and the window allows. What it
/// takes is asked of the forecast: the next delta is smaller than the last one, and so is its way.
fn another_round(view: View<'_>, opens: Timestamp, closes: Timestamp) -> Option<Next> {
    let index = view.progress.next_index();
    if index >= view.plan.bounds.max_rounds {
        return None;
    }
    let plan = view.plan;
    let evidence = Evidence::of(plan, view.progress);
    let duration = (view.outlook.round_seconds)(&evidence, view.now.max(opens));
    let start = view.now.max(opens - delta(duration * ROUND_MARGIN));
    let fence = opens.max(start + delta(duration));
    if fence >= closes {
        return None;
    }
    let before = downtime(
        view,
        &(view.outlook.cutover)(&evidence, view.now.max(opens)),
    );
    let with = Evidence {
        last_round_at: Some(start),
        ..evidence
    };
    let after = downtime(view, &(view.outlook.cutover)(&with, fence));
    if after > before * WORTHWHILE {
        return None;
    }
    let reason = format!(
        "another round of about {} lowers the forecast write downtime from {} to {}",
        span(duration),
        span(before),
        span(after)
    );
    if view.now < start {
        return Some(Next::WaitUntil { at: start, reason });
    }
    Some(view.take_round(index, reason))
}
