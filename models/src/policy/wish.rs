//! Which single wish cannot be one: the only place where values of a policy are judged by themselves.
//!
//! It must not know what was measured, nor what time it is.

use super::{Policy, WindowPolicy};
use crate::limits::LIMITS;

/// A value that cannot be wished for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy: {key} is {value}, expected {expected}")]
pub struct ImpossibleWish {
    /// Key.
    pub key: &'static str,
    /// What was given.
    pub value: String,
    /// What is accepted.
    pub expected: &'static str,
}

impl Policy {
    /// Checks that every wish can be one.
    ///
    /// # Errors
    /// [`ImpossibleWish`] for the first that cannot.
    pub fn validate(&self) -> Result<(), ImpossibleWish> {
        self.numbers()?;
        self.valid_hooks()?;
        if self.max_rounds == 0 {
            return Err(impossible("max_rounds", "0", "at least 1, the final round"));
        }
        if self.name.trim().is_empty() || self.name.len() > 128 {
            return Err(impossible("name", &self.name, "1 to 128 characters"));
        }
        let (low, high) = (
            LIMITS.initialization_mib_per_second_min,
            LIMITS.initialization_mib_per_second_max,
        );
        if let Some(rate) = self.target.initialization_mib_per_second
            && !(low..=high).contains(&rate)
        {
            let key = "target.initialization_mib_per_second";
            return Err(impossible(key, &rate.to_string(), "100 to 300"));
        }
        if let Some(fleet) = &self.fleet {
            fleet.validate()?;
        }
        let zone = self.zone()?;
        let hours = |window: &WindowPolicy| window.hours(zone).map(drop);
        self.windows.iter().try_for_each(hours)
    }

    fn numbers(&self) -> Result<(), ImpossibleWish> {
        let open = |value: f64| value > 0.0 && value < 1.0;
        let probability = "a probability between 0 and 1, both excluded";
        number("confidence", self.confidence, open, probability)?;
        for (key, seconds) in [
            (
                "max_write_downtime_seconds",
                self.max_write_downtime_seconds,
            ),
            ("lease_seconds", self.lease_seconds),
            ("freeze_limit_seconds", self.freeze_limit_seconds),
        ] {
            let positive = |value: f64| value > 0.0 && value.is_finite();
            number(key, seconds, positive, "a number of seconds above 0")?;
        }
        // Nothing to spend can be wished for; the planner says what it contradicts.
        let amount = |value: f64| value >= 0.0 && value.is_finite();
        let budget = self.budget_usd.unwrap_or_default();
        number("budget_usd", budget, amount, "an amount in USD, 0 or more")
    }
}

pub(super) fn number(
    key: &'static str,
    value: f64,
    valid: impl Fn(f64) -> bool,
    expected: &'static str,
) -> Result<(), ImpossibleWish> {
    if valid(value) {
        Ok(())
    } else {
        Err(impossible(key, &value.to_string(), expected))
    }
}

pub(super) fn impossible(key: &'static str, value: &str, expected: &'static str) -> ImpossibleWish {
    ImpossibleWish {
        key,
        value: value.to_owned(),
        expected,
    }
}
