//! What can be learnt of a lock, and done to it, without acquiring it.

use super::{Lock, failed};
use crate::contenders::{self, Contenders};
use crate::deadline::{Deadline, Timeout};
use crate::error::LockError;
use crate::owner::Owner;
use crate::registry;
use crate::scheme::Scheme;
use crate::status::{Seen, Status};
use crate::wait;

impl<S: Scheme> Lock<S> {
    /// Looks at the lock. Never waits, and takes nothing.
    ///
    /// # Errors
    /// When the lock file can't be looked at.
    pub fn status(&self) -> Result<Status, LockError> {
        let (site, _) = self.located()?;
        self.scheme.status(&site).map_err(|obstacle| failed(&site, obstacle))
    }

    /// Whether somebody holds the lock, or may hold it. A stale lock is not held.
    ///
    /// # Errors
    /// When the lock file can't be looked at.
    pub fn is_locked(&self) -> Result<bool, LockError> {
        self.status().map(|status| status.is_locked())
    }

    /// Whether the lock is held, through whatever handle, by the calling thread; with
    /// [`Ownership::Process`](crate::Ownership::Process) on both sides, by any thread of this process.
    #[must_use]
    pub fn i_am_locking(&self) -> bool {
        let key = self.order().ok();
        key.is_some_and(|key| registry::find(&key, self.options.ownership).is_some())
    }

    /// Who holds the lock, where that is known.
    ///
    /// # Errors
    /// When the lock file can't be looked at.
    pub fn owner(&self) -> Result<Option<Owner>, LockError> {
        self.status().map(|status| status.owner().filter(|_| status.is_locked()).cloned())
    }

    /// Who holds the lock and who waits for it, as the kernel shows them: also readers, and
    /// processes that have inherited the lock. Nobody for scheme symlink, which has no kernel lock.
    ///
    /// It reads the process table, which takes milliseconds.
    ///
    /// # Errors
    /// When the lock file can't be looked at.
    pub fn contenders(&self) -> Result<Contenders, LockError> {
        Ok(match self.status()?.seen {
            Seen::Inode(inode, _) | Seen::Kernel(inode, ..) => {
                contenders::of(inode, self.scheme.name() == "ofd")
            }
            Seen::Nothing | Seen::Target(_) => Contenders::default(),
        })
    }

    /// Waits until the lock is free, or stale, and takes nothing: by the time this returns another
    /// may have it. Waits as long as `timeout` says.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn wait_free(&self, timeout: impl Into<Timeout>) -> Result<(), LockError> {
        let deadline = Deadline::start(timeout.into());
        let (site, _) = self.located()?;
        self.with_wait(&site, deadline, |wait| wait::until_free(self, &site, wait))
    }

    /// Removes the lock, whoever holds it: a person's order, as pylockfile's. Its holder, if it
    /// lives, goes on, and learns of it from [`Guard::is_valid`](crate::Guard::is_valid) and from its release. Returns
    /// whether there was a lock.
    ///
    /// # Errors
    /// When it can't be removed, or when what has the lock file's name is no lock.
    pub fn break_lock(&self) -> Result<bool, LockError> {
        self.break_if(&self.status()?)
    }

    /// Removes the lock that `seen` described, if it is still that one: what another has acquired
    /// since stays. Returns whether it was removed.
    ///
    /// `seen` is what [`status`](Self::status) has returned, or an attempt in vain
    /// ([`Contention::status`](crate::Contention::status)); the latter knows the lock by its owner.
    ///
    /// # Errors
    /// As [`break_lock`](Self::break_lock).
    ///
    /// ```
    /// use pathlock::{LockError, LockFile};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let lock = LockFile::new(dir.path().join("job"));
    /// let first = lock.try_acquire()?;
    /// let Err(LockError::AlreadyLocked(busy)) = lock.try_acquire() else { panic!("it is held") };
    ///
    /// drop(first);
    /// let second = lock.try_acquire()?;
    /// assert!(!lock.break_if(busy.status())?, "what was seen is gone");
    /// assert!(second.is_valid());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn break_if(&self, seen: &Status) -> Result<bool, LockError> {
        let site = self.site()?;
        let now = if seen.seen == Seen::Nothing { self.known_by_owner(seen)? } else { None };
        let seen = now.as_ref().unwrap_or(seen);
        self.scheme.remove(&site, seen).map_err(|obstacle| failed(&site, obstacle))
    }

    /// What the lock is now, if that is the one with the owner that `seen` has; `None` also where the scheme
    /// itself knows its locks by their owners.
    fn known_by_owner(&self, seen: &Status) -> Result<Option<Status>, LockError> {
        let now = self.status()?;
        let is_it = match (seen.owner(), now.owner()) {
            (Some(then), Some(now)) => then.is_same(now),
            (then, now) => then.is_none() && now.is_none(),
        };
        Ok(is_it.then_some(now))
    }
}
