//! The flag that names the state folder, and what commands do with it: never fail for it.

use std::path::PathBuf;

use snapmigrate_models::history::{PastMigration, PastMigrations};

use super::Ui;
use crate::state::{StateError, StateFolder};

/// Where earlier migrations are remembered.
#[derive(Clone, Debug, clap::Args)]
pub struct StateArgs {
    /// Folder in which forecasts and durations of earlier migrations are remembered
    /// [default: $XDG_STATE_HOME/snapmigrate, else ~/.local/state/snapmigrate].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl StateArgs {
    fn folder(&self) -> Option<StateFolder> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let named = self.state.clone().map(StateFolder::at);
        named.or_else(|| StateFolder::of_user(variable("XDG_STATE_HOME"), variable("HOME")))
    }

    /// What earlier migrations taught; nothing, said in words, when the folder cannot be used.
    pub fn read(&self, ui: &Ui) -> PastMigrations {
        let Some(folder) = self.folder() else {
            return PastMigrations::default();
        };
        folder.read().unwrap_or_else(|error| {
            ui.note(&format!(
                "{}; the forecast goes without earlier migrations",
                words(&error)
            ));
            PastMigrations::default()
        })
    }

    /// Remembers a migration that ended; a folder that cannot be used is said and is no failure.
    pub fn remember(&self, migration: PastMigration, ui: &Ui) {
        let Some(folder) = self.folder() else {
            return;
        };
        match folder.remember(migration) {
            Ok(()) => ui.note(&format!("remembered in {}", folder.path().display())),
            Err(error) => ui.note(&format!(
                "{}; this migration is not remembered",
                words(&error)
            )),
        }
    }
}

fn words(error: &StateError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error} ({source})"))
}
