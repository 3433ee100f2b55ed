//! What the cluster needs of its host besides its files.

use super::Postgres;
use super::sql::Psql;
use crate::quiesce::host::engine::Engine;
use crate::quiesce::host::survey::{EngineSurvey, library_name, lines_of};
use crate::quiesce::protocol::Refusal;
use serde::Deserialize;
use snapmigrate_models::hosts::{EngineFacts, Uses};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Of the whole cluster. A column that a version lacks is null in `to_jsonb`.
const CLUSTER: &str = "SELECT json_build_object(
 'locales', (SELECT json_agg(DISTINCT l) FROM pg_database, unnest(ARRAY[datcollate, datctype]) l),
 'icu', (SELECT coalesce(bool_or(to_jsonb(d)->>'datlocprovider' = 'i'), false) FROM pg_database d),
 'preloaded', (SELECT json_agg(l) FROM unnest(string_to_array(concat_ws(',', current_setting('shared_preload_libraries'),
   current_setting('session_preload_libraries'), current_setting('local_preload_libraries')), ',')) l),
 'files', (SELECT json_agg(DISTINCT f) FROM (SELECT setting f FROM pg_settings WHERE name IN ('config_file','hba_file','ident_file')
   UNION SELECT sourcefile FROM pg_file_settings
   UNION SELECT setting FROM pg_settings WHERE name IN ('ssl_cert_file','ssl_key_file') AND current_setting('ssl') = 'on') s
   WHERE f LIKE '/%'),
 'databases', (SELECT json_agg(datname) FROM pg_database WHERE datallowconn))";

/// Of the database one is connected to: libraries of its functions, collations of its columns.
const DATABASE: &str = "SELECT json_build_object(
 'libraries', (SELECT coalesce(json_agg(DISTINCT probin), '[]') FROM pg_proc WHERE probin IS NOT NULL),
 'collations', (SELECT coalesce(json_agg(DISTINCT jsonb_build_object('provider', collprovider, 'locale', coalesce(collcollate, ''))), '[]')
   FROM pg_collation c WHERE collprovider IN ('c', 'i') AND EXISTS (SELECT FROM pg_attribute a
     WHERE a.attcollation = c.oid AND a.attrelid >= 16384)))";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cluster {
    locales: Option<Vec<String>>,
    icu: bool,
    preloaded: Option<Vec<String>>,
    files: Option<Vec<PathBuf>>,
    databases: Vec<String>,
}

#[derive(Deserialize)]
struct Database {
    libraries: Vec<String>,
    collations: Vec<Collation>,
}

#[derive(Deserialize)]
struct Collation {
    provider: String,
    locale: String,
}

/// What is installed, and what a running cluster uses.
pub fn survey(postgres: &Postgres) -> EngineSurvey {
    let config = &postgres.config;
    let program = config.bin_directory.join("postgres");
    let cluster = cluster(&postgres.open()).ok();
    let uses = cluster
        .as_ref()
        .and_then(|cluster| uses(&postgres.open(), cluster).ok());
    EngineSurvey {
        facts: EngineFacts {
            name: "postgres".to_owned(),
            version: version(&program).unwrap_or_default(),
            accepts_collation_change: config.accept_collation_change,
        },
        user: config.os_user.clone(),
        library_directory: library_directory(&config.bin_directory),
        configuration: configuration(cluster, config.config_file.as_deref()),
        places: places(postgres),
        program,
        uses,
    }
}

/// `15.14` of `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn version(program: &Path) -> Option<String> {
    let line = lines_of(program.to_str()?, &["--version"])
        .into_iter()
        .next()?;
    line.split_whitespace().nth(2).map(str::to_owned)
}

fn library_directory(bin: &Path) -> Option<PathBuf> {
    let told = lines_of(bin.join("pg_config").to_str()?, &["--pkglibdir"]);
    let beside = bin.parent().map(|prefix| prefix.join("lib"));
    told.first()
        .map(PathBuf::from)
        .or(beside)
        .filter(|directory| directory.is_dir())
}

fn configuration(cluster: Option<Cluster>, named: Option<&Path>) -> Vec<PathBuf> {
    let told = cluster
        .and_then(|cluster| cluster.files)
        .unwrap_or_default();
    let files: BTreeSet<PathBuf> = told.into_iter().chain(named.map(Path::to_owned)).collect();
    files.into_iter().collect()
}

fn places(postgres: &Postgres) -> Vec<(String, PathBuf)> {
    let data = &postgres.config.data_directory;
    let name = |index: usize, path: &Path| match index {
        0 => "data directory".to_owned(),
        1 => "write-ahead log".to_owned(),
        _ => format!("tablespace {}", path.display()),
    };
    let places = postgres
        .places()
        .unwrap_or_default()
        .into_iter()
        .enumerate();
    let inside = |index: usize, path: &Path| index > 1 && path.starts_with(data);
    let named = places.filter(|(index, path)| !inside(*index, path));
    named
        .map(|(index, path)| (name(index, &path), path))
        .collect()
}

fn cluster(psql: &Psql<'_>) -> Result<Cluster, Refusal> {
    asked(psql, &[&CLUSTER.replace('\n', " ")])
}

fn uses(psql: &Psql<'_>, cluster: &Cluster) -> Result<Uses, Refusal> {
    let mut libraries: BTreeSet<String> = names(cluster.preloaded.iter().flatten());
    let mut locales: BTreeSet<String> = cluster.locales.iter().flatten().cloned().collect();
    let mut icu = cluster.icu;
    for name in &cluster.databases {
        let connect = format!("\\connect \"{}\"", name.replace('"', "\"\""));
        let found: Database = asked(psql, &[&connect, &DATABASE.replace('\n', " ")])?;
        libraries.append(&mut names(found.libraries.iter()));
        icu |= found
            .collations
            .iter()
            .any(|collation| collation.provider == "i");
        let libc = found
            .collations
            .into_iter()
            .filter(|collation| collation.provider == "c");
        locales.extend(libc.map(|collation| collation.locale));
    }
    locales.retain(|locale| !matches!(locale.as_str(), "" | "C" | "POSIX"));
    Ok(Uses {
        libc_locales: locales.into_iter().collect(),
        libraries: libraries.into_iter().collect(),
        icu,
    })
}

fn names<'a>(files: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    files.filter_map(|file| library_name(file)).collect()
}

fn asked<T: serde::de::DeserializeOwned>(
    psql: &Psql<'_>,
    statements: &[&str],
) -> Result<T, Refusal> {
    serde_json::from_str(&psql.query(statements)?)
        .map_err(|error| super::database(format!("the facts are malformed: {error}")))
}
