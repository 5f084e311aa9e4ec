//! Several locks at once.

use crate::deadline::{Deadline, Timeout};
use crate::error::{Error, LockError};
use crate::guard::Guard;
use crate::lock::{Lock, LockFile};
use crate::scheme::Scheme;

/// Acquires all of `locks`, or none, within `timeout` for all of them together.
///
/// They are acquired in one order, by directory and name, whatever order they are given in: two
/// callers that want overlapping sets don't deadlock. One that is given twice is acquired once; by two
/// schemes or in two modes it is refused. The guards are in that order.
///
/// # Errors
/// As [`Lock::acquire`], for the first that is not acquired; those before it are released.
///
/// ```
/// use pathlock::{LockFile, Timeout, acquire_all};
///
/// let dir = tempfile::tempdir()?;
/// let locks = [LockFile::new(dir.path().join("b")), LockFile::new(dir.path().join("a"))];
/// let guards = acquire_all(&locks, Timeout::Never)?;
/// assert_eq!(guards.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn acquire_all<'a, S: Scheme + 'a>(
    locks: impl IntoIterator<Item = &'a Lock<S>>,
    timeout: impl Into<Timeout>,
) -> Result<Vec<Guard>, LockError> {
    let deadline = Deadline::start(timeout.into());
    let mut ordered = Vec::new();
    for lock in locks {
        ordered.push((lock.order()?, lock));
    }
    ordered.sort_by(|(one, _), (other, _)| one.cmp(other));
    ordered.dedup_by(|(key, lock), (before, other)| key == before && lock.is_twin(other));
    ordered.into_iter().map(|(_, lock)| lock.acquire_until(deadline)).collect()
}

/// A duplicate of the open file that a program was started with as descriptor `number`, as in a
/// script's `exec 9>file`. A kernel lock that is taken through the duplicate is the lock of the
/// original: it stays when the duplicate is closed.
///
/// # Errors
/// When no file is open under that number (`EBADF`), or no more can be opened.
#[cfg(unix)]
pub fn inherited_file(number: i32) -> std::io::Result<std::fs::File> {
    crate::sys::duplicate(number)
}

/// Runs `body` while the default lock of what is at `path` is held.
///
/// # Errors
/// When the lock can't be acquired, and then `body` has not run; or when it can't be released.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let sum = pathlock::with_lock(dir.path().join("mylock"), || 1 + 1)?;
/// assert_eq!(sum, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn with_lock<T>(path: impl AsRef<std::path::Path>, body: impl FnOnce() -> T) -> Result<T, Error> {
    let guard = LockFile::new(path).acquire()?;
    let result = body();
    guard.release()?;
    Ok(result)
}
