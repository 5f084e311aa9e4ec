//! The options of a lock: what may be asked of it besides its path and its scheme.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Lock;
use crate::cancel::CancelToken;
use crate::deadline::Timeout;
use crate::event::WaitEvent;
use crate::lease::OnLost;
use crate::mode::{Mode, Ownership, Recovery, Reentry};
use crate::scheme::Scheme;

type OnWait = Arc<dyn Fn(&WaitEvent<'_>) + Send + Sync>;
type OnInterrupt = Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Options {
    pub(super) timeout: Timeout,
    pub(super) mode: Mode,
    pub(super) slots: Option<u16>,
    pub(super) ownership: Ownership,
    pub(super) reentry: Reentry,
    pub(super) recovery: Recovery,
    pub(super) file_mode: Option<u32>,
    pub(super) cancel: Option<CancelToken>,
    pub(super) command: Option<Arc<str>>,
    pub(super) on_wait: Option<OnWait>,
    pub(super) on_lost: Option<OnLost>,
    pub(super) on_interrupt: Option<OnInterrupt>,
}

impl<S: Scheme> Lock<S> {
    /// How long [`acquire`](Self::acquire) waits. Default: for ever.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Lock<S> {
        self.options.timeout = timeout.into();
        self
    }

    /// For readers: any number of them hold the lock at once, while no writer does. Schemes mkdir,
    /// flock and ofd can be shared; with the others, acquiring fails with
    /// [`Unsupported`](crate::FailureReason::Unsupported).
    ///
    /// Readers and writers that wait take turns, so that neither starve: a reader that comes while a
    /// writer waits stands behind it, and a writer stands behind the readers that waited before it.
    /// Readers of other programs, as `flock --shared`, know nothing of that, and readers that
    /// [don't wait](Self::try_acquire) come in beside readers. Of many readers none is the
    /// [`owner`](Self::owner); in scheme mkdir each has a record, and [`Status::holders`](crate::Status::holders)
    /// names them. A reader becomes the writer with [`Guard::try_upgrade`](crate::Guard::try_upgrade).
    ///
    /// ```
    /// let dir = tempfile::tempdir()?;
    /// let index = pathlock::MkdirLockFile::new(dir.path().join("index"));
    /// let one = index.clone().shared().try_acquire()?;
    /// let other = index.clone().shared().try_acquire()?;
    /// assert!(index.try_acquire().is_err()); // a writer would be alone
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn shared(mut self) -> Lock<S> {
        self.options.mode = Mode::Shared;
        self
    }

    /// For jobs of which `count` may run at once: at most so many hold the lock, each in a slot of its own
    /// ([`Guard::slot`](crate::Guard::slot)). Schemes mkdir, flock and ofd have slots, on systems with locks of open
    /// files (Linux).
    ///
    /// All that use the lock have to give the same count. Who takes a slot is a reader of the lock, so one that
    /// acquires it without slots and not [shared](Self::shared) is alone. Waiters are woken at once; which of them gets
    /// a slot that comes free is not defined. A program that closes all its files gives its slot up.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// let dir = tempfile::tempdir()?;
    /// let gpus = pathlock::FlockLockFile::new(dir.path().join("gpu")).slots(2);
    /// let first = gpus.try_acquire()?;
    /// let second = gpus.try_acquire()?;
    /// assert_eq!((first.slot(), second.slot()), (Some(0), Some(1)));
    /// assert!(gpus.try_acquire().is_err());
    /// assert_eq!(gpus.status()?.slots_taken(), 2);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn slots(mut self, count: u16) -> Lock<S> {
        self.options.slots = Some(count);
        self.options.mode = Mode::Shared;
        self
    }

    /// Who owns the lock: the thread (the default) or the process that acquires it.
    #[must_use]
    pub fn ownership(mut self, ownership: Ownership) -> Lock<S> {
        self.options.ownership = ownership;
        self
    }

    /// Whether its owner may enter again. Default: refuse.
    #[must_use]
    pub fn reentry(mut self, reentry: Reentry) -> Lock<S> {
        self.options.reentry = reentry;
        self
    }

    /// When a stale lock may be taken over. Default: when its owner is proven dead.
    #[must_use]
    pub fn recovery(mut self, recovery: Recovery) -> Lock<S> {
        self.options.recovery = recovery;
        self
    }

    /// The mode of a lock file that is made, before the umask. Default: `0o666` (scheme pid:
    /// `0o644`).
    #[must_use]
    pub fn file_mode(mut self, mode: u32) -> Lock<S> {
        self.options.file_mode = Some(mode);
        self
    }

    /// Waits end when `token` is cancelled.
    #[must_use]
    pub fn cancel_token(mut self, token: CancelToken) -> Lock<S> {
        self.options.cancel = Some(token);
        self
    }

    /// What the record says is running. Default: the command line of this process.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Lock<S> {
        self.options.command = Some(command.into().into());
        self
    }

    /// Calls `told` in the waiting thread when a wait begins, when the owner changes, and every
    /// few seconds.
    #[must_use]
    pub fn on_wait(mut self, told: impl Fn(&WaitEvent<'_>) + Send + Sync + 'static) -> Lock<S> {
        self.options.on_wait = Some(Arc::new(told));
        self
    }

    /// Of a [lease](Recovery::ByAge): calls `told` in the library's thread, once, when it is lost or can no longer be
    /// trusted. It is not called for a lease that was released.
    ///
    /// ```
    /// use pathlock::{LockFile, Recovery};
    /// use std::time::Duration;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let lock = LockFile::new(dir.path().join("job")).recovery(Recovery::ByAge(Duration::from_secs(30)));
    /// let guard = lock.on_lost(|| eprintln!("another host may have the lock by now")).acquire()?;
    /// if guard.is_valid() {
    ///     // … a step that must not be taken twice …
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_lost(mut self, told: impl Fn() + Send + Sync + 'static) -> Lock<S> {
        self.options.on_lost = Some(Arc::new(told));
        self
    }

    /// Calls `asked` in the waiting thread when a signal handler has run during a wait: on
    /// `Break` the wait ends with [`Interrupted`](crate::FailureReason::Interrupted). Without it, waits go
    /// on. The library itself installs no handler.
    ///
    /// It is asked before each sleep, too, and every few seconds, because a handler that runs in another thread of the
    /// process wakes nobody. So let it look at what the handler has set. Linux holds signals back from the waiting
    /// thread from the question until it sleeps, so none is missed between the two: ppoll(2).
    ///
    /// ```
    /// use pathlock::{FailureReason, LockError, LockFile};
    /// use std::ops::ControlFlow;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// static STOP: AtomicBool = AtomicBool::new(false); // set by a signal handler
    ///
    /// let dir = tempfile::tempdir()?;
    /// let lock = LockFile::new(dir.path().join("job")).on_interrupt(|| {
    ///     if STOP.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    /// });
    /// # let held = lock.acquire()?;
    /// # STOP.store(true, Ordering::Relaxed);
    /// # std::thread::spawn(move || {
    /// match lock.acquire() {
    ///     Err(LockError::LockFailed(failure)) if failure.reason() == FailureReason::Interrupted => {}
    ///     other => panic!("{other:?}"),
    /// }
    /// # }).join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_interrupt(mut self, asked: impl Fn() -> ControlFlow<()> + Send + Sync + 'static) -> Lock<S> {
        self.options.on_interrupt = Some(Arc::new(asked));
        self
    }
}
