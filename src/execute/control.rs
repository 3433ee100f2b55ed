//! What the operator says while the executor runs: over its socket, by words in a file beside the journal, or by a
//! flag file that holds the cutover for as long as it exists.
//!
//! A word counts when it is in the journal, and is answered or taken out of its file only then; one that is journaled
//! twice after a crash means the same. It must not know what a word leads to.

mod client;
mod place;
mod server;
mod words;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snapmigrate_models::control::Answer;
use snapmigrate_models::policy::PolicyLimits;
use snapmigrate_models::step::{Event, Verb};
use tokio::sync::{mpsc, oneshot, watch};

pub use client::{SpeakError, speak};
pub use place::flag;
pub use server::{Executor, Server};
pub use words::request;

use super::ExecuteError;
use crate::clock::Clock;
use crate::journal::Journal;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// A word that somebody waits for an answer to.
#[derive(Debug)]
struct Said {
    word: Spoken,
    answer: oneshot::Sender<Answer>,
}

/// What can be said.
#[derive(Debug)]
enum Spoken {
    Verb(Verb),
    Limits(PolicyLimits),
}

/// Ways to speak to a running executor.
#[derive(Debug, Default)]
pub struct Control {
    journal: Option<PathBuf>,
    stop: Option<watch::Receiver<bool>>,
    said: Option<mpsc::Receiver<Said>>,
    heard: VecDeque<Said>,
}

impl Control {
    /// Nobody speaks: for rehearsals.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Words come through the files beside `journal`; `stop` turns true when the process should end.
    #[must_use]
    pub fn beside(journal: &Path, stop: watch::Receiver<bool>) -> Self {
        Self {
            journal: Some(journal.to_owned()),
            stop: Some(stop),
            ..Self::default()
        }
    }

    /// Words come over `server`, too.
    #[must_use]
    pub fn over(mut self, server: &mut Server) -> Self {
        self.said = server.take_words();
        self
    }

    pub(super) fn is_silent(&self) -> bool {
        self.journal.is_none() && self.stop.is_none()
    }

    pub(super) fn stop_asked(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| *stop.borrow())
    }

    /// Returns when a stop was asked for, when something was said, or when it is time to look at the files again.
    pub(super) async fn wait(&mut self) {
        let Self {
            stop, said, heard, ..
        } = self;
        tokio::select! {
            () = asked(stop) => {}
            word = next(said) => heard.push_back(word),
            () = tokio::time::sleep(LOOK) => {}
        }
    }

    /// Takes what was said since the last time into the journal.
    pub(super) fn hear(&mut self, journal: &mut Journal, clock: Clock) -> Result<(), ExecuteError> {
        let Some(path) = self.journal.clone() else {
            return Ok(());
        };
        while let Some(Said { word, answer }) = self.next_heard() {
            let kept = match word {
                Spoken::Verb(verb) => keep(journal, clock, verb, &path)?,
                Spoken::Limits(new) => match limited(journal, new) {
                    Ok(event) => append(journal, clock, &event)?,
                    Err(reason) => Answer::Refused { reason },
                },
            };
            // A client that went away meanwhile finds its word in the journal.
            drop(answer.send(kept));
        }
        words::take(&path, |verb| keep(journal, clock, verb, &path).map(drop))?;
        hear_flag(&path, journal, clock)
    }

    fn next_heard(&mut self) -> Option<Said> {
        let waiting = || self.said.as_mut()?.try_recv().ok();
        self.heard.pop_front().or_else(waiting)
    }
}

/// A word in the journal, or why it means nothing now.
fn keep(
    journal: &mut Journal,
    clock: Clock,
    verb: Verb,
    path: &Path,
) -> Result<Answer, ExecuteError> {
    if verb == Verb::Cutover && flag(path).exists() {
        let flag = flag(path).display().to_string();
        let reason = format!("{flag} holds the cutover for as long as it exists: remove it first");
        return Ok(Answer::Refused { reason });
    }
    append(journal, clock, &Event::Operator { verb })
}

fn append(journal: &mut Journal, clock: Clock, event: &Event) -> Result<Answer, ExecuteError> {
    if let Err(refused) = journal.progress().check(event) {
        let reason = refused.to_string();
        return Ok(Answer::Refused { reason });
    }
    let entry = journal.append(clock.now(), event)?;
    Ok(Answer::Journaled {
        seq: entry.seq,
        at: entry.at,
    })
}

/// Limits beside those in force, as an entry.
///
/// # Errors
/// In words, when they are none that can be wished for.
pub fn limited(journal: &Journal, new: PolicyLimits) -> Result<Event, String> {
    let recorded = journal.recorded();
    let in_force = recorded.progress.limits.over(&recorded.plan.policy);
    let in_force = in_force.map_err(|error| error.to_string())?;
    new.over(&in_force).map_err(|error| error.to_string())?;
    Ok(Event::Limited {
        old: new.as_in(&in_force),
        new,
    })
}

/// The flag file: postponed while it exists, released when it is gone.
fn hear_flag(path: &Path, journal: &mut Journal, clock: Clock) -> Result<(), ExecuteError> {
    let orders = journal.progress().orders;
    let verb = match flag(path).exists() {
        true if !orders.postponed => Verb::PostponeByFlag,
        false if orders.flagged => Verb::Release,
        _ => return Ok(()),
    };
    keep(journal, clock, verb, path).map(drop)
}

/// Returns when a stop is asked for. A sender that is gone asks for nothing any more.
async fn asked(stop: &mut Option<watch::Receiver<bool>>) {
    if let Some(stop) = stop.as_mut().filter(|stop| !*stop.borrow())
        && stop.wait_for(|asked| *asked).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

async fn next(said: &mut Option<mpsc::Receiver<Said>>) -> Said {
    if let Some(words) = said
        && let Some(word) = words.recv().await
    {
        return word;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests;
