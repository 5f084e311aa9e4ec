//! An acquisition that an asynchronous program waits for.
//!
//! Python's event loops have no wakers; they take calls from other threads. So the library's thread calls
//! `wake`, which has the loop poll again.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use pathlock::Acquire;
use pyo3::prelude::*;

use crate::guard::Guard;
use crate::held;
use crate::lock::Lock;
use crate::waiting::Ear;
use crate::{calls, errors};

/// An acquisition that was begun.
#[pyclass(module = "pathlock._pathlock", frozen)]
pub(crate) struct Pending {
    /// `None` once it has come to its end, or is given up.
    future: Mutex<Option<Pin<Box<Acquire>>>>,
    lock: Py<Lock>,
    ear: Option<Ear>,
    waker: Waker,
}

struct Caller(Py<PyAny>);

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        calls::attach(|py| {
            if let Err(error) = self.0.call0(py) {
                // A loop that is closed has nobody left who waits.
                error.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}

impl Pending {
    pub(crate) fn new(future: Acquire, lock: Py<Lock>, ear: Option<Ear>, wake: Py<PyAny>) -> Pending {
        let waker = Waker::from(Arc::new(Caller(wake)));
        Pending { future: Mutex::new(Some(Box::pin(future))), lock, ear, waker }
    }
}

#[pymethods]
impl Pending {
    /// The guard, or None while there is none yet.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<Guard>> {
        let Some(mut future) = held::lock(&self.future).take() else { return Ok(None) };
        match py.detach(|| future.as_mut().poll(&mut Context::from_waker(&self.waker))) {
            Poll::Pending => {
                *held::lock(&self.future) = Some(future);
                Ok(None)
            }
            Poll::Ready(Ok(guard)) => Ok(Some(Guard::new(guard, self.lock.clone_ref(py)))),
            Poll::Ready(Err(error)) => {
                let raised = self.ear.as_ref().and_then(Ear::raised);
                Err(raised.unwrap_or_else(|| errors::lock_error(py, &error)))
            }
        }
    }

    /// Gives it up. What was won at this very moment is released.
    fn drop(&self, py: Python<'_>) {
        let future = held::lock(&self.future).take();
        py.detach(|| drop(future));
    }
}
