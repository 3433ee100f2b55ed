//! Files that must stay writable while the database's file systems are frozen: whoever has to thaw must not wait for
//! what is frozen.

use crate::quiesce::host::mountinfo::{self, Mount};
use crate::quiesce::protocol::Survey;
use snapmigrate_models::hosts::KeptFact;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files, each with what it is for.
#[derive(Debug, Clone, Default)]
pub struct Kept(Vec<(String, PathBuf)>);

impl Kept {
    /// The helper's own files; the system's come by themselves.
    #[must_use]
    pub fn of(own: &[(&str, &Path)]) -> Self {
        let own = own
            .iter()
            .map(|(what, path)| ((*what).to_owned(), path.to_path_buf()));
        Self(own.collect())
    }

    /// The first one on the file system at `mountpoint`, as `what (path)`.
    #[must_use]
    pub fn on(&self, mountpoint: &Path) -> Option<String> {
        let frozen = device(mountpoint)?;
        let all = self.all();
        let held = all.iter().find(|(_, path)| device(path) == Some(frozen));
        held.map(|(what, path)| format!("{what} ({})", path.display()))
    }

    pub(super) fn facts(
        &self,
        mounts: &[Mount],
        database: &[Mount],
        asked: &Survey,
    ) -> Vec<KeptFact> {
        let frozen: Vec<u64> = database
            .iter()
            .filter_map(|mount| device(&mount.mountpoint))
            .collect();
        let asked_files = asked
            .kept
            .iter()
            .map(|kept| (kept.what.clone(), PathBuf::from(&kept.path)));
        let fact = |(what, path): (String, PathBuf)| {
            // What is not there yet will be in the nearest directory that is.
            let covered = asked
                .mountpoints
                .iter()
                .any(|mountpoint| path.starts_with(mountpoint));
            let mount = mountinfo::holding(mounts, &path);
            KeptFact {
                what,
                mountpoint: mount.map_or_else(String::new, |m| m.mountpoint.display().to_string()),
                frozen: covered || device(&path).is_some_and(|device| frozen.contains(&device)),
                path: path.display().to_string(),
            }
        };
        self.all()
            .into_iter()
            .chain(asked_files)
            .map(fact)
            .collect()
    }

    fn all(&self) -> Vec<(String, PathBuf)> {
        let system = [
            ("the root file system", "/"),
            ("the boot loader", "/boot"),
            ("the system's log", "/var/log"),
            ("the system's log", "/run/log"),
        ];
        let system = system
            .iter()
            .map(|(what, path)| ((*what).to_owned(), PathBuf::from(path)));
        let log = fs::read_link("/proc/self/fd/2")
            .ok()
            .filter(|path| path.is_file());
        let log = log.map(|path| ("the helper's log".to_owned(), path));
        self.0
            .iter()
            .cloned()
            .chain(system)
            .chain(log)
            .chain(homes())
            .collect()
    }
}

fn device(path: &Path) -> Option<u64> {
    let there = path.ancestors().find_map(|path| fs::metadata(path).ok());
    there.map(|metadata| metadata.dev())
}

/// A line of `/etc/passwd`.
pub(super) struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    home: PathBuf,
}

pub(super) fn users(passwd: &str) -> impl Iterator<Item = User> + '_ {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else {
            return None;
        };
        Some(User {
            name: (*name).to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: PathBuf::from(home),
        })
    })
}

/// Homes of the helper's own user and of whoever relays to it: a login waits for its home.
fn homes() -> Vec<(String, PathBuf)> {
    let mut logins = vec![rustix::process::geteuid().as_raw()];
    logins.extend(relaying());
    logins.sort_unstable();
    logins.dedup();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let home = |uid: &u32| users(&passwd).find(|user| user.uid == *uid);
    let named = |user: User| (format!("the home of login {}", user.name), user.home);
    logins.iter().filter_map(home).map(named).collect()
}

/// Users whose relays run now, also those who became root for it.
fn relaying() -> Vec<u32> {
    let processes = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let relays = processes.map(|process| process.path()).filter(|process| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words
            .next()
            .is_some_and(|program| program.ends_with(b"snapmigrate-host"))
            && words.next() == Some(b"relay".as_slice())
    });
    relays.flat_map(|process| logins_of(&process)).collect()
}

fn logins_of(process: &Path) -> Vec<u32> {
    let owner = fs::metadata(process).ok().map(|metadata| metadata.uid());
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    let before_sudo = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(b"SUDO_UID="))
        .and_then(|uid| std::str::from_utf8(uid).ok()?.parse().ok());
    [owner, before_sudo].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quiesce::protocol::KeptPath;

    #[test]
    fn the_root_file_system_is_never_frozen_whatever_it_is_called() {
        let own = Kept::of(&[]);
        assert!(
            own.on(Path::new("/"))
                .is_some_and(|held| held.contains("root file system"))
        );
        // The same file system by another path: a bind mount would be one.
        let etc = device(Path::new("/etc")) == device(Path::new("/"));
        assert_eq!(own.on(Path::new("/etc")).is_some(), etc);
        assert_eq!(own.on(Path::new("/proc")), None);
    }

    #[test]
    fn what_is_asked_about_is_frozen_with_the_file_system_that_holds_or_will_hold_it() {
        let mount = |mountpoint: &str| Mount {
            device_number: "0:0".into(),
            mountpoint: mountpoint.into(),
            fs_type: "x".into(),
            source: "x".into(),
        };
        let asked = Survey {
            files: Vec::new(),
            mountpoints: vec!["/no/such/data".into()],
            kept: vec![
                KeptPath {
                    what: "journal".into(),
                    path: "/proc/new.sqlite".into(),
                },
                KeptPath {
                    what: "covered".into(),
                    path: "/no/such/data/x".into(),
                },
                KeptPath {
                    what: "free".into(),
                    path: "/no/such/database".into(),
                },
            ],
        };
        let facts = Kept::of(&[]).facts(&[mount("/"), mount("/proc")], &[mount("/proc")], &asked);
        let frozen: Vec<&str> = facts
            .iter()
            .filter(|fact| fact.frozen)
            .map(|fact| fact.what.as_str())
            .collect();
        assert_eq!(frozen, ["journal", "covered"]);
        assert!(
            facts
                .iter()
                .any(|fact| fact.what == "journal" && fact.mountpoint == "/proc")
        );
    }

    #[test]
    fn users_are_read_and_nonsense_is_left_out() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnonsense\npostgres:x:101:103:,,,:/var/lib/postgresql:/bin/bash\n";
        let users: Vec<User> = users(passwd).collect();
        assert_eq!(users.len(), 2);
        assert_eq!(
            (users[1].uid, users[1].gid, users[1].home.as_path()),
            (101, 103, Path::new("/var/lib/postgresql"))
        );
    }
}
