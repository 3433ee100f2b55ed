//! The file systems of the database, and which of them must never be frozen.

use super::layers::Below;
use super::mountinfo::{self, Mount};
use super::service::Host;
use super::volumes;
use crate::quiesce::protocol::{ErrorCode, Finding, Refusal, Severity};
use snapmigrate_models::step::Layer;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

impl Host {
    pub(super) fn database_mounts(&self) -> Result<Vec<Mount>, Refusal> {
        let mounts = volumes::mounts()?;
        let mut found: Vec<Mount> = Vec::new();
        for place in self.engine.places()? {
            if let Some(mount) = mountinfo::holding(&mounts, &place)
                && !found
                    .iter()
                    .any(|known| known.device_number == mount.device_number)
            {
                found.push(mount.clone());
            }
        }
        Ok(found)
    }

    pub(super) fn mount_findings(&self, mount: &Mount) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.never_frozen(&mount.mountpoint).into_iter().collect();
        findings.extend(layer_findings(
            mount,
            &self.volumes.everything_below(&mount.device_number),
        ));
        findings
    }

    /// Refuses to freeze what must never be frozen, or what no snapshot of volumes would hold.
    pub(super) fn require_freezable(&self, mounts: &[Mount]) -> Result<(), Refusal> {
        let mut refused = mounts
            .iter()
            .flat_map(|mount| self.mount_findings(mount))
            .filter(|finding| finding.severity == Severity::Refuse);
        refused.next().map_or(Ok(()), |finding| {
            Err(Refusal::new(
                ErrorCode::Refused,
                format!("{}: {}", finding.subject, finding.message),
            ))
        })
    }

    /// Why the file system at `mountpoint` must never be frozen, if so.
    pub(super) fn never_frozen(&self, mountpoint: &Path) -> Option<Finding> {
        let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
        let own = self.kept.on(mountpoint);
        // Also when a directory of it is mounted again elsewhere.
        let root = mountpoint.starts_with("/boot") || device(mountpoint) == device(Path::new("/"));
        let message = match own {
            _ if root => "it is a system file system, which is never frozen".to_owned(),
            Some(own) => format!("it holds {own}, which is needed while it is frozen"),
            None => return None,
        };
        let remedy =
            "move the database or the helper's files to a file system of their own".to_owned();
        Some(Finding {
            severity: Severity::Refuse,
            subject: mountpoint.display().to_string(),
            message,
            remedy,
        })
    }
}

/// What speaks against what lies below a file system.
fn layer_findings(mount: &Mount, below: &Below) -> Vec<Finding> {
    use Severity::{Refuse, Warn};
    let layers: Vec<String> = below.layers.iter().map(ToString::to_string).collect();
    let encrypted = below
        .layers
        .iter()
        .any(|layer| matches!(layer, Layer::Luks { .. }));
    let nameless = below
        .layers
        .iter()
        .any(|layer| matches!(layer, Layer::Raid { uuid, .. } if uuid.is_empty()));
    let source = &mount.source;
    let checks = [
        (
            below.volumes.is_empty() && below.strangers.is_empty(),
            Refuse,
            format!("{source} is not on a volume that can be named"),
            "put the database on EBS volumes",
        ),
        (
            !below.strangers.is_empty(),
            Refuse,
            format!(
                "{source} lies on what is no EBS volume: {}",
                below.strangers.join(", ")
            ),
            "move the database off instance stores: no snapshot holds them",
        ),
        (
            !below.unknown.is_empty(),
            Refuse,
            format!(
                "{source} lies on a mapping that is not known: {}",
                below.unknown.join(", ")
            ),
            "put the database on volumes, LVM, mdraid or LUKS",
        ),
        (
            nameless,
            Refuse,
            format!("{source} lies on an array whose identity /sys does not tell"),
            "use a kernel that has md/uuid in /sys, or move the database to LVM",
        ),
        (
            !layers.is_empty(),
            Warn,
            format!(
                "{source} is {} on {}",
                layers.join(", "),
                below.volumes.join(", ")
            ),
            "nothing to do: the target assembles it under the same names, which must be free there",
        ),
        (
            encrypted,
            Warn,
            format!("{source} is encrypted with LUKS"),
            "give the target's host.toml mount.luks_key_file",
        ),
    ];
    let found = checks.into_iter().filter(|check| check.0);
    found
        .map(|(_, severity, message, remedy)| Finding {
            severity,
            subject: mount.mountpoint.display().to_string(),
            message,
            remedy: remedy.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(below: &Below) -> Vec<(Severity, String)> {
        let mount = Mount {
            device_number: "9:0".into(),
            mountpoint: "/data".into(),
            fs_type: "xfs".into(),
            source: "/dev/md0".into(),
        };
        let found = layer_findings(&mount, below).into_iter();
        found
            .map(|finding| (finding.severity, finding.message))
            .collect()
    }

    #[test]
    fn sets_of_volumes_pass_and_what_no_snapshot_holds_does_not() {
        let volumes = vec!["vol-0aaa".to_owned(), "vol-0bbb".to_owned()];
        let layer = |uuid: &str| Layer::Raid {
            name: "md0".into(),
            level: "raid0".into(),
            uuid: uuid.into(),
        };
        let set = Below {
            volumes: volumes.clone(),
            layers: vec![layer("01")],
            ..Below::default()
        };
        let told = "/dev/md0 is raid0 md0 on vol-0aaa, vol-0bbb".to_owned();
        assert_eq!(of(&set), [(Severity::Warn, told)]);
        let plain = Below {
            volumes: vec!["vol-0aaa".into()],
            ..Below::default()
        };
        assert!(of(&plain).is_empty());
        let refused = |below: Below| {
            of(&below)
                .iter()
                .any(|(severity, _)| *severity == Severity::Refuse)
        };
        assert!(refused(Below::default()), "no volume");
        assert!(refused(Below {
            strangers: vec!["nvme2n1".into()],
            ..set.clone()
        }));
        assert!(refused(Below {
            unknown: vec!["dm-1".into()],
            ..set.clone()
        }));
        assert!(refused(Below {
            layers: vec![layer("")],
            ..set
        }));
    }
}
