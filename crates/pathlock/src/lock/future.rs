//! Acquiring in an asynchronous program.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::pending::{Asked, Outcome};
use super::{AnyLock, Lock};
use crate::deadline::{Deadline, Timeout};
use crate::error::LockError;
use crate::guard::Guard;
use crate::scheme::Scheme;
use crate::sys;
use crate::wait::{self, Handoff};

impl<S: Scheme + Clone + 'static> Lock<S> {
    /// [`acquire`](Self::acquire) for asynchronous programs: a future for any executor.
    ///
    /// No thread of the executor ever waits, nor looks at a file: one thread of the library does that for
    /// all futures of the process, and helpers of its own, 64 at most, sit in the kernel's queues. They
    /// end a second after the last wait. Futures of one lock stand in line, first come first served.
    ///
    /// The timeout runs from the first poll on. A future that is dropped leaves the line; what was won
    /// for it at that very moment is released. It may be dropped at any time.
    ///
    /// A task has no thread of its own, and so the guard belongs to none: that a task waits for what it
    /// holds itself is not noticed, as it is in threads. [`on_wait`](Self::on_wait) is called in the library's
    /// thread, and [`on_interrupt`](Self::on_interrupt) is not.
    ///
    /// Releasing, also by dropping the guard, makes a few calls of the system where it happens.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # pollster::block_on(async {
    /// let dir = tempfile::tempdir()?;
    /// let lock = pathlock::LockFile::new(dir.path().join("job"));
    /// let guard = lock.acquire_async().await?;
    /// assert!(lock.is_locked()?);
    /// guard.release()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn acquire_async(&self) -> Acquire {
        self.acquire_async_within(self.options.timeout)
    }

    /// [`acquire_async`](Self::acquire_async), and waits as long as `timeout` says.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_async_within(&self, timeout: impl Into<Timeout>) -> Acquire {
        let scheme = Arc::new(self.scheme.clone()) as Arc<dyn Scheme>;
        let (lock_file, path) = (Arc::clone(&self.lock_file), Arc::clone(&self.path));
        let lock = Lock { kept: None, ..Lock::of(lock_file, path, scheme, self.options.clone()) };
        Acquire { lock, timeout: timeout.into(), asked: None, done: false }
    }
}

/// The future of [`Lock::acquire_async`].
///
/// Once it is ready it stays pending, if it is polled again.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Acquire {
    lock: AnyLock,
    timeout: Timeout,
    /// In which process, and where the outcome comes.
    asked: Option<(u32, Arc<Handoff<Outcome>>)>,
    done: bool,
}

impl Future for Acquire {
    type Output = Result<Guard, LockError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.done {
            return Poll::Pending;
        }
        let me = sys::process_id();
        // A forked child has not the thread that waits: it asks its own.
        if let Some((pid, handoff)) = &this.asked
            && *pid == me
        {
            let Poll::Ready(outcome) = handoff.poll(context.waker()) else { return Poll::Pending };
            this.done = true;
            return Poll::Ready(match outcome {
                Outcome::Won(guard) => Ok(guard),
                Outcome::Failed(error) => Err(error),
                Outcome::Panicked(payload) => std::panic::resume_unwind(payload),
            });
        }
        let handoff = Arc::new(Handoff::new());
        // Nothing is there yet: this only leaves the waker.
        let _ = handoff.poll(context.waker());
        this.asked = Some((me, Arc::clone(&handoff)));
        let deadline = Deadline::start(this.timeout);
        wait::submit(Asked { lock: this.lock.clone(), deadline, handoff });
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if let Some((pid, handoff)) = &self.asked
            && *pid == sys::process_id()
            && !self.done
        {
            // What has come is released here.
            drop(handoff.abandon());
            wait::someone_left();
        }
    }
}
