//! What a client says to a running executor, and what that answers: one JSON object a line, each naming its format.
//!
//! Plain values. They must not know how lines travel, nor what becomes of a word.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::PolicyLimits;
use crate::status::Status;
use crate::step::Verb;
use crate::units::Timestamp;

/// Name and version in every line.
pub const FORMAT: &str = "snapmigrate.control/1";

/// What a client says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `snapmigrate.control/1`.
    pub format: String,
    /// What is asked for.
    pub word: Word,
    /// Name of the migration: needed for words that cannot be taken back or that stop clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// With `limits`: those that change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<PolicyLimits>,
}

impl Request {
    /// Asks for `word`, confirmed by a name where one is needed.
    #[must_use]
    pub fn new(word: Word, confirm: Option<String>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            word,
            confirm,
            limits: None,
        }
    }

    /// Moves limits of the migration of this name.
    #[must_use]
    pub fn limiting(limits: PolicyLimits, name: String) -> Self {
        Self {
            limits: Some(limits),
            ..Self::new(Word::Limits, Some(name))
        }
    }

    /// Whether it may be said to the migration of this name.
    ///
    /// # Errors
    /// The reason in words, when it may not.
    pub fn is_confirmed(&self, name: &str) -> Result<(), String> {
        match &self.confirm {
            Some(said) if said != name => Err(format!("{said} was confirmed, this is {name}")),
            None if self.word.is_dangerous() => {
                Err("the name of the migration must be given with it".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Where it stands.
    Status,
    /// Hold the cutover.
    Postpone,
    /// The cutover is held no longer: it waits for its window.
    Release,
    /// Cut over as soon as the bounds allow.
    Cutover,
    /// Try a restore of the next round that is in the target.
    Try,
    /// Stop and leave the source serving.
    Abort,
    /// Back to the source after the activation, unless the target took writes.
    Revert,
    /// The same, and what the target took is given up on the source.
    RevertDiscarding,
    /// The way back is given up.
    Finalize,
    /// The chain's snapshots and copies may go at the end.
    DeleteSnapshots,
    /// Limits of the policy are moved, before the fence.
    Limits,
}

impl Word {
    /// The verb that is journaled for it; none for a mere question and for limits.
    #[must_use]
    pub const fn verb(self) -> Option<Verb> {
        Some(match self {
            Self::Status | Self::Limits => return None,
            Self::Postpone => Verb::Postpone,
            Self::Release => Verb::Release,
            Self::Cutover => Verb::Cutover,
            Self::Try => Verb::Try,
            Self::Abort => Verb::Abort,
            Self::Revert => Verb::Revert,
            Self::RevertDiscarding => Verb::RevertDiscarding,
            Self::Finalize => Verb::Finalize,
            Self::DeleteSnapshots => Verb::DeleteSnapshots,
        })
    }

    /// It stops clients, or it cannot be taken back. `abort` is neither: it leads to a serving source.
    #[must_use]
    pub const fn is_dangerous(self) -> bool {
        match self {
            Self::Status | Self::Postpone | Self::Release | Self::Try | Self::Abort => false,
            Self::Cutover
            | Self::Revert
            | Self::RevertDiscarding
            | Self::Finalize
            | Self::DeleteSnapshots
            | Self::Limits => true,
        }
    }
}

/// What the executor answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// `snapmigrate.control/1`.
    pub format: String,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
}

impl Reply {
    /// An answer with its format.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self {
            format: FORMAT.to_owned(),
            answer,
        }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The word is durable in the journal, as this entry.
    Journaled {
        /// Position of the entry.
        seq: u64,
        /// When it was appended.
        at: Timestamp,
    },
    /// Where it stands.
    Status(Box<Status>),
    /// Nothing was changed.
    Refused {
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_documented() {
        let line = serde_json::to_string(&Request::new(Word::Cutover, Some("orders".into())));
        let expected = r#"{"format":"snapmigrate.control/1","word":"cutover","confirm":"orders"}"#;
        assert_eq!(line.expect("plain values"), expected);
        let reason = "no".to_owned();
        let reply = serde_json::to_string(&Reply::new(Answer::Refused { reason }));
        let expected = r#"{"format":"snapmigrate.control/1","refused":{"reason":"no"}}"#;
        assert_eq!(reply.expect("plain values"), expected);
        let unknown = r#"{"format":"snapmigrate.control/1","word":"cutover","force":true}"#;
        assert!(serde_json::from_str::<Request>(unknown).is_err());
    }

    #[test]
    fn dangerous_words_need_the_right_name() {
        let said = |word, name: Option<&str>| Request::new(word, name.map(str::to_owned));
        for word in [
            Word::Cutover,
            Word::Revert,
            Word::Finalize,
            Word::DeleteSnapshots,
        ] {
            assert!(said(word, None).is_confirmed("orders").is_err());
            assert!(said(word, Some("orders")).is_confirmed("orders").is_ok());
        }
        for word in [Word::Status, Word::Postpone, Word::Abort] {
            assert!(said(word, None).is_confirmed("orders").is_ok());
            assert!(said(word, Some("other")).is_confirmed("orders").is_err());
        }
    }
}
