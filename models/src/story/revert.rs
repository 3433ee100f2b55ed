//! Tests only: a revert. `look` asks where both sides stand, `ft` fences the target, `ct` makes that permanent,
//! `iso` isolates it, `reopen` the source, `uft` lets the target serve again. The target takes three transactions
//! after `wrote`, and does not answer after `silent`.

use super::Story;
use crate::step::{Action, StepResult, TargetPosition};

/// How the target takes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mood {
    wrote: u64,
    silent: bool,
}

impl Mood {
    /// Whether a token tells of the target's mood.
    pub(super) fn told(&mut self, token: &str) -> bool {
        match token {
            "wrote" => self.wrote = 3,
            "silent" => self.silent = true,
            _ => return false,
        }
        true
    }
}

fn epoch(story: &Story) -> u64 {
    story
        .progress
        .revert
        .as_ref()
        .map_or(9, |revert| revert.epoch)
}

/// A step by its name.
pub(super) fn action(story: &Story, step: &str) -> Option<Action> {
    let epoch = epoch(story);
    let attempt = story.progress.revert_checks + 1;
    Some(match step {
        "look" => Action::CheckRevert { attempt },
        "ft" if story.progress.target_serves() => Action::FenceTarget {
            epoch: epoch + u64::from(story.progress.revert.is_some()),
        },
        "ft" => Action::FenceTarget { epoch },
        "ct" => Action::CommitTarget { epoch },
        "iso" => Action::IsolateTarget { epoch },
        "reopen" => Action::ReopenSource { epoch },
        "uft" => Action::UnfenceTarget { epoch },
        _ => return None,
    })
}

/// What a step answers.
pub(super) fn result(story: &Story, action: &Action) -> Option<StepResult> {
    let now = story.now;
    let position = TargetPosition {
        system_identifier: "42".into(),
        lsn: "0/30".into(),
        timeline: 2,
        transactions: Some(50 + story.target.wrote),
    };
    Some(match action {
        Action::CheckRevert { .. } => StepResult::RevertChecked {
            target: Some(position).filter(|_| !story.target.silent),
            trouble: story.target.silent.then(|| "gone".into()),
        },
        Action::FenceTarget { .. } => StepResult::TargetFenced {
            fenced_at: now,
            last_target_write: now,
            position,
        },
        Action::CommitTarget { .. } => StepResult::Committed { committed_at: now },
        Action::IsolateTarget { .. } => StepResult::TargetIsolated {
            at: now,
            state: "stopped".into(),
        },
        Action::ReopenSource { .. } => StepResult::SourceReopened {
            reopened_at: now,
            first_source_write: now,
            lsn: "0/18".into(),
            timeline: 1,
        },
        _ => return None,
    })
}
