//! What a command ends with: an exit code, or an error with its chain and hints.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// How a command ended when nothing was wrong with the tool itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed; also a mismatch.
    Failed,
    /// The plan is infeasible, or a check refuses it.
    Refused,
    /// Stopped safely, the source serves.
    Stopped,
    /// Waiting for the operator.
    Waiting,
}

impl Exit {
    /// The process exit code.
    #[must_use]
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Refused => 3,
            Self::Stopped => 4,
            Self::Waiting => 5,
        })
    }
}

/// What kind of trouble it is: decides prefix and exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something did not work.
    Failed,
    /// Arguments, or a file that cannot be read as what it should be.
    Usage,
    /// A plan that is infeasible or no longer what was approved.
    Refused,
    /// Stopped on purpose; the source serves.
    Stopped,
    /// Only the operator can go on.
    Waiting,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Failed => "error",
            Self::Usage => "usage error",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting for the operator",
        }
    }

    /// The process exit code.
    #[must_use]
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Stopped => 4,
            Self::Waiting => 5,
        })
    }
}

/// An error as the operator meets it: kind, message, causes, and what to do.
#[derive(Debug)]
pub struct CliError {
    kind: Kind,
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    hints: Vec<String>,
}

impl CliError {
    /// An error of its kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
            hints: Vec::new(),
        }
    }

    /// Something the operator gave cannot be used.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Something did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The same error with something to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for CliError {
    /// Prefix and message, the causes one per line, then the hints. A cause that the line above it
    /// already quotes is left out, so that nothing is read twice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.kind.prefix(), self.message)?;
        let mut above = self.message.clone();
        let mut cause: Option<&dyn Error> = self.cause.as_deref().map(|cause| cause as &dyn Error);
        while let Some(error) = cause {
            let text = error.to_string();
            if !above.contains(&text) {
                writeln!(f, "  caused by: {text}")?;
                above = text;
            }
            cause = error.source();
        }
        for hint in &self.hints {
            writeln!(f, "hint: {hint}")?;
        }
        Ok(())
    }
}

impl Error for CliError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {source}")]
    struct Outer {
        source: std::num::ParseIntError,
    }

    #[test]
    fn a_cause_that_is_already_quoted_is_not_repeated() {
        let source = "x".parse::<u32>().expect_err("x is no number");
        let error = CliError::failed("cannot count")
            .caused_by(Outer { source })
            .hint("use digits");
        let expected = "error: cannot count\n  caused by: outer: invalid digit found in string\n\
                        hint: use digits\n";
        assert_eq!(error.to_string(), expected);
    }
}
