//! The handle: a path with a scheme and options.
//!
//! Invariant: making a handle, and setting its options, touches nothing outside of it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::ThreadId;

use crate::deadline::{Deadline, Timeout};
use crate::error::{Failure, FailureReason, LockError, Obstacle};
use crate::guard::Guard;
use crate::lease;
use crate::mode::{Mode, Recovery, Reentry};
use crate::owner::Owner;
use crate::registry::{self, Mine};
use crate::scheme::{DefaultScheme, Flock, Hold, Kept, Link, Mkdir, Ofd, Pid, Request, Scheme, Symlink};
use crate::site::{Key, Site};
use crate::wait;

mod future;
mod looking;
mod options;
mod pending;
mod waiting;

pub use future::Acquire;
use options::Options;
pub(crate) use pending::{Asked, Line, Pending};

/// A lock file of the default scheme: hard links on Unix, directories elsewhere.
pub type LockFile = Lock<DefaultScheme>;
/// A lock file of scheme `link`.
pub type LinkLockFile = Lock<Link>;
/// A lock file of scheme `symlink`.
pub type SymlinkLockFile = Lock<Symlink>;
/// A lock file of scheme `mkdir`.
pub type MkdirLockFile = Lock<Mkdir>;
/// A pid file that is a lock.
pub type PidLockFile = Lock<Pid>;
/// A lock file of scheme `flock`.
pub type FlockLockFile = Lock<Flock>;
/// A lock file of scheme `ofd`.
pub type OfdLockFile = Lock<Ofd>;

/// As [`AnyLockFile`](crate::AnyLockFile).
type AnyLock = Lock<Arc<dyn Scheme>>;

/// A lock: a path, a scheme and options. [`LockFile`] is the one to use first.
///
/// A handle can be cloned, shared between threads, and used again and again; it holds nothing by
/// itself. What holds is the [`Guard`]. To use it again costs less than to make another one: with schemes
/// flock and ofd it keeps the lock file open, though not locked, from one acquisition to the next, and closes it
/// when it is dropped.
///
/// ```
/// use pathlock::{LockError, LockFile};
/// use std::time::Duration;
///
/// let dir = tempfile::tempdir()?;
/// let lock = LockFile::new(dir.path().join("README")); // the file need not exist
/// let guard = lock.acquire()?;
/// assert!(lock.is_locked()? && lock.i_am_locking());
///
/// // Elsewhere, in another thread or another process:
/// let lock = LockFile::new(dir.path().join("README"));
/// # std::thread::spawn(move || {
/// match lock.acquire_within(Duration::from_millis(20)) {
///     Err(LockError::LockTimeout(held)) => assert_eq!(held.owner().unwrap().pid(), std::process::id()),
///     other => panic!("{other:?}"),
/// }
/// # }).join().unwrap();
///
/// guard.release()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Lock<S> {
    path: Arc<Path>,
    lock_file: Arc<Path>,
    /// `None` where the paths are no place for a lock.
    site: Option<Site>,
    scheme: S,
    /// The scheme's name, as records have it.
    scheme_name: Arc<str>,
    /// A lock file that is open and not locked, for the next acquisition: of schemes flock and ofd.
    kept: Option<Arc<Kept>>,
    options: Options,
}

impl<S: Scheme + Default> Lock<S> {
    /// The lock of what is at `path`, which need not exist; its directory must. The lock file is
    /// `PATH.lock` (scheme pid: `PATH` itself).
    ///
    /// A relative path is taken from the current directory of this moment.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Lock<S> {
        Lock::with_scheme(path, S::default())
    }

    /// The lock whose lock file is at `lock_file`: how a lock is shared with flock(1) and with
    /// other programs that name the lock file itself.
    #[must_use]
    pub fn at(lock_file: impl AsRef<Path>) -> Lock<S> {
        Lock::at_with_scheme(lock_file, S::default())
    }
}

impl<S: Scheme> Lock<S> {
    /// [`new`](Self::new), with a scheme that is a value.
    #[must_use]
    pub fn with_scheme(path: impl AsRef<Path>, scheme: S) -> Lock<S> {
        let path = absolute(path.as_ref());
        Lock::of(scheme.lock_file(&path).into(), path.into(), scheme, Options::default())
    }

    /// [`at`](Self::at), with a scheme that is a value.
    #[must_use]
    pub fn at_with_scheme(lock_file: impl AsRef<Path>, scheme: S) -> Lock<S> {
        let path: Arc<Path> = absolute(lock_file.as_ref()).into();
        Lock::of(Arc::clone(&path), path, scheme, Options::default())
    }

    fn of(lock_file: Arc<Path>, path: Arc<Path>, scheme: S, options: Options) -> Lock<S> {
        let scheme_name = scheme.name().into();
        let site = Site::new(Arc::clone(&path), Arc::clone(&lock_file)).ok();
        let site = site.filter(|_| path.is_absolute());
        let kept = Some(Arc::default());
        Lock { path, lock_file, site, scheme, scheme_name, kept, options }
    }

    /// What is protected, as an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock file, as an absolute path.
    #[must_use]
    pub fn lock_file(&self) -> &Path {
        &self.lock_file
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> &S {
        &self.scheme
    }

    /// Acquires the lock, and waits for it as long as its [`timeout`](Self::timeout) says.
    ///
    /// # Errors
    /// [`LockTimeout`](LockError::LockTimeout), [`AlreadyLocked`](LockError::AlreadyLocked) or
    /// [`LockFailed`](LockError::LockFailed); then nothing is held and nothing is left behind.
    pub fn acquire(&self) -> Result<Guard, LockError> {
        self.acquire_within(self.options.timeout)
    }

    /// Acquires the lock, and waits for it as long as `timeout` says.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_within(&self, timeout: impl Into<Timeout>) -> Result<Guard, LockError> {
        self.acquire_until(Deadline::start(timeout.into()))
    }

    /// Acquires the lock if it is free.
    ///
    /// # Errors
    /// [`AlreadyLocked`](LockError::AlreadyLocked) when it is not. That may also be the case for
    /// the moment in which another contender looks at the lock.
    pub fn try_acquire(&self) -> Result<Guard, LockError> {
        self.acquire_within(Timeout::NoWait)
    }

    pub(crate) fn acquire_until(&self, deadline: Deadline) -> Result<Guard, LockError> {
        let (site, key) = self.located()?;
        let options = &self.options;
        self.check_mode(&site)?;
        let mut deadline = deadline;
        let mut would_deadlock = false;
        if let Some(mine) = registry::find(&key, options.ownership) {
            let Mine { same_thread, .. } = mine;
            let shares = mine.held.mode() == Mode::Shared && options.mode == Mode::Shared;
            if let Some(guard) = self.enter_again(mine) {
                return Ok(guard);
            }
            // Another slot may come free. Another reader may come in, but must not wait for a writer, which waits for us.
            would_deadlock = same_thread && deadline.waits() && !(shares && options.slots.is_some());
            if would_deadlock && shares {
                deadline = Deadline::start(Timeout::NoWait);
            } else if would_deadlock {
                return Err(would_wait_for_itself(&site));
            }
        }
        let owner = self.asker();
        let request = self.request(&site, &owner, deadline.waits());
        let acquired = self.with_wait(&site, deadline, |wait| wait::acquire(&self.scheme, &request, wait));
        match acquired {
            Err(LockError::AlreadyLocked(_)) if would_deadlock => Err(would_wait_for_itself(&site)),
            acquired => self.guard(acquired?, site, key, Some(std::thread::current().id())),
        }
    }

    /// The guard of what `thread`, or no thread, has acquired.
    fn guard(
        &self,
        hold: Box<dyn Hold>,
        site: Site,
        key: Key,
        thread: Option<ThreadId>,
    ) -> Result<Guard, LockError> {
        let by = registry::Acquirer { thread, ownership: self.options.ownership };
        let hold = match self.options.recovery {
            Recovery::ByAge(term) => {
                let kept = lease::keep(hold, &site, term, self.options.on_lost.clone());
                Box::new(kept.map_err(|error| failed(&site, error.into()))?)
            }
            Recovery::ProvenDead | Recovery::Never => hold,
        };
        Ok(Guard::new(hold, site, key, by, self.options.mode, &self.scheme_name))
    }

    fn check_mode(&self, site: &Site) -> Result<(), LockError> {
        if self.options.slots == Some(0) {
            let message = "a lock with no slots lets nobody in: ask for one at least";
            return Err(failed(site, Obstacle::new(FailureReason::Unsupported, message)));
        }
        if let Recovery::ByAge(term) = self.options.recovery {
            lease::check(&self.scheme, self.options.mode, term).map_err(|obstacle| failed(site, obstacle))?;
        }
        if self.options.mode == Mode::Exclusive || self.scheme.can_share() {
            return Ok(());
        }
        let message = format!(
            "scheme {} has no {}: use mkdir, flock or ofd, for all who share the lock",
            self.scheme.name(),
            if self.options.slots.is_some() { "slots" } else { "shared locks" }
        );
        Err(failed(site, Obstacle::new(FailureReason::Unsupported, message)))
    }

    /// A further guard of what its owner holds, if the owner may enter again.
    fn enter_again(&self, mine: Mine) -> Option<Guard> {
        let counts = self.options.reentry == Reentry::Count;
        counts.then(|| Guard::again(mine.held, self.options.mode)).flatten()
    }

    fn asker(&self) -> Owner {
        let lease = match self.options.recovery {
            Recovery::ByAge(term) => lease::milliseconds(term),
            Recovery::ProvenDead | Recovery::Never => None,
        };
        let command = self.options.command.as_ref();
        Owner { lease, ..Owner::current(&self.scheme_name, command) }
    }

    fn request<'a>(&'a self, site: &'a Site, owner: &'a Owner, waits: bool) -> Request<'a> {
        Request {
            site,
            owner,
            mode: self.options.mode,
            slots: self.options.slots,
            waits,
            file_mode: self.options.file_mode,
            recovery: self.options.recovery,
            kept: self.kept.as_ref(),
        }
    }

    /// What two handles of one lock have in common, in an order that all callers share.
    pub(crate) fn order(&self) -> Result<Key, LockError> {
        Ok(self.located()?.1)
    }

    /// Where it is, in a directory that is there, and what it is known by.
    fn located(&self) -> Result<(Site, Key), LockError> {
        let mut site = self.site()?;
        let key = site.locate(self.scheme.part()).map_err(|obstacle| failed(&site, obstacle))?;
        Ok((site, key))
    }

    /// Whether `other`, on the same lock file, is acquired when this is.
    pub(crate) fn is_twin(&self, other: &Lock<S>) -> bool {
        self.scheme.name() == other.scheme.name()
            && self.options.mode == other.options.mode
            && self.options.slots == other.options.slots
    }

    fn site(&self) -> Result<Site, LockError> {
        if let Some(site) = &self.site {
            return Ok(site.clone());
        }
        let wrong = |obstacle| {
            LockError::LockFailed(Box::new(Failure {
                path: self.path.to_path_buf(),
                lock_file: self.lock_file.to_path_buf(),
                obstacle,
            }))
        };
        if !self.path.is_absolute() {
            let message =
                "it can't be made absolute: give a path that is not empty, from a directory that exists";
            return Err(wrong(Obstacle::new(FailureReason::BadPath, message)));
        }
        Site::new(Arc::clone(&self.path), Arc::clone(&self.lock_file)).map_err(wrong)
    }
}

/// `path` from the current directory of now; as it is where that can't be told.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_: io::Error| path.to_owned())
}

pub(crate) fn failed(site: &Site, obstacle: Obstacle) -> LockError {
    LockError::LockFailed(Box::new(Failure {
        path: site.path().to_owned(),
        lock_file: site.lock_file().to_owned(),
        obstacle,
    }))
}

impl<S: fmt::Debug> fmt::Debug for Lock<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("path", &self.path)
            .field("lock_file", &self.lock_file)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

fn would_wait_for_itself(site: &Site) -> LockError {
    let message =
        "this thread holds it already, and would wait for itself: release it first, or allow re-entry";
    failed(site, Obstacle::new(FailureReason::WouldDeadlock, message))
}
