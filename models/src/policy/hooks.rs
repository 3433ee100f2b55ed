//! Hooks: commands of the operator's around the named phases. Wishes only; it must not know how a command is run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wish::impossible;
use super::{ImpossibleWish, Policy};

/// Longest time a hook may take, in seconds: a day's work is no hook.
const MOST_SECONDS: f64 = 3600.0;

/// One command around a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookPolicy {
    /// Unique; letters, digits and `-`: part of the journal's names.
    pub name: String,
    /// Around what.
    pub phase: HookPhase,
    /// Before it or after it.
    pub when: HookTime,
    /// Program and arguments, run without a shell.
    pub command: Vec<String>,
    /// Longest run; then it is killed with everything it started.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: f64,
    /// Whether its failure stops the migration: before the commit the way back is taken, after it the executor waits for
    /// the operator. A failure around `unfence` never holds up the source.
    #[serde(default = "yes")]
    pub fatal: bool,
    /// Whether it may be run again when nobody knows how far it came.
    #[serde(default)]
    pub idempotent: bool,
}

/// What a hook is around.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HookPhase {
    /// The snapshots of the base and of each round before the final one.
    Round,
    /// The fence of the source.
    Fence,
    /// The target's activation: before it, behind the commit, and right after it.
    Switch,
    /// The way back before the commit: the source serves again.
    Unfence,
    /// The way back after the activation.
    Revert,
}

/// Before or after.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HookTime {
    /// Before the phase begins.
    Pre,
    /// After it has succeeded.
    Post,
}

impl HookPhase {
    /// As in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Round => "round",
            Self::Fence => "fence",
            Self::Switch => "switch",
            Self::Unfence => "unfence",
            Self::Revert => "revert",
        }
    }
}

impl HookTime {
    /// As in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Post => "post",
        }
    }
}

impl HookPolicy {
    /// Whether clients wait for it: it lies between the source's last commit and the target being reachable.
    #[must_use]
    pub const fn in_write_downtime(&self) -> bool {
        match (self.phase, self.when) {
            (HookPhase::Fence, HookTime::Post) | (HookPhase::Switch, _) => true,
            (HookPhase::Fence, HookTime::Pre)
            | (HookPhase::Round | HookPhase::Unfence | HookPhase::Revert, _) => false,
        }
    }
}

impl Policy {
    /// The hook of a name.
    #[must_use]
    pub fn hook(&self, name: &str) -> Option<&HookPolicy> {
        self.hooks.iter().find(|hook| hook.name == name)
    }

    /// Longest time that hooks add to the write downtime, in seconds.
    #[must_use]
    pub fn hooks_in_downtime_seconds(&self) -> f64 {
        let hooks = self.hooks.iter().filter(|hook| hook.in_write_downtime());
        hooks.map(|hook| hook.timeout_seconds).sum()
    }

    /// Checks that every hook can be one.
    pub(super) fn valid_hooks(&self) -> Result<(), ImpossibleWish> {
        for (index, hook) in self.hooks.iter().enumerate() {
            let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if hook.name.is_empty() || hook.name.len() > 40 || !hook.name.chars().all(letter) {
                let expected = "1 to 40 letters, digits and -";
                return Err(impossible("hooks.name", &hook.name, expected));
            }
            if self.hooks[..index]
                .iter()
                .any(|other| other.name == hook.name)
            {
                return Err(impossible("hooks.name", &hook.name, "a name of its own"));
            }
            if hook
                .command
                .first()
                .is_none_or(|program| !program.starts_with('/'))
            {
                let command = hook.command.join(" ");
                let expected = "a program by its absolute path, and its arguments";
                return Err(impossible("hooks.command", &command, expected));
            }
            let seconds = hook.timeout_seconds;
            if !(seconds > 0.0 && seconds <= MOST_SECONDS) {
                let expected = "above 0 and at most 3600";
                return Err(impossible(
                    "hooks.timeout_seconds",
                    &seconds.to_string(),
                    expected,
                ));
            }
        }
        Ok(())
    }
}

const fn default_timeout_seconds() -> f64 {
    60.0
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn with(change: impl FnOnce(&mut HookPolicy)) -> Result<(), ImpossibleWish> {
        let mut hook = HookPolicy {
            name: "dns".into(),
            phase: HookPhase::Switch,
            when: HookTime::Post,
            command: vec!["/usr/local/bin/dns".into()],
            timeout_seconds: 30.0,
            fatal: true,
            idempotent: false,
        };
        let other = HookPolicy {
            name: "pause".into(),
            phase: HookPhase::Fence,
            when: HookTime::Pre,
            ..hook.clone()
        };
        change(&mut hook);
        let mut policy = fixtures::policy(600.0);
        policy.hooks = vec![other, hook];
        assert!(policy.hooks_in_downtime_seconds() < 31.0 || policy.validate().is_err());
        policy.validate()
    }

    #[test]
    fn hooks_that_cannot_be_are_named() {
        assert!(with(|_| {}).is_ok());
        for (change, key) in [
            (
                Box::new(|hook: &mut HookPolicy| hook.name = "pause".into())
                    as Box<dyn FnOnce(&mut HookPolicy)>,
                "name",
            ),
            (Box::new(|hook| hook.name = "a b".into()), "name"),
            (
                Box::new(|hook| hook.command = vec!["dns".into()]),
                "command",
            ),
            (Box::new(|hook| hook.command = Vec::new()), "command"),
            (Box::new(|hook| hook.timeout_seconds = 0.0), "timeout"),
            (Box::new(|hook| hook.timeout_seconds = f64::NAN), "timeout"),
        ] {
            let refused = with(change).expect_err("it cannot be");
            assert!(refused.key.contains(key), "{refused}");
        }
    }

    #[test]
    fn a_hook_needs_only_what_cannot_be_guessed() {
        let text = "name = \"dns\"\nphase = \"switch\"\nwhen = \"post\"\ncommand = [\"/bin/true\"]";
        let hook: HookPolicy = toml::from_str(text).expect("it is a hook");
        assert!(hook.fatal && !hook.idempotent && hook.in_write_downtime());
        assert!(toml::from_str::<HookPolicy>(&text.replace("switch", "dance")).is_err());
    }
}
