//! What this process holds: so that a thread which asks again for its own lock is told so instead
//! of waiting for itself, and so that an owner can enter again when it is allowed to.
//!
//! Invariant: an entry is there from after its lock was acquired until before it is released, in
//! the process that acquired it. A forked child starts with none: it holds nothing.

use std::sync::{Mutex, PoisonError, Weak};
use std::thread::{self, ThreadId};

use crate::guard::Held;
use crate::mode::Ownership;
use crate::site::Key;
use crate::sys::ForkLocal;

#[derive(Debug)]
struct Entry {
    key: Key,
    by: Acquirer,
    held: Weak<Held>,
}

/// Who has acquired a lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acquirer {
    /// `None` for a future, which has no thread of its own.
    pub(crate) thread: Option<ThreadId>,
    pub(crate) ownership: Ownership,
}

fn entries() -> &'static Mutex<Vec<Entry>> {
    static ENTRIES: ForkLocal<Mutex<Vec<Entry>>> = ForkLocal::new();
    ENTRIES.get_or_init(Mutex::default)
}

/// Whom a holder is to one that asks.
#[derive(Debug)]
pub(crate) struct Mine {
    pub(crate) held: std::sync::Arc<Held>,
    /// It was acquired by the very thread that asks.
    pub(crate) same_thread: bool,
}

/// Who of this process holds the lock, if it is an owner the asking thread is.
pub(crate) fn find(key: &Key, ownership: Ownership) -> Option<Mine> {
    let me = thread::current().id();
    let entries = entries().lock().unwrap_or_else(PoisonError::into_inner);
    entries.iter().filter(|entry| entry.key == *key).find_map(|entry| {
        let same_thread = entry.by.thread == Some(me);
        let same_process = ownership == Ownership::Process && entry.by.ownership == Ownership::Process;
        if !same_thread && !same_process {
            return None;
        }
        Some(Mine { held: entry.held.upgrade()?, same_thread })
    })
}

pub(crate) fn add(key: Key, by: Acquirer, held: Weak<Held>) {
    let entry = Entry { key, by, held };
    entries().lock().unwrap_or_else(PoisonError::into_inner).push(entry);
}

/// Forgets what `held`, which is being released, was entered as.
pub(crate) fn remove(held: *const Held) {
    entries()
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|entry| !std::ptr::eq(entry.held.as_ptr(), held));
}
