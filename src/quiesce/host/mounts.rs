//! The file systems of the database, and which of them must never be frozen.

use super::mountinfo::{self, Mount};
use super::service::Host;
use super::volumes;
use crate::quiesce::protocol::{Finding, Refusal, Severity};
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
        let below = self.volumes.below(&mount.device_number);
        if below.len() != 1 {
            let message = match below.as_slice() {
                [] => format!("{} is not on a volume that can be named", mount.source),
                several => format!(
                    "{} spans several volumes: {}",
                    mount.source,
                    several.join(", ")
                ),
            };
            findings.push(Finding {
                severity: Severity::Refuse,
                subject: mount.mountpoint.display().to_string(),
                message,
                remedy: "put the database on file systems that lie on one EBS volume each"
                    .to_owned(),
            });
        }
        findings
    }

    /// Why the file system at `mountpoint` must never be frozen, if so.
    pub(super) fn never_frozen(&self, mountpoint: &Path) -> Option<Finding> {
        let own = self.kept.on(mountpoint);
        let root = mountpoint == Path::new("/") || mountpoint.starts_with("/boot");
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
