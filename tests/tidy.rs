//! The architecture, checked on the sources themselves: who may name what, how long a file may be, and
//! which licences the dependencies carry.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Most lines of a file; beyond it, split along a noun.
const MAX_LINES: usize = 400;

/// Licences a dependency may be used under.
const LICENCES: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Paths of all `.rs` files under these directories, relative to the workspace.
fn sources(directories: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = directories.iter().map(PathBuf::from).collect();
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(root().join(&directory)).expect("the directory is there");
        for entry in entries {
            let name = entry.expect("it can be read").file_name();
            let path = directory.join(name);
            if root().join(&path).is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.to_str().expect("UTF-8").to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources in {directories:?}");
    found
}

fn everything() -> Vec<String> {
    sources(&["src", "models", "lab", "tests"])
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a source is text")
}

/// `file:line: text` of every line of code with one of the words. A word must not begin inside another one.
fn lines_with(files: &[String], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in read(file).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| names(code, word)) {
                found.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

fn names(code: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(inside))
}

#[track_caller]
fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(manifest).parse().expect("a manifest is TOML");
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables
        .iter()
        .filter_map(|name| manifest.get(*name)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn only_the_cloud_module_names_the_sdk() {
    let mut files = sources(&["src", "models", "lab"]);
    files.retain(|file| !file.starts_with("src/cloud/"));
    let sdk = [
        "aws_config",
        "aws_credential_types",
        "aws_sdk_",
        "aws_smithy_",
        "aws_types",
    ];
    none(
        &lines_with(&files, &sdk),
        "one path to AWS, through src/cloud",
    );
}

#[test]
fn models_are_pure() {
    let direct = dependencies("models/Cargo.toml");
    for name in [
        "tokio",
        "clap",
        "rusqlite",
        "hyper",
        "rustix",
        "snapmigrate",
        "snapmigrate-lab",
    ] {
        assert!(!direct.contains(name), "models must not depend on {name}");
    }
    assert!(!direct.iter().any(|name| name.starts_with("aws-")));
    let words = [
        "std::fs",
        "std::io",
        "std::net",
        "std::env",
        "std::process",
        // Scoped threads over numbered draws change no answer; waiting and detached work would.
        "thread::spawn",
        "thread::sleep",
        "SystemTime",
        "Instant",
        "Utc::now",
        "rand::rng",
    ];
    let found = lines_with(&sources(&["models/src"]), &words);
    none(&found, "models take time, chance and files as arguments");
}

#[test]
fn the_lab_shares_nothing_with_the_forecaster() {
    let direct = dependencies("lab/Cargo.toml");
    for name in ["snapmigrate", "snapmigrate-models"] {
        assert!(!direct.contains(name), "the lab must not depend on {name}");
    }
    let found = lines_with(&sources(&["lab"]), &["snapmigrate_models", "snapmigrate::"]);
    none(&found, "the lab knows neither models nor product");
    let found = lines_with(&sources(&["models"]), &["snapmigrate_lab"]);
    none(&found, "models do not know the lab");
}

#[test]
fn only_the_command_line_prints() {
    let mut files = sources(&["src", "models/src", "lab/src"]);
    files.retain(|file| !file.starts_with("src/cli/") && !file.starts_with("src/bin/"));
    // The host helper is a program of its own: it relays lines and writes to the service manager's journal.
    files.retain(|file| !file.starts_with("src/quiesce/host/"));
    let words = [
        "println!",
        "eprintln!",
        "print!",
        "eprint!",
        "stdout()",
        "stderr()",
    ];
    let mut found = lines_with(&files, &words);
    found.retain(|line| !line.contains("tests.rs:"));
    none(&found, "results and messages go through src/cli");
}

#[test]
fn nothing_is_left_to_do() {
    let words = ["todo", "unimplemented", "dbg"].map(|word| format!("{word}!"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    none(
        &lines_with(&everything(), &words),
        "no placeholder is merged",
    );
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = everything()
        .into_iter()
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, file)| format!("{file}: {lines} lines"))
        .collect();
    none(&long, "400 lines is the ceiling: split along a noun");
}

#[test]
fn modules_say_what_they_are_for() {
    let silent: Vec<String> = everything()
        .into_iter()
        .filter(|file| !file.ends_with("tests.rs") && !file.contains("/tests/"))
        .filter(|file| !read(file).starts_with("//!"))
        .collect();
    none(&silent, "each module opens with what it is for");
}

#[test]
fn the_labs_document_names_what_the_lab_knows() {
    let document = read("docs/lab.md");
    let dispatch = read("lab/src/wire/ec2/mod.rs");
    let actions = dispatch
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix('"')?.split_once("\" => ")?.0));
    let mut known: Vec<String> = actions.map(ToOwned::to_owned).collect();
    assert!(known.len() > 15, "EC2's actions are dispatched there");
    for data in ["service", "database", "workload"] {
        let table: toml::Table = read(&format!("lab/data/{data}.toml"))
            .parse()
            .expect("committed tables are TOML");
        keys(&table, &mut known);
    }
    known.retain(|name| !document.contains(name.as_str()));
    none(&known, "docs/lab.md does not mention");
}

fn keys(table: &toml::Table, found: &mut Vec<String>) {
    for (key, value) in table {
        found.push(key.clone());
        if let Some(inner) = value.as_table() {
            keys(inner, found);
        }
    }
}

#[test]
fn dependencies_are_free() {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", &triple])
        .current_dir(root())
        .output()
        .expect("cargo runs this test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    assert!(packages.len() > 50, "cargo lists the dependencies too");
    let bound: Vec<String> = packages
        .iter()
        .filter(|package| !is_free(package["license"].as_str().unwrap_or_default()))
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    none(&bound, "a licence that is not in the list");
}

/// Whether an SPDX expression lets us use the package: every part of an AND, one part of an OR.
fn is_free(expression: &str) -> bool {
    let parts = |text: &str, word: &str| -> Vec<String> {
        let (mut depth, mut parts) = (0_i32, vec![String::new()]);
        for token in text
            .replace('/', " OR ")
            .replace('(', " ( ")
            .replace(')', " ) ")
            .split_whitespace()
        {
            depth += i32::from(token == "(") - i32::from(token == ")");
            if depth == 0 && token == word {
                parts.push(String::new());
            } else if let Some(part) = parts.last_mut() {
                part.push_str(if part.is_empty() { "" } else { " " });
                part.push_str(token);
            }
        }
        parts
    };
    let ors = parts(expression, "OR");
    if ors.len() > 1 {
        return ors.iter().any(|part| is_free(part));
    }
    let ands = parts(expression, "AND");
    if ands.len() > 1 {
        return ands.iter().all(|part| is_free(part));
    }
    let inner = ands.concat();
    match inner
        .strip_prefix("( ")
        .and_then(|rest| rest.strip_suffix(" )"))
    {
        Some(inside) => is_free(inside),
        None => LICENCES.contains(&inner.as_str()),
    }
}

#[test]
fn licence_expressions_are_read() {
    for free in [
        "MIT",
        "MIT/Apache-2.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0-only",
        "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
    ] {
        assert!(is_free(free), "{free}");
    }
    for bound in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT AND AGPL-3.0-only) OR SSPL-1.0",
    ] {
        assert!(!is_free(bound), "{bound}");
    }
}
