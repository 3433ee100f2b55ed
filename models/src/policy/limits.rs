//! The limits of a policy that an operator may move while the migration runs, before the fence.
//!
//! Wishes only: what they make possible is for the planner to say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ImpossibleWish, Policy, WindowPolicy};
use crate::units::Timestamp;

/// Some of a policy's limits: those that are said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyLimits {
    /// Longest write downtime accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_write_downtime_seconds: Option<f64>,
    /// The migration must be over by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_finish: Option<Timestamp>,
    /// Most money to spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
    /// Daily windows in which the cutover may start, in the policy's time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Vec<WindowPolicy>>,
}

impl PolicyLimits {
    /// Nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What `policy` says of those that are said here: the old values of a change.
    #[must_use]
    pub fn as_in(&self, policy: &Policy) -> Self {
        let downtime = self.max_write_downtime_seconds;
        Self {
            max_write_downtime_seconds: downtime.map(|_| policy.max_write_downtime_seconds),
            latest_finish: self.latest_finish.and(policy.latest_finish),
            budget_usd: self.budget_usd.and(policy.budget_usd),
            windows: self.windows.as_ref().map(|_| policy.windows.clone()),
        }
    }

    /// These limits, and those of `later` in place of them.
    #[must_use]
    pub fn then(self, later: &Self) -> Self {
        let downtime = later.max_write_downtime_seconds;
        Self {
            max_write_downtime_seconds: downtime.or(self.max_write_downtime_seconds),
            latest_finish: later.latest_finish.or(self.latest_finish),
            budget_usd: later.budget_usd.or(self.budget_usd),
            windows: later.windows.clone().or(self.windows),
        }
    }

    /// The policy with these limits in place of its own.
    ///
    /// # Errors
    /// [`ImpossibleWish`] for a value that cannot be wished for.
    pub fn over(&self, policy: &Policy) -> Result<Policy, ImpossibleWish> {
        let mut changed = policy.clone();
        if let Some(seconds) = self.max_write_downtime_seconds {
            changed.max_write_downtime_seconds = seconds;
        }
        changed.latest_finish = self.latest_finish.or(changed.latest_finish);
        changed.budget_usd = self.budget_usd.or(changed.budget_usd);
        if let Some(windows) = &self.windows {
            changed.windows.clone_from(windows);
        }
        changed.validate()?;
        Ok(changed)
    }
}
