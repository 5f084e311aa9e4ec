//! What a Python program may ask of a lock, as the library's options.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pathlock::{AnyLockFile, DefaultScheme, Ownership, Recovery, Reentry, Scheme, Timeout, scheme_named};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt};

/// The scheme that is no file's.
pub(crate) const DATABASE: &str = "sqlite";

/// A timeout in seconds, as Python has it: `None` for ever, zero or less not at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seconds(pub(crate) Option<f64>);

impl Seconds {
    pub(crate) fn timeout(self) -> Timeout {
        self.0.map_or(Timeout::Never, Timeout::from_secs_f64)
    }
}

impl<'py> FromPyObject<'_, 'py> for Seconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Seconds> {
        if object.is_none() {
            return Ok(Seconds(None));
        }
        if object.is_instance_of::<PyBool>() {
            return Err(PyTypeError::new_err("timeout is a number of seconds, or None; not a bool"));
        }
        let seconds = match object.extract::<f64>() {
            Ok(seconds) => seconds,
            // An integer too large for a float.
            Err(_) if object.is_instance_of::<PyInt>() => {
                if object.lt(0)? {
                    -1.0
                } else {
                    f64::INFINITY
                }
            }
            Err(_) => {
                let kind = object.get_type().qualname()?;
                let message = format!("timeout is a number of seconds, or None; not {kind}");
                return Err(PyTypeError::new_err(message));
            }
        };
        if seconds.is_nan() {
            return Err(PyValueError::new_err("timeout is not a number (NaN): give seconds, or None"));
        }
        Ok(Seconds(Some(seconds)))
    }
}

/// A timeout that need not be given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaybeSeconds(pub(crate) Option<Seconds>);

impl<'py> FromPyObject<'_, 'py> for MaybeSeconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<MaybeSeconds> {
        let seconds = if object.is(object.py().Ellipsis()) { None } else { Some(object.extract()?) };
        Ok(MaybeSeconds(seconds))
    }
}

/// A path, as text that can be the operating system's: `str`, `bytes` or `os.PathLike`.
#[derive(Debug, Clone)]
pub(crate) struct AnyPath(pub(crate) OsString);

impl<'py> FromPyObject<'_, 'py> for AnyPath {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<AnyPath> {
        static DECODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let decode = DECODE.import(object.py(), "os", "fsdecode")?;
        let text: OsString = decode.call1((object,))?.extract()?;
        if text.as_encoded_bytes().contains(&0) {
            return Err(PyValueError::new_err("a path can't have a null character in it"));
        }
        Ok(AnyPath(text))
    }
}

/// What a lock was made with: what is needed to make another.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) path: OsString,
    pub(crate) scheme: Option<String>,
    pub(crate) at: bool,
    pub(crate) shared: bool,
    pub(crate) timeout: Seconds,
    pub(crate) slots: u16,
    pub(crate) reentrant: bool,
    pub(crate) ownership: String,
    pub(crate) lease: Option<f64>,
    pub(crate) recover: bool,
    pub(crate) mode: Option<u32>,
    pub(crate) command: Option<String>,
    pub(crate) on_wait: Option<Py<PyAny>>,
    pub(crate) on_lost: Option<Py<PyAny>>,
}

impl Options {
    /// The library's handle.
    pub(crate) fn handle(&self) -> PyResult<AnyLockFile> {
        let mut lock = self.place()?.timeout(self.timeout.timeout()).recovery(self.recovery()?);
        lock = match self.ownership.as_str() {
            "thread" => lock.ownership(Ownership::Thread),
            "process" => lock.ownership(Ownership::Process),
            other => {
                let message = format!("ownership is 'thread' or 'process', not {other:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        match self.slots {
            0 => return Err(PyValueError::new_err("slots is the number of holders at once: 1 or more")),
            1 if self.shared => lock = lock.shared(),
            1 => {}
            _ if self.shared => {
                let message = "slots and shared exclude each other: readers are not counted";
                return Err(PyValueError::new_err(message));
            }
            count => lock = lock.slots(count),
        }
        if self.reentrant {
            lock = lock.reentry(Reentry::Count);
        }
        if let Some(mode) = self.mode {
            lock = lock.file_mode(mode);
        }
        if let Some(command) = &self.command {
            lock = lock.command(command);
        }
        Ok(lock)
    }

    fn place(&self) -> PyResult<AnyLockFile> {
        let path = PathBuf::from(&self.path);
        let scheme: Arc<dyn Scheme> = match self.scheme.as_deref() {
            None => Arc::new(DefaultScheme::default()),
            Some(DATABASE) => {
                let lock = if self.at {
                    pathlock_sqlite::named(&path, "")
                } else {
                    pathlock_sqlite::open(&self.path)
                };
                return Ok(AnyLockFile::with_scheme(lock.path(), Arc::new(lock.scheme().clone())));
            }
            Some(name) => scheme_named(name).ok_or_else(|| {
                let names = pathlock::SCHEME_NAMES.join(", ");
                PyValueError::new_err(format!("there is no scheme {name:?}: {names} or {DATABASE}"))
            })?,
        };
        Ok(if self.at {
            AnyLockFile::at_with_scheme(path, scheme)
        } else {
            AnyLockFile::with_scheme(path, scheme)
        })
    }

    fn recovery(&self) -> PyResult<Recovery> {
        match (self.lease, self.recover) {
            (None, true) => Ok(Recovery::ProvenDead),
            (None, false) => Ok(Recovery::Never),
            (Some(_), false) => {
                Err(PyValueError::new_err("a lease is recovered by its age: recover=False excludes it"))
            }
            (Some(seconds), true) => Duration::try_from_secs_f64(seconds)
                .map(Recovery::ByAge)
                .map_err(|error| PyValueError::new_err(format!("lease is a number of seconds: {error}"))),
        }
    }

    /// The keyword arguments that make the same lock, the usual ones left out.
    pub(crate) fn keywords<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let words = PyDict::new(py);
        if let Some(scheme) = &self.scheme {
            words.set_item("scheme", scheme)?;
        }
        for (name, given) in [("at", self.at), ("shared", self.shared), ("reentrant", self.reentrant)] {
            if given {
                words.set_item(name, true)?;
            }
        }
        if let Some(seconds) = self.timeout.0 {
            words.set_item("timeout", PyFloat::new(py, seconds))?;
        }
        if self.slots != 1 {
            words.set_item("slots", self.slots)?;
        }
        if self.ownership != "thread" {
            words.set_item("ownership", &self.ownership)?;
        }
        if let Some(seconds) = self.lease {
            words.set_item("lease", seconds)?;
        }
        if !self.recover {
            words.set_item("recover", false)?;
        }
        if let Some(mode) = self.mode {
            words.set_item("mode", mode)?;
        }
        if let Some(command) = &self.command {
            words.set_item("command", command)?;
        }
        for (name, given) in [("on_wait", &self.on_wait), ("on_lost", &self.on_lost)] {
            if let Some(given) = given {
                words.set_item(name, given)?;
            }
        }
        Ok(words)
    }
}
