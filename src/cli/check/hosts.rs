//! The database's hosts in a check: what lies outside the volumes.

use std::path::Path;

use snapmigrate_models::check::{Finding, Findings, Severity};
use snapmigrate_models::plan::Plan;

use crate::cli::{CliError, ConnectionArgs, channel, execute};
use crate::quiesce::channel::Channel;
use crate::quiesce::compare::compare;
use crate::quiesce::protocol::KeptPath;

/// Adds what the helpers on both hosts of `plan` tell to `findings`, worst first; nothing without a database.
///
/// `journal` is where this machine will write while the source may be frozen.
pub async fn add(
    findings: &mut Findings,
    plan: &Plan,
    connection: &ConnectionArgs,
    journal: &Path,
) -> Result<(), CliError> {
    let Some(database) = &plan.policy.database else {
        return Ok(());
    };
    let source = execute::reach("source", connection.source_in(&plan.source.region)).await?;
    let target = execute::reach("target", connection.target(&plan.target.region)).await?;
    let source = channel::open(&database.source_host, &source)?;
    let target = channel::open(&database.target_host, &target)?;
    let expected = database.helper_sha256.as_deref();
    findings
        .findings
        .extend(found(&source, &target, journal, expected).await);
    findings
        .findings
        .sort_by(|a, b| (a.severity, &a.subject).cmp(&(b.severity, &b.subject)));
    Ok(())
}

/// Hosts that do not answer today may do so by the time they are needed: `execute` looks again.
async fn found(
    source: &Channel,
    target: &Channel,
    journal: &Path,
    expected: Option<&str>,
) -> Vec<Finding> {
    match compare(source, target, kept(journal), expected).await {
        Ok(found) => found,
        Err(error) => vec![Finding {
            severity: Severity::Warn,
            subject: "hosts".to_owned(),
            message: format!("were not compared: {error}"),
            remedy: "have the helper run on both hosts and check again; a cutover does not begin without".to_owned(),
        }],
    }
}

fn kept(journal: &Path) -> Vec<KeptPath> {
    let path = |path: &Path| {
        std::path::absolute(path)
            .unwrap_or_else(|_| path.to_owned())
            .display()
            .to_string()
    };
    let mut kept = vec![KeptPath {
        what: "the journal".to_owned(),
        path: path(journal),
    }];
    let program = std::env::current_exe().ok();
    kept.extend(program.map(|program| KeptPath {
        what: "snapmigrate".to_owned(),
        path: path(&program),
    }));
    kept
}
