//! Saying words to a migration: to the executor that runs, over its socket, or into the journal while nobody
//! executes; and the name that dangerous ones need.

use std::path::Path;

use snapmigrate_models::control::{Answer, Request, Word};
use snapmigrate_models::policy::PolicyLimits;
use snapmigrate_models::step::Event;

use super::{CliError, Kind, Ui};
use crate::clock::Clock;
use crate::execute::{limited, request, speak};
use crate::journal::{Journal, JournalError, Recorded};

/// The name of the migration, given or typed.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Confirmation {
    /// Name of the migration, as `status` shows it; on a terminal it is asked for otherwise.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

impl Confirmation {
    /// The name, once it is that of the migration.
    ///
    /// # Errors
    /// A usage error when it is another one, or none.
    pub fn of(&self, name: &str, what: &str, ui: &Ui) -> Result<String, CliError> {
        let asked = || {
            ui.ask(&format!(
                "{what}\nType the name of the migration to go on: "
            ))
        };
        let said = self.confirm.clone().or_else(asked);
        if said.as_deref() == Some(name) {
            return Ok(name.to_owned());
        }
        let wrong = match said {
            Some(other) => format!("{other:?} was confirmed, the journal is of {name}"),
            None => "the name of the migration must be given".to_owned(),
        };
        Err(CliError::usage(format!("{wrong}; nothing was changed"))
            .hint(format!("--confirm {name}, when that is the one you mean")))
    }
}

/// Who has it now.
pub enum Told {
    /// A running executor.
    Executor,
    /// The journal, in which it is durable; nobody executes.
    Journal(Box<Journal>),
}

/// Says `words`, one after the other, unless one could not mean anything now.
///
/// # Errors
/// [`CliError`]: refused, with nothing changed, or not said.
pub fn say(
    path: &Path,
    recorded: &Recorded,
    words: &[Word],
    confirm: Option<&str>,
) -> Result<Told, CliError> {
    possible(recorded, words)?;
    match Journal::open(path, &recorded.plan) {
        Ok(mut journal) => {
            for verb in words.iter().filter_map(|word| word.verb()) {
                let appended = journal.append(Clock::System.now(), &Event::Operator { verb });
                appended.map_err(|error| unsaid().caused_by(error))?;
            }
            Ok(Told::Journal(Box::new(journal)))
        }
        Err(JournalError::Locked { .. }) => {
            for word in words {
                hand_over(path, *word, confirm)?;
            }
            Ok(Told::Executor)
        }
        Err(error) => Err(unsaid().caused_by(error)),
    }
}

/// Over the socket, where there is one; an executor without hears its file within seconds.
fn hand_over(path: &Path, word: Word, confirm: Option<&str>) -> Result<(), CliError> {
    let line = Request::new(word, confirm.map(str::to_owned));
    match speak(path, &line).map_err(|error| unsaid().caused_by(error))? {
        Some(Answer::Refused { reason }) => Err(refused(&reason)),
        Some(_) => Ok(()),
        None => match word.verb() {
            Some(verb) => request(path, verb).map_err(|error| unsaid().caused_by(error)),
            None => Ok(()),
        },
    }
}

/// Moves limits: the same way.
///
/// # Errors
/// [`CliError`]: refused, with nothing changed, or not said.
pub fn limit(
    path: &Path,
    recorded: &Recorded,
    new: PolicyLimits,
    name: String,
) -> Result<Told, CliError> {
    let mut journal =
        match Journal::open(path, &recorded.plan) {
            Ok(journal) => journal,
            Err(JournalError::Locked { .. }) => {
                let line = Request::limiting(new, name);
                return match speak(path, &line).map_err(|error| unsaid().caused_by(error))? {
                    Some(Answer::Refused { reason }) => Err(refused(&reason)),
                    Some(_) => Ok(Told::Executor),
                    None => Err(unsaid()
                        .hint("the executor has no socket: stop it, say it, start it again")),
                };
            }
            Err(error) => return Err(unsaid().caused_by(error)),
        };
    let event = limited(&journal, new).map_err(|reason| refused(&reason))?;
    let appended = journal.append(Clock::System.now(), &event).map(drop);
    appended.map_err(|error| match &error {
        JournalError::Refused(refusal) => refused(&refusal.to_string()),
        _ => unsaid().caused_by(error),
    })?;
    Ok(Told::Journal(Box::new(journal)))
}

fn refused(reason: &str) -> CliError {
    CliError::new(
        Kind::Refused,
        format!("that cannot be done now; nothing was changed: {reason}"),
    )
}

/// Each must be possible after the ones before it.
fn possible(recorded: &Recorded, words: &[Word]) -> Result<(), CliError> {
    let mut progress = recorded.progress.clone();
    for verb in words.iter().filter_map(|word| word.verb()) {
        progress
            .apply(Clock::System.now(), &Event::Operator { verb })
            .map_err(|error| {
                CliError::new(
                    Kind::Refused,
                    "that cannot be done now; nothing was changed",
                )
                .caused_by(error)
            })?;
    }
    Ok(())
}

fn unsaid() -> CliError {
    CliError::failed("it was not said")
}
