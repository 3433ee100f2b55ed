//! Which process works on which directory. It must not know an engine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether a process works in `directory`, as database servers do in their data directory: the very same one, not one
/// of the same name in another mount namespace, nor the original of a copy. None when it cannot be told.
#[must_use]
pub fn works_in(pid: i32, directory: &Path) -> Option<bool> {
    let process = Path::new("/proc").join(pid.to_string());
    if !process.exists() {
        return Some(false);
    }
    let (there, here) = (fs::metadata(process.join("cwd")), fs::metadata(directory));
    let (there, here) = (there.ok()?, here.ok()?);
    Some((there.dev(), there.ino()) == (here.dev(), here.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_works_where_it_works_and_nowhere_else() {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        assert_eq!(works_in(pid, Path::new(".")), Some(true));
        assert_eq!(works_in(pid, Path::new("/proc")), Some(false));
        assert_eq!(works_in(i32::MAX, Path::new(".")), Some(false));
        assert_eq!(works_in(pid, Path::new("/nowhere")), None);
    }
}
