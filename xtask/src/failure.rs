//! Why a chore failed, in words, and the exit code that says so.

use std::fmt;
use std::process::{ExitCode, ExitStatus};

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A message for the person at the terminal: what failed, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: format!("{}; `cargo xtask help` lists the chores and their options", message.into()),
            code: 64,
        }
    }

    /// A program ended badly: its own exit code is passed on, so that scripts can tell.
    pub(crate) fn program(command: &str, status: ExitStatus) -> Self {
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        Self { message: format!("`{command}` failed ({status})"), code }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
