//! What this host is made of, for the comparison with the other one: gathered, not judged. Changes nothing.
//!
//! What cannot be told is left out: a host without some program still answers. It must not know what the facts mean.

mod kept;
mod programs;
mod storage;

pub use kept::Kept;
pub use programs::lines_of;

use super::engine::Engine;
use super::mountinfo::{self, Mount};
use super::service::Host;
use super::volumes;
use crate::quiesce::protocol::{Refusal, Survey};
use sha2::{Digest, Sha256};
use snapmigrate_models::format::hex;
use snapmigrate_models::hosts::{EngineFacts, FileFact, HostFacts, PlaceFact, ServerUser, Uses};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What an engine tells of itself and its host.
#[derive(Debug, Default)]
pub struct EngineSurvey {
    /// Its installed programs.
    pub facts: EngineFacts,
    /// The server's program.
    pub program: PathBuf,
    /// The user it runs as.
    pub user: String,
    /// Where it looks for libraries.
    pub library_directory: Option<PathBuf>,
    /// What a running database uses.
    pub uses: Option<Uses>,
    /// Its configuration, wherever it lies.
    pub configuration: Vec<PathBuf>,
    /// Its directories and what each is.
    pub places: Vec<(String, PathBuf)>,
}

impl Host {
    pub(super) fn survey(&self, asked: &Survey) -> Result<HostFacts, Refusal> {
        let engine = self.engine.survey();
        let mounts = volumes::mounts()?;
        let database = self.database_mounts().unwrap_or_default();
        let outside = |path: &&PathBuf| {
            !engine
                .places
                .iter()
                .any(|(_, place)| path.starts_with(place))
        };
        let configuration = engine.configuration.iter().filter(outside);
        let asked_files = asked.files.iter().map(PathBuf::from);
        let files: Vec<PathBuf> = configuration.cloned().chain(asked_files).collect();
        Ok(HostFacts {
            helper_version: env!("CARGO_PKG_VERSION").to_owned(),
            helper_sha256: own_digest().cloned(),
            architecture: rustix::system::uname()
                .machine()
                .to_string_lossy()
                .into_owned(),
            glibc: programs::glibc(),
            icu: programs::icu(&engine.program),
            locales: lines_of("locale", &["-a"]),
            server_user: user(&engine.user),
            libraries: engine
                .library_directory
                .as_deref()
                .map(libraries)
                .unwrap_or_default(),
            configuration: files.iter().map(|path| file(path)).collect(),
            places: engine
                .places
                .iter()
                .map(|(what, path)| self.place(what, path, &mounts))
                .collect(),
            kept: self.kept.facts(&mounts, &database, asked),
            storage: storage::facts(
                Path::new("/"),
                &mounts,
                &database,
                self.mount_config
                    .luks_key_file
                    .as_ref()
                    .is_some_and(|key| key.is_file()),
            ),
            engine: engine.facts,
            uses: engine.uses,
        })
    }

    fn place(&self, what: &str, path: &Path, mounts: &[Mount]) -> PlaceFact {
        let mount = mountinfo::holding(mounts, path);
        PlaceFact {
            what: what.to_owned(),
            path: path.display().to_string(),
            mountpoint: mount
                .map_or_else(String::new, |mount| mount.mountpoint.display().to_string()),
            volumes: mount.map_or_else(Vec::new, |mount| self.volumes.below(&mount.device_number)),
        }
    }
}

/// The directories of an engine whose kinds have no names of their own.
pub fn unnamed_places(engine: &dyn Engine) -> Vec<(String, PathBuf)> {
    let places = engine.places().unwrap_or_default().into_iter();
    let name = |index| {
        if index == 0 {
            "data directory"
        } else {
            "directory"
        }
    };
    places
        .enumerate()
        .map(|(index, path)| (name(index).to_owned(), path))
        .collect()
}

/// SHA-256 of the program that runs, which a newer file at its path does not change.
pub fn own_digest() -> Option<&'static String> {
    static DIGEST: OnceLock<Option<String>> = OnceLock::new();
    DIGEST
        .get_or_init(|| digest(Path::new("/proc/self/exe")).ok())
        .as_ref()
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn digest(path: &Path) -> io::Result<String> {
    let (mut hash, mut file) = (Sha256::new(), File::open(path)?);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn file(path: &Path) -> FileFact {
    FileFact {
        path: path.display().to_string(),
        sha256: digest(path).ok(),
    }
}

/// Read from the file itself: the helper is linked statically and must not load the system's name services.
fn user(name: &str) -> ServerUser {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = kept::users(&passwd).find(|user| user.name == name);
    ServerUser {
        name: name.to_owned(),
        uid: entry.as_ref().map_or(u32::MAX, |user| user.uid),
        gid: entry.as_ref().map_or(u32::MAX, |user| user.gid),
    }
}

fn libraries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let names = entries.filter_map(|entry| library_name(entry.file_name().to_str()?));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// `$libdir/plugins/auto_explain.so` is `auto_explain`; null for what is no library.
#[must_use]
pub fn library_name(file: &str) -> Option<String> {
    let name = Path::new(file.trim()).file_name()?.to_str()?;
    let stem = name
        .strip_suffix(".so")
        .or_else(|| (!name.contains('.')).then_some(name))?;
    (!stem.is_empty()).then(|| stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_has_one_name_however_it_is_given() {
        for (file, name) in [
            ("$libdir/plpgsql", Some("plpgsql")),
            ("/usr/lib/postgresql/15/lib/dict_int.so", Some("dict_int")),
            (" pg_stat_statements", Some("pg_stat_statements")),
            ("bitcode.index.bc", None),
            ("", None),
        ] {
            assert_eq!(library_name(file).as_deref(), name, "{file}");
        }
    }

    #[test]
    fn the_running_program_has_a_digest() {
        let digest = own_digest().expect("the test's own program can be read");
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
