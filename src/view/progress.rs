//! One line per journal entry, for a terminal that scrolls and for a log file.

use snapmigrate_models::step::{Event, FailureClass, StepResult, Verb};
use snapmigrate_models::units::{BLOCK_BYTES, Timestamp};

use super::units::{duration, per_second, whole_bytes};
use super::words;

/// The line that announces an entry; nothing for entries that only matter to recovery.
#[must_use]
pub fn line(at: Timestamp, event: &Event) -> Option<String> {
    let text = match event {
        // The run ends with it, and says so itself.
        Event::Awaiting { .. } => return None,
        Event::Decided { reason, .. } => format!("decided: {reason}"),
        Event::Started { action, attempt: 1 } => words::action(action),
        Event::Started { action, attempt } => {
            format!("{} (attempt {attempt})", words::action(action))
        }
        Event::Finished { action, result } => {
            format!("done: {}{}", words::action(action), outcome(result))
        }
        Event::Failed {
            action,
            message,
            class: FailureClass::Interrupted,
        } => format!("left: {}: {message}", words::action(action)),
        Event::Failed {
            action, message, ..
        } => format!("FAILED: {}: {message}", words::action(action)),
        Event::Waiting { until, reason } => {
            format!(
                "waiting until {} at the latest: {reason}",
                until.format("%m-%d %H:%M:%SZ")
            )
        }
        Event::Operator { verb } => format!("operator: {}", spoken(*verb)),
        Event::Limited { old, new } => format!("operator: {}", words::limits(old, new)),
        Event::Adopted { plan, reason } => format!(
            "goes on with plan {}{}",
            plan.digest,
            reason
                .as_ref()
                .map_or_else(String::new, |reason| format!(", made by itself: {reason}"))
        ),
        Event::Closed { outcome, reason } => format!("{}: {reason}", words::outcome(*outcome)),
    };
    Some(format!("{}  {text}", at.format("%m-%d %H:%M:%SZ")))
}

const fn spoken(verb: Verb) -> &'static str {
    match verb {
        Verb::Resume => "resume",
        Verb::Postpone => "postpone",
        Verb::PostponeByFlag => "postpone, by the flag file beside the journal",
        Verb::Release => "the cutover is held no longer",
        Verb::Cutover => "cutover",
        Verb::Try => "try a restore",
        Verb::Abort => "abort",
        Verb::Revert => "revert",
        Verb::RevertDiscarding => "revert, and give up on the source what the target took",
        Verb::Finalize => "finalize: the way back is given up",
        Verb::DeleteSnapshots => "the chain's snapshots and copies may go at the end",
    }
}

/// What is worth a number in the announcement of a step's end.
fn outcome(result: &StepResult) -> String {
    match result {
        StepResult::Deltas { deltas, .. } => {
            let blocks: u64 = deltas.iter().map(|delta| delta.changed_blocks).sum();
            format!(", {}", whole_bytes(blocks * BLOCK_BYTES))
        }
        StepResult::Gate {
            write_bytes_per_second,
            refusals,
            forecast,
            ..
        } => {
            let downtime = forecast.write_downtime_seconds;
            format!(
                ", write rate {}, write downtime {} .. {}{}",
                per_second(*write_bytes_per_second),
                duration(downtime.p50),
                duration(downtime.p90),
                refusals
                    .iter()
                    .fold(String::new(), |out, refusal| out + "; " + refusal)
            )
        }
        StepResult::Frozen {
            frozen_at,
            thawed_at,
            ..
        } => {
            format!(
                ", frozen for {}",
                duration((*thawed_at - *frozen_at).as_seconds_f64())
            )
        }
        StepResult::Fenced { lsn, .. } | StepResult::SourceReopened { lsn, .. } => {
            format!(", at {lsn}")
        }
        StepResult::TargetFenced { position, .. }
        | StepResult::RevertChecked {
            target: Some(position),
            ..
        } => format!(
            ", the target is at {} on timeline {}",
            position.lsn, position.timeline
        ),
        StepResult::RevertChecked { trouble, .. } => format!(
            ", the target does not answer: {}",
            trouble.as_deref().unwrap_or("no reason known")
        ),
        StepResult::TargetIsolated { state, .. } => format!(", it is {state}"),
        StepResult::Tried { restore } => format!(
            ", created in {}, attached in {}, started in {}{}",
            duration(restore.create_seconds),
            duration(restore.attach_seconds),
            duration(restore.start_seconds),
            restore
                .replay_seconds
                .map_or_else(String::new, |seconds| format!(
                    ", {} of it replay",
                    duration(seconds)
                ))
        ),
        StepResult::Proved { replay_lsn, .. } => format!(", replayed to {replay_lsn}"),
        StepResult::Synced { volumes } => {
            let blocks: u64 = volumes.iter().map(|synced| synced.written_blocks).sum();
            format!(
                ", {} written and read back",
                whole_bytes(blocks * BLOCK_BYTES)
            )
        }
        StepResult::HookRan { seconds, said } => {
            let said = said.lines().last().unwrap_or_default();
            let words = if said.is_empty() { "" } else { ": " };
            format!(" in {}{words}{said}", duration(*seconds))
        }
        StepResult::Compared { verification } => format!(
            ", {} blocks, {} mismatches",
            verification.blocks_compared, verification.mismatches
        ),
        StepResult::Done
        | StepResult::Inspected { .. }
        | StepResult::Started { .. }
        | StepResult::Completed { .. }
        | StepResult::Volumes { .. }
        | StepResult::Committed { .. }
        | StepResult::Activated { .. } => String::new(),
    }
}
