//! The lock file that a handle keeps open from one acquisition to the next, with no lock on it. To open and to close it
//! is a quarter of a cycle.
//!
//! # Invariant
//!
//! *What is won on a kept file is this process's alone.* An open file is shared by all processes that have inherited it:
//! a lock that one of them wins is the lock of all, and stays when that one is killed. So a file is kept, and a kept
//! file is used, only if since before it was opened
//!
//! - this process has not forked ([`sys::forks`]), and is still the same;
//! - nobody has been given it, to duplicate it or to have a child inherit it ([`Hold::open_file`](super::super::Hold)).
//!
//! A forked child has a copy of a file that was kept; but the parent closes its own at the next
//! acquisition and opens another, and so does the child. Nothing is ever locked again by way of the copy, which is open
//! until the child drops its copy of the handle, runs another program, or ends. What `sys::forks` does not count is
//! children by a bare clone(2) which run on in this program: these keep the parent's next lock held after the parent was
//! killed, as any child does that was forked while the lock was held.
//!
//! Two more things are not taken for granted. *The number* may be another file's, if the program has closed all files,
//! as daemons do: it is looked at before every use, and such a number is not ours to close. *The path* may name
//! another file by now: that is seen after winning, as after every win; and that somebody has the lock of a kept file
//! says nothing, so the attempt is then made again on the file that the path names.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Target;
use crate::sys;

/// A process keeps no more open than this: it may have many handles, and few files to open.
const MOST: usize = 64;
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Where and when a file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Birth {
    process: u32,
    forks: usize,
}

impl Birth {
    /// Of what will be opened now; `None` where it can't be kept.
    pub(super) fn now() -> Option<Birth> {
        Some(Birth { process: sys::process_id(), forks: sys::forks()? })
    }
}

/// The place in a handle, and in its clones, for one file.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Nobody waits for it: in a forked child it may be locked for ever.
    file: Mutex<Option<Idle>>,
    /// Whether the last attempt has found no lock file, of the schemes that keep none.
    was_absent: AtomicBool,
}

#[derive(Debug)]
struct Idle {
    target: Option<Target>,
    birth: Birth,
}

impl Drop for Idle {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
        if let Some(target) = self.target.take()
            && !sys::is_still(&target.file, target.id)
        {
            sys::abandon(target.file);
        }
    }
}

impl Kept {
    pub(in crate::scheme) fn was_absent(&self) -> bool {
        self.was_absent.load(Ordering::Relaxed)
    }

    pub(in crate::scheme) fn set_absent(&self, absent: bool) {
        self.was_absent.store(absent, Ordering::Relaxed);
    }

    /// The file, if it may be used. It is no longer here then.
    pub(super) fn take(&self) -> Option<(Target, Birth)> {
        let mut idle = self.file.try_lock().ok()?.take()?;
        let is_ours = Birth::now() == Some(idle.birth);
        let usable = |target: &Target| is_ours && sys::is_still(&target.file, target.id);
        if !idle.target.as_ref().is_some_and(usable) {
            return None;
        }
        Some((idle.target.take()?, idle.birth))
    }

    /// Keeps a file that was opened at `birth`, and which nobody else has been given since; or closes it.
    pub(super) fn put(&self, target: Target, birth: Birth) {
        if Birth::now() != Some(birth) {
            return;
        }
        let Ok(mut place) = self.file.try_lock() else { return };
        if place.is_some() || COUNT.load(Ordering::Relaxed) >= MOST {
            return;
        }
        COUNT.fetch_add(1, Ordering::Relaxed);
        *place = Some(Idle { target: Some(Target { made: false, ..target }), birth });
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
