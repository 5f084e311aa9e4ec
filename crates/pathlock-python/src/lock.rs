//! `pathlock.Lock`: a path, a scheme and options, and what was acquired through it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use pathlock::{AnyLockFile, LockError, Timeout};
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyWeakrefReference};

use crate::calls;
use crate::errors;
use crate::future::Pending;
use crate::guard::Guard;
use crate::held::{self, Held};
use crate::info::{self, Look};
use crate::options::{AnyPath, MaybeSeconds, Options, Seconds};
use crate::waiting::{self, Ear};

/// A lock of what is at `path`, which need not exist. Making one touches nothing.
///
/// It can be used again and again, and by several threads; `with lock:` holds it.
#[pyclass(module = "pathlock", frozen, weakref)]
pub(crate) struct Lock {
    handle: AnyLockFile,
    options: Options,
    /// What was acquired and may still be held, oldest first, and by which thread.
    acquired: Mutex<Vec<(ThreadId, Arc<Held>)>>,
    /// What the `with` blocks that are open hold, and in which thread they are.
    entered: Mutex<Vec<(ThreadId, Arc<Held>)>>,
}

impl Lock {
    /// The library's handle, and what listens to it.
    pub(crate) fn asking(slf: &Bound<'_, Lock>) -> PyResult<(AnyLockFile, Option<Ear>)> {
        let (this, py) = (slf.get(), slf.py());
        let mut handle = this.handle.clone();
        if this.options.on_lost.is_some() {
            handle = waiting::telling_of_loss(handle, PyWeakrefReference::new(slf)?.unbind());
        }
        let Some(on_wait) = &this.options.on_wait else { return Ok((handle, None)) };
        let (handle, ear) = Ear::listen(handle, on_wait.clone_ref(py))?;
        Ok((handle, Some(ear)))
    }

    /// What is to be called when a lease is lost.
    pub(crate) fn on_lost(&self) -> Option<&Py<PyAny>> {
        self.options.on_lost.as_ref()
    }

    fn get(slf: &Bound<'_, Lock>, timeout: Timeout) -> PyResult<Result<pathlock::Guard, LockError>> {
        let (this, py) = (slf.get(), slf.py());
        if this.options.on_wait.is_none() && this.options.on_lost.is_none() {
            return Ok(calls::detach(py, || this.handle.acquire_within(timeout)));
        }
        let (handle, ear) = Lock::asking(slf)?;
        let got = calls::detach(py, || handle.acquire_within(timeout));
        match ear.and_then(|ear| ear.raised()) {
            Some(error) => Err(waiting::raised_by(py, error)),
            None => Ok(got),
        }
    }

    fn timeout_of(&self, given: MaybeSeconds) -> Timeout {
        given.0.unwrap_or(self.options.timeout).timeout()
    }

    pub(crate) fn handle(&self) -> &AnyLockFile {
        &self.handle
    }

    fn keep(slf: &Bound<'_, Lock>, guard: pathlock::Guard) -> Guard {
        let guard = Guard::new(guard, slf.clone().unbind());
        let mut acquired = held::lock(&slf.get().acquired);
        acquired.retain(|(_, held)| held.is_there());
        acquired.push((thread::current().id(), Arc::clone(guard.held())));
        guard
    }

    /// The newest that this thread has acquired and that is held; otherwise the newest of all.
    fn newest(&self) -> Option<Arc<Held>> {
        let me = thread::current().id();
        let acquired = held::lock(&self.acquired);
        let held = || acquired.iter().rev().filter(|(_, held)| held.is_there());
        let newest = held().find(|(thread, _)| *thread == me).or_else(|| held().next());
        newest.map(|(_, held)| Arc::clone(held))
    }

    fn let_go(&self, py: Python<'_>) -> Option<PyResult<()>> {
        // Another thread may be quicker with the one that is found.
        while let Some(held) = self.newest() {
            if let Some(released) = held.release(py) {
                return Some(released.map_err(|error| errors::unlock_error(py, &error)));
            }
        }
        None
    }
}

#[pymethods]
impl Lock {
    #[new]
    #[pyo3(signature = (path, *, scheme=None, at=false, shared=false, timeout=Seconds(None), slots=1, reentrant=false,
                        ownership="thread".to_owned(), lease=None, recover=true, mode=None, command=None,
                        on_wait=None, on_lost=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keyword arguments")]
    #[expect(clippy::fn_params_excessive_bools, reason = "they are keyword arguments")]
    fn new(
        py: Python<'_>,
        path: AnyPath,
        scheme: Option<String>,
        at: bool,
        shared: bool,
        timeout: Seconds,
        slots: u16,
        reentrant: bool,
        ownership: String,
        lease: Option<f64>,
        recover: bool,
        mode: Option<u32>,
        command: Option<String>,
        on_wait: Option<Py<PyAny>>,
        on_lost: Option<Py<PyAny>>,
    ) -> PyResult<Lock> {
        // What is sent to another process is to mean the same there. An empty path stays one, and is refused later.
        let path = std::path::absolute(&path.0).map_or(path.0, PathBuf::into_os_string);
        let options = Options {
            path,
            scheme,
            at,
            shared,
            timeout,
            slots,
            reentrant,
            ownership,
            lease,
            recover,
            mode,
            command,
            on_wait,
            on_lost,
        };
        for (name, given) in [("on_wait", &options.on_wait), ("on_lost", &options.on_lost)] {
            if given.as_ref().is_some_and(|given| !given.bind(py).is_callable()) {
                return Err(PyTypeError::new_err(format!("{name} is a function, or None")));
            }
        }
        let handle = waiting::heeding_signals(options.handle()?);
        Ok(Lock { handle, options, acquired: Mutex::default(), entered: Mutex::default() })
    }

    /// Acquires the lock, and waits for it as long as `timeout` says: None for ever, zero or less not at all;
    /// the lock's own timeout if it is not given. Returns a guard, whose `with` block ends with a release.
    #[pyo3(signature = (timeout=MaybeSeconds(None)), text_signature = "($self, timeout=...)")]
    fn acquire(slf: &Bound<'_, Lock>, timeout: MaybeSeconds) -> PyResult<Guard> {
        let got = Lock::get(slf, slf.get().timeout_of(timeout))?;
        got.map(|guard| Lock::keep(slf, guard)).map_err(|error| waiting::raised(slf.py(), &error))
    }

    /// Acquires the lock if it is free; None when it is not.
    fn try_acquire(slf: &Bound<'_, Lock>) -> PyResult<Option<Guard>> {
        match Lock::get(slf, Timeout::NoWait)? {
            Ok(guard) => Ok(Some(Lock::keep(slf, guard))),
            Err(LockError::AlreadyLocked(_)) => Ok(None),
            Err(error) => Err(waiting::raised(slf.py(), &error)),
        }
    }

    /// Releases what this thread has acquired last through this object; otherwise what another thread has.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let nothing = || Err(errors::holds_nothing(py, self.handle.path(), self.handle.lock_file()));
        self.let_go(py).unwrap_or_else(nothing)
    }

    fn __enter__(slf: &Bound<'_, Lock>) -> PyResult<Guard> {
        let guard = Lock::acquire(slf, MaybeSeconds(None))?;
        held::lock(&slf.get().entered).push((thread::current().id(), Arc::clone(guard.held())));
        Ok(guard)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        let me = thread::current().id();
        let mut entered = held::lock(&self.entered);
        let innermost = entered.iter().rposition(|(thread, _)| *thread == me);
        let held = innermost.map(|index| entered.remove(index).1);
        drop(entered);
        held.map_or(Ok(()), |held| held.leave(py))
    }

    /// For `AsyncLock`: begins to acquire; `wake` is called, in any thread, when it is worth while to poll.
    #[pyo3(signature = (wake, timeout=MaybeSeconds(None)))]
    fn _begin(slf: &Bound<'_, Lock>, wake: Py<PyAny>, timeout: MaybeSeconds) -> PyResult<Pending> {
        let (handle, ear) = Lock::asking(slf)?;
        let future = handle.acquire_async_within(slf.get().timeout_of(timeout));
        Ok(Pending::new(future, slf.clone().unbind(), ear, wake))
    }

    /// Whether something is held that was acquired through this object, in this process.
    #[getter]
    fn acquired(&self) -> bool {
        held::lock(&self.acquired).iter().any(|(_, held)| held.is_there() && !held.is_inherited())
    }

    /// Whether somebody holds the lock, or may hold it. A stale lock is not held.
    fn is_locked(&self, py: Python<'_>) -> PyResult<bool> {
        py.detach(|| self.handle.is_locked()).map_err(|error| errors::lock_error(py, &error))
    }

    /// Who holds the lock, where that is known.
    #[getter]
    fn owner<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let owner = py.detach(|| self.handle.owner()).map_err(|error| errors::lock_error(py, &error))?;
        owner.map(|owner| info::owner(py, &owner)).transpose()
    }

    /// The fencing token of what was acquired last; None where nothing is held, or the scheme counts none.
    #[getter]
    fn token(&self) -> Option<u64> {
        self.newest()?.with(|guard| guard.token())?
    }

    /// The slot of what was acquired last; None where nothing is held, or the lock has no slots.
    #[getter]
    fn slot(&self) -> Option<u32> {
        self.newest()?.with(|guard| guard.slot())?
    }

    /// Looks at the lock: a `Status`.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        info::status(py, &self.handle)
    }

    /// Removes the lock, whoever holds it. Returns whether there was one.
    fn break_lock(&self, py: Python<'_>) -> PyResult<bool> {
        py.detach(|| self.handle.break_lock()).map_err(|error| errors::lock_error(py, &error))
    }

    /// Looks at the lock, for `_break_if`.
    fn _look(&self, py: Python<'_>) -> PyResult<Look> {
        let status = py.detach(|| self.handle.status());
        status.map(Look).map_err(|error| errors::lock_error(py, &error))
    }

    /// Removes the lock if it still is the one that was looked at. Returns whether it did.
    fn _break_if(&self, py: Python<'_>, look: &Look) -> PyResult<bool> {
        py.detach(|| self.handle.break_if(&look.0)).map_err(|error| errors::lock_error(py, &error))
    }

    /// Waits until the lock is free, and takes nothing.
    #[pyo3(signature = (timeout=Seconds(None)), text_signature = "($self, timeout=None)")]
    fn wait_free(slf: &Bound<'_, Lock>, timeout: Seconds) -> PyResult<()> {
        let py = slf.py();
        let (handle, ear) = Lock::asking(slf)?;
        let waited = calls::detach(py, || handle.wait_free(timeout.timeout()));
        match ear.and_then(|ear| ear.raised()) {
            Some(error) => Err(waiting::raised_by(py, error)),
            None => waited.map_err(|error| waiting::raised(py, &error)),
        }
    }

    /// What is protected, as an absolute path.
    #[getter]
    fn path(&self) -> OsString {
        self.handle.path().as_os_str().to_owned()
    }

    /// The lock file, as an absolute path.
    #[getter]
    fn lock_file(&self) -> OsString {
        self.handle.lock_file().as_os_str().to_owned()
    }

    /// The name of the scheme.
    #[getter]
    fn scheme(&self) -> &str {
        self.handle.scheme().name()
    }

    /// How many seconds `acquire` waits if it is not told otherwise; None for ever.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.options.timeout.0
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<((OsString,), Bound<'py, PyDict>)> {
        Ok(((self.options.path.clone(),), self.options.keywords(py)?))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut text = format!("pathlock.Lock({}", self.options.path.clone().into_pyobject(py)?.repr()?);
        for (name, value) in self.options.keywords(py)? {
            text += &format!(", {name}={}", value.repr()?);
        }
        Ok(text + ")")
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.options.on_wait)?;
        visit.call(&self.options.on_lost)
    }
}

/// Acquires several locks in one order, the same for all callers.
#[pyfunction]
#[pyo3(name = "_acquire_all", signature = (locks, timeout=Seconds(None)))]
pub(crate) fn acquire_all(py: Python<'_>, locks: Vec<Py<Lock>>, timeout: Seconds) -> PyResult<Vec<Guard>> {
    let mut handles = Vec::new();
    let mut ears = Vec::new();
    for lock in &locks {
        let (handle, ear) = Lock::asking(lock.bind(py))?;
        handles.push(handle);
        ears.extend(ear);
    }
    let got = calls::detach(py, || pathlock::acquire_all(&handles, timeout.timeout()));
    if let Some(error) = ears.iter().find_map(Ear::raised) {
        return Err(waiting::raised_by(py, error));
    }
    let guards = got.map_err(|error| waiting::raised(py, &error))?;
    // They come in the order of everybody, and what is named twice is there once.
    let keep = |guard: pathlock::Guard| {
        let of = |lock: &&Py<Lock>| lock.get().handle.lock_file() == guard.lock_file();
        let lock = locks.iter().find(of)?.clone_ref(py);
        Some(Guard::new(guard, lock))
    };
    Ok(guards.into_iter().filter_map(keep).collect())
}
