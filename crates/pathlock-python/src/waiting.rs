//! What Python programs are asked and told during a wait: whether a signal ends it, and whom it is for.
//!
//! Whatever is raised meanwhile ends the wait, and is raised by the call that waited.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use pathlock::{AnyLockFile, CancelToken, LockError, WaitEvent};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyWeakrefMethods, PyWeakrefReference};

use crate::lock::Lock;
use crate::{calls, errors, held, info};

thread_local! {
    /// What a signal handler has raised in the wait of this thread.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// `lock`, whose waits in the main thread end with what a signal handler raises: `KeyboardInterrupt`.
pub(crate) fn heeding_signals(lock: AnyLockFile) -> AnyLockFile {
    lock.on_interrupt(|| match calls::attach(|py| py.check_signals()) {
        Some(Err(error)) => {
            RAISED.set(Some(error));
            ControlFlow::Break(())
        }
        Some(Ok(())) | None => ControlFlow::Continue(()),
    })
}

/// What a wait of a Python program ended with, as an exception.
pub(crate) fn raised(py: Python<'_>, error: &LockError) -> PyErr {
    RAISED.take().unwrap_or_else(|| errors::lock_error(py, error))
}

/// What `told`, an `on_wait` that has raised, ends a wait with; and what a signal handler has raised besides is not
/// left for a later wait.
pub(crate) fn raised_by(py: Python<'_>, told: PyErr) -> PyErr {
    let Some(interrupt) = RAISED.take() else { return told };
    // As Python has it for an exception that is raised while another is handled.
    match interrupt.value(py).setattr("__context__", told.value(py)) {
        Ok(()) => interrupt,
        Err(error) => error,
    }
}

/// A caller's `on_wait`, for one acquisition.
#[derive(Debug, Clone)]
pub(crate) struct Ear {
    token: CancelToken,
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl Ear {
    /// `lock`, which tells `on_wait` whom it waits for.
    pub(crate) fn listen(lock: AnyLockFile, on_wait: Py<PyAny>) -> PyResult<(AnyLockFile, Ear)> {
        let ear = Ear { token: CancelToken::new()?, raised: Arc::default() };
        let told = ear.clone();
        let lock = lock.cancel_token(ear.token.clone()).on_wait(move |seen| {
            let outcome = calls::attach(|py| on_wait.call1(py, (event(py, seen)?,)).map(drop));
            if let Some(Err(error)) = outcome {
                *held::lock(&told.raised) = Some(error);
                told.token.cancel();
            }
        });
        Ok((lock, ear))
    }

    /// What `on_wait` has raised.
    pub(crate) fn raised(&self) -> Option<PyErr> {
        held::lock(&self.raised).take()
    }
}

fn event<'py>(py: Python<'py>, seen: &WaitEvent<'_>) -> PyResult<Bound<'py, PyAny>> {
    static EVENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let fields = PyDict::new(py);
    fields.set_item("path", seen.path.as_os_str())?;
    fields.set_item("lock_file", seen.lock_file.as_os_str())?;
    fields.set_item("owner", seen.owner.map(|owner| info::owner(py, owner)).transpose()?)?;
    fields.set_item("detail", seen.detail)?;
    fields.set_item("waited", seen.waited.as_secs_f64())?;
    let left = seen.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    fields.set_item("deadline_in", left.map(|left| left.as_secs_f64()))?;
    EVENT.import(py, "pathlock._info", "WaitEvent")?.call((), Some(&fields))
}

/// `lock`, which tells the `on_lost` of `whose` that its lease is lost. That is not kept alive by its own lease.
pub(crate) fn telling_of_loss(lock: AnyLockFile, whose: Py<PyWeakrefReference>) -> AnyLockFile {
    lock.on_lost(move || {
        calls::attach(|py| {
            let Some(lock) = whose.bind(py).upgrade() else { return };
            let Ok(lock) = lock.cast::<Lock>() else { return };
            let Some(on_lost) = lock.get().on_lost() else { return };
            if let Err(error) = on_lost.call0(py) {
                // It is called in a thread of the library's, where nobody can catch it.
                error.write_unraisable(py, Some(on_lost.bind(py)));
            }
        });
    })
}
