//! Reading a policy from TOML.

use super::{ImpossibleWish, Policy};
use crate::format::FormatError;

/// Format name and version of a policy file. The key `format` may be left out of a hand-written
/// policy; one that is there must be this one.
pub const FORMAT: &str = "snapmigrate.policy/1";

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML, a missing or unknown key, or a value of the wrong type.
    #[error("not a readable policy")]
    Malformed(#[source] Box<toml::de::Error>),
    /// Another format or version.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A value that cannot be wished for.
    #[error(transparent)]
    Impossible(#[from] ImpossibleWish),
}

impl Policy {
    /// Reads a policy from TOML text.
    ///
    /// # Errors
    /// [`PolicyError`] naming the key or the position.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        Self::from_table(
            text.parse()
                .map_err(|error| PolicyError::Malformed(Box::new(error)))?,
        )
    }

    /// Reads a policy from a TOML table, such as the `[policy]` of a scenario.
    ///
    /// # Errors
    /// [`PolicyError`] naming the key.
    pub fn from_table(mut table: toml::Table) -> Result<Self, PolicyError> {
        match table.remove("format") {
            Some(toml::Value::String(format)) if format == FORMAT => {}
            None => {}
            Some(found) => {
                let found = found
                    .as_str()
                    .map_or_else(|| found.to_string(), str::to_owned);
                return Err(FormatError::Unknown {
                    expected: FORMAT,
                    found,
                }
                .into());
            }
        }
        let policy: Self = table
            .try_into()
            .map_err(|error| PolicyError::Malformed(Box::new(error)))?;
        policy.validate()?;
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str =
        "[target]\naccount = \"222222222222\"\nregion = \"eu-west-1\"\nzone = \"eu-west-1a\"\n";

    fn message(head: &str) -> String {
        Policy::from_toml(&format!("{head}\n{TARGET}"))
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn a_target_is_enough() {
        let policy = Policy::from_toml(TARGET).expect("all else has defaults");
        assert_eq!(policy.name, "migration");
        assert!(Policy::from_toml(&format!("format = \"{FORMAT}\"\n{TARGET}")).is_ok());
    }

    #[test]
    fn impossible_wishes_name_their_key() {
        let cases = [
            ("confidence = 1.0", "policy: confidence is 1,"),
            (
                "max_write_downtime_seconds = -5",
                "policy: max_write_downtime_seconds is -5,",
            ),
            (
                "max_write_downtime_seconds = nan",
                "policy: max_write_downtime_seconds is NaN,",
            ),
            ("max_rounds = 0", "policy: max_rounds is 0,"),
            ("budget_usd = -1", "policy: budget_usd is -1,"),
            (
                "time_zone = \"Mars/Olympus\"",
                "policy: time_zone is \"Mars/Olympus\",",
            ),
            (
                "windows = [{ start = \"2:30\", end = \"04:00\" }]",
                "policy: windows.start is 2:30,",
            ),
            (
                "windows = [{ days = [\"so\"], start = \"02:30\", end = \"04:00\" }]",
                "policy: windows.days is so,",
            ),
            (
                "format = \"snapmigrate.policy/2\"",
                "format is \"snapmigrate.policy/2\"",
            ),
        ];
        for (head, expected) in cases {
            let found = message(head);
            assert!(found.starts_with(expected), "{head}: {found}");
        }
    }

    #[test]
    fn unknown_keys_are_named() {
        let error = Policy::from_toml(&format!("max_round = 3\n{TARGET}")).expect_err("a typo");
        let source = std::error::Error::source(&error).expect("the parser says where");
        assert!(source.to_string().contains("max_round"), "{source}");
    }
}
