//! The one place that writes to the terminal. A reader that went away is no error.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::error::CliError;

/// Where results and messages go: results to standard output, everything else to standard error.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    json: bool,
}

impl Ui {
    /// Shows results as JSON when `json` is set, as text otherwise.
    #[must_use]
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether results are shown as JSON.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Shows a result: as JSON, or as the text that `view` makes of it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn show<T: Serialize>(
        &self,
        value: &T,
        view: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        if self.json {
            self.json(value)
        } else {
            self.text(&view(value))
        }
    }

    /// Shows a result that is JSON whatever the flag says.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn json<T: Serialize>(&self, value: &T) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| {
            CliError::failed("cannot write the result as JSON").caused_by(error)
        })?;
        self.text(&text)
    }

    /// Writes text to standard output, ending with one newline, at once.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn text(&self, text: &str) -> Result<(), CliError> {
        written(write_line(&mut io::stdout().lock(), text))
            .map_err(|error| CliError::failed("cannot write to standard output").caused_by(error))
    }

    /// Writes a message to standard error. A message that cannot be written is lost: there is no
    /// better place to say so.
    pub fn note(&self, text: &str) {
        written(write_line(&mut io::stderr().lock(), text)).unwrap_or_default();
    }

    /// Asks a question on a terminal and reads a line; none where nobody sits.
    #[must_use]
    pub fn ask(&self, question: &str) -> Option<String> {
        let mut err = io::stderr();
        if !(io::stdin().is_terminal() && err.is_terminal()) {
            return None;
        }
        written(
            err.write_all(question.as_bytes())
                .and_then(|()| err.flush()),
        )
        .unwrap_or_default();
        let mut line = String::new();
        io::stdin().read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }

    /// Shows an error and gives its exit code.
    #[must_use]
    pub fn failure(&self, error: &CliError) -> ExitCode {
        self.note(&error.to_string());
        error.kind().code()
    }
}

/// Shows what the argument parser has to say (help, version or a usage error).
pub fn usage(error: &clap::Error) -> ExitCode {
    written(error.print()).unwrap_or_default();
    if error.use_stderr() {
        super::Kind::Usage.code()
    } else {
        ExitCode::SUCCESS
    }
}

fn write_line(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.trim_end_matches('\n').as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

fn written(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            Ok(())
        } else {
            Err(error)
        }
    })
}
