//! A place in the queue of a kernel lock, for readers and writers. How they take turns is in the module
//! `turns`.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::{KernelLock, Target, held_status, open, settle};
use crate::error::Obstacle;
use crate::mode::Mode;
use crate::recover;
use crate::scheme::turns::{Turn, is_behind, withdraw};
use crate::scheme::{Attempt, Queue, QueueKey, Request, Waiter};
use crate::site::Site;
use crate::status::Status;
use crate::sys::{self, Filesystem};

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
    turn: Turn,
}

impl<K: KernelLock> KernelQueue<K> {
    pub(super) fn waiter(lock: K, request: &Request<'_>, target: &Arc<Target>) -> Waiter {
        let queue = KernelQueue {
            lock,
            mode: request.mode,
            site: request.site.clone(),
            target: Arc::clone(target),
            turn: Turn::new(&target.file, request.mode),
        };
        queue.join();
        Waiter::queue(queue)
    }
}

impl<K: KernelLock> Queue for KernelQueue<K> {
    fn key(&self) -> QueueKey {
        QueueKey { inode: self.target.id, ranged: !K::READ_ONLY, mode: self.mode }
    }

    fn join(&self) {
        self.turn.join(&self.target.file);
    }

    fn give_way(&self) -> io::Result<bool> {
        let courtesy = give_way(self.lock, &self.target.file, self.mode)?;
        self.turn.set_taken(courtesy == Courtesy::Taken);
        Ok(courtesy == Courtesy::GaveWay)
    }

    fn block(&self) -> io::Result<()> {
        if !self.turn.await_lock(&self.target.file) {
            return Ok(());
        }
        self.lock.wait(&self.target.file, self.mode)
    }

    fn claim(&self, request: &Request<'_>) -> Result<Option<Attempt>, Obstacle> {
        withdraw(&self.target.file);
        // The wait may have been long, and this process have closed all its files meanwhile.
        if !sys::is_still(&self.target.file, self.target.id) {
            return Ok(None);
        }
        settle(self.lock, request, &self.target, Filesystem::Local, None)
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
        self.turn.leave(&self.target.file);
        // The same open file as in `block`: this succeeds when that has, or when the lock is free.
        if self.lock.try_lock(&self.target.file, self.mode).unwrap_or(false) {
            let _ = self.lock.unlock(&self.target.file);
        }
    }
}
