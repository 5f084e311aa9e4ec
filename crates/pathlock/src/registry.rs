//! What this process holds: so that a thread which asks again for its own lock is told so instead
//! of waiting for itself, and so that an owner can enter again when it is allowed to.
//!
//! Invariant: an entry is there from after its lock was acquired until before it is released, in
//! the process that acquired it. A forked child starts with none: it holds nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

use crate::guard::Held;
use crate::mode::Ownership;
use crate::site::Key;
use crate::sys::ForkLocal;

#[derive(Debug)]
struct Entry {
    id: EntryId,
    by: Acquirer,
    held: Weak<Held>,
}

/// What an acquisition is removed by. Not by its address: a value that is released has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryId(u64);

impl EntryId {
    pub(crate) fn fresh() -> EntryId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        EntryId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A lock has one entry as a rule; one for each reader, and for each slot.
type Entries = BTreeMap<Key, Vec<Entry>>;

/// Who has acquired a lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acquirer {
    /// `None` for a future, which has no thread of its own.
    pub(crate) thread: Option<ThreadId>,
    pub(crate) ownership: Ownership,
}

fn entries() -> MutexGuard<'static, Entries> {
    static ENTRIES: ForkLocal<Mutex<Entries>> = ForkLocal::new();
    ENTRIES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
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
    entries().get(key)?.iter().find_map(|entry| {
        let same_thread = entry.by.thread == Some(me);
        let same_process = ownership == Ownership::Process && entry.by.ownership == Ownership::Process;
        if !same_thread && !same_process {
            return None;
        }
        Some(Mine { held: entry.held.upgrade()?, same_thread })
    })
}

pub(crate) fn add(id: EntryId, key: Key, by: Acquirer, held: Weak<Held>) {
    entries().entry(key).or_default().push(Entry { id, by, held });
}

/// Forgets the acquisition of `key` that was entered as `id`, which is being released.
pub(crate) fn remove(id: EntryId, key: &Key) {
    let mut entries = entries();
    let Some(of_lock) = entries.get_mut(key) else { return };
    of_lock.retain(|entry| entry.id != id);
    if of_lock.is_empty() {
        entries.remove(key);
    }
}

#[cfg(test)]
pub(crate) fn has(key: &Key) -> bool {
    entries().contains_key(key)
}
