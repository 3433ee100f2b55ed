//! A dumb walker over a plan and a fresh inventory. It finds, names a remedy, and repairs nothing.
//!
//! It must not know how plans are made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::units::Timestamp;

/// What a check found; a plan with any [`Severity::Refuse`] must not be executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Findings {
    /// `snapmigrate.findings/1`.
    pub format: String,
    /// Worst first.
    pub findings: Vec<Finding>,
}

impl Document for Findings {
    const FORMAT: &'static str = "snapmigrate.findings/1";
}

impl Findings {
    /// Something forbids executing the plan.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Refuse)
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a volume, snapshot, window, or `plan`.
    pub subject: String,
    /// What was found.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// How bad a finding is, worst first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The plan must not be executed.
    Refuse,
    /// It may go wrong or cost more.
    Warn,
    /// Worth knowing.
    Note,
}

pub mod hosts;
mod lineage;
mod walk;
mod world;

pub use lineage::foreign_in_the_way;

/// Walks over `plan` and what stands in the source account at `now`.
#[must_use]
pub fn check(plan: &Plan, inventory: &Inventory, now: Timestamp) -> Findings {
    let mut findings = walk::walk(plan, inventory, now);
    findings.sort_by(|a, b| (a.severity, &a.subject).cmp(&(b.severity, &b.subject)));
    Findings {
        format: Findings::FORMAT.to_owned(),
        findings,
    }
}

#[cfg(test)]
mod tests;
