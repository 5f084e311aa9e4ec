//! A place in the queue of a kernel lock, for readers and writers.
//!
//! The kernel lets a reader in beside readers, whoever waits: readers that overlap would keep a writer out
//! for ever. And if readers simply stood back for writers, writers would do so to them. So the two take
//! turns:
//!
//! - A reader that would wait says so by a byte ([`READERS`]), and first waits until no writer is
//!   announced.
//! - A writer that would wait first waits until no reader is, and then announces itself
//!   ([`ANNOUNCED`]); until then it has a byte that keeps nobody back ([`STAGED`]).
//!
//! # Invariant
//!
//! *Whoever waits, waits for those alone who came before.* A writer that is announced waits for the lock
//! only, and so for its holders, who wait for nothing. A reader waits for the announced writers; while it
//! does no other writer becomes one, but those that were just about to. A writer waits for the
//! readers that wait; while no writer is announced, a reader that comes takes the lock from readers at
//! once, and does not wait.
//!
//! Whatever of this fails (an exclusive lock of a byte needs a file that may be written), one is
//! overtaken: the kernel excludes all the same.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{KernelLock, Target, held_status, open, settle};
use crate::error::Obstacle;
use crate::mode::Mode;
use crate::recover;
use crate::scheme::breaking::{ANNOUNCED, READERS, STAGED, WAITING, others_have};
use crate::scheme::{Attempt, Queue, QueueKey, Request, Waiter};
use crate::site::Site;
use crate::status::Status;
use crate::sys::{self, Filesystem, Range};

/// Whether others wait whom a newcomer must not overtake.
pub(super) fn is_behind(file: &File, mode: Mode) -> bool {
    others_have(file, if mode == Mode::Shared { ANNOUNCED } else { WAITING })
}

/// What came of giving way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scheme) enum Courtesy {
    /// The lock was there for the asking while others wait, and was given back.
    GaveWay,
    /// It was there, and is ours.
    Taken,
    /// It was not.
    Busy,
}

pub(in crate::scheme) fn give_way(lock: impl KernelLock, file: &File, mode: Mode) -> io::Result<Courtesy> {
    if !lock.try_lock(file, mode)? {
        return Ok(Courtesy::Busy);
    }
    if !is_behind(file, mode) {
        return Ok(Courtesy::Taken);
    }
    lock.unlock(file)?;
    Ok(Courtesy::GaveWay)
}

#[derive(Debug)]
pub(super) struct KernelQueue<K> {
    lock: K,
    mode: Mode,
    site: Site,
    target: Arc<Target>,
    stand: Mutex<Stand>,
}

/// How far a waiter has come.
#[derive(Debug)]
struct Stand {
    /// Whether the readers that were before this writer have had their turn.
    passed: bool,
    /// Whether nobody waits any more.
    left: bool,
    /// Whether the lock was there for the asking: then there is nobody to wait for.
    taken: bool,
}

impl<K: KernelLock> KernelQueue<K> {
    pub(super) fn waiter(lock: K, request: &Request<'_>, target: &Arc<Target>) -> Waiter {
        let passed = request.mode == Mode::Shared || !others_have(&target.file, READERS);
        let queue = KernelQueue {
            lock,
            mode: request.mode,
            site: request.site.clone(),
            target: Arc::clone(target),
            stand: Mutex::new(Stand { passed, left: false, taken: false }),
        };
        queue.join();
        Waiter::queue(queue)
    }

    /// Nobody panics with it locked; if one did, it would still be whole.
    fn stand(&self) -> MutexGuard<'_, Stand> {
        self.stand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn byte(&self, stand: &Stand) -> Range {
        match (self.mode, stand.passed) {
            (Mode::Shared, _) => READERS,
            (Mode::Exclusive, true) => ANNOUNCED,
            (Mode::Exclusive, false) => STAGED,
        }
    }

    fn withdraw(&self) {
        let _ = sys::range_unlock(&self.target.file, WAITING);
    }

    /// Waits until nobody else has `byte`.
    fn outwait(&self, byte: Range) {
        if sys::range_wait(&self.target.file, byte, Mode::Exclusive).is_ok() {
            let _ = sys::range_unlock(&self.target.file, byte);
        }
    }

    /// Announces this waiter, where [`join`](Queue::join) could not: who outwaits a byte has it for a moment.
    fn announce(&self) {
        let byte = self.byte(&self.stand());
        let _ = sys::range_wait(&self.target.file, byte, Mode::Shared);
        // Who leaves says so before it withdraws: one of the two sees to it.
        if self.stand().left {
            self.withdraw();
        }
    }
}

impl<K: KernelLock> Queue for KernelQueue<K> {
    fn key(&self) -> QueueKey {
        QueueKey { inode: self.target.id, ranged: !K::READ_ONLY, mode: self.mode }
    }

    fn join(&self) {
        let mut stand = self.stand();
        stand.left = false;
        let _ = sys::range_try(&self.target.file, self.byte(&stand), Mode::Shared);
    }

    fn give_way(&self) -> io::Result<bool> {
        let courtesy = give_way(self.lock, &self.target.file, self.mode)?;
        self.stand().taken = courtesy == Courtesy::Taken;
        Ok(courtesy == Courtesy::GaveWay)
    }

    fn block(&self) -> io::Result<()> {
        // Whoever waits for others must not have what they wait for.
        if std::mem::take(&mut self.stand().taken) {
            return Ok(());
        }
        if !self.stand().passed {
            self.outwait(READERS);
            self.stand().passed = true;
        }
        self.announce();
        if self.mode == Mode::Shared {
            self.outwait(ANNOUNCED);
        }
        self.lock.wait(&self.target.file, self.mode)
    }

    fn claim(&self, request: &Request<'_>) -> Result<Option<Attempt>, Obstacle> {
        self.withdraw();
        settle(self.lock, request, &self.target, Filesystem::Local)
    }

    fn look(&self) -> Option<Status> {
        let current = recover::still_names(&self.site, &self.target.file).unwrap_or(false);
        // Through another open file: a look through ours could give up what `block` has just won.
        let other = open(self.site.lock_file()).ok().flatten();
        let held_as = other.and_then(|other| self.lock.held_as(&other.file).ok().flatten());
        current.then(|| held_status(&self.target, held_as.unwrap_or_default()))
    }

    fn has_turn(&self) -> io::Result<bool> {
        self.lock.try_lock(&self.target.file, self.mode)
    }

    fn leave(&self) {
        self.stand().left = true;
        self.withdraw();
        // The same open file as in `block`: this succeeds when that has, or when the lock is free.
        if self.lock.try_lock(&self.target.file, self.mode).unwrap_or(false) {
            let _ = self.lock.unlock(&self.target.file);
        }
    }
}
