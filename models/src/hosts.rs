//! What two database hosts are made of, as their helpers tell it: everything that a copy of the volumes does not
//! bring along. Plain facts; what they mean together is said in [`crate::check::hosts`].

use serde::{Deserialize, Serialize};

/// One host. What a host cannot tell is empty or null, and is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// Version of the helper.
    pub helper_version: String,
    /// SHA-256 of the helper's program.
    pub helper_sha256: Option<String>,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Version of the C library that the database's programs use, such as `2.36`.
    pub glibc: Option<String>,
    /// Version of the ICU library that the server uses, such as `72`; null without one.
    pub icu: Option<String>,
    /// Names of locales that are installed.
    pub locales: Vec<String>,
    /// The database's programs.
    pub engine: EngineFacts,
    /// The user that the server runs as.
    pub server_user: ServerUser,
    /// What the database uses of its host; null where no server runs that could tell.
    pub uses: Option<Uses>,
    /// Names of libraries that the server could load, without directory and suffix.
    pub libraries: Vec<String>,
    /// Configuration outside the volumes: the files that were found or asked about.
    pub configuration: Vec<FileFact>,
    /// Where each part of the database lies.
    pub places: Vec<PlaceFact>,
    /// Files that must stay writable while the database's file systems are frozen.
    pub kept: Vec<KeptFact>,
    /// Names that would collide when the volumes of another host are attached.
    pub storage: StorageFacts,
}

/// The database's programs on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineFacts {
    /// `postgres`, `mariadb` or `mysql`.
    pub name: String,
    /// Version of the installed server program, such as `15.14`.
    pub version: String,
    /// The operator of this host accepts that indexes over text may have to be built anew.
    pub accepts_collation_change: bool,
}

/// Who owns the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerUser {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

/// What a running database uses of its host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Uses {
    /// Locales of the C library, other than `C` and `POSIX`, that order its text.
    pub libc_locales: Vec<String>,
    /// Whether ICU orders any of its text.
    pub icu: bool,
    /// Libraries that its functions, types or settings load.
    pub libraries: Vec<String>,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileFact {
    /// Absolute path.
    pub path: String,
    /// SHA-256 of its content; null when it is not there.
    pub sha256: Option<String>,
}

/// One part of the database and what is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlaceFact {
    /// `data directory`, `write-ahead log`, `tablespace 16401`, `directory`.
    pub what: String,
    /// Absolute path, links followed.
    pub path: String,
    /// The file system that holds it.
    pub mountpoint: String,
    /// Volumes below that file system.
    pub volumes: Vec<String>,
}

/// A file that must stay writable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptFact {
    /// What it is for.
    pub what: String,
    /// Absolute path.
    pub path: String,
    /// The file system that holds it.
    pub mountpoint: String,
    /// Whether that would be frozen with the database.
    pub frozen: bool,
}

/// Names below the file systems. `*_of_database` is below the database, the other lists are all that is on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageFacts {
    /// File systems of the database.
    pub file_systems_of_database: Vec<NamedId>,
    /// Mounted file systems of the host that are not the database's.
    pub other_file_systems: Vec<NamedId>,
    /// Volume groups of the database.
    pub volume_groups_of_database: Vec<NamedId>,
    /// Volume groups of the host that are not the database's.
    pub other_volume_groups: Vec<NamedId>,
    /// Arrays of the database.
    pub arrays_of_database: Vec<NamedId>,
    /// Arrays of the host that are not the database's.
    pub other_arrays: Vec<NamedId>,
    /// UUIDs of the encrypted (LUKS) devices below the database.
    pub encrypted: Vec<String>,
    /// Whether this host's helper has a key file with which it opens what it brings up.
    pub can_decrypt: bool,
}

/// A name and the id that tells it from others of that name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedId {
    /// Mount point, group or array.
    pub name: String,
    /// UUID; empty when it is not known.
    pub uuid: String,
}
