//! Reading a policy from TOML, and saying which wish cannot be one.

use super::{Policy, WindowPolicy};
use crate::format::FormatError;

/// Format name and version of a policy file. The key `format` may be left out of a hand-written
/// policy; one that is there must be this one.
pub const FORMAT: &str = "snapmigrate.policy/1";

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

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
    #[error("policy: {key} is {value}, expected {expected}")]
    Impossible {
        /// Key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
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

    /// Checks that every wish can be one.
    ///
    /// # Errors
    /// [`PolicyError::Impossible`] for the first that cannot.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let open = |value: f64| value > 0.0 && value < 1.0;
        number(
            "confidence",
            self.confidence,
            open,
            "a probability between 0 and 1, both excluded",
        )?;
        number(
            "max_write_downtime_seconds",
            self.max_write_downtime_seconds,
            positive,
            SECONDS,
        )?;
        number("lease_seconds", self.lease_seconds, positive, SECONDS)?;
        number(
            "freeze_limit_seconds",
            self.freeze_limit_seconds,
            positive,
            SECONDS,
        )?;
        if let Some(budget) = self.budget_usd {
            number("budget_usd", budget, positive, "an amount in USD above 0")?;
        }
        if self.max_rounds == 0 {
            return Err(impossible("max_rounds", "0", "at least 1, the final round"));
        }
        if self.name.trim().is_empty() || self.name.len() > 128 {
            return Err(impossible("name", &self.name, "1 to 128 characters"));
        }
        if let Some(rate) = self.target.initialization_mib_per_second
            && !(100..=300).contains(&rate)
        {
            let rate = rate.to_string();
            return Err(impossible(
                "target.initialization_mib_per_second",
                &rate,
                "100 to 300",
            ));
        }
        self.windows.iter().try_for_each(WindowPolicy::validate)
    }
}

const SECONDS: &str = "a number of seconds above 0";

fn positive(value: f64) -> bool {
    value > 0.0 && value.is_finite()
}

fn number(
    key: &'static str,
    value: f64,
    valid: impl Fn(f64) -> bool,
    expected: &'static str,
) -> Result<(), PolicyError> {
    if valid(value) {
        Ok(())
    } else {
        Err(impossible(key, &value.to_string(), expected))
    }
}

fn impossible(key: &'static str, value: &str, expected: &'static str) -> PolicyError {
    PolicyError::Impossible {
        key,
        value: value.to_owned(),
        expected,
    }
}

impl WindowPolicy {
    fn validate(&self) -> Result<(), PolicyError> {
        if let Some(day) = self.days.iter().find(|day| !DAYS.contains(&day.as_str())) {
            return Err(impossible(
                "windows.days",
                day,
                "mon, tue, wed, thu, fri, sat or sun",
            ));
        }
        for (key, text) in [("windows.start", &self.start), ("windows.end", &self.end)] {
            if !is_time_of_day(text) {
                return Err(impossible(key, text, "HH:MM in UTC, such as 02:30"));
            }
        }
        if self.start == self.end {
            return Err(impossible(
                "windows.end",
                &self.end,
                "another time than the start",
            ));
        }
        Ok(())
    }
}

fn is_time_of_day(text: &str) -> bool {
    text.len() == 5 && chrono::NaiveTime::parse_from_str(text, "%H:%M").is_ok()
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
