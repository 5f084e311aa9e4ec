//! The proof that a lock is held.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Contention, FailureReason, LockError, Loss, Obstacle, UnlockError};
use crate::lock::failed;
use crate::mode::Mode;
use crate::owner::Owner;
use crate::registry::{self, Acquirer, EntryId};
use crate::scheme::{Hold, Lost};
use crate::site::{Key, Site};
use crate::status::{State, Status};
use crate::sys;

/// A lock that is held. Dropping it releases the lock.
///
/// It can be sent to another thread and released there. Call [`release`](Self::release) to learn
/// whether the lock was still ours; a drop can't say.
///
/// # Fork
///
/// A forked child holds nothing: its copy of the guard does nothing when it is dropped. A daemon
/// that shall go on holding what its parent acquired says so: [`adopt`](Self::adopt) in the child,
/// [`forget`](Self::forget) in the parent.
#[must_use = "a guard that is dropped at once holds nothing"]
pub struct Guard {
    held: Arc<Held>,
    owner: Owner,
}

/// What the guards of one acquisition share: more than one of them with re-entry.
#[derive(Debug)]
pub(crate) struct Held {
    hold: Mutex<Option<Box<dyn Hold>>>,
    site: Site,
    key: Key,
    entry: EntryId,
    by: Acquirer,
    /// Changed, and looked at by one who enters again, under the mutex of `hold`.
    shared: AtomicBool,
    /// The process that acquired it.
    pid: u32,
    scheme: Arc<str>,
}

impl Held {
    fn take(&self) -> Option<Box<dyn Hold>> {
        registry::remove(self.entry, &self.key);
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn mode(&self) -> Mode {
        if self.shared.load(Ordering::Relaxed) { Mode::Shared } else { Mode::Exclusive }
    }

    fn is_inherited(&self) -> bool {
        self.pid != sys::process_id()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // In a forked child the files are closed and nothing else is done.
        if let Some(mut hold) = self.take()
            && !self.is_inherited()
        {
            let _ = hold.release();
        }
    }
}

impl Guard {
    pub(crate) fn new(
        hold: Box<dyn Hold>,
        site: Site,
        key: Key,
        by: Acquirer,
        mode: Mode,
        scheme: &Arc<str>,
    ) -> Guard {
        let owner = hold.owner().clone();
        let entry = EntryId::fresh();
        let held = Arc::new(Held {
            hold: Mutex::new(Some(hold)),
            site,
            key: key.clone(),
            entry,
            by,
            shared: AtomicBool::new(mode == Mode::Shared),
            pid: sys::process_id(),
            scheme: Arc::clone(scheme),
        });
        registry::add(entry, key, by, Arc::downgrade(&held));
        Guard { held, owner }
    }

    /// A further guard of a lock that its owner enters again; `None` where that would take more than the
    /// owner has.
    pub(crate) fn again(held: Arc<Held>, mode: Mode) -> Option<Guard> {
        let owner = {
            let hold = held.hold.lock().unwrap_or_else(PoisonError::into_inner);
            if held.mode() == Mode::Shared && mode == Mode::Exclusive {
                return None;
            }
            hold.as_ref()?.owner().clone()
        };
        Some(Guard { held, owner })
    }

    /// Releases the lock, and says what went wrong. With re-entry, the last guard does.
    ///
    /// # Errors
    /// [`NotLocked`](UnlockError::NotLocked) or [`NotMyLock`](UnlockError::NotMyLock) when
    /// somebody has broken the lock while it was held, or when this is a forked child that has not
    /// adopted it; then nothing is removed.
    pub fn release(self) -> Result<(), UnlockError> {
        let Some(held) = Arc::into_inner(self.held) else { return Ok(()) };
        let Some(mut hold) = held.take() else { return Err(loss(&held.site, Lost::Gone)) };
        if held.is_inherited() {
            let mut error = loss(&held.site, Lost::Taken(Some(self.owner)));
            if let UnlockError::NotMyLock(loss) = &mut error {
                loss.inherited = true;
            }
            return Err(error);
        }
        hold.release().map_err(|lost| loss(&held.site, lost))
    }

    /// Whether the lock is still held: the lock file is the one that was made, and says so. It is
    /// until somebody breaks the lock; a lease, until it has lapsed.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let hold = self.held.hold.lock().unwrap_or_else(PoisonError::into_inner);
        !self.held.is_inherited() && hold.as_ref().is_some_and(|hold| hold.is_valid())
    }

    /// Whether this is a forked child's copy of a guard of its parent's, which has not been [adopted](Self::adopt) and
    /// holds nothing.
    #[must_use]
    pub fn is_inherited(&self) -> bool {
        self.held.is_inherited()
    }

    /// Of a lease: until when it can be trusted, if it is not touched again before. `None` for every other lock, which is
    /// held until it is released.
    #[must_use]
    pub fn valid_until(&self) -> Option<std::time::Instant> {
        self.held.hold.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.valid_until()
    }

    /// What is protected.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.held.site.path()
    }

    /// The lock file.
    #[must_use]
    pub fn lock_file(&self) -> &Path {
        self.held.site.lock_file()
    }

    /// Who holds it, as the record says: this process.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Whether others may hold the lock at the same time.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.held.mode()
    }

    /// A number that only grows from one exclusive holder of this lock to the next: a fencing token,
    /// for a store that refuses what comes with a smaller one. `None` where the scheme counts none.
    #[must_use]
    pub fn token(&self) -> Option<u64> {
        self.held.hold.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.token()
    }

    /// Which of the lock's slots it has, from zero, where it was acquired with
    /// [`slots`](crate::Lock::slots): the number of a device, say.
    #[must_use]
    pub fn slot(&self) -> Option<u32> {
        self.held.hold.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.slot()
    }

    /// The name of the scheme.
    #[must_use]
    pub fn scheme_name(&self) -> &str {
        &self.held.scheme
    }

    /// Makes a reader the writer, in one step: what it has read still holds. It never waits, for two
    /// readers that waited for each other to leave would wait for ever; of two that try, none or
    /// one gets it. Scheme ofd can do it, and sqlite.
    ///
    /// # Errors
    /// [`AlreadyLocked`](LockError::AlreadyLocked) while there are other readers; then this is still a reader.
    /// [`LockFailed`](LockError::LockFailed) where the scheme can't do it in one step, and another might come
    /// between: release it, acquire it as a writer, and read again. Also when a lock that was entered more
    /// than once has other guards, or is no longer held.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// let dir = tempfile::tempdir()?;
    /// let lock = pathlock::OfdLockFile::new(dir.path().join("index")).shared();
    /// let mut guard = lock.acquire()?;
    /// // … read, and find something that must be written …
    /// guard.try_upgrade()?;
    /// assert_eq!(guard.mode(), pathlock::Mode::Exclusive);
    /// guard.downgrade()?; // other readers may come in, and no writer has
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_upgrade(&mut self) -> Result<(), LockError> {
        self.convert(Mode::Exclusive)
    }

    /// Makes the writer a reader, in one step: no other writer comes between. Scheme ofd can do it, and sqlite.
    ///
    /// # Errors
    /// [`LockFailed`](LockError::LockFailed), as [`try_upgrade`](Self::try_upgrade).
    pub fn downgrade(&mut self) -> Result<(), LockError> {
        self.convert(Mode::Shared)
    }

    fn convert(&mut self, mode: Mode) -> Result<(), LockError> {
        let site = &self.held.site;
        let refused = |message: String| failed(site, Obstacle::new(FailureReason::Unsupported, message));
        let mut hold = self.held.hold.lock().unwrap_or_else(PoisonError::into_inner);
        // Who enters again has the lock from before it waits for the mutex.
        if Arc::strong_count(&self.held) > 1 {
            return Err(refused("it was entered more than once, and its guards have one mode".to_owned()));
        }
        if self.held.is_inherited() {
            return Err(refused("a forked child holds nothing that it has not adopted".to_owned()));
        }
        let Some(held) = hold.as_mut() else {
            return Err(failed(site, io::Error::from(io::ErrorKind::NotFound).into()));
        };
        if self.held.mode() == mode {
            return Ok(());
        }
        match held.convert(mode) {
            Ok(true) => {
                self.held.shared.store(mode == Mode::Shared, Ordering::Relaxed);
                Ok(())
            }
            Ok(false) => Err(LockError::AlreadyLocked(Box::new(Contention {
                path: site.path().to_owned(),
                lock_file: site.lock_file().to_owned(),
                status: Status::new(State::Held, None, "there are other readers"),
                waited: std::time::Duration::ZERO,
            }))),
            Err(Lost::Os(error)) if error.kind() == io::ErrorKind::Unsupported => Err(refused(format!(
                "scheme {} can't change the mode of a lock in one step, and another might get it in between: \
                 release it, acquire it anew, and look again at what was read; or use scheme ofd",
                self.held.scheme
            ))),
            Err(Lost::Os(error)) => Err(failed(site, error.into())),
            Err(Lost::Gone | Lost::Taken(_)) => {
                let gone = Obstacle::os(io::ErrorKind::NotFound.into());
                Err(failed(site, gone.saying("somebody has broken the lock")))
            }
        }
    }

    /// In a forked child: makes the child the owner. The record names it from now on, and its
    /// guard releases the lock. The parent [forgets](Self::forget) its own guard.
    ///
    /// It works for a child that has closed all its files, as daemons do, too; then the parent has to live
    /// until it has returned: of a dead parent's lock, others may have the proof already.
    ///
    /// # Errors
    /// When the lock is no longer held, when the parent has died and the lock file is not open any more, or
    /// when the record can't be rewritten.
    pub fn adopt(&mut self) -> Result<(), LockError> {
        let owner =
            Owner { command: Arc::clone(&self.owner.command), ..Owner::current(&self.owner.scheme, None) };
        let old = &self.held;
        let hold = old.hold.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut hold) = hold else {
            return Err(failed(&old.site, io::Error::from(io::ErrorKind::NotFound).into()));
        };
        if let Err(error) = hold.adopt(owner) {
            let site = old.site.clone();
            *old.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold);
            return Err(failed(&site, error.into()));
        }
        // The thread that forked has another name here.
        let by = Acquirer { thread: old.by.thread.map(|_| std::thread::current().id()), ..old.by };
        *self = Guard::new(hold, old.site.clone(), old.key.clone(), by, old.mode(), &old.scheme);
        Ok(())
    }

    /// In the parent of a child that has [adopted](Self::adopt) the lock: gives the guard up
    /// without releasing anything.
    pub fn forget(self) {
        drop(self.held.take());
    }

    /// Lets the lock outlast this process: the child that `command` starts inherits the open lock
    /// file, and the lock is held until both are gone, even if this process is killed. Releasing
    /// the guard still releases it at once, for both.
    ///
    /// A lock of scheme symlink has no open file; there the child is killed when this process dies
    /// (`PR_SET_PDEATHSIG`, see prctl(2)).
    ///
    /// # Errors
    /// When the process is out of file descriptors, or the system can do neither.
    ///
    /// ```
    /// let dir = tempfile::tempdir()?;
    /// let guard = pathlock::LockFile::new(dir.path().join("job")).acquire()?;
    /// let mut command = std::process::Command::new("true");
    /// guard.share_with(&mut command)?;
    /// assert!(command.status()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn share_with(&self, command: &mut Command) -> io::Result<()> {
        let files = self.try_clone_files()?;
        if files.is_empty() {
            return sys::die_with_parent(command);
        }
        files.into_iter().try_for_each(|file| sys::inherit(command, file))
    }

    /// Lets the child that `command` starts not outlast this process, which then need not
    /// [share](Self::share_with) the lock: the child is killed when this process dies
    /// (`PR_SET_PDEATHSIG`, see prctl(2)). What the child starts itself is not.
    ///
    /// # Errors
    /// When the system can't do it.
    pub fn tie(&self, command: &mut Command) -> io::Result<()> {
        sys::die_with_parent(command)
    }

    /// Duplicates of the open files that hold the lock, close-on-exec as all files here: one, or two for a
    /// slot of scheme mkdir. While they are open, in whatever process, the lock is held, unless the guard
    /// is released. None where the scheme has none, or the guard is no longer held.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn try_clone_files(&self) -> io::Result<Vec<File>> {
        let hold = self.held.hold.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(hold) = hold.as_ref() else { return Ok(Vec::new()) };
        let lock = hold.open_file();
        // Most schemes have their slots in the file that holds the lock.
        let other = |slots: &&File| !lock.is_some_and(|lock| same_file(lock, slots));
        let slots = hold.slot().and_then(|_| hold.slot_file()).filter(other);
        lock.into_iter().chain(slots).map(File::try_clone).collect()
    }
}

fn same_file(one: &File, other: &File) -> bool {
    matches!((sys::stat_of(one), sys::stat_of(other)), (Ok(one), Ok(other)) if one.id == other.id)
}

fn loss(site: &Site, lost: Lost) -> UnlockError {
    let loss = |owner, source| {
        let (path, lock_file) = (site.path().to_owned(), site.lock_file().to_owned());
        Box::new(Loss { path, lock_file, owner, inherited: false, source })
    };
    match lost {
        Lost::Gone => UnlockError::NotLocked(loss(None, None)),
        Lost::Taken(owner) => UnlockError::NotMyLock(loss(owner, None)),
        Lost::Os(error) => UnlockError::Failed(loss(None, Some(error))),
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("lock_file", &self.lock_file()).field("owner", &self.owner).finish()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
