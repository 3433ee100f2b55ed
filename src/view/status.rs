//! Where a migration stands: who serves, what runs, what is waited for.

use snapmigrate_models::left::LeftKind;
use snapmigrate_models::status::{
    FailingStep, GateStatus, RoundStage, RunningStep, Serving, Status, StatusRound,
};
use snapmigrate_models::step::Action;
use snapmigrate_models::units::Timestamp;

use super::plan::{forecast, list, titled};
use super::report::verification;
use super::table::table;
use super::units::{bytes, duration, per_second, time, usd, whole_bytes};
use super::words;

/// The whole status as text.
#[must_use]
pub fn status(status: &Status) -> String {
    let failing: Vec<String> = status.failing.iter().map(failed).collect();
    let sections = [
        head(status),
        titled("Rounds", &rounds(&status.rounds)),
        status.gate.as_ref().map_or_else(String::new, gate),
        titled("Failing", &list(&failing)),
        titled(
            "Verification",
            &status
                .verification
                .as_ref()
                .map_or_else(String::new, verification),
        ),
        titled("Left in both accounts", &left(status)),
    ];
    sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn head(status: &Status) -> String {
    let mut lines = vec![format!("{}: {}", status.name, serving(status.serving))];
    if let Some(outcome) = status.outcome {
        lines.push(format!("  ended       {}", words::outcome(outcome)));
    }
    lines.extend(
        status
            .reason
            .iter()
            .map(|reason| format!("  because     {reason}")),
    );
    lines.push(match &status.executor {
        Some(running) => format!(
            "  executor    runs as process {} since {}",
            running.pid,
            time(running.since)
        ),
        None => "  executor    none answers beside the journal".to_owned(),
    });
    lines.extend(
        status
            .running
            .iter()
            .flat_map(|step| running(step, status.at)),
    );
    if let Some(wait) = &status.waiting {
        lines.push(format!(
            "  waiting     {}until {} at the latest: {}",
            wait.since
                .map_or_else(String::new, |since| format!("since {}, ", time(since))),
            time(wait.until),
            wait.reason
        ));
    }
    if let Some(wait) = &status.awaiting_operator {
        lines.push(format!(
            "  FOR YOU     since {}: {}",
            time(wait.since),
            wait.reason
        ));
    }
    lines.extend(
        status
            .decided
            .iter()
            .map(|reason| format!("  decided     {reason}")),
    );
    if status.postponed {
        lines.push(
            "  postponed   the cutover is held: `postpone --release` lets it go (rm JOURNAL.postpone, when that is there)"
                .to_owned(),
        );
    }
    let last = status
        .last_event_at
        .map_or_else(|| "never".to_owned(), time);
    lines.push(format!("  last entry  {last}"));
    lines.push(format!("  plan        {}", status.plan_digest));
    lines.join("\n") + "\n"
}

/// The step that has no answer yet, and what to think of one that takes too long.
fn running(step: &RunningStep, now: Timestamp) -> Vec<String> {
    let since = duration((now - step.started_at).as_seconds_f64());
    let attempt = match step.attempt {
        ..=1 => String::new(),
        attempt => format!(", attempt {attempt}"),
    };
    let planned = step.expected_seconds.map_or_else(String::new, |planned| {
        format!(
            ", planned {} .. {}",
            duration(planned.p50),
            duration(planned.p99)
        )
    });
    let mut lines = vec![format!(
        "  running     {} (for {since}{attempt}{planned})",
        words::action(&step.action)
    )];
    if step.is_late(now) {
        lines.push(format!(
            "  LATE        longer than in 99 of 100 cases{}",
            too_long(&step.action)
        ));
    }
    lines
}

/// What helps against a wait that does not end.
const fn too_long(action: &Action) -> &'static str {
    match action {
        Action::AwaitSnapshots { .. } => {
            "; one that is stuck cannot be replaced, the next would only queue behind it: ask AWS support, or `abort`"
        }
        Action::AwaitCopies { .. } => "; a copy that is stuck is replaced by itself",
        _ => "",
    }
}

const fn serving(serving: Serving) -> &'static str {
    match serving {
        Serving::Source => "the source serves",
        Serving::Nobody => "NOBODY SERVES: one side is fenced, the other is not active yet",
        Serving::InDoubt => "IN DOUBT: an answer of the fenced side's host is missing",
        Serving::Target => "the target serves",
    }
}

const fn stage(stage: RoundStage) -> &'static str {
    match stage {
        RoundStage::Asked => "asked",
        RoundStage::Pending => "pending",
        RoundStage::Completed => "completed",
        RoundStage::Copying => "copying",
        RoundStage::Arrived => "in the target",
    }
}

fn rounds(rounds: &[StatusRound]) -> String {
    if rounds.is_empty() {
        return String::new();
    }
    let dash = || "-".to_owned();
    let rows = rounds.iter().map(|round| {
        vec![
            round.index.to_string(),
            words::kind(round.kind).to_owned(),
            stage(round.stage).to_owned(),
            round.taken_at.map_or_else(dash, time),
            round
                .predicted_delta_bytes
                .map_or_else(dash, |delta| bytes(delta.p50)),
            round.delta_bytes.map_or_else(dash, whole_bytes),
            round.snapshot_seconds.map_or_else(dash, duration),
            round.transfer_seconds.map_or_else(dash, duration),
        ]
    });
    let header = [
        "#",
        "kind",
        "stage",
        "taken",
        "delta predicted",
        "delta",
        "snapshot",
        "transfer",
    ];
    table(&header, rows.collect(), &[0, 4, 5, 6, 7])
}

fn gate(gate: &GateStatus) -> String {
    let rate = per_second(gate.write_bytes_per_second);
    let refusals = list(&gate.refusals);
    format!(
        "Gate at {}, write rate {rate}\n{}{refusals}",
        time(gate.at),
        forecast(&gate.forecast)
    )
}

fn left(status: &Status) -> String {
    let Some(all) = status.left_usd_per_month else {
        return String::new();
    };
    let rows = status.left.iter().map(|one| {
        vec![
            one.id.clone(),
            kind(one.kind).to_owned(),
            one.volume.to_string(),
            one.round
                .map_or_else(|| "-".to_owned(), |round| round.to_string()),
            format!("{} {}", one.account, one.region),
            one.usd_per_month.map_or_else(|| "?".to_owned(), usd),
            one.basis.clone(),
        ]
    });
    let header = ["", "what", "of", "round", "where", "per month", "from"];
    let table = table(&header, rows.collect(), &[3, 5]);
    format!(
        "{table}  together {} per month; prices of us-east-1 as built in, the invoice decides\n",
        usd(all)
    )
}

const fn kind(kind: LeftKind) -> &'static str {
    match kind {
        LeftKind::SourceVolume => "source volume, never deleted",
        LeftKind::TargetVolume => "target volume",
        LeftKind::Snapshot => "snapshot",
        LeftKind::Copy => "copy",
        LeftKind::Claim => "claim of the one executor",
    }
}

fn failed(step: &FailingStep) -> String {
    format!(
        "{}: {} ({} times, last {})",
        words::action(&step.action),
        step.message,
        step.count,
        time(step.at)
    )
}
