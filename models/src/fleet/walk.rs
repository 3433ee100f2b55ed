//! A dumb walker over a fleet plan. It finds, names a remedy, and repairs nothing.
//!
//! It must not know how fleets are planned.

use std::collections::BTreeMap;

use crate::check::{Finding, Findings, Severity};
use crate::format::Document;
use crate::plan::Verdict;

use super::{FleetPlan, PlannedInstance};

/// What keeps the plan from being carried out as it stands.
#[must_use]
pub fn check(plan: &FleetPlan) -> Findings {
    let mut findings = Vec::new();
    if plan.digest != plan.computed_digest() {
        let message = "was changed after it was made: its digest does not match";
        findings.push(refuse("plan", message.to_owned(), "plan the fleet again"));
    }
    domains(plan, &mut findings);
    limits(plan, &mut findings);
    instances(plan, &mut findings);
    findings.sort_by(|a, b| (a.severity, &a.subject).cmp(&(b.severity, &b.subject)));
    Findings {
        format: Findings::FORMAT.to_owned(),
        findings,
    }
}

fn refuse(subject: &str, message: String, remedy: &str) -> Finding {
    Finding {
        severity: Severity::Refuse,
        subject: subject.to_owned(),
        message,
        remedy: remedy.to_owned(),
    }
}

/// Replicas of one domain are never cut over at the same time.
fn domains(plan: &FleetPlan, findings: &mut Vec<Finding>) {
    let mut domains: BTreeMap<&str, Vec<&PlannedInstance>> = BTreeMap::new();
    for one in &plan.instances {
        let domain = one.domain.as_deref().unwrap_or(one.instance.as_str());
        domains.entry(domain).or_default().push(one);
    }
    for (domain, mut members) in domains {
        members.sort_by_key(|one| one.window.start);
        for pair in members.windows(2) {
            if pair[1].window.start < pair[0].over_by {
                let message = format!(
                    "{} may still be cut over when the window of {} opens",
                    pair[0].instance, pair[1].instance
                );
                findings.push(refuse(domain, message, "plan the fleet again"));
            }
        }
    }
}

fn limits(plan: &FleetPlan, findings: &mut Vec<Finding>) {
    for limit in &plan.limits {
        let over = limit
            .steps
            .iter()
            .find(|step| step.used > limit.allowed * 1.000_001);
        if let Some(step) = over {
            let message = format!(
                "{:.0} {} are taken at {}, {:.0} are allowed",
                step.used, limit.unit, step.at, limit.allowed
            );
            findings.push(refuse(&limit.limit, message, "plan the fleet again"));
        }
    }
    let budget = plan.policy.budget_usd.unwrap_or(f64::INFINITY);
    if plan.cost_usd.p50 > budget {
        let message = format!(
            "allows {budget:.2} USD, {:.2} are expected",
            plan.cost_usd.p50
        );
        findings.push(refuse("policy", message, "raise budget_usd"));
    }
}

fn instances(plan: &FleetPlan, findings: &mut Vec<Finding>) {
    for one in &plan.instances {
        if matches!(
            one.verdict,
            Verdict::DoesNotConverge | Verdict::NeedsLowerWriteRate
        ) {
            let message = "its own plan misses the limit".to_owned();
            findings.push(refuse(one.instance.as_str(), message, "see its plan"));
        }
    }
    for one in &plan.refused {
        let remedy = "change its policy, or take it out of the fleet";
        findings.push(refuse(one.instance.as_str(), one.reason.clone(), remedy));
    }
}
