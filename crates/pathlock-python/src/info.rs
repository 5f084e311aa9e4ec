//! Owners and looks at locks as Python's dataclasses, which `pathlock/_info.py` defines.

use std::time::UNIX_EPOCH;

use pathlock::{AnyLockFile, Liveness, LockError, Owner, State, Status};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::errors;

fn class<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    cell.import(py, "pathlock._info", name).cloned()
}

/// A `pathlock.Owner`.
pub(crate) fn owner<'py>(py: Python<'py>, owner: &Owner) -> PyResult<Bound<'py, PyAny>> {
    static OWNER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let fields = PyDict::new(py);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    fields.set_item("pid", owner.pid())?;
    fields.set_item("host", text(owner.host()))?;
    fields.set_item("command", text(owner.command()))?;
    fields.set_item("scheme", text(owner.scheme()))?;
    fields.set_item("start_time", owner.start_time())?;
    fields.set_item("thread", owner.thread())?;
    fields.set_item("user", owner.user())?;
    fields.set_item("boot_id", owner.boot_id())?;
    let since = owner.since().and_then(|since| since.duration_since(UNIX_EPOCH).ok());
    fields.set_item("_since", since.map(|since| since.as_secs_f64()))?;
    let alive = match owner.liveness() {
        Liveness::Alive => Some(true),
        Liveness::Dead => Some(false),
        Liveness::Unknown => None,
    };
    fields.set_item("alive", alive)?;
    class(py, &OWNER, "_owner")?.call((), Some(&fields))
}

/// What a look at a lock has shown, for whoever then breaks that lock and no other.
#[pyclass(module = "pathlock._pathlock", frozen)]
pub(crate) struct Look(pub(crate) Status);

#[pymethods]
impl Look {
    /// Whether the lock is held, or may be.
    #[getter]
    fn locked(&self) -> bool {
        self.0.is_locked()
    }
}

/// A `pathlock.Status`.
pub(crate) fn status<'py>(py: Python<'py>, lock: &AnyLockFile) -> PyResult<Bound<'py, PyAny>> {
    static STATUS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let looked = py.detach(|| {
        let status = lock.status()?;
        let keeps_queue = !status.waiters().is_empty();
        let contenders = (status.is_locked() && !keeps_queue).then(|| lock.contenders()).transpose()?;
        Ok::<_, LockError>((status, contenders.unwrap_or_default()))
    });
    let (status, contenders) = looked.map_err(|error| errors::lock_error(py, &error))?;
    let state = match status.state() {
        State::Free => "free",
        State::Held => "held",
        State::Stale => "stale",
        State::Unknown => "unknown",
    };
    let owners = status.holders().map(|holder| owner(py, holder)).collect::<PyResult<Vec<_>>>()?;
    let mut waiters =
        status.waiters().iter().map(|waiter| owner(py, waiter)).collect::<PyResult<Vec<_>>>()?;
    for waiter in contenders.waiters() {
        let fields = PyDict::new(py);
        fields.set_item("pid", waiter.pid())?;
        fields.set_item("command", waiter.command())?;
        static OWNER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        waiters.push(class(py, &OWNER, "_owner")?.call((), Some(&fields))?);
    }
    let fields = PyDict::new(py);
    fields.set_item("state", state)?;
    fields.set_item("owner", owners.first())?;
    fields.set_item("owners", owners)?;
    fields.set_item("waiters", waiters)?;
    fields.set_item("detail", status.detail())?;
    fields.set_item("slots_taken", status.slots_taken())?;
    class(py, &STATUS, "_status")?.call((), Some(&fields))
}
