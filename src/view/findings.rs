//! Findings of a check, worst first.

use snapmigrate_models::check::{Finding, Findings, Severity};

/// All findings as text.
#[must_use]
pub fn findings(findings: &Findings) -> String {
    let count = |severity| {
        findings
            .findings
            .iter()
            .filter(|f| f.severity == severity)
            .count()
    };
    let verdict = if findings.refused() {
        "REFUSED: the plan must not be executed"
    } else {
        "no objection"
    };
    let head = format!(
        "{verdict} ({} refuse, {} warn, {} note)\n",
        count(Severity::Refuse),
        count(Severity::Warn),
        count(Severity::Note)
    );
    findings
        .findings
        .iter()
        .fold(head, |out, finding| out + &line(finding))
}

fn line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Refuse => "REFUSE",
        Severity::Warn => "warn",
        Severity::Note => "note",
    };
    format!(
        "  {severity:<6}  {}: {}\n          remedy: {}\n",
        finding.subject, finding.message, finding.remedy
    )
}
