//! One wording for each kind, used by every view.

use snapmigrate_models::plan::{RoundKind, Verdict};
use snapmigrate_models::policy::{PolicyLimits, TransferPath, WindowPolicy};
use snapmigrate_models::report::RunOutcome;
use snapmigrate_models::step::Action;

use super::units::{duration, time, usd};

/// Name of a path as in files and flags.
#[must_use]
pub const fn path(path: TransferPath) -> &'static str {
    match path {
        TransferPath::Share => "share",
        TransferPath::Copy => "copy",
        TransferPath::Direct => "direct",
        TransferPath::Clone => "clone",
    }
}

/// Name of a round's kind.
#[must_use]
pub const fn kind(kind: RoundKind) -> &'static str {
    match kind {
        RoundKind::Base => "base",
        RoundKind::Round => "round",
        RoundKind::Final => "final",
    }
}

/// The verdict in words.
#[must_use]
pub const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Converges => "CONVERGES",
        Verdict::ConvergesInWindow => "CONVERGES IN THE WINDOW",
        Verdict::NeedsLowerWriteRate => "NEEDS A LOWER WRITE RATE",
        Verdict::DoesNotConverge => "DOES NOT CONVERGE",
    }
}

/// A change of limits, old and new.
#[must_use]
pub fn limits(old: &PolicyLimits, new: &PolicyLimits) -> String {
    let mut changed = Vec::new();
    let mut add = |what: &str, old: Option<String>, new: Option<String>| {
        let old = old.unwrap_or_else(|| "none".to_owned());
        changed.extend(new.map(|new| format!("{what} {new} (was {old})")));
    };
    let downtime = |limits: &PolicyLimits| limits.max_write_downtime_seconds.map(duration);
    add("longest write downtime", downtime(old), downtime(new));
    let finish = |limits: &PolicyLimits| limits.latest_finish.map(time);
    add("latest finish", finish(old), finish(new));
    let budget = |limits: &PolicyLimits| limits.budget_usd.map(usd);
    add("budget", budget(old), budget(new));
    add("windows", windows(old), windows(new));
    format!("limits: {}", changed.join(", "))
}

fn windows(limits: &PolicyLimits) -> Option<String> {
    let window = |window: &WindowPolicy| {
        let days = window.days.join(" ");
        let blank = if days.is_empty() { "" } else { " " };
        format!("{days}{blank}{}-{}", window.start, window.end)
    };
    let windows: Vec<String> = limits.windows.as_ref()?.iter().map(window).collect();
    Some(match windows.is_empty() {
        true => "at any time".to_owned(),
        false => windows.join(" and "),
    })
}

/// The outcome in words.
#[must_use]
pub const fn outcome(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::CutOver => "CUT OVER: the target serves",
        RunOutcome::Copied => "COPIED: the chain is in the target, the source serves",
        RunOutcome::Aborted => "STOPPED SAFELY: the source serves",
        RunOutcome::Reverted => "REVERTED: the source serves again",
        RunOutcome::Failed => "FAILED",
    }
}

/// A step as an operator would say it.
#[must_use]
pub fn action(action: &Action) -> String {
    match action {
        Action::Preflight => "check accounts, hosts and lineage".to_owned(),
        Action::Snapshot { round } => format!("round {round}: take the snapshots"),
        Action::AwaitSnapshots { round } => format!("round {round}: wait for the snapshots"),
        Action::MeasureDelta { round } => format!("round {round}: count the changed blocks"),
        Action::Share { round } => format!("round {round}: share with the target account"),
        Action::Copy { round } => format!("round {round}: start the copies"),
        Action::AwaitCopies { round } => format!("round {round}: wait for the copies"),
        Action::PrepareVolumes => "create and attach empty target volumes".to_owned(),
        Action::Sync { round, whole: true } => {
            format!("round {round}: start to write the target volumes whole")
        }
        Action::Sync { round, .. } => {
            format!("round {round}: start to write what changed to the target volumes")
        }
        Action::AwaitSync { round } => {
            format!("round {round}: wait until the target volumes are written and read back")
        }
        Action::KeepTarget => "snapshot the target volumes before they are mounted".to_owned(),
        Action::TryRestore { round, .. } => {
            format!("round {round}: try a restore on the target and remove it again")
        }
        Action::Gate { attempt } => format!("gate, attempt {attempt}"),
        Action::Checkpoint { .. } => "checkpoint the database".to_owned(),
        Action::Flush { round } => format!("round {round}: checkpoint the database first"),
        Action::Fence { epoch } => format!("fence the source (epoch {epoch})"),
        Action::FreezeSnapshot { round, .. } => format!("round {round}: freeze, snapshot, thaw"),
        Action::CreateVolumes => "create the target volumes".to_owned(),
        Action::AttachVolumes => "attach the target volumes".to_owned(),
        Action::BringUp => "start the database on the target as a standby".to_owned(),
        Action::Prove => "prove that the target holds everything up to the fence".to_owned(),
        Action::Commit { epoch } => format!("make the fence permanent (epoch {epoch})"),
        Action::Activate { .. } => "promote the target".to_owned(),
        Action::Hook { name, .. } => format!("hook {name}"),
        Action::Compare => "compare the final snapshots block by block".to_owned(),
        Action::Cleanup => "delete superfluous snapshots".to_owned(),
        Action::DeleteSnapshots => "delete the chain's snapshots and copies".to_owned(),
        Action::TakeDown => "way back: stop the target's database".to_owned(),
        Action::DeleteVolumes => "way back: delete the restored volumes".to_owned(),
        Action::DiscardFreezes => "way back: delete snapshots that do not count".to_owned(),
        Action::Unfence { epoch } => format!("way back: unfence the source (epoch {epoch})"),
        Action::CheckRevert { .. } => "revert: ask both hosts where they stand".to_owned(),
        Action::FenceTarget { epoch } => format!("revert: fence the target (epoch {epoch})"),
        Action::CommitTarget { epoch } => {
            format!("revert: make the target's fence permanent (epoch {epoch})")
        }
        Action::IsolateTarget { .. } => {
            "revert: see the target's instance stopped and take its volumes".to_owned()
        }
        Action::ReopenSource { epoch } => {
            format!("revert: let the source's fence go (epoch {epoch})")
        }
        Action::UnfenceTarget { epoch } => {
            format!("revert called off: unfence the target (epoch {epoch})")
        }
    }
}
