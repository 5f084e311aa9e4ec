//! Named locks in an SQLite database.
//!
//! One database holds any number of locks for any number of processes of one machine. Beyond what a lock file
//! can do, a lock in a database
//!
//! - serves its waiters strictly in the order in which they came, readers and writers alike;
//! - counts its exclusive holders: the [token](pathlock::Guard::token) of each is greater than all before it, also
//!   after a loss of power;
//! - shows who waits ([`Status::waiters`](pathlock::Status::waiters)) and who has held it ([`history`]).
//!
//! Everything else (timeouts, cancelling, guards, futures, events) is that of [`pathlock`].
//!
//! ```
//! use pathlock_sqlite::{SqliteLockFile, history, named};
//!
//! # let dir = tempfile::tempdir()?;
//! # let database = dir.path().join("locks.db");
//! let lock: SqliteLockFile = named(&database, "nightly");
//! let guard = lock.acquire()?;
//! let token = guard.token().expect("a database counts");
//! guard.release()?;
//!
//! assert!(lock.acquire()?.token().expect("a database counts") > token);
//! assert_eq!(history(&lock)?[1].token(), token);
//!
//! // Beside a path: the lock is in `report.lock.db`.
//! let lock = SqliteLockFile::new(dir.path().join("report"));
//! drop(lock.acquire()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! - It is for one machine. On a network filesystem it refuses, unless it is told otherwise
//!   ([`Sqlite::on_network`]): SQLite's own locks are said not to be safe there.
//! - A command that inherits a guard does not keep the lock, for nothing open holds it: it is killed with its
//!   parent, as in scheme symlink (see [`Guard::share_with`](pathlock::Guard::share_with)).
//! - A forked child that goes on in the parent's program is not for it: SQLite must not be carried across a fork in which
//!   another thread uses it, nor be used by a child that has closed its parent's files ("How To Corrupt An SQLite Database
//!   File", 2.6). A child that runs another program is a process as any other.
//! - Waiters of a database are woken by every change of it, whichever lock it was about, and look.

#![forbid(unsafe_code)]

mod database;
mod history;
mod hold;
mod ledger;
mod place;
mod scheme;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pathlock::Lock;

pub use history::{Past, history};
pub use scheme::Sqlite;

/// A lock in an SQLite database.
pub type SqliteLockFile = Lock<Sqlite>;

/// The lock that is called `name` in the database at `database`.
#[must_use]
pub fn named(database: impl AsRef<Path>, name: impl Into<String>) -> SqliteLockFile {
    let scheme = Sqlite::named(database, name);
    Lock::with_scheme(scheme.shown(), scheme)
}

/// The lock that `text` describes: `DB#NAME`; or a path alone, for a lock in `PATH.lock.db`.
///
/// What follows the last `#` is the name. A path that has one itself can be given to
/// [`named`] or [`SqliteLockFile::new`].
///
/// ```
/// let lock = pathlock_sqlite::open("/srv/locks.db#nightly");
/// assert_eq!(lock.lock_file().to_str(), Some("/srv/locks.db"));
/// let lock = pathlock_sqlite::open("/srv/report");
/// assert_eq!(lock.lock_file().to_str(), Some("/srv/report.lock.db"));
/// ```
#[must_use]
pub fn open(text: impl AsRef<OsStr>) -> SqliteLockFile {
    let text = text.as_ref();
    match text.to_str().and_then(|text| text.rsplit_once('#')) {
        Some((database, name)) if !database.is_empty() => named(database, name),
        _ => SqliteLockFile::new(PathBuf::from(text)),
    }
}
