//! Tests only: a plan of one volume, and journals in a small notation.
//!
//! Tokens: `+60` lets 60 seconds pass; a step's name carries it out; `step!t` fails it (`t`ransient,
//! `u`nknown, `c`redentials, `p`ermanent, `i`ntegrity, `l`ineage, `g`one); `step?` starts it without an answer;
//! `op:abort` is a word of the operator; `hook:dns@7` is a hook and its occasion. Steps: `preflight`, per round `b1` flushes before it, `s1` snapshots, `a1` awaits,
//! `d1` measures, `h1` shares, `c1` copies, `w1` awaits copies, `round1` does all; `gate`,
//! `check`, `fence`, `f2`; on path `direct` `prep`, `y1` syncs, `Y1` syncs whole, `z1` awaits, `keep`; `vol`, `att`, `up`, `prove`, `commit`, `act`, `cmp`, `clean`, `down`,
//! `del`, `unf`; of a revert those in `story/revert.rs`.

mod direct;
mod plan;
mod revert;

pub(crate) use plan::{forecast, plan};

use chrono::{DateTime, TimeDelta};

use crate::blocks::BlockSet;
use crate::progress::{Progress, Refused};
use crate::report::Verification;
use crate::step::{
    Action, CompletedSnapshot, Event, FailureClass, MadeSnapshot, StepResult, TriedRestore, Verb,
    VolumeDelta, VolumeMount, VolumePair,
};
use crate::units::Timestamp;

/// Rounds of the plan start every hour; the window opens at the fourth and is two hours long.
pub(crate) fn start() -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a valid instant")
}

pub(crate) fn after(seconds: i64) -> Timestamp {
    start() + TimeDelta::seconds(seconds)
}

pub(crate) fn volume() -> crate::ids::VolumeId {
    "vol-01".parse().expect("a volume")
}

/// A journal in the making.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) now: Timestamp,
    pub(crate) entries: Vec<(Timestamp, Event)>,
    pub(crate) progress: Progress,
    /// Downtime that the next gates forecast.
    pub(crate) gate_seconds: f64,
    /// How the target takes a revert.
    pub(crate) target: revert::Mood,
}

fn hook_action(token: &str) -> Action {
    let (name, occasion) = token.split_once('@').expect("an occasion");
    Action::Hook {
        name: name.trim_start_matches("hook:").to_owned(),
        occasion: occasion.parse().expect("a number"),
    }
}

impl Story {
    pub(crate) fn new() -> Self {
        let progress = Progress::default();
        Self {
            now: start(),
            entries: Vec::new(),
            progress,
            gate_seconds: 900.0,
            target: revert::Mood::default(),
        }
    }

    /// The story told so far; panics with the token that cannot follow.
    pub(crate) fn of(text: &str) -> Self {
        let mut story = Self::new();
        for token in text.split_whitespace() {
            story
                .tell(token)
                .unwrap_or_else(|refused| panic!("{token} of {text:?}: {refused}"));
        }
        story
    }

    pub(crate) fn tell(&mut self, token: &str) -> Result<(), Refused> {
        if let Some(seconds) = token.strip_prefix('+') {
            self.now += TimeDelta::seconds(seconds.parse().expect("seconds"));
            return Ok(());
        }
        if self.target.told(token) {
            return Ok(());
        }
        if let Some(verb) = token.strip_prefix("op:") {
            let verb: Verb = serde_json::from_value(verb.into()).expect("a verb");
            return self.say(Event::Operator { verb });
        }
        if let Some(round) = token.strip_prefix("round") {
            let steps: &[&str] = match round {
                "0" => &["s", "a", "d", "h", "c", "w"],
                _ => &["b", "s", "a", "d", "h", "c", "w"],
            };
            return steps
                .iter()
                .try_for_each(|step| self.tell(&format!("{step}{round}")));
        }
        if let Some(step) = token.strip_suffix('?') {
            return self.begin(&self.action(step));
        }
        if let Some((step, class)) = token.split_once('!') {
            let action = self.action(step);
            self.begin(&action)?;
            return self.say(Event::Failed {
                action,
                class: class_of(class),
                message: "so".into(),
            });
        }
        let action = self.action(token);
        self.begin(&action)?;
        let result = self.result(&action);
        self.say(Event::Finished { action, result })
    }

    fn begin(&mut self, action: &Action) -> Result<(), Refused> {
        self.say(Event::Decided {
            action: action.clone(),
            reason: "told".into(),
        })?;
        let attempt = self.progress.attempts_of(action) + 1;
        self.say(Event::Started {
            action: action.clone(),
            attempt,
        })
    }

    pub(crate) fn say(&mut self, event: Event) -> Result<(), Refused> {
        self.progress.apply(self.now, &event)?;
        self.entries.push((self.now, event));
        Ok(())
    }

    pub(crate) fn action(&self, step: &str) -> Action {
        let epoch = self.progress.epoch().unwrap_or(7);
        let gates = u32::try_from(self.progress.gates.len()).expect("few gates");
        match step {
            "preflight" => Action::Preflight,
            "gate" => Action::Gate { attempt: gates + 1 },
            "check" => Action::Checkpoint { attempt: gates },
            "fence" => Action::Fence { epoch },
            "prep" => Action::PrepareVolumes,
            "keep" => Action::KeepTarget,
            "vol" => Action::CreateVolumes,
            "att" => Action::AttachVolumes,
            "up" => Action::BringUp,
            "prove" => Action::Prove,
            "commit" => Action::Commit { epoch },
            "act" => Action::Activate { epoch },
            "cmp" => Action::Compare,
            "clean" => Action::Cleanup,
            "down" => Action::TakeDown,
            "del" => Action::DeleteVolumes,
            "undo" => Action::DiscardFreezes,
            "unf" => Action::Unfence { epoch },
            hook if hook.starts_with("hook:") => hook_action(hook),
            _ => revert::action(self, step).unwrap_or_else(|| self.round_action(step)),
        }
    }

    fn round_action(&self, step: &str) -> Action {
        let (kind, round) = step.split_at(1);
        let round = round
            .parse()
            .unwrap_or_else(|_| panic!("{step} is no step"));
        let tried = |attempt| {
            self.progress
                .tried(&Action::FreezeSnapshot { round, attempt })
        };
        match kind {
            "s" => Action::Snapshot { round },
            "a" => Action::AwaitSnapshots { round },
            "d" => Action::MeasureDelta { round },
            "h" => Action::Share { round },
            "c" => Action::Copy { round },
            "w" => Action::AwaitCopies { round },
            "b" => Action::Flush { round },
            "y" | "Y" => Action::Sync {
                round,
                whole: kind == "Y",
            },
            "z" => Action::AwaitSync { round },
            "t" => Action::TryRestore {
                round,
                trial: self.progress.trial.number
                    + u32::from(self.progress.nothing_tried_is_left()),
            },
            "f" => {
                let attempt = (1..).find(|attempt| !tried(*attempt)).expect("few freezes");
                Action::FreezeSnapshot { round, attempt }
            }
            _ => panic!("{step} is no step"),
        }
    }

    pub(crate) fn result(&self, action: &Action) -> StepResult {
        let now = self.now;
        let made = |prefix: &str| {
            let round = action.round().unwrap_or(0);
            let attempt = self.progress.attempts_of(action);
            vec![MadeSnapshot {
                volume: volume(),
                snapshot: format!("snap-{prefix}{round}{attempt}")
                    .parse()
                    .expect("a snapshot"),
                started_at: now,
            }]
        };
        let completed = |pending: &[MadeSnapshot]| {
            let done = |made: &MadeSnapshot| CompletedSnapshot {
                volume: made.volume.clone(),
                snapshot: made.snapshot.clone(),
                started_at: made.started_at,
                completed_at: now,
                full_bytes: None,
            };
            StepResult::Completed {
                snapshots: pending.iter().map(done).collect(),
            }
        };
        let round = action.round().and_then(|index| self.progress.round(index));
        match action {
            Action::Hook { .. } => StepResult::HookRan {
                seconds: 2.0,
                said: String::new(),
            },
            Action::TryRestore { .. } => StepResult::Tried {
                restore: TriedRestore {
                    create_seconds: 12.0,
                    attach_seconds: 6.0,
                    start_seconds: 40.0,
                    replay_seconds: None,
                },
            },
            Action::Preflight => StepResult::Inspected {
                mounts: vec![VolumeMount {
                    volume: volume(),
                    mountpoint: "/data".into(),
                }],
                system_identifier: "42".into(),
                stacks: Vec::new(),
            },
            Action::Snapshot { .. } => StepResult::Started {
                snapshots: made("a"),
            },
            Action::Copy { .. } => StepResult::Started {
                snapshots: made("c"),
            },
            Action::AwaitSnapshots { .. } => completed(&round.expect("a round").snapshots),
            Action::AwaitCopies { .. } => completed(&round.expect("a round").copies),
            Action::MeasureDelta { .. } => StepResult::Deltas {
                deltas: vec![VolumeDelta {
                    volume: volume(),
                    changed_blocks: 10,
                    runs: BlockSet::of(vec![(0, 10)]),
                }],
                writes: Vec::new(),
            },
            Action::Gate { .. } => StepResult::Gate {
                write_bytes_per_second: 1e6,
                write_ops_per_second: 100.0,
                rate_seconds: 600.0,
                recent_writes: Vec::new(),
                refusals: Vec::new(),
                forecast: forecast(self.gate_seconds),
                server: None,
            },
            Action::Fence { .. } => StepResult::Fenced {
                fenced_at: now,
                last_source_write: now,
                lsn: "0/10".into(),
                system_identifier: "42".into(),
                timeline: 1,
            },
            Action::FreezeSnapshot { .. } => StepResult::Frozen {
                frozen_at: now,
                answered_at: now + TimeDelta::seconds(1),
                thawed_at: now + TimeDelta::seconds(2),
                snapshots: made("f"),
            },
            Action::KeepTarget => StepResult::Started {
                snapshots: made("k"),
            },
            Action::AwaitSync { round } => direct::synced(&self.progress, *round, now),
            Action::CreateVolumes | Action::PrepareVolumes => StepResult::Volumes {
                volumes: vec![VolumePair {
                    source: volume(),
                    target: "vol-02".parse().expect("a volume"),
                    holds: None,
                }],
            },
            Action::Prove => StepResult::Proved {
                replay_lsn: "0/18".into(),
                system_identifier: "42".into(),
                timeline: 1,
            },
            Action::Commit { .. } => StepResult::Committed { committed_at: now },
            Action::Activate { .. } => StepResult::Activated {
                activated_at: now,
                first_target_write: now + TimeDelta::seconds(1),
                timeline: 2,
                lsn: Some("0/20".into()),
                transactions: Some(50),
            },
            Action::Compare => StepResult::Compared {
                verification: Verification {
                    method: "sha256".into(),
                    blocks_compared: 100,
                    mismatches: 0,
                    changed_blocks: 10,
                    written_blocks: 10,
                    read_back_blocks: 10,
                    digest: "d".into(),
                },
            },
            _ => revert::result(self, action).unwrap_or(StepResult::Done),
        }
    }
}

fn class_of(letter: &str) -> FailureClass {
    match letter {
        "t" => FailureClass::Transient,
        "u" => FailureClass::Unknown,
        "c" => FailureClass::Credentials,
        "p" => FailureClass::Permanent,
        "i" => FailureClass::Integrity,
        "l" => FailureClass::Lineage,
        "g" => FailureClass::Gone,
        "o" => FailureClass::Interrupted,
        _ => panic!("{letter} is no class"),
    }
}
