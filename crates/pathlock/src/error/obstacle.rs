//! What is in the way of a scheme.

use std::borrow::Cow;
use std::fmt;
use std::io;

use super::FailureReason;

/// What keeps a [`Scheme`](crate::Scheme) from doing what it was asked. The lock that asked adds
/// the path, and returns it as [`LockError::LockFailed`](super::LockError::LockFailed).
#[derive(Debug)]
pub struct Obstacle {
    reason: FailureReason,
    message: Cow<'static, str>,
    source: Option<io::Error>,
}

impl Obstacle {
    /// An obstacle, and in `message` what to do about it.
    #[must_use]
    pub fn new(reason: FailureReason, message: impl Into<Cow<'static, str>>) -> Obstacle {
        Obstacle { reason, message: message.into(), source: None }
    }

    pub(super) fn reason(&self) -> FailureReason {
        self.reason
    }

    pub(super) fn io_error(&self) -> Option<&io::Error> {
        self.source.as_ref()
    }

    pub(crate) fn os(error: io::Error) -> Obstacle {
        let reason = match error.kind() {
            io::ErrorKind::Unsupported => FailureReason::Unsupported,
            _ => FailureReason::Os,
        };
        Obstacle { reason, message: advice(&error).into(), source: Some(error) }
    }

    pub(crate) fn saying(self, message: impl Into<Cow<'static, str>>) -> Obstacle {
        Obstacle { message: message.into(), ..self }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.source {
            write!(f, "{error}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Obstacle {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Obstacle {
        Obstacle::os(error)
    }
}

/// What a person can do about an error of the system.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "its directory must exist: make it first",
        io::ErrorKind::NotADirectory => "its directory must be a directory",
        io::ErrorKind::PermissionDenied => {
            "the lock file must be made and removed there: write permission for the directory is needed"
        }
        io::ErrorKind::ReadOnlyFilesystem => "the filesystem can't be written: put the lock file elsewhere",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room, or put the lock file elsewhere"
        }
        io::ErrorKind::InvalidFilename => "the name of the lock file is too long: name a shorter one",
        io::ErrorKind::IsADirectory => "a directory is in the lock file's place",
        io::ErrorKind::Unsupported => "use another scheme here",
        _ => "nothing was locked and nothing was left behind",
    }
}
