//! The exit codes, and failures that carry one.
//!
//! The numbers are those of `sysexits.h` and of the shells, so that a script can tell a lock that
//! is busy from a command that failed. A code alone stays ambiguous (the command may exit 75 too),
//! so the reason is always on stderr as well.

use std::fmt;
use std::process::ExitStatus;

use clap::error::{ContextKind, ContextValue};
use pathlock::{FailureReason, LockError};

use crate::json::Event;
use crate::say;

/// Done; `status`: free, or stale and thus free to be taken.
pub(crate) const SUCCESS: i32 = 0;
/// `status`: held, or not known to be free.
pub(crate) const HELD: i32 = 1;
/// The arguments make no sense.
pub(crate) const USAGE: i32 = 64;
/// The lock file can't be made or used.
pub(crate) const CANNOT_LOCK: i32 = 73;
/// The answer can't be written to stdout.
pub(crate) const CANNOT_WRITE: i32 = 74;
/// The lock is held: at once (`-n`), at the end of the time allowed (`-w`), or for ever since an
/// ancestor of this process holds it. `-E` sets another code for the first two.
pub(crate) const BUSY: i32 = 75;
/// The command succeeded, but its lock was broken while it ran.
pub(crate) const LOST: i32 = 76;
/// The command took longer than `--max-run`: as timeout(1) says it.
pub(crate) const TOO_LONG: i32 = 124;
/// The command was found, but can't be run.
pub(crate) const CANNOT_RUN: i32 = 126;
/// The command was not found.
pub(crate) const NOT_FOUND: i32 = 127;

/// A reason to stop, for people, and the exit code that says it to programs.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: i32,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: i32, message: impl fmt::Display) -> Failure {
        Failure { code, message: message.to_string() }
    }

    /// A lock that was not acquired; `busy` is the code for one that is held.
    pub(crate) fn locking(error: &LockError, busy: i32) -> Failure {
        let code = match error {
            LockError::AlreadyLocked(_) | LockError::LockTimeout(_) => busy,
            LockError::LockFailed(failure) if failure.reason() == FailureReason::BadPath => USAGE,
            LockError::LockFailed(_) => CANNOT_LOCK,
        };
        Failure::new(code, error)
    }

    /// Says the reason on stderr and gives the code.
    pub(crate) fn tell(&self, json: bool) -> i32 {
        if json {
            say::tell(&Event::Error { code: self.code, message: &self.message });
        } else {
            say::say(&self.message);
        }
        self.code
    }
}

/// What to exit with when a command has ended like this.
pub(crate) fn of_command(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return of_signal(signal);
    }
    status.code().unwrap_or(CANNOT_RUN)
}

/// What to exit with when `signal` ended the command, or the wait for the lock.
pub(crate) fn of_signal(signal: i32) -> i32 {
    128 + signal
}

/// Prints what clap has to say (help and version are not errors) and gives the exit code.
pub(crate) fn of_parsing(mut error: clap::Error) -> i32 {
    let missing = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    if missing.contains("<CMD>") && error.kind() == clap::error::ErrorKind::MissingRequiredArgument {
        let tip = "put `--` before the command: pathlock run PATH -- CMD".into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    // What comes after `--` is the command's own.
    let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if json && error.use_stderr() {
        return Failure::new(USAGE, error.render().to_string().trim_end()).tell(true);
    }
    // Where even stderr is closed there is nobody left to tell.
    let _ = error.print();
    if error.use_stderr() { USAGE } else { SUCCESS }
}
