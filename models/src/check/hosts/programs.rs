//! Machine, engine, libraries and orders of text.

use super::{SOURCE, TARGET};
use crate::check::walk::{finding, refuse};
use crate::check::{Finding, Severity};
use crate::hosts::{HostFacts, Uses};

pub(super) fn walk(source: &HostFacts, target: &HostFacts, found: &mut Vec<Finding>) {
    machine(source, target, found);
    engine(source, target, found);
    let Some(uses) = &source.uses else {
        let message = "no server runs that could tell which libraries and locales it uses".into();
        let remedy = "start the database and check again";
        found.push(finding(Severity::Warn, &SOURCE, message, remedy));
        return;
    };
    libraries(uses, target, found);
    locales(uses, target, found);
    orders_of_text(source, target, uses, found);
}

/// Data files are an image of the machine's memory layout.
fn machine(source: &HostFacts, target: &HostFacts, found: &mut Vec<Finding>) {
    if source.architecture != target.architecture {
        let message = format!(
            "is {}, the source is {}: data files cannot be used there",
            target.architecture, source.architecture
        );
        found.push(refuse(
            &TARGET,
            message,
            "use an instance of the same architecture",
        ));
    }
}

fn engine(source: &HostFacts, target: &HostFacts, found: &mut Vec<Finding>) {
    let (ours, theirs) = (&source.engine, &target.engine);
    let versions = format!(
        "has {} {}, the source has {} {}",
        theirs.name, theirs.version, ours.name, ours.version
    );
    let release = |name: &str, version: &str| -> Vec<String> {
        // PostgreSQL keeps its files' format within a major version, MariaDB within a series; MySQL may change it
        // from one release to the next.
        let parts = match name {
            "postgres" => 1,
            "mariadb" => 2,
            _ => 3,
        };
        let numbers = version.split(|c: char| !c.is_ascii_digit());
        numbers.take(parts).map(str::to_owned).collect()
    };
    if ours.name != theirs.name
        || release(&ours.name, &ours.version) != release(&theirs.name, &theirs.version)
    {
        found.push(refuse(&TARGET, versions, "install the source's version"));
    } else if ours.version != theirs.version {
        let remedy = "nothing to do when the release notes of both allow it; the same is better";
        found.push(finding(Severity::Warn, &TARGET, versions, remedy));
    }
}

fn libraries(uses: &Uses, target: &HostFacts, found: &mut Vec<Finding>) {
    let missing = missing(&uses.libraries, &target.libraries, str::to_owned);
    if !missing.is_empty() {
        let message = format!("lacks libraries that the database loads: {missing}");
        found.push(refuse(
            &TARGET,
            message,
            "install the packages of these extensions",
        ));
    }
}

fn locales(uses: &Uses, target: &HostFacts, found: &mut Vec<Finding>) {
    let missing = missing(&uses.libc_locales, &target.locales, spelled_alike);
    if !missing.is_empty() {
        let message = format!("lacks locales of the database: {missing}");
        found.push(refuse(&TARGET, message, "generate them (locale-gen)"));
    }
}

/// An index over text is in the order of the library that built it. Read with another order it misses rows.
/// (PostgreSQL manual, 24.2.2.6; the wiki's "Locale data changes": glibc 2.28 changed most of them.)
fn orders_of_text(source: &HostFacts, target: &HostFacts, uses: &Uses, found: &mut Vec<Finding>) {
    let libraries = [
        (
            "glibc",
            &source.glibc,
            &target.glibc,
            !uses.libc_locales.is_empty(),
        ),
        ("ICU", &source.icu, &target.icu, uses.icu),
    ];
    for (name, ours, theirs, used) in libraries {
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            continue;
        };
        if ours == theirs {
            continue;
        }
        let message = format!("orders text by {name} {theirs}, the source by {name} {ours}");
        let remedy = "use the same system release, or say accept_collation_change in the target's host.toml and build the \
                      indexes over text anew (REINDEX) before clients come";
        let severity = match (used, target.engine.accepts_collation_change) {
            (true, false) => Severity::Refuse,
            (true, true) => Severity::Warn,
            (false, _) => Severity::Note,
        };
        found.push(finding(severity, &TARGET, message, remedy));
    }
}

/// Those of `wanted` that are not there, spelled in one way.
fn missing(wanted: &[String], there: &[String], spelling: fn(&str) -> String) -> String {
    let there: Vec<String> = there.iter().map(|name| spelling(name)).collect();
    let missing = wanted
        .iter()
        .filter(|name| !there.contains(&spelling(name)));
    missing.cloned().collect::<Vec<_>>().join(", ")
}

/// `en_US.UTF-8` and `en_US.utf8` are one locale.
fn spelled_alike(locale: &str) -> String {
    locale.to_lowercase().replace('-', "")
}
