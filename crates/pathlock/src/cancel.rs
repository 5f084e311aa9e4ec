//! Ending waits from outside.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys::{Event, Source};

/// Ends the waits of the locks that it was given to, at once and for good.
///
/// Clones are one token. [`cancel`](Self::cancel) may be called from any thread, and from a signal
/// handler: it stores a flag and calls write(2).
///
/// ```
/// use pathlock::{CancelToken, FailureReason, LockError, LockFile};
///
/// let dir = tempfile::tempdir()?;
/// let held = LockFile::new(dir.path().join("job")).acquire()?;
///
/// let token = CancelToken::new()?;
/// let waiting = LockFile::new(dir.path().join("job")).cancel_token(token.clone());
/// let thread = std::thread::spawn(move || waiting.acquire());
/// token.cancel();
/// match thread.join().unwrap() {
///     Err(LockError::LockFailed(failure)) => assert_eq!(failure.reason(), FailureReason::Cancelled),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CancelToken {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cancelled: AtomicBool,
    event: Event,
}

impl CancelToken {
    /// A token that has not been cancelled.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn new() -> io::Result<CancelToken> {
        Ok(CancelToken { inner: Arc::new(Inner { cancelled: AtomicBool::new(false), event: Event::new()? }) })
    }

    /// Ends every wait that this token was given to, now and later.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::Release);
        self.inner.event.raise();
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::Acquire)
    }

    pub(crate) fn is_same(&self, other: &CancelToken) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(crate) fn source(&self) -> Source<'_> {
        self.inner.event.source()
    }
}
