//! Two hosts side by side: does what lies outside the volumes allow the target to serve what the source served?
//!
//! It must not know how facts are gathered. What a host cannot tell is no finding.

use super::walk::{finding, refuse};
use super::{Finding, Severity};
use crate::hosts::{HostFacts, NamedId};

mod programs;
mod storage;
#[cfg(test)]
mod tests;

const SOURCE: &str = "source host";
const TARGET: &str = "target host";

/// All findings, worst first.
#[must_use]
pub fn compare(source: &HostFacts, target: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    helpers(source, target, &mut found);
    programs::walk(source, target, &mut found);
    user(source, target, &mut found);
    configuration(source, target, &mut found);
    storage::walk(source, target, &mut found);
    kept(SOURCE, source, &mut found);
    kept(TARGET, target, &mut found);
    found.sort_by(|a, b| (a.severity, &a.subject).cmp(&(b.severity, &b.subject)));
    found
}

/// Helpers of one version but different builds differ in what nobody has tried together.
fn helpers(source: &HostFacts, target: &HostFacts, found: &mut Vec<Finding>) {
    if let (Some(ours), Some(theirs)) = (&source.helper_sha256, &target.helper_sha256)
        && ours != theirs
    {
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let message = format!(
            "runs another snapmigrate-host ({}) than the source ({})",
            short(theirs),
            short(ours)
        );
        let remedy = "install the same on both: snapmigrate host install";
        found.push(finding(Severity::Warn, &TARGET, message, remedy));
    }
}

/// Files are owned by numbers, and the numbers come along.
fn user(source: &HostFacts, target: &HostFacts, found: &mut Vec<Finding>) {
    let (ours, theirs) = (&source.server_user, &target.server_user);
    if (ours.uid, ours.gid) != (theirs.uid, theirs.gid) {
        let message = format!(
            "has {} as {}:{}, the files belong to {}:{} ({})",
            theirs.name, theirs.uid, theirs.gid, ours.uid, ours.gid, ours.name
        );
        let remedy = "give the target's user the source's numbers (usermod -u, groupmod -g) before the cutover";
        found.push(refuse(&TARGET, message, remedy));
    }
}

fn configuration(source: &HostFacts, target: &HostFacts, found: &mut Vec<Finding>) {
    for file in source.configuration.iter().filter(|f| f.sha256.is_some()) {
        let theirs = target.configuration.iter().find(|f| f.path == file.path);
        let Some(theirs) = theirs else { continue };
        let (severity, message) = match &theirs.sha256 {
            None => (
                Severity::Refuse,
                format!("lacks {}, which lies outside the volumes", file.path),
            ),
            same if *same == file.sha256 => continue,
            Some(_) => (
                Severity::Warn,
                format!("has another {} than the source", file.path),
            ),
        };
        let remedy = "copy it from the source, or see that the difference is meant";
        found.push(finding(severity, &TARGET, message, remedy));
    }
}

/// Whoever has to thaw must not wait for what is frozen.
fn kept(host: &str, facts: &HostFacts, found: &mut Vec<Finding>) {
    for kept in facts.kept.iter().filter(|kept| kept.frozen) {
        let message = format!(
            "would freeze {} ({}) together with {}",
            kept.what, kept.path, kept.mountpoint
        );
        let remedy = "move it to a file system of its own, or the database to another one";
        found.push(refuse(&host, message, remedy));
    }
}

/// Pairs of equal names, or of equal non-empty ids.
fn collisions<'a>(ours: &'a [NamedId], theirs: &'a [NamedId]) -> Vec<(&'a NamedId, &'a NamedId)> {
    let collide = |a: &NamedId, b: &NamedId| {
        (!a.uuid.is_empty() && a.uuid == b.uuid) || (!a.name.is_empty() && a.name == b.name)
    };
    let pairs = ours
        .iter()
        .flat_map(|a| theirs.iter().map(move |b| (a, b)))
        .filter(|(a, b)| collide(a, b));
    pairs.collect()
}
