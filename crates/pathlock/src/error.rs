//! What can go wrong, as pylockfile names it.
//!
//! ```text
//! Error
//! ├── LockError      LockTimeout, AlreadyLocked, LockFailed
//! └── UnlockError    NotLocked, NotMyLock, Failed
//! ```
//!
//! Invariant: a lock that was not acquired is an error, never an `Ok`. Every message names the
//! path, and says what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::owner::{Owner, printable};
use crate::status::{State, Status};

mod obstacle;

pub use obstacle::Obstacle;

/// Any error of this crate.
#[derive(Debug)]
pub enum Error {
    /// The lock was not acquired.
    Lock(LockError),
    /// The lock was not released.
    Unlock(UnlockError),
}

/// Why a lock was not acquired.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else held it until the timeout had passed.
    LockTimeout(Box<Contention>),
    /// Somebody holds it, and the caller did not want to wait.
    AlreadyLocked(Box<Contention>),
    /// It can't be acquired, whoever holds it, or the wait was ended.
    LockFailed(Box<Failure>),
}

/// Why a lock was not released. Nothing that is not ours has been removed.
#[derive(Debug)]
pub enum UnlockError {
    /// The lock file is gone: somebody has broken the lock.
    NotLocked(Box<Loss>),
    /// The lock file is another's by now.
    NotMyLock(Box<Loss>),
    /// The system refused.
    Failed(Box<Loss>),
}

/// The lock is another's.
#[derive(Debug)]
pub struct Contention {
    pub(crate) path: PathBuf,
    pub(crate) lock_file: PathBuf,
    pub(crate) status: Status,
    pub(crate) waited: Duration,
}

impl Contention {
    /// What is protected.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock file.
    #[must_use]
    pub fn lock_file(&self) -> &Path {
        &self.lock_file
    }

    /// Who holds it, where the lock file says so.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.status.owner()
    }

    /// What the last look at the lock has shown: to [break](crate::Lock::break_if) this lock, and no other.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// How long was waited.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Whether it is held for certain, or can't be proven free.
    #[must_use]
    pub fn state(&self) -> State {
        self.status.state()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut holders = self.status.holders();
        match holders.next() {
            Some(first) => write!(f, "held by {first}")?,
            None => write!(f, "held by an unknown owner")?,
        }
        match holders.count() {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        match self.state() {
            State::Held | State::Free => write!(
                f,
                " ({}); lock file {}; wait longer, or see to it that its holder ends",
                self.status.detail(),
                shown(&self.lock_file)
            ),
            State::Stale => write!(
                f,
                " ({}); its lock file {} may not be taken over: break the lock by hand",
                self.status.detail(),
                shown(&self.lock_file)
            ),
            State::Unknown => write!(
                f,
                "; whether it still runs can't be proven: {}; lock file {}; if you know that nobody holds it, \
                 break the lock by hand",
                self.status.detail(),
                shown(&self.lock_file)
            ),
        }
    }
}

/// Why a lock can't be acquired at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// The operating system refused; [`Failure::io_error`] says how.
    Os,
    /// The wait was ended through its [`CancelToken`](crate::CancelToken).
    Cancelled,
    /// The wait was ended by a signal: the caller's
    /// [`on_interrupt`](crate::Lock::on_interrupt) said so.
    Interrupted,
    /// The caller holds this lock itself, and waiting for oneself never ends.
    WouldDeadlock,
    /// This system, or this filesystem, does not have what the scheme needs.
    Unsupported,
    /// What is at the lock file's path is not a lock. It is left as it is.
    NotALockFile,
    /// The path names nothing that could be locked.
    BadPath,
}

/// Why a lock can't be acquired at all, and where.
#[derive(Debug)]
pub struct Failure {
    pub(crate) path: PathBuf,
    pub(crate) lock_file: PathBuf,
    pub(crate) obstacle: Obstacle,
}

impl Failure {
    /// What was to be protected.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock file.
    #[must_use]
    pub fn lock_file(&self) -> &Path {
        &self.lock_file
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> FailureReason {
        self.obstacle.reason()
    }

    /// The operating system's error, if there was one.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        self.obstacle.io_error()
    }
}

/// A lock that could not be released, and where.
#[derive(Debug)]
pub struct Loss {
    pub(crate) path: PathBuf,
    pub(crate) lock_file: PathBuf,
    pub(crate) owner: Option<Owner>,
    /// A forked child has tried to release what its parent holds.
    pub(crate) inherited: bool,
    pub(crate) source: Option<io::Error>,
}

impl Loss {
    /// What was protected.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock file.
    #[must_use]
    pub fn lock_file(&self) -> &Path {
        &self.lock_file
    }

    /// Who holds it now, where that is known.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// The operating system's error, if there was one.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        self.source.as_ref()
    }
}

impl LockError {
    /// What was to be protected.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            LockError::LockTimeout(contention) | LockError::AlreadyLocked(contention) => &contention.path,
            LockError::LockFailed(failure) => &failure.path,
        }
    }

    /// Who holds the lock, where that is known.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            LockError::LockTimeout(contention) | LockError::AlreadyLocked(contention) => contention.owner(),
            LockError::LockFailed(_) => None,
        }
    }

    /// The operating system's error, if there was one.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            LockError::LockFailed(failure) => failure.io_error(),
            LockError::LockTimeout(_) | LockError::AlreadyLocked(_) => None,
        }
    }
}

impl UnlockError {
    /// The lock that could not be released.
    #[must_use]
    pub fn loss(&self) -> &Loss {
        match self {
            UnlockError::NotLocked(loss) | UnlockError::NotMyLock(loss) | UnlockError::Failed(loss) => loss,
        }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::LockTimeout(contention) => {
                let (path, waited) = (shown(&contention.path), contention.waited.as_secs_f64());
                write!(f, "{path} is still locked after {waited:.1} s: ")?;
                contention.describe(f)
            }
            LockError::AlreadyLocked(contention) => {
                write!(f, "{} is already locked: ", shown(&contention.path))?;
                contention.describe(f)
            }
            LockError::LockFailed(failure) => {
                write!(f, "{} can't be locked with {}: ", shown(&failure.path), shown(&failure.lock_file))?;
                failure.obstacle.fmt(f)
            }
        }
    }
}

impl fmt::Display for UnlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loss = self.loss();
        write!(f, "the lock of {} can't be released: ", shown(&loss.path))?;
        match self {
            UnlockError::NotLocked(_) => {
                write!(
                    f,
                    "{} is gone; somebody has broken the lock while it was held",
                    shown(&loss.lock_file)
                )
            }
            UnlockError::NotMyLock(_) if loss.inherited => {
                write!(f, "this process was forked from the one that has acquired it, and has not adopted it")
            }
            UnlockError::NotMyLock(_) => {
                write!(f, "{} is another's by now", shown(&loss.lock_file))?;
                if let Some(owner) = &loss.owner {
                    write!(f, " ({owner})")?;
                }
                write!(f, "; somebody has broken the lock while it was held")
            }
            UnlockError::Failed(_) => {
                write!(f, "{}", shown(&loss.lock_file))?;
                if let Some(error) = &loss.source {
                    write!(f, ": {error}")?;
                }
                write!(f, "; the lock is taken over once this process has ended")
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Lock(error) => error.fmt(f),
            Error::Unlock(error) => error.fmt(f),
        }
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), 4096)
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.io_error().map(|error| error as _)
    }
}

impl std::error::Error for UnlockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.loss().io_error().map(|error| error as _)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Lock(error) => error.source(),
            Error::Unlock(error) => error.source(),
        }
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Error {
        Error::Lock(error)
    }
}

impl From<UnlockError> for Error {
    fn from(error: UnlockError) -> Error {
        Error::Unlock(error)
    }
}

/// Keeps the kind of the system's error, and the whole message.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::Lock(LockError::LockTimeout(_)) => io::ErrorKind::TimedOut,
            Error::Lock(LockError::AlreadyLocked(_)) => io::ErrorKind::WouldBlock,
            Error::Lock(LockError::LockFailed(failure)) => match failure.reason() {
                FailureReason::Cancelled | FailureReason::Interrupted => io::ErrorKind::Interrupted,
                FailureReason::WouldDeadlock => io::ErrorKind::Deadlock,
                FailureReason::Unsupported => io::ErrorKind::Unsupported,
                _ => failure.io_error().map_or(io::ErrorKind::InvalidInput, io::Error::kind),
            },
            Error::Unlock(error) => error.loss().io_error().map_or(io::ErrorKind::NotFound, io::Error::kind),
        };
        io::Error::new(kind, error)
    }
}

impl From<LockError> for io::Error {
    fn from(error: LockError) -> io::Error {
        Error::from(error).into()
    }
}

impl From<UnlockError> for io::Error {
    fn from(error: UnlockError) -> io::Error {
        Error::from(error).into()
    }
}
