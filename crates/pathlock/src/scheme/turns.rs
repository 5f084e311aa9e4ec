//! How readers and writers that wait take turns.
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
//! The bytes are those of a file that all of them have open: the lock file, or the file with the record in a
//! lock's directory.
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
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::breaking::{ANNOUNCED, READERS, STAGED, WAITING, others_have};
use crate::mode::Mode;
use crate::sys::{self, Range};

/// Whether others wait whom a newcomer must not overtake.
pub(super) fn is_behind(file: &File, mode: Mode) -> bool {
    others_have(file, if mode == Mode::Shared { ANNOUNCED } else { WAITING })
}

/// One waiter's turn.
#[derive(Debug)]
pub(super) struct Turn {
    mode: Mode,
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

impl Stand {
    fn byte(&self, mode: Mode) -> Range {
        match (mode, self.passed) {
            (Mode::Shared, _) => READERS,
            (Mode::Exclusive, true) => ANNOUNCED,
            (Mode::Exclusive, false) => STAGED,
        }
    }
}

impl Turn {
    pub(super) fn new(file: &File, mode: Mode) -> Turn {
        let passed = mode == Mode::Shared || !others_have(file, READERS);
        Turn { mode, stand: Mutex::new(Stand { passed, left: false, taken: false }) }
    }

    /// Nobody panics with it locked; if one did, it would still be whole.
    fn stand(&self) -> MutexGuard<'_, Stand> {
        self.stand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn join(&self, file: &File) {
        let mut stand = self.stand();
        stand.left = false;
        let _ = sys::range_try(file, stand.byte(self.mode), Mode::Shared);
    }

    /// Says whether the lock was there for the asking.
    pub(super) fn set_taken(&self, taken: bool) {
        self.stand().taken = taken;
    }

    /// Waits for all that comes before the lock itself; `false` when the lock is ours already.
    pub(super) fn await_lock(&self, file: &File) -> bool {
        // Whoever waits for others must not have what they wait for.
        if std::mem::take(&mut self.stand().taken) {
            return false;
        }
        if !self.stand().passed {
            outwait(file, READERS);
            self.stand().passed = true;
        }
        self.announce(file);
        if self.mode == Mode::Shared {
            outwait(file, ANNOUNCED);
        }
        true
    }

    /// Announces this waiter, where [`join`](Self::join) could not: who outwaits a byte has it for a moment.
    fn announce(&self, file: &File) {
        let byte = self.stand().byte(self.mode);
        let _ = sys::range_wait(file, byte, Mode::Shared);
        // Who leaves says so before it withdraws: one of the two sees to it.
        if self.stand().left {
            withdraw(file);
        }
    }

    pub(super) fn leave(&self, file: &File) {
        self.stand().left = true;
        withdraw(file);
    }
}

/// Has waited long enough: the turn has come.
pub(super) fn withdraw(file: &File) {
    let _ = sys::range_unlock(file, WAITING);
}

/// Waits until nobody else has `byte`.
fn outwait(file: &File, byte: Range) {
    if sys::range_wait(file, byte, Mode::Exclusive).is_ok() {
        let _ = sys::range_unlock(file, byte);
    }
}
