//! What the server needs of its host besides its files. Its orders of text are built in.

use super::Mysql;
use crate::quiesce::host::config::MysqlConfig;
use crate::quiesce::host::survey::{EngineSurvey, library_name, lines_of, unnamed_places};
use crate::quiesce::protocol::Refusal;
use snapmigrate_models::hosts::{EngineFacts, Uses};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the servers look for options unless told otherwise (manuals, "Using Option Files").
const DEFAULT_FILES: [&str; 2] = ["/etc/my.cnf", "/etc/mysql/my.cnf"];

const LIBRARIES: &str = "SELECT DISTINCT PLUGIN_LIBRARY FROM information_schema.PLUGINS WHERE PLUGIN_LIBRARY IS NOT NULL \
    UNION SELECT dl FROM mysql.func";

/// What is installed, and what a running server uses.
pub fn survey(mysql: &Mysql) -> EngineSurvey {
    let config = &mysql.config;
    EngineSurvey {
        facts: EngineFacts {
            name: mysql.dialect.name().to_owned(),
            version: version(&config.server).unwrap_or_default(),
            accepts_collation_change: false,
        },
        program: config.server.clone(),
        user: config.os_user.clone(),
        library_directory: plugin_directory(config),
        uses: uses(mysql).ok(),
        configuration: configuration(config),
        places: unnamed_places(mysql),
    }
}

/// `10.11.19-MariaDB-0+deb12u1` of `mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu`.
fn version(program: &Path) -> Option<String> {
    let line = lines_of(program.to_str()?, &["--version"])
        .into_iter()
        .next()?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "Ver");
    words.nth(1).map(str::to_owned)
}

/// As the server itself would choose it.
fn plugin_directory(config: &MysqlConfig) -> Option<PathBuf> {
    let defaults = config.defaults_file.as_ref();
    let defaults = defaults.map(|file| format!("--defaults-file={}", file.display()));
    let user = format!("--user={}", config.os_user);
    let mut arguments: Vec<&str> = defaults.as_deref().into_iter().collect();
    arguments.extend([user.as_str(), "--verbose", "--help"]);
    let lines = lines_of(config.server.to_str()?, &arguments);
    lines.iter().find_map(|line| {
        line.strip_prefix("plugin-dir")
            .map(|rest| PathBuf::from(rest.trim()))
    })
}

fn uses(mysql: &Mysql) -> Result<Uses, Refusal> {
    let rows = mysql.open().rows(LIBRARIES)?;
    let libraries = rows.iter().filter_map(|row| library_name(row.first()?));
    let libraries: BTreeSet<String> = libraries.collect();
    Ok(Uses {
        libraries: libraries.into_iter().collect(),
        ..Uses::default()
    })
}

fn configuration(config: &MysqlConfig) -> Vec<PathBuf> {
    let begin: Vec<PathBuf> = match &config.defaults_file {
        Some(file) => vec![file.clone()],
        None => DEFAULT_FILES
            .iter()
            .map(PathBuf::from)
            .filter(|file| file.exists())
            .collect(),
    };
    let mut found = BTreeSet::new();
    let mut open = begin;
    while let Some(file) = open.pop() {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if found.insert(file) {
            open.extend(text.lines().flat_map(included));
        }
    }
    found.into_iter().collect()
}

/// The files that an option file's line includes.
fn included(line: &str) -> Vec<PathBuf> {
    let after = |word: &str| {
        line.trim()
            .strip_prefix(word)
            .map(|path| PathBuf::from(path.trim()))
    };
    if let Some(directory) = after("!includedir ") {
        let files = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        return files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|e| e == "cnf"))
            .collect();
    }
    after("!include ").into_iter().collect()
}
