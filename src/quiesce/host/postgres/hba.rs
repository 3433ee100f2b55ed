//! The fence of a server that goes on: rules at the head of `pg_hba.conf` that reject everyone but the helper.
//!
//! The file's content is the marker: it survives a restart of the server, and every copy of a data directory that
//! holds the file carries it. The rules before ours are kept as they are, byte by byte. It must not know whether the
//! server runs, nor that a file has to be loaded.

use super::database;
use crate::quiesce::host::durable;
use crate::quiesce::protocol::Refusal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const BEGIN: &str = "# snapmigrate fence begins";
const END: &str = "# snapmigrate fence ends";

/// Puts the rules at the head of the file, durably. Idempotent.
///
/// # Errors
/// `database` when the file cannot be read or written.
pub fn close(file: &Path, epoch: u64, superuser: &str) -> Result<(), Refusal> {
    rewrite(file, |rules| {
        format!("{}{}", fence(epoch, superuser), without(rules))
    })
}

/// Takes the rules out, durably. Idempotent; a file that is not there has none.
///
/// # Errors
/// `database` when the file cannot be read or written.
pub fn open(file: &Path) -> Result<(), Refusal> {
    if !file.exists() {
        return Ok(());
    }
    rewrite(file, |rules| without(rules).to_owned())
}

/// Whether the rules are there.
///
/// # Errors
/// `database` when the file cannot be read.
pub fn is_closed(file: &Path) -> Result<bool, Refusal> {
    Ok(file.exists() && read(file)?.starts_with(BEGIN))
}

/// First match wins, so whatever stands below is not reached. The helper comes in over the Unix socket as the operating
/// system's user of the superuser's name; `all` does not match `replication` (PostgreSQL's documentation, 21.1).
fn fence(epoch: u64, superuser: &str) -> String {
    let superuser = superuser.replace('"', "\"\"");
    format!(
        "{BEGIN}: epoch {epoch}, by snapmigrate-host; ask it for its status before you change this\n\
         local  postgres     \"{superuser}\"  peer\n\
         local  all          all  reject\n\
         local  replication  all  reject\n\
         host   all          all  all  reject\n\
         host   replication  all  all  reject\n\
         {END}\n"
    )
}

fn without(rules: &str) -> &str {
    let end = format!("{END}\n");
    match rules.split_once(&end) {
        Some((ours, others)) if ours.starts_with(BEGIN) => others,
        _ => rules,
    }
}

fn rewrite(file: &Path, with: impl FnOnce(&str) -> String) -> Result<(), Refusal> {
    // The file, not a link to it, is replaced.
    let file = fs::canonicalize(file).map_err(|error| failed(file, &error))?;
    let before = read(&file)?;
    let after = with(&before);
    if after == before {
        return Ok(());
    }
    replace(&file, &after).map_err(|error| failed(&file, &error))
}

fn replace(file: &PathBuf, text: &str) -> std::io::Result<()> {
    let mode = fs::metadata(file)?.permissions().mode();
    let owner = durable::owner_of(file)?;
    durable::replace(file, text.as_bytes(), Some(owner))?;
    fs::set_permissions(file, fs::Permissions::from_mode(mode & 0o7777))
}

fn read(file: &Path) -> Result<String, Refusal> {
    fs::read_to_string(file).map_err(|error| failed(file, &error))
}

fn failed(file: &Path, error: &std::io::Error) -> Refusal {
    database(format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn closing_and_opening_leaves_the_operators_rules_as_they_were() {
        let file = std::env::temp_dir().join(format!("snapmigrate-hba-{}", std::process::id()));
        let original = "# mine\nhost all all 10.0.0.0/8 scram-sha-256";
        fs::write(&file, original).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        for epoch in [3, 4] {
            close(&file, epoch, "postgres").unwrap();
        }
        let closed = fs::read_to_string(&file).unwrap();
        assert!(closed.ends_with(original) && closed.contains("epoch 4"));
        assert_eq!(closed.matches(BEGIN).count(), 1);
        assert!(is_closed(&file).unwrap());
        for _ in 0..2 {
            open(&file).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), original);
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(!is_closed(&file).unwrap());
        fs::remove_file(&file).unwrap();
        open(&file).unwrap();
    }

    #[test]
    fn the_first_rule_that_matches_a_stranger_rejects() {
        let fence = fence(1, "post\"gres");
        let rules: Vec<&str> = fence
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert!(rules[0].contains("\"post\"\"gres\"") && rules[0].ends_with("peer"));
        assert!(rules[1..].iter().all(|rule| rule.ends_with("reject")));
        assert_eq!(rules.len(), 5);
    }
}
