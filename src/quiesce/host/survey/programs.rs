//! What the system's programs say of libraries and locales.

use crate::quiesce::host::command::{self, RunAs};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// Lines that a program prints; none when it fails or is not there.
#[must_use]
pub fn lines_of(program: &str, arguments: &[&str]) -> Vec<String> {
    let words = std::iter::once(program).chain(arguments.iter().copied());
    let argv: Vec<String> = words.map(str::to_owned).collect();
    let output = command::run(&RunAs::Myself, &argv, LIMIT).unwrap_or_default();
    output.lines().map(|line| line.trim().to_owned()).collect()
}

/// `2.36` of `glibc 2.36`. Asked of the system: a helper that is linked statically has its own.
pub(super) fn glibc() -> Option<String> {
    let line = lines_of("getconf", &["GNU_LIBC_VERSION"])
        .into_iter()
        .next()?;
    line.strip_prefix("glibc ").map(str::to_owned)
}

/// `72` of `libicui18n.so.72`.
pub(super) fn icu(program: &Path) -> Option<String> {
    icu_of(&lines_of("ldd", &[program.to_str()?]))
}

fn icu_of(lines: &[String]) -> Option<String> {
    let name = lines
        .iter()
        .find_map(|line| line.strip_prefix("libicui18n.so."))?;
    let version: String = name.chars().take_while(char::is_ascii_digit).collect();
    (!version.is_empty()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icu_is_found_among_the_libraries_of_a_program() {
        let lines = [
            "libz.so.1 => /lib/libz.so.1",
            "libicui18n.so.72 => /lib/libicui18n.so.72 (0x7)",
        ];
        assert_eq!(icu_of(&lines.map(str::to_owned)).as_deref(), Some("72"));
        assert_eq!(icu_of(&[]), None);
    }

    #[test]
    fn a_program_that_is_not_there_prints_nothing() {
        assert!(lines_of("no-such-program", &[]).is_empty());
    }
}
