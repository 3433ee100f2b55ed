//! Files the operator names: read with an error that names the file, written whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use snapmigrate_models::format::Document;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::profile::Profile;

use super::error::{CliError, Kind};
use crate::journal::Recorded;

/// Reads a text file.
pub fn read(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|error| {
        CliError::usage(format!("cannot read {}", path.display())).caused_by(error)
    })
}

/// Reads a profile.
pub fn profile(path: &Path) -> Result<Profile, CliError> {
    document(path, "snapmigrate measure -o FILE writes one")
}

/// Reads a plan and proves that nobody changed it since it was made.
pub fn plan(path: &Path) -> Result<Plan, CliError> {
    let plan: Plan = document(path, "snapmigrate plan -o FILE writes one")?;
    if plan.digest == plan.computed_digest() {
        return Ok(plan);
    }
    Err(CliError::new(
        Kind::Refused,
        format!(
            "{} was changed after it was made: its digest does not match",
            path.display()
        ),
    )
    .hint("a plan is never edited: change the policy and run snapmigrate plan again"))
}

/// Reads a TOML table.
pub fn toml(path: &Path) -> Result<toml::Table, CliError> {
    read(path)?
        .parse::<toml::Table>()
        .map_err(|error| CliError::usage(format!("cannot use {}", path.display())).caused_by(error))
}

/// Reads a journal, also while an executor writes it.
pub fn journal(path: &Path) -> Result<Recorded, CliError> {
    if !path.exists() {
        return Err(
            CliError::usage(format!("there is no journal {}", path.display()))
                .hint("snapmigrate execute PLAN --journal FILE begins one"),
        );
    }
    Recorded::read(path)
        .map_err(|error| CliError::usage(format!("cannot use {}", path.display())).caused_by(error))
}

fn document<T: Document>(path: &Path, hint: &str) -> Result<T, CliError> {
    T::from_json(&read(path)?).map_err(|error| {
        CliError::usage(format!("cannot use {}", path.display()))
            .caused_by(error)
            .hint(hint)
    })
}

/// Writes a document.
pub fn save_document<T: Document>(path: &Path, document: &T) -> Result<(), CliError> {
    save(path, &document.to_json())
}

/// Writes a file so that a crash leaves either the old content or the new one: into a temporary
/// file beside it, synced, then renamed. Whether the rename itself survives a power loss is up to
/// the file system.
pub fn save(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::failed(format!("cannot write {}", path.display())).caused_by(error)
    };
    let beside = temporary(path);
    let mut file = File::create(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}
