//! Lock files that always come free.
//!
//! Two jobs that must not run at once take the lock of the same path first. The lock is a file
//! beside it; it is free again when its holder releases it *or dies*.
//!
//! Most uses need no more than [`with_lock`], [`LockFile`] or the attribute [`locked`]:
//!
//! ```
//! use pathlock::LockFile;
//! use std::time::Duration;
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("README");
//! let lock = LockFile::new(path);                       // touches nothing
//! let guard = lock.acquire()?;                          // waits; dropping the guard releases
//! guard.release()?;                                     // says what went wrong, which a drop can't
//!
//! let guard = lock.acquire_within(Duration::from_secs(5))?;
//! drop(guard);
//! let guard = lock.try_acquire()?;                      // fails at once with `AlreadyLocked`
//! # drop(guard);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does
//!
//! - **Waits wake at once.** Nobody polls on a local filesystem: waiters sit in the kernel's own
//!   queue, first come first served, and one is woken for one hand-over. Waits end on time
//!   ([`Timeout`]), when they are cancelled ([`CancelToken`]), and on a signal if the caller wants
//!   it ([`Lock::on_interrupt`]).
//! - **A killed holder blocks nobody, and a live one never loses its lock.** A stale lock is taken
//!   over on proof: see [`scheme`].
//! - **It says who holds it.** [`Lock::status`] and every error have the [`Owner`]: pid, command,
//!   host, since when.
//! - **Six schemes**, one API ([`scheme`]): [`LinkLockFile`], [`SymlinkLockFile`],
//!   [`MkdirLockFile`] and [`PidLockFile`] exclude, and are excluded by, programs that use Python's
//!   `lockfile`; [`FlockLockFile`] those that use `flock(2)`; [`OfdLockFile`] those that use
//!   `fcntl` locks. [`AnyLockFile`] picks one at run time.
//! - **Readers and writers**, who take turns ([`Lock::shared`]), and **slots** for so many at once
//!   ([`Lock::slots`]), in schemes mkdir, flock and ofd. Locks in a database are in the crate `pathlock-sqlite`.
//! - **Futures**, for any executor, that may be dropped at any time: [`Lock::acquire_async`].
//!
//! # What it does not do
//!
//! - It keeps nobody out who does not ask: these locks are advisory.
//! - It installs no signal handler and prints nothing. A thread is started only for a wait or a
//!   lease, and ends a second after its last one; the call of a wait that timed out goes on in its thread until
//!   the lock is free.
//! - On a network filesystem it does not recover from a holder that was killed: nothing there can
//!   be proven. It waits with a backoff of 5 to 250 ms.
//!
//! # What survives SIGKILL
//!
//! A holder that is killed leaves its lock file. The next to acquire takes it over at once; so does
//! the first that waits. Scheme symlink needs the owner's pid for that, and can't judge one in
//! another container.
//!
//! # Fork
//!
//! A forked child holds nothing, and its copy of a [`Guard`] does nothing: see there for how a
//! daemon keeps its parent's lock. It does keep the lock file open, so if the parent is killed
//! the lock stays held until the child is gone or runs another program: nobody is let in while there
//! may be somebody. All files are close-on-exec; [`Guard::share_with`] passes a lock on to a command.
//!
//! # A guard that is dropped early
//!
//! `let _ = lock.acquire()?;` drops the guard at once. Write `let _guard = …`.

#![warn(missing_docs)]

mod any;
mod cancel;
mod contenders;
mod deadline;
mod error;
mod event;
mod guard;
mod lease;
mod litter;
mod liveness;
mod lock;
mod mode;
mod owner;
mod recover;
mod registry;
pub mod scheme;
mod search;
mod several;
mod site;
mod status;
#[allow(unsafe_code, reason = "the one place for it: what the platforms ask for")]
mod sys;
mod wait;

pub use any::AnyLockFile;
pub use cancel::CancelToken;
pub use contenders::{Contender, Contenders};
pub use deadline::Timeout;
pub use error::{Contention, Error, Failure, FailureReason, LockError, Loss, Obstacle, UnlockError};
pub use event::WaitEvent;
pub use guard::Guard;
pub use liveness::Liveness;
pub use lock::{
    Acquire, FlockLockFile, LinkLockFile, Lock, LockFile, MkdirLockFile, OfdLockFile, PidLockFile,
    SymlinkLockFile,
};
pub use mode::{Mode, Ownership, Recovery, Reentry};
pub use owner::Owner;
pub use pathlock_macros::locked;
pub use scheme::{DefaultScheme, SCHEME_NAMES, Scheme, scheme_named};
pub use search::{Locks, locks_below};
#[cfg(unix)]
pub use several::inherited_file;
pub use several::{acquire_all, with_lock};
pub use site::Site;
pub use status::{State, Status};

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
