//! The library's errors as Python's exceptions, which `pathlock/_errors.py` defines.

use std::io;

use pathlock::{FailureReason, LockError, Owner, UnlockError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::info::{self, Look};

fn raise(
    py: Python<'_>,
    class: &str,
    message: String,
    fill: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>,
) -> PyErr {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let build = || {
        let module =
            MODULE.get_or_try_init(py, || PyModule::import(py, "pathlock._errors").map(Bound::unbind))?;
        let fields = PyDict::new(py);
        fill(&fields)?;
        module.bind(py).getattr(class)?.call((message,), Some(&fields))
    };
    match build() {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// A lock that was not acquired.
pub(crate) fn lock_error(py: Python<'_>, error: &LockError) -> PyErr {
    let message = error.to_string();
    let (class, lock_file, waited, reason) = match error {
        LockError::LockTimeout(busy) => ("LockTimeout", busy.lock_file(), Some(busy.waited()), None),
        LockError::AlreadyLocked(busy) => ("AlreadyLocked", busy.lock_file(), Some(busy.waited()), None),
        LockError::LockFailed(failure) => ("LockFailed", failure.lock_file(), None, Some(failure.reason())),
    };
    raise(py, class, message, |fields| {
        fields.set_item("path", error.path().as_os_str())?;
        fields.set_item("lock_file", lock_file.as_os_str())?;
        if let Some(waited) = waited {
            fields.set_item("waited", waited.as_secs_f64())?;
        }
        if let Some(reason) = reason {
            fields.set_item("reason", word(reason))?;
        }
        if let LockError::LockTimeout(busy) | LockError::AlreadyLocked(busy) = error {
            fields.set_item("_seen", Bound::new(py, Look(busy.status().clone()))?)?;
        }
        about(fields, error.owner(), error.io_error())
    })
}

/// A lock that was not released.
pub(crate) fn unlock_error(py: Python<'_>, error: &UnlockError) -> PyErr {
    let class = match error {
        UnlockError::NotLocked(_) => "NotLocked",
        UnlockError::NotMyLock(_) => "NotMyLock",
        UnlockError::Failed(_) => "UnlockError",
    };
    let loss = error.loss();
    raise(py, class, error.to_string(), |fields| {
        fields.set_item("path", loss.path().as_os_str())?;
        fields.set_item("lock_file", loss.lock_file().as_os_str())?;
        about(fields, loss.owner(), loss.io_error())
    })
}

/// There is nothing to release.
pub(crate) fn holds_nothing(py: Python<'_>, path: &std::path::Path, lock_file: &std::path::Path) -> PyErr {
    let message = format!(
        "the lock of {} can't be released: it was not acquired through this object, or is released already",
        path.display()
    );
    raise(py, "NotLocked", message, |fields| {
        fields.set_item("path", path.as_os_str())?;
        fields.set_item("lock_file", lock_file.as_os_str())
    })
}

fn about(fields: &Bound<'_, PyDict>, owner: Option<&Owner>, error: Option<&io::Error>) -> PyResult<()> {
    if let Some(owner) = owner {
        fields.set_item("owner", info::owner(fields.py(), owner)?)?;
    }
    if let Some(number) = error.and_then(io::Error::raw_os_error) {
        fields.set_item("errno", number)?;
    }
    Ok(())
}

fn word(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::Cancelled => "cancelled",
        FailureReason::Interrupted => "interrupted",
        FailureReason::WouldDeadlock => "would-deadlock",
        FailureReason::Unsupported => "unsupported",
        FailureReason::NotALockFile => "not-a-lock-file",
        FailureReason::BadPath => "bad-path",
        _ => "os",
    }
}
