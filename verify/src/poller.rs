//! The smallest executor: it polls one acquisition, in a worker that may have it dropped at any moment.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake};
use std::time::{Duration, Instant};

use pathlock::{AnyLockFile, Guard, LockError, Timeout};

struct Bell(Mutex<Sender<()>>);

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        // Nobody listens when the future was dropped meanwhile.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(());
    }
}

/// Acquires by way of a future, and drops it when `patience` is over; `None` then.
pub fn acquire(
    lock: &AnyLockFile,
    timeout: Timeout,
    patience: Option<Duration>,
) -> Option<Result<Guard, LockError>> {
    let (bell, rings) = mpsc::channel();
    let waker = Arc::new(Bell(Mutex::new(bell))).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(lock.acquire_async_within(timeout));
    let ends = patience.and_then(|patience| Instant::now().checked_add(patience));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return Some(result);
        }
        let rung = match ends {
            None => rings.recv().map_err(RecvTimeoutError::from),
            Some(ends) => rings.recv_timeout(ends.saturating_duration_since(Instant::now())),
        };
        // The bell lives as long as the future.
        if rung.is_err() {
            return None;
        }
    }
}
