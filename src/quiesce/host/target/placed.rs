//! The file systems of a target: assembled where they span volumes, mounted in order, unmounted in reverse.

use super::super::assemble::Assembly;
use super::super::command::{self, RunAs};
use super::super::mountinfo;
use super::super::service::{Host, log};
use super::super::volumes;
use super::{MOUNT_LIMIT, TargetRecord, device_error};
use crate::quiesce::protocol::*;
use snapmigrate_models::step::{Layer, Stack};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    mountpoint: String,
    volumes: Vec<String>,
    layers: Vec<Layer>,
}

/// What belongs where, outer mount points first.
pub(super) fn placed(target: &TargetRecord) -> Vec<Placed> {
    let mut of: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for mount in &target.mounts {
        of.entry(&mount.mountpoint)
            .or_default()
            .push(mount.volume.clone());
    }
    let layers = |mountpoint: &str| {
        let stack = target
            .stacks
            .iter()
            .find(|stack: &&Stack| stack.mountpoint == mountpoint);
        stack.map(|stack| stack.layers.clone()).unwrap_or_default()
    };
    of.into_iter()
        .map(|(mountpoint, mut volumes)| {
            volumes.sort();
            Placed {
                mountpoint: mountpoint.to_owned(),
                volumes,
                layers: layers(mountpoint),
            }
        })
        .collect()
}

impl Host {
    /// Mounts whatever is not mounted yet: also after a reboot.
    pub(super) fn mount_all(&self, target: &TargetRecord) -> Result<(), Refusal> {
        placed(target)
            .iter()
            .try_for_each(|placed| self.mount(placed))
    }

    /// Unmounts all, and takes down what was assembled; returns what was mounted.
    pub(super) fn unmount_all(&self, target: &TargetRecord) -> Result<Vec<String>, Refusal> {
        let mut unmounted = Vec::new();
        let all = placed(target);
        for placed in all.iter().rev() {
            if self.unmount(placed)? {
                unmounted.push(placed.mountpoint.clone());
            }
        }
        // Several file systems may lie on one group: it goes down once none of them is mounted.
        for placed in all.iter().rev().filter(|placed| !placed.layers.is_empty()) {
            self.assembly(placed, &run).down(&placed.layers)?;
        }
        Ok(unmounted)
    }

    fn mount(&self, placed: &Placed) -> Result<(), Refusal> {
        let mountpoint = Path::new(&placed.mountpoint);
        if !mountpoint.is_absolute() || mountpoint == Path::new("/") {
            let message = format!("{} is no place for a volume", mountpoint.display());
            return Err(Refusal::new(ErrorCode::BadRequest, message));
        }
        if self.is_mounted(placed)? {
            return Ok(());
        }
        let device = self.device(placed)?;
        require_unique(&device)?;
        std::fs::create_dir_all(mountpoint)
            .map_err(|error| device_error(&placed.mountpoint, &error))?;
        let (device, options) = (device.display().to_string(), &self.mount_config.options);
        let mut argv = vec!["mount"];
        if !options.is_empty() {
            argv.extend(["-o", options]);
        }
        argv.extend([device.as_str(), placed.mountpoint.as_str()]);
        run(&argv)?;
        log(&format!(
            "mounted {} at {}",
            placed.volumes.join(", "),
            placed.mountpoint
        ));
        Ok(())
    }

    /// Waits for the volumes, and gives what is to be mounted of them.
    fn device(&self, placed: &Placed) -> Result<PathBuf, Refusal> {
        let plain = placed.layers.is_empty();
        let mut device = None;
        for volume in &placed.volumes {
            let found = if plain {
                self.wait_for(volume)?
            } else {
                self.wait_for_disk(volume)?
            };
            self.bases.mounting(volume, &self.volumes)?;
            device = Some(found);
        }
        match device {
            Some(device) if plain && placed.volumes.len() == 1 => Ok(device),
            _ if plain => Err(Refusal::new(
                ErrorCode::BadRequest,
                format!(
                    "{} spans several volumes, and how is not said",
                    placed.mountpoint
                ),
            )),
            _ => self.assembly(placed, &run).up(&placed.layers),
        }
    }

    fn assembly<'a>(
        &'a self,
        placed: &'a Placed,
        run: super::super::assemble::Run<'a>,
    ) -> Assembly<'a> {
        Assembly {
            volumes: &self.volumes,
            members: &placed.volumes,
            luks_key_file: self.mount_config.luks_key_file.as_deref(),
            run,
        }
    }

    /// Whether exactly its volumes are mounted at its place.
    fn is_mounted(&self, placed: &Placed) -> Result<bool, Refusal> {
        let mounts = volumes::mounts()?;
        let Some(mount) = mountinfo::mounted_at(&mounts, Path::new(&placed.mountpoint)) else {
            return Ok(false);
        };
        if self.volumes.below(&mount.device_number) == placed.volumes {
            return Ok(true);
        }
        let message = format!(
            "{} is mounted at {} where {} belongs",
            mount.source,
            placed.mountpoint,
            placed.volumes.join(", ")
        );
        Err(Refusal::new(ErrorCode::Device, message))
    }

    fn unmount(&self, placed: &Placed) -> Result<bool, Refusal> {
        if !self.is_mounted(placed)? {
            return Ok(false);
        }
        run(&["umount", &placed.mountpoint]).map(|_| true)
    }
}

fn run(argv: &[&str]) -> Result<String, Refusal> {
    let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
    command::run(&RunAs::Myself, &argv, MOUNT_LIMIT)
        .map_err(|error| Refusal::new(ErrorCode::Device, error.to_string()))
}

/// A file system whose identity is mounted already is a copy of that one, or it is mixed up.
fn require_unique(device: &Path) -> Result<(), Refusal> {
    let identity = |device: &str| {
        let printed = run(&[
            "blkid",
            "--probe",
            "--output",
            "value",
            "--match-tag",
            "UUID",
            device,
        ]);
        printed
            .ok()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let Some(ours) = identity(&device.display().to_string()) else {
        return Ok(());
    };
    let mut sources: Vec<String> = volumes::mounts()?
        .into_iter()
        .map(|mount| mount.source)
        .collect();
    sources.sort();
    sources.dedup();
    let disks = sources.iter().filter(|source| source.starts_with("/dev/"));
    match disks
        .into_iter()
        .find(|source| identity(source).as_ref() == Some(&ours))
    {
        None => Ok(()),
        Some(twin) => Err(Refusal::new(
            ErrorCode::Refused,
            format!(
                "{} carries the file system {ours}, which is mounted here from {twin}",
                device.display()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::TargetPhase;
    use super::*;

    #[test]
    fn outer_mount_points_come_first_and_volumes_of_one_belong_together() {
        let request = |volume: &str, mountpoint: &str| MountRequest {
            volume: volume.into(),
            mountpoint: mountpoint.into(),
        };
        let layers = vec![Layer::Luks {
            name: "n".into(),
            uuid: "u".into(),
        }];
        let target = TargetRecord {
            mounts: vec![
                request("vol-3", "/pg/wal"),
                request("vol-2", "/pg"),
                request("vol-1", "/pg"),
            ],
            stacks: vec![Stack {
                mountpoint: "/pg".into(),
                layers: layers.clone(),
            }],
            phase: TargetPhase::Isolated,
            epoch: None,
        };
        let found = placed(&target);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].mountpoint.as_str(), &found[0].layers),
            ("/pg", &layers)
        );
        assert_eq!(found[0].volumes, ["vol-1", "vol-2"]);
        assert!(found[1].mountpoint == "/pg/wal" && found[1].layers.is_empty());
    }
}
