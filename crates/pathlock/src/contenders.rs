//! Who has a lock's file open for it: what the kernel itself says, whatever a record says.

use crate::scheme::WAITING;
use crate::sys;

/// A process that holds a lock, or waits for one, as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contender {
    pub(crate) pid: u32,
    pub(crate) command: String,
}

impl Contender {
    /// The process id, in this process's own pid namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its command line, from `/proc/PID/cmdline`; empty when it may not be read.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }
}

/// The processes that have a lock, and those that wait for it, as the kernel shows them.
///
/// Not all of them can be seen: another user's processes are visible to root alone, those of other
/// pid namespaces to nobody here, and on systems other than Linux none are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contenders {
    pub(crate) holders: Vec<Contender>,
    pub(crate) waiters: Vec<Contender>,
}

impl Contenders {
    /// Who has an open file that holds the kernel's lock: the owner, and every process that has
    /// inherited the lock from it. In the order of their pids.
    #[must_use]
    pub fn holders(&self) -> &[Contender] {
        &self.holders
    }

    /// Who waits in the kernel's queue for the lock, or has announced that it does. In the order of
    /// their pids, which is not that of the queue.
    #[must_use]
    pub fn waiters(&self) -> &[Contender] {
        &self.waiters
    }
}

/// Who contends for the inode's lock of this kind.
pub(crate) fn of(inode: sys::FileId, ranged: bool) -> Contenders {
    let mut found = sys::contenders(inode, ranged, WAITING);
    for list in [&mut found.holders, &mut found.waiters] {
        list.sort();
        list.dedup();
    }
    // Who holds and is still announced has just got the lock.
    found.waiters.retain(|waiter| !found.holders.contains(waiter));
    found
}
