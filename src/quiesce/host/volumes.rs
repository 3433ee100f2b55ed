//! Which volume is below which device, and the other way round, from `/sys`.
//!
//! EBS shows a volume's id as the NVMe serial number, without the dash (EC2 user guide, "Identify the EBS device").
//! An image file attached as a loop device counts as the volume after which it is named: `VOLUME.img`.

use super::mountinfo::{self, Mount};
use crate::quiesce::protocol::{ErrorCode, MountFact, Refusal};
use std::fs;
use std::path::{Path, PathBuf};

/// The device tree, at `/sys` or at a test's directory.
#[derive(Debug, Clone)]
pub struct Volumes {
    pub(super) sys: PathBuf,
}

impl Default for Volumes {
    fn default() -> Self {
        Self {
            sys: PathBuf::from("/sys"),
        }
    }
}

impl Volumes {
    /// The device node to mount for `volume`: the disk, or its only partition. `None` while it is not attached.
    ///
    /// # Errors
    /// `device` when two disks claim the volume or it has several partitions.
    pub fn locate(&self, volume: &str) -> Result<Option<PathBuf>, Refusal> {
        let disks: Vec<PathBuf> = entries(&self.sys.join("block"))
            .into_iter()
            .filter(|disk| is_volume(disk, volume))
            .collect();
        match disks.as_slice() {
            [] => Ok(None),
            [disk] => only_file_system(disk, volume).map(Some),
            several => Err(twice(volume, several)),
        }
    }

    /// The whole disk that `volume` is, whatever partitions it has. `None` while it is not attached.
    ///
    /// # Errors
    /// `device` when two disks claim the volume.
    pub fn disk(&self, volume: &str) -> Result<Option<PathBuf>, Refusal> {
        let mut disks = entries(&self.sys.join("block"));
        disks.retain(|disk| is_volume(disk, volume));
        match disks.as_slice() {
            [] => Ok(None),
            [disk] => Ok(Some(node(disk))),
            several => Err(twice(volume, several)),
        }
    }

    /// The volumes below a `major:minor`, through partitions and through device mapper or array members.
    #[must_use]
    pub fn below(&self, device_number: &str) -> Vec<String> {
        self.everything_below(device_number).volumes
    }

    /// What is known of a mount; the volume only when there is exactly one.
    #[must_use]
    pub fn fact(&self, mount: &Mount) -> MountFact {
        let below = self.everything_below(&mount.device_number);
        let (volume, volumes) = match below.volumes.as_slice() {
            [one] => (Some(one.clone()), Vec::new()),
            _ => (None, below.volumes),
        };
        MountFact {
            mountpoint: mount.mountpoint.display().to_string(),
            device: mount.source.clone(),
            fs_type: mount.fs_type.clone(),
            volume,
            volumes,
            layers: below.layers,
        }
    }
}

fn twice(volume: &str, disks: &[PathBuf]) -> Refusal {
    let names = disks.iter().map(|disk| node(disk).display().to_string());
    let names: Vec<String> = names.collect();
    let message = format!(
        "volume {volume} is attached more than once: {}",
        names.join(", ")
    );
    Refusal::new(ErrorCode::Device, message)
}

/// The mounts of this process.
///
/// # Errors
/// `device` when `/proc` cannot be read.
pub fn mounts() -> Result<Vec<Mount>, Refusal> {
    let text = fs::read_to_string("/proc/self/mountinfo").map_err(|error| {
        Refusal::new(
            ErrorCode::Device,
            format!("cannot read /proc/self/mountinfo: {error}"),
        )
    })?;
    Ok(mountinfo::parse(&text))
}

/// The volume a whole disk is, by NVMe serial number or by the backing file's name.
pub(super) fn volume_of(disk: &Path) -> Option<String> {
    if let Ok(serial) = fs::read_to_string(disk.join("device/serial")) {
        return serial
            .trim()
            .strip_prefix("vol")
            .map(|id| format!("vol-{}", id.trim_start_matches('-')));
    }
    let backing = fs::read_to_string(disk.join("loop/backing_file")).ok()?;
    let name = Path::new(backing.trim()).file_name()?.to_str()?;
    name.strip_suffix(".img").map(str::to_owned)
}

fn is_volume(disk: &Path, volume: &str) -> bool {
    volume_of(disk).is_some_and(|found| found == volume)
}

fn only_file_system(disk: &Path, volume: &str) -> Result<PathBuf, Refusal> {
    let partitions: Vec<PathBuf> = entries(disk)
        .into_iter()
        .filter(|entry| entry.join("partition").exists())
        .collect();
    match partitions.as_slice() {
        [] => Ok(node(disk)),
        [one] => Ok(node(one)),
        several => {
            let message = format!(
                "volume {volume} has {} partitions: mount it by hand at its place",
                several.len()
            );
            Err(Refusal::new(ErrorCode::Device, message))
        }
    }
}

pub(super) fn node(device: &Path) -> PathBuf {
    Path::new("/dev").join(device.file_name().unwrap_or_default())
}

pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn put(sys: &Path, path: &str, text: &str) {
        let path = sys.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(sys: &Path, number: &str, device: &str) {
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        std::os::unix::fs::symlink(
            sys.join("block").join(device),
            sys.join("dev/block").join(number),
        )
        .unwrap();
    }

    /// An NVMe disk with one partition, two loop devices, and an array over both.
    fn tree(name: &str) -> Volumes {
        let sys =
            std::env::temp_dir().join(format!("snapmigrate-sys-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&sys);
        put(
            &sys,
            "block/nvme1n1/device/serial",
            "vol0123456789abcdef0  \n",
        );
        put(&sys, "block/nvme1n1/nvme1n1p1/partition", "1\n");
        put(
            &sys,
            "block/loop3/loop/backing_file",
            "/srv/volumes/vol-0aa.img\n",
        );
        put(
            &sys,
            "block/loop4/loop/backing_file",
            "/srv/volumes/vol-0bb.img\n",
        );
        put(&sys, "block/md0/md/level", "raid0\n");
        fs::create_dir_all(sys.join("block/md0/slaves")).unwrap();
        for member in ["loop3", "loop4"] {
            std::os::unix::fs::symlink(
                sys.join("block").join(member),
                sys.join("block/md0/slaves").join(member),
            )
            .unwrap();
        }
        for (number, device) in [
            ("259:1", "nvme1n1/nvme1n1p1"),
            ("7:3", "loop3"),
            ("9:0", "md0"),
        ] {
            link(&sys, number, device);
        }
        Volumes { sys }
    }

    #[test]
    fn volumes_are_found_by_serial_and_by_backing_file() {
        let volumes = tree("locate");
        assert_eq!(
            volumes.locate("vol-0123456789abcdef0").unwrap(),
            Some("/dev/nvme1n1p1".into())
        );
        assert_eq!(
            volumes.locate("vol-0aa").unwrap(),
            Some("/dev/loop3".into())
        );
        assert_eq!(volumes.locate("vol-0cc").unwrap(), None);
        put(
            &volumes.sys,
            "block/loop5/loop/backing_file",
            "/elsewhere/vol-0aa.img\n",
        );
        assert_eq!(
            volumes.locate("vol-0aa").unwrap_err().code,
            ErrorCode::Device
        );
        fs::remove_dir_all(volumes.sys).unwrap();
    }

    #[test]
    fn devices_lead_back_to_their_volumes_through_partitions_and_arrays() {
        let volumes = tree("below");
        assert_eq!(volumes.below("259:1"), ["vol-0123456789abcdef0"]);
        assert_eq!(volumes.below("7:3"), ["vol-0aa"]);
        assert_eq!(volumes.below("9:0"), ["vol-0aa", "vol-0bb"]);
        assert!(volumes.below("1:1").is_empty());
        fs::remove_dir_all(volumes.sys).unwrap();
    }
}
