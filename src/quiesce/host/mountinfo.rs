//! `/proc/self/mountinfo`, parsed. Pure: takes the file's text.

use std::path::{Path, PathBuf};

/// One mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `major:minor` of the device.
    pub device_number: String,
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// `ext4`, `xfs`, ...
    pub fs_type: String,
    /// What was mounted, usually `/dev/...`.
    pub source: String,
}

/// Parses the file; lines that are not mounts are left out. Format: `proc_pid_mountinfo(5)`.
#[must_use]
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_line).collect()
}

/// The mount a path lies on: the longest mount point above it, and of several there the last, which covers the others.
#[must_use]
pub fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.mountpoint));
    above.max_by_key(|mount| mount.mountpoint.components().count())
}

/// What is mounted exactly at `mountpoint`, the last one when several are stacked.
#[must_use]
pub fn mounted_at<'a>(mounts: &'a [Mount], mountpoint: &Path) -> Option<&'a Mount> {
    mounts.iter().rfind(|mount| mount.mountpoint == mountpoint)
}

fn parse_line(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ');
    let device_number = before.nth(2)?.to_owned();
    let mountpoint = PathBuf::from(unescape(before.nth(1)?));
    let mut after = after.split(' ');
    let fs_type = after.next()?.to_owned();
    Some(Mount {
        device_number,
        mountpoint,
        fs_type,
        source: unescape(after.next()?),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let coded = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    coded.iter().fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const TEXT: &str = "\
22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 259:1 / /var/lib/postgresql rw,noatime shared:5 master:2 - xfs /dev/nvme1n1 rw,attr2
31 30 7:3 / /var/lib/postgresql/wal rw - ext4 /dev/loop3 rw
32 22 7:4 / /mnt/with\\040space rw - ext4 /dev/loop4 rw
33 22 7:5 / /mnt/with\\040space rw - ext4 /dev/loop5 rw
nonsense
";

    #[test]
    fn a_path_lies_on_its_longest_mount() {
        let mounts = parse(TEXT);
        let source = |path: &str| holding(&mounts, Path::new(path)).unwrap().source.clone();
        assert_eq!(mounts.len(), 5);
        assert_eq!(source("/var/lib/postgresql/15/main"), "/dev/nvme1n1");
        assert_eq!(source("/var/lib/postgresql/wal/x"), "/dev/loop3");
        assert_eq!(source("/var/lib/postgresql2"), "/dev/vda");
    }

    #[test]
    fn optional_fields_escapes_and_stacked_mounts_are_understood() {
        let mounts = parse(TEXT);
        assert_eq!(
            (mounts[1].device_number.as_str(), mounts[1].fs_type.as_str()),
            ("259:1", "xfs")
        );
        let stacked = mounted_at(&mounts, Path::new("/mnt/with space")).unwrap();
        assert_eq!(stacked.source, "/dev/loop5");
        assert_eq!(
            holding(&mounts, Path::new("/mnt/with space/f"))
                .unwrap()
                .source,
            "/dev/loop5"
        );
        assert!(mounted_at(&mounts, Path::new("/var")).is_none());
    }
}
