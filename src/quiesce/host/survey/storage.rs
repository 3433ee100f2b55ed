//! Volume groups, arrays, file systems and encrypted devices by name and UUID, from `/sys`.
//!
//! Device mapper names what a device is in its UUID: `LVM-` and group and volume, `CRYPT-LUKS2-` and the device's UUID
//! (lvm2 and cryptsetup). Only what is active is seen.

use super::programs::lines_of;
use crate::quiesce::host::mountinfo::Mount;
use snapmigrate_models::hosts::{NamedId, StorageFacts};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Characters of a volume group's UUID in a device's.
const GROUP_UUID: usize = 32;

pub(super) fn facts(
    root: &Path,
    mounts: &[Mount],
    database: &[Mount],
    can_decrypt: bool,
) -> StorageFacts {
    let sys = Sys(root.join("sys"));
    let below: BTreeSet<PathBuf> = database
        .iter()
        .flat_map(|mount| sys.all_below(&mount.device_number))
        .collect();
    let others: BTreeSet<PathBuf> = sys
        .block_devices()
        .filter(|device| !below.contains(device))
        .collect();
    let is_ours = |mount: &&Mount| {
        database
            .iter()
            .any(|d| d.device_number == mount.device_number)
    };
    let (ours, rest): (Vec<&Mount>, Vec<&Mount>) = mounts
        .iter()
        .filter(|m| m.source.starts_with("/dev/"))
        .partition(is_ours);
    StorageFacts {
        file_systems_of_database: file_systems(&ours),
        other_file_systems: file_systems(&rest),
        volume_groups_of_database: unique(below.iter().filter_map(|device| group(device))),
        other_volume_groups: unique(others.iter().filter_map(|device| group(device))),
        arrays_of_database: unique(below.iter().filter_map(|device| array(device))),
        other_arrays: unique(others.iter().filter_map(|device| array(device))),
        encrypted: below.iter().filter_map(|device| luks(device)).collect(),
        can_decrypt,
    }
}

struct Sys(PathBuf);

impl Sys {
    /// The device itself and everything it is made of.
    fn all_below(&self, device_number: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open: Vec<PathBuf> = fs::canonicalize(self.0.join("dev/block").join(device_number))
            .into_iter()
            .collect();
        while let Some(device) = open.pop() {
            let members = fs::read_dir(device.join("slaves"))
                .into_iter()
                .flatten()
                .filter_map(Result::ok);
            open.extend(members.filter_map(|member| fs::canonicalize(member.path()).ok()));
            found.push(device);
        }
        found
    }

    fn block_devices(&self) -> impl Iterator<Item = PathBuf> {
        let devices = fs::read_dir(self.0.join("block"))
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        devices.filter_map(|device| fs::canonicalize(device.path()).ok())
    }
}

fn text(device: &Path, attribute: &str) -> Option<String> {
    fs::read_to_string(device.join(attribute))
        .ok()
        .map(|text| text.trim().to_owned())
}

/// The group of a logical volume. In a device's name dashes of the group are doubled and a single one ends it.
fn group(device: &Path) -> Option<NamedId> {
    let uuid = text(device, "dm/uuid")?;
    let uuid = uuid.strip_prefix("LVM-")?.get(..GROUP_UUID)?.to_owned();
    let name = text(device, "dm/name")?.replace("--", "\0");
    let name = name.split('-').next()?.replace('\0', "-");
    Some(NamedId { name, uuid })
}

/// An array that is running.
fn array(device: &Path) -> Option<NamedId> {
    text(device, "md/array_state").filter(|state| state != "clear")?;
    Some(NamedId {
        name: device.file_name()?.to_str()?.to_owned(),
        uuid: text(device, "md/uuid").unwrap_or_default(),
    })
}

/// UUID of an encrypted device, with its dashes.
fn luks(device: &Path) -> Option<String> {
    let uuid = text(device, "dm/uuid")?;
    let uuid = uuid
        .strip_prefix("CRYPT-LUKS")?
        .split('-')
        .nth(1)?
        .to_owned();
    dashed(&uuid)
}

fn dashed(uuid: &str) -> Option<String> {
    let part = |from, to| uuid.get(from..to);
    Some(
        [
            part(0, 8)?,
            part(8, 12)?,
            part(12, 16)?,
            part(16, 20)?,
            part(20, 32)?,
        ]
        .join("-"),
    )
}

fn file_systems(mounts: &[&Mount]) -> Vec<NamedId> {
    let fact = |mount: &&Mount| NamedId {
        name: mount.mountpoint.display().to_string(),
        uuid: lines_of("blkid", &["-s", "UUID", "-o", "value", &mount.source])
            .into_iter()
            .next()
            .unwrap_or_default(),
    };
    mounts.iter().map(fact).collect()
}

fn unique(found: impl Iterator<Item = NamedId>) -> Vec<NamedId> {
    let mut all: Vec<NamedId> = found.collect();
    all.sort_by(|a, b| (&a.name, &a.uuid).cmp(&(&b.name, &b.uuid)));
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::os::unix::fs::symlink;

    struct Tree(PathBuf);

    impl Tree {
        fn new() -> Self {
            let root =
                std::env::temp_dir().join(format!("snapmigrate-storage-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(root.join("sys/dev/block")).unwrap();
            fs::create_dir_all(root.join("sys/block")).unwrap();
            Self(root)
        }

        /// A block device of these attributes on these others.
        fn device(&self, name: &str, number: &str, attributes: &[(&str, &str)], members: &[&str]) {
            let device = self.0.join("sys/devices").join(name);
            for (attribute, value) in attributes {
                let file = device.join(attribute);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, format!("{value}\n")).unwrap();
            }
            fs::create_dir_all(device.join("slaves")).unwrap();
            for member in members {
                symlink(
                    self.0.join("sys/devices").join(member),
                    device.join("slaves").join(member),
                )
                .unwrap();
            }
            symlink(&device, self.0.join("sys/block").join(name)).unwrap();
            symlink(&device, self.0.join("sys/dev/block").join(number)).unwrap();
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const LUKS: &str = "0a1b2c3d-1111-2222-3333-444455556666";

    #[test]
    fn a_stack_of_encryption_group_and_array_is_named_and_told_from_others() {
        let tree = Tree::new();
        let group_uuid = "g".repeat(GROUP_UUID);
        let lvm = format!("LVM-{group_uuid}{}", "l".repeat(32));
        let crypt = format!("CRYPT-LUKS2-{}-pgcrypt", LUKS.replace('-', ""));
        tree.device("nvme1n1", "259:1", &[], &[]);
        tree.device(
            "md0",
            "9:0",
            &[("md/array_state", "clean"), ("md/uuid", "m-1")],
            &["nvme1n1"],
        );
        tree.device(
            "dm-1",
            "254:1",
            &[("dm/name", "pgcrypt"), ("dm/uuid", &crypt)],
            &["md0"],
        );
        tree.device(
            "dm-0",
            "254:0",
            &[("dm/name", "pg--vg-data"), ("dm/uuid", &lvm)],
            &["dm-1"],
        );
        let foreign = format!("LVM-{}{}", "h".repeat(GROUP_UUID), "l".repeat(32));
        tree.device(
            "dm-9",
            "254:9",
            &[("dm/name", "backup-x"), ("dm/uuid", &foreign)],
            &[],
        );
        tree.device("md9", "9:9", &[("md/array_state", "clear")], &[]);
        let database = Mount {
            device_number: "254:0".into(),
            mountpoint: "/data".into(),
            fs_type: "xfs".into(),
            source: "/dev/mapper/pg--vg-data".into(),
        };
        let ours = std::slice::from_ref(&database);
        let facts = facts(&tree.0, ours, ours, true);
        let named = |name: &str, uuid: &str| {
            vec![NamedId {
                name: name.into(),
                uuid: uuid.into(),
            }]
        };
        assert_eq!(facts.volume_groups_of_database, named("pg-vg", &group_uuid));
        assert_eq!(
            facts.other_volume_groups,
            named("backup", &"h".repeat(GROUP_UUID))
        );
        assert_eq!(facts.arrays_of_database, named("md0", "m-1"));
        assert!(facts.other_arrays.is_empty(), "a cleared array is none");
        assert_eq!(facts.encrypted, [LUKS]);
        assert_eq!(facts.file_systems_of_database[0].name, "/data");
    }
}
