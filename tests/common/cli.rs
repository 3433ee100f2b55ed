//! The built binary without any AWS configuration, and the examples it is given.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A frozen example of a format.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/formats")
        .join(name)
}

/// Runs the tool without any AWS configuration.
pub fn snapmigrate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapmigrate"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
        .output()
        .expect("the binary was built for this test")
}

/// Runs the tool and gives exit code and standard error; standard output must be empty.
pub fn refused(arguments: &[&str]) -> (i32, String) {
    let output = snapmigrate(arguments);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(stdout, "", "an error prints no result");
    let code = output.status.code().expect("no signal ended it");
    (code, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A directory of its own for each test.
pub fn scratch(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&dir).expect("the target directory can be written");
    dir
}

/// Writes a file of a test's own and gives its path.
pub fn written(test: &str, name: &str, text: &str) -> String {
    let path = scratch(test).join(name);
    std::fs::write(&path, text).expect("the target directory can be written");
    path.display().to_string()
}

/// A frozen example's text.
pub fn text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).expect("the fixture exists")
}

/// A frozen example's path as an argument.
pub fn path(name: &str) -> String {
    fixture(name).display().to_string()
}

/// The tool refuses with this exit code, and its words hold all of these.
#[track_caller]
pub fn assert_refused(arguments: &[&str], code: i32, words: &[&str]) {
    let (found, stderr) = refused(arguments);
    assert_eq!(found, code, "{arguments:?}: {stderr}");
    for word in words {
        assert!(
            stderr.contains(word),
            "{arguments:?}: {word:?} is missing in: {stderr}"
        );
    }
}
