//! Guards while Python programs have them.
//!
//! Invariant: whoever lets a guard go takes it out of its cell first, so it is let go once; and a guard that
//! is in its cell can be found by [`end`], for as long as the process lives that acquired it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pathlock::{Guard, LockError, UnlockError};
use pyo3::prelude::*;

use crate::{calls, errors};

/// How often this process has forked through Python.
static FORKS: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);
/// A forked child starts with its parent's, which release nothing there.
static ALL: Mutex<Option<HashMap<u64, Weak<Held>>>> = Mutex::new(None);

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One acquisition, shared by the lock and the guard that Python sees.
#[derive(Debug)]
pub(crate) struct Held {
    guard: Mutex<Option<Guard>>,
    id: u64,
    /// After how many forks it was acquired or adopted.
    forks: AtomicU64,
}

impl Held {
    pub(crate) fn new(guard: Guard) -> Arc<Held> {
        let held = Arc::new(Held {
            guard: Mutex::new(Some(guard)),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            forks: AtomicU64::new(FORKS.load(Ordering::Relaxed)),
        });
        lock(&ALL).get_or_insert_default().insert(held.id, Arc::downgrade(&held));
        held
    }

    /// The guard, to be let go; `None` when somebody has taken it.
    pub(crate) fn take(&self) -> Option<Guard> {
        let guard = lock(&self.guard).take();
        if guard.is_some() {
            self.forget();
        }
        guard
    }

    fn forget(&self) {
        if let Some(all) = lock(&ALL).as_mut() {
            all.remove(&self.id);
        }
    }

    /// Does something with the guard, if it is still there.
    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut Guard) -> T) -> Option<T> {
        lock(&self.guard).as_mut().map(use_it)
    }

    pub(crate) fn is_there(&self) -> bool {
        lock(&self.guard).is_some()
    }

    /// Whether it was acquired by the process that has forked this one.
    pub(crate) fn is_inherited(&self) -> bool {
        self.with(|guard| guard.is_inherited()).unwrap_or(false)
    }

    /// In a forked child: makes it the owner; `None` when there is nothing to own.
    pub(crate) fn adopt(&self) -> Option<Result<(), LockError>> {
        let adopted = self.with(Guard::adopt)?;
        if adopted.is_ok() {
            self.forks.store(FORKS.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Some(adopted)
    }

    /// Lets go at the end of a `with` block. What was released inside of it has nothing more to release, and a
    /// forked child that comes out of it has nothing of its parent's.
    pub(crate) fn leave(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_inherited() {
            return Ok(());
        }
        let released = self.release(py).unwrap_or(Ok(()));
        released.map_err(|error| errors::unlock_error(py, &error))
    }

    /// Lets go; `None` when there is nothing to let go.
    pub(crate) fn release(&self, py: Python<'_>) -> Option<Result<(), UnlockError>> {
        let guard = self.take()?;
        Some(py.detach(|| guard.release()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The guard itself is dropped after this.
        self.forget();
    }
}

/// In the parent, after a fork through Python: what is held now may be meant for the child.
#[pyfunction]
#[pyo3(name = "_has_forked")]
pub(crate) fn has_forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// When the interpreter ends: lets go what is still held; not what was held at a fork, which may be meant for
/// the child.
#[pyfunction]
#[pyo3(name = "_end")]
pub(crate) fn end(py: Python<'_>) {
    calls::end(py);
    let forks = FORKS.load(Ordering::Relaxed);
    let all: Vec<Arc<Held>> = match lock(&ALL).as_ref() {
        Some(all) => all.values().filter_map(Weak::upgrade).collect(),
        None => return,
    };
    for held in all.iter().filter(|held| !held.is_inherited()) {
        if held.forks.load(Ordering::Relaxed) == forks {
            // There is nobody left to tell.
            let _ = held.release(py);
        } else if let Some(guard) = held.take() {
            // Or else it would be released when its object goes, as all do in the end.
            guard.forget();
        }
    }
}
