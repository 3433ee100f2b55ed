//! Where the helper's files lie on a host, the unit that supervises it, and the list by which it takes itself away.

use super::Installation;
use crate::quiesce::host::config::DEFAULT_SOCKET;
use serde::{Deserialize, Serialize};

/// Name of the list, beside `host.toml`.
pub const MANIFEST: &str = "installed.json";

/// The unit's name.
const UNIT: &str = "snapmigrate-host.service";

/// Places, each an absolute path without spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The helper.
    pub program: String,
    /// Its worker.
    pub worker: String,
    /// Its configuration.
    pub config: String,
    /// Its unit.
    unit: String,
}

/// What was installed: the helper removes exactly this when it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `snapmigrate.installed/1`.
    pub format: String,
    /// SHA-256 of the helper.
    pub sha256: String,
    /// Files, in the order in which they are removed.
    pub files: Vec<String>,
    /// The systemd unit that runs it; none under another supervisor.
    pub unit: Option<String>,
}

impl Manifest {
    /// Name and version of the list's format.
    pub const FORMAT: &str = "snapmigrate.installed/1";
}

impl Layout {
    /// The places below `root`, which is empty for the host's own.
    #[must_use]
    pub fn below(root: &str) -> Self {
        Self {
            program: format!("{root}/usr/local/sbin/snapmigrate-host"),
            worker: format!("{root}/usr/local/sbin/snapmigrate-sync-worker"),
            config: format!("{root}/etc/snapmigrate/host.toml"),
            unit: format!("{root}/etc/systemd/system/{UNIT}"),
        }
    }

    pub(super) fn manifest(&self) -> String {
        self.config.replace("host.toml", MANIFEST)
    }

    pub(super) fn manifest_text(&self, what: &Installation) -> String {
        let unit = what.start.is_none().then(|| UNIT.to_owned());
        let mut files = vec![self.program.clone()];
        files.extend(what.worker.is_some().then(|| self.worker.clone()));
        files.extend(what.config.is_some().then(|| self.config.clone()));
        files.extend(unit.is_some().then(|| self.unit.clone()));
        let manifest = Manifest {
            format: Manifest::FORMAT.to_owned(),
            sha256: what.helper.sha256.clone(),
            files,
            unit,
        };
        serde_json::to_string_pretty(&manifest).unwrap_or_default()
    }

    /// Writes the unit and (re)starts it.
    pub(super) fn systemd_script(&self, socket: Option<&str>) -> String {
        let unit = self.unit_text(socket.unwrap_or(DEFAULT_SOCKET));
        format!(
            "set -e\nif [ ! -d /run/systemd/system ]; then echo 'systemd does not run here: say how it is started with \
             --start' >&2; exit 1; fi\ncat > {} <<'UNIT'\n{unit}UNIT\nsystemctl daemon-reload\n\
             systemctl enable {UNIT}\nsystemctl restart {UNIT}\n",
            self.unit
        )
    }

    /// The helper thaws first when it starts, so it is started again at once and always. A database that it started is
    /// in its control group and must outlive it: only the helper itself is ever killed.
    #[must_use]
    pub fn unit_text(&self, socket: &str) -> String {
        format!(
            "[Unit]\n\
             Description=snapmigrate's helper: fence, freeze and their end\n\
             StartLimitIntervalSec=0\n\
             \n\
             [Service]\n\
             ExecStart={} serve --config {} --socket {socket}\n\
             Restart=always\n\
             RestartSec=100ms\n\
             KillMode=process\n\
             OOMScoreAdjust=-1000\n\
             LimitMEMLOCK=infinity\n\
             \n\
             [Install]\n\
             WantedBy=multi-user.target\n",
            self.program, self.config
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_restarts_at_once_and_kills_nothing_but_the_helper() {
        let unit = Layout::below("").unit_text("/run/x.sock");
        for line in [
            "ExecStart=/usr/local/sbin/snapmigrate-host serve --config /etc/snapmigrate/host.toml --socket /run/x.sock",
            "Restart=always",
            "KillMode=process",
            "OOMScoreAdjust=-1000",
            "LimitMEMLOCK=infinity",
            "StartLimitIntervalSec=0",
        ] {
            assert!(unit.lines().any(|known| known == line), "{line}");
        }
    }
}
