//! What a server writes into its log while it starts. It must not know which server.

use super::command;
use std::fs;
use std::path::Path;

/// A log, from where it ended before a start.
pub struct StartLog<'a> {
    path: &'a Path,
    from: u64,
}

impl<'a> StartLog<'a> {
    /// To be made right before the start.
    #[must_use]
    pub fn of(path: &'a Path) -> Self {
        let from = fs::metadata(path).map_or(0, |metadata| metadata.len());
        Self { path, from }
    }

    /// What was written since; nothing where it cannot be read.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = fs::read(self.path).unwrap_or_default();
        let from = usize::try_from(self.from).unwrap_or(usize::MAX);
        String::from_utf8_lossy(&bytes[from.min(bytes.len())..]).into_owned()
    }

    /// Its end, for an error.
    #[must_use]
    pub fn end(&self) -> String {
        command::last(&self.text())
    }
}
