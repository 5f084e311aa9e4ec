//! `pathlock.Guard`: the proof that a lock is held.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

use pathlock::Mode;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::held::Held;
use crate::lock::Lock;
use crate::{errors, info};

/// The proof that a lock is held: what `Lock.acquire` returns.
///
/// Leaving its `with` block releases the lock. A guard that is thrown away releases nothing: the lock
/// object holds it, until it is released or collected.
#[pyclass(module = "pathlock", frozen, weakref)]
pub(crate) struct Guard {
    held: Arc<Held>,
    lock: Py<Lock>,
}

impl Guard {
    pub(crate) fn new(guard: pathlock::Guard, lock: Py<Lock>) -> Guard {
        Guard { held: Held::new(guard), lock }
    }

    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.held
    }

    /// Does something with the guard; an error when it was released.
    fn with<T>(&self, py: Python<'_>, use_it: impl FnOnce(&mut pathlock::Guard) -> T) -> PyResult<T> {
        self.held.with(use_it).ok_or_else(|| self.gone(py))
    }

    fn gone(&self, py: Python<'_>) -> PyErr {
        let lock = self.lock.get().handle();
        errors::holds_nothing(py, lock.path(), lock.lock_file())
    }
}

#[pymethods]
impl Guard {
    /// Releases the lock.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let released = self.held.release(py).ok_or_else(|| self.gone(py))?;
        released.map_err(|error| errors::unlock_error(py, &error))
    }

    fn __enter__(slf: Py<Guard>) -> Py<Guard> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.held.leave(py)
    }

    /// Whether the lock is still held: nobody has broken it, and a lease has not lapsed.
    #[getter]
    fn valid(&self) -> bool {
        self.held.with(|guard| guard.is_valid()).unwrap_or(false)
    }

    /// Whether this is a forked child's copy of what its parent has acquired: it does nothing until it is adopted.
    #[getter]
    fn inherited(&self) -> bool {
        self.held.is_inherited()
    }

    /// Of a lease: for how many seconds it can still be trusted. None for every other lock.
    #[getter]
    fn valid_until(&self) -> Option<f64> {
        let until = self.held.with(|guard| guard.valid_until())??;
        Some(until.saturating_duration_since(Instant::now()).as_secs_f64())
    }

    /// Who holds the lock, as its record says.
    #[getter]
    fn owner<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let owner = self.with(py, |guard| guard.owner().clone())?;
        info::owner(py, &owner)
    }

    /// The fencing token; None where the scheme counts none.
    #[getter]
    fn token(&self) -> Option<u64> {
        self.held.with(|guard| guard.token()).flatten()
    }

    /// Which of the lock's slots it is, from zero; None for a lock without.
    #[getter]
    fn slot(&self) -> Option<u32> {
        self.held.with(|guard| guard.slot()).flatten()
    }

    /// "exclusive" or "shared".
    #[getter]
    fn mode(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.with(py, |guard| guard.mode().name())
    }

    /// What is protected, as an absolute path.
    #[getter]
    fn path(&self) -> OsString {
        self.lock.get().handle().path().as_os_str().to_owned()
    }

    /// The lock file, as an absolute path.
    #[getter]
    fn lock_file(&self) -> OsString {
        self.lock.get().handle().lock_file().as_os_str().to_owned()
    }

    /// Makes a reader the writer, in one step and without waiting: schemes ofd and sqlite.
    fn upgrade(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, pathlock::Guard::try_upgrade)?.map_err(|error| errors::lock_error(py, &error))
    }

    /// Makes the writer a reader, in one step: schemes ofd and sqlite.
    fn downgrade(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, pathlock::Guard::downgrade)?.map_err(|error| errors::lock_error(py, &error))
    }

    /// In a forked child, while its parent lives: makes the child the owner.
    fn adopt(&self, py: Python<'_>) -> PyResult<()> {
        let adopted = self.held.adopt().ok_or_else(|| self.gone(py))?;
        adopted.map_err(|error| errors::lock_error(py, &error))
    }

    /// In the parent of a child that has adopted the lock: gives it up, and releases nothing.
    fn forget(&self) {
        if let Some(guard) = self.held.take() {
            guard.forget();
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.lock)
    }

    fn __repr__(&self) -> String {
        let path = self.lock.get().handle().path().to_string_lossy();
        match self.held.with(|guard| guard.mode()) {
            Some(Mode::Exclusive) => format!("<pathlock.Guard of {path:?}>"),
            Some(Mode::Shared) => format!("<pathlock.Guard of {path:?}, shared>"),
            None => format!("<pathlock.Guard of {path:?}, released>"),
        }
    }
}
