//! Cluster managers on this host: what would promote another server, or start this one again, while it is fenced.
//!
//! They are known by their processes. Whether one is paused is its own affair and lies elsewhere (a configuration
//! store, another host), so that the operator has to say it. It must not know an engine.

use crate::quiesce::protocol::{Finding, Severity};
use std::fs;

/// Programs, what they are called, and how they are paused.
const MANAGERS: [(&str, &str, &str); 8] = [
    ("patroni", "Patroni", "patronictl pause --wait"),
    ("repmgrd", "repmgr", "repmgr service pause"),
    (
        "pg_autoctl",
        "pg_auto_failover",
        "pg_autoctl enable maintenance",
    ),
    ("stolon-keeper", "Stolon", "stop its keepers"),
    (
        "pacemakerd",
        "Pacemaker",
        "pcs property set maintenance-mode=true",
    ),
    (
        "orchestrator",
        "Orchestrator",
        "orchestrator-client -c disable-global-recoveries",
    ),
    ("masterha_manager", "MHA", "masterha_stop"),
    (
        "replication-manager",
        "replication-manager",
        "switch its failover to manual",
    ),
];

/// A finding per manager that runs here: refused unless the operator says that it is `paused`.
#[must_use]
pub fn findings(paused: bool) -> Vec<Finding> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let commands = entries.filter_map(Result::ok).filter_map(|entry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        fs::read(entry.path().join("cmdline")).ok()
    });
    let running: Vec<Vec<String>> = commands.map(|command| words(&command)).collect();
    let found = MANAGERS
        .iter()
        .filter(|(program, _, _)| running.iter().any(|words| is_of(words, program)));
    found.map(|manager| finding(manager, paused)).collect()
}

fn words(command: &[u8]) -> Vec<String> {
    let words = command.split(|byte| *byte == 0);
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// The program itself, or a script that an interpreter runs.
fn is_of(words: &[String], program: &str) -> bool {
    let name = |word: &String| word.rsplit('/').next() == Some(program);
    match words {
        [first, ..] if name(first) => true,
        [first, script, ..] => {
            let interpreter = first.rsplit('/').next().unwrap_or_default();
            let interprets = ["python", "perl", "ruby"]
                .iter()
                .any(|known| interpreter.starts_with(known));
            interprets && name(script)
        }
        _ => false,
    }
}

fn finding((_, name, pause): &(&str, &str, &str), paused: bool) -> Finding {
    let (severity, message) = if paused {
        (
            Severity::Warn,
            format!("{name} runs on this host and is said to be paused"),
        )
    } else {
        let message = format!(
            "{name} runs on this host: it would start the fenced database or promote a standby"
        );
        (Severity::Refuse, message)
    };
    Finding {
        severity,
        subject: "cluster manager".to_owned(),
        message,
        remedy: format!(
            "pause it ({pause}) until the migration is final, then set database.cluster_manager_paused = true"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &str) -> Vec<&'static str> {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let found = MANAGERS
            .iter()
            .filter(|(program, _, _)| is_of(&words, program));
        found.map(|(_, name, _)| *name).collect()
    }

    #[test]
    fn managers_are_known_by_program_and_by_script() {
        assert_eq!(
            of("/usr/bin/python3 /usr/bin/patroni /etc/patroni.yml"),
            ["Patroni"]
        );
        assert_eq!(of("/usr/lib/postgresql/15/bin/repmgrd -d"), ["repmgr"]);
        assert_eq!(of("pacemakerd"), ["Pacemaker"]);
        for other in [
            "",
            "vi /etc/patroni",
            "grep patroni",
            "/usr/bin/python3 patroni.py",
            "tail -f orchestrator",
        ] {
            assert!(of(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn one_that_runs_is_refused_until_it_is_said_to_be_paused() {
        let severity = |paused| finding(&MANAGERS[0], paused).severity;
        assert_eq!(
            (severity(false), severity(true)),
            (Severity::Refuse, Severity::Warn)
        );
    }
}
