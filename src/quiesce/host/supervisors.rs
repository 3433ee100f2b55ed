//! What would start the database again while it is fenced: its unit, its container, the process that watches it.
//!
//! The fence holds against all of them; but one that starts it over and over fills logs, and a container's may start
//! another copy. So they are to be paused first. It must not know an engine.

use super::command::{self, RunAs};
use crate::quiesce::protocol::{Finding, Severity};
use std::fs;
use std::time::Duration;

const LOOK: Duration = Duration::from_secs(10);

/// Programs that start their child again whenever it ends, or, the last two, when it breaks down.
const WATCHERS: [&str; 7] = [
    "runsv",
    "s6-supervise",
    "supervise",
    "supervisord",
    "monit",
    "mysqld_safe",
    "mariadbd-safe",
];
const ON_BREAKDOWN: [&str; 2] = ["mysqld_safe", "mariadbd-safe"];

/// A container as the control group names it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Container {
    /// Docker or Podman, by the program that knows it, and its id.
    Engine(&'static str, String),
    /// A pod.
    Kubernetes,
}

/// What starts a database again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restarts {
    Always,
    OnBreakdown,
    Never,
    /// It cannot be told.
    Unknown,
}

/// A finding per supervisor of the server process: refused unless the operator says that it is `paused`.
#[must_use]
pub fn findings(server: i32, paused: bool) -> Vec<Finding> {
    let group = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let (of_server, ours) = (group(&server.to_string()), group("self"));
    let mut found = Vec::new();
    // What holds the helper and the database alike is no supervisor of the database.
    if of_server != ours {
        match container(&of_server) {
            Some(container) => found.extend(of_container(&container, paused)),
            None => found.extend(unit(&of_server).and_then(|unit| of_unit(unit, paused))),
        }
    }
    found.extend(watcher(server).and_then(|watcher| {
        let restarts = if ON_BREAKDOWN.contains(&watcher.as_str()) {
            Restarts::OnBreakdown
        } else {
            Restarts::Always
        };
        finding(
            &watcher,
            restarts,
            paused,
            "stop it, and leave the database running",
        )
    }));
    found
}

fn of_unit(unit: &str, paused: bool) -> Option<Finding> {
    let argv = [
        "systemctl",
        "show",
        "--property=Restart,LoadState,UnitFileState",
        unit,
    ];
    let shown = run(&argv);
    let restarts = shown
        .as_deref()
        .map_or(Restarts::Unknown, of_unit_properties);
    finding(
        unit,
        restarts,
        paused,
        &format!("systemctl mask --runtime {unit}"),
    )
}

fn of_container(container: &Container, paused: bool) -> Option<Finding> {
    let Container::Engine(program, id) = container else {
        let remedy = "pause what restarts the pod; a pod's database is best moved by hooks";
        return finding("the pod", Restarts::Always, paused, remedy);
    };
    let format = "{{.HostConfig.RestartPolicy.Name}}";
    let policy = run(&[*program, "inspect", "--format", format, id]);
    let restarts = policy.as_deref().map_or(Restarts::Unknown, of_policy);
    let name = format!("{program} container {}", id.get(..12).unwrap_or(id));
    finding(
        &name,
        restarts,
        paused,
        &format!("{program} update --restart=no {id}"),
    )
}

fn run(argv: &[&str]) -> Option<String> {
    let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
    command::run(&RunAs::Myself, &argv, LOOK).ok()
}

/// The parent, when it is one of those.
fn watcher(server: i32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{server}/status")).ok()?;
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .to_owned();
    let name = fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
    let known = WATCHERS.iter().find(|known| **known == name.trim());
    known.map(|known| (*known).to_owned())
}

/// The service in a control group's path, `.../postgresql@15-main.service`.
fn unit(group: &str) -> Option<&str> {
    let parts = group.lines().flat_map(|line| line.rsplit('/'));
    parts
        .map(str::trim)
        .find(|part| part.ends_with(".service") && !part.starts_with("user@"))
}

fn container(group: &str) -> Option<Container> {
    if group.contains("kubepods") {
        return Some(Container::Kubernetes);
    }
    let id = |part: &str| {
        let id = part.trim().trim_end_matches(".scope");
        let id = id.rsplit('-').next().unwrap_or(id);
        (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
    };
    let id = group
        .lines()
        .flat_map(|line| line.split('/'))
        .find_map(id)?;
    let program = if group.contains("libpod") {
        "podman"
    } else {
        "docker"
    };
    Some(Container::Engine(program, id))
}

/// `systemd.service(5)`, `Restart=`: after a clean stop only `always` and `on-success` start it.
fn of_unit_properties(shown: &str) -> Restarts {
    let value = |name: &str| {
        let line = shown
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim()
    };
    if value("LoadState") == "masked" || value("UnitFileState").starts_with("masked") {
        return Restarts::Never;
    }
    match value("Restart") {
        "no" => Restarts::Never,
        "always" | "on-success" => Restarts::Always,
        "" => Restarts::Unknown,
        _ => Restarts::OnBreakdown,
    }
}

fn of_policy(policy: &str) -> Restarts {
    match policy.trim() {
        "" | "no" => Restarts::Never,
        "on-failure" => Restarts::OnBreakdown,
        _ => Restarts::Always,
    }
}

fn finding(name: &str, restarts: Restarts, paused: bool, remedy: &str) -> Option<Finding> {
    let (severity, message) = match restarts {
        Restarts::Never => return None,
        Restarts::OnBreakdown => (
            Severity::Warn,
            format!(
                "{name} starts the database again when it breaks down; the fence holds, and a clean stop is none"
            ),
        ),
        _ if paused => (
            Severity::Warn,
            format!("{name} restarts the database and is said to be paused"),
        ),
        Restarts::Always => (
            Severity::Refuse,
            format!("{name} would start the fenced database again and again"),
        ),
        Restarts::Unknown => (
            Severity::Refuse,
            format!("whether {name} starts the fenced database again cannot be told"),
        ),
    };
    Some(Finding {
        severity,
        subject: "supervisor".to_owned(),
        message,
        remedy: format!(
            "{remedy}, until the migration is final; or say database.restarts_paused = true"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn units_and_containers_are_known_by_their_control_group() {
        let debian = "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n";
        assert_eq!(unit(debian), Some("postgresql@15-main.service"));
        assert_eq!(unit("0::/user.slice/user-0.slice/session-1.scope\n"), None);
        assert_eq!(unit("0::/\n"), None);
        let docker = Some(Container::Engine("docker", ID.to_owned()));
        assert_eq!(
            container(&format!("0::/system.slice/docker-{ID}.scope\n")),
            docker
        );
        assert_eq!(
            container(&format!("12:pids:/docker/{ID}\n0::/docker/{ID}\n")),
            docker
        );
        let podman = Some(Container::Engine("podman", ID.to_owned()));
        assert_eq!(
            container(&format!("0::/machine.slice/libpod-{ID}.scope/container\n")),
            podman
        );
        assert_eq!(
            container("0::/kubepods.slice/pod1\n"),
            Some(Container::Kubernetes)
        );
        assert_eq!(container(debian), None);
    }

    #[test]
    fn what_starts_it_after_a_clean_stop_is_told_from_what_mends_a_breakdown() {
        let unit = |text: &str| of_unit_properties(&text.replace(' ', "\n"));
        assert_eq!(
            unit("Restart=always LoadState=loaded UnitFileState=enabled"),
            Restarts::Always
        );
        assert_eq!(
            unit("Restart=on-abnormal LoadState=loaded"),
            Restarts::OnBreakdown
        );
        assert_eq!(unit("Restart=no LoadState=loaded"), Restarts::Never);
        assert_eq!(unit("Restart=always LoadState=masked"), Restarts::Never);
        assert_eq!(
            unit("Restart=always LoadState=loaded UnitFileState=masked-runtime"),
            Restarts::Never
        );
        assert_eq!(unit(""), Restarts::Unknown);
        assert_eq!(of_policy("unless-stopped\n"), Restarts::Always);
        assert_eq!(of_policy("on-failure"), Restarts::OnBreakdown);
        assert_eq!(of_policy("no"), Restarts::Never);
    }

    #[test]
    fn only_what_is_paused_or_harmless_lets_the_check_pass() {
        let severity = |restarts, paused| finding("u", restarts, paused, "r").map(|it| it.severity);
        assert_eq!(severity(Restarts::Always, false), Some(Severity::Refuse));
        assert_eq!(severity(Restarts::Unknown, false), Some(Severity::Refuse));
        assert_eq!(severity(Restarts::Always, true), Some(Severity::Warn));
        assert_eq!(severity(Restarts::OnBreakdown, false), Some(Severity::Warn));
        assert_eq!(severity(Restarts::Never, false), None);
    }
}
