//! Threads and the end of the interpreter.
//!
//! A thread that asks for the GIL once the interpreter has begun to end is ended where it stands (before Python
//! 3.14), by unwinding its stack; through Rust's frames that aborts the process. So, from [`end`] on,
//!
//! - threads of the library make no calls of Python's: [`attach`] refuses, and `end` waits for those under way;
//! - threads of Python that were waiting don't come back: [`detach`] keeps them where they are, as Python 3.14 does
//!   with all threads. What they have won is released first.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How long the end waits for calls that don't come to one.
const PATIENCE: Duration = Duration::from_secs(2);

/// By which thread the interpreter ends.
static ENDS_IN: OnceLock<ThreadId> = OnceLock::new();
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// Makes a call of Python's from a thread that may be the library's; `None` when the interpreter ends.
pub(crate) fn attach<T>(call: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    struct UnderWay;
    impl Drop for UnderWay {
        fn drop(&mut self) {
            UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
        }
    }
    // Counted before it is asked, and `end` asks the other way round: one of the two sees the other.
    UNDER_WAY.fetch_add(1, Ordering::SeqCst);
    let _under_way = UnderWay;
    if is_at_end() { None } else { Python::try_attach(call) }
}

/// Waits without the GIL.
pub(crate) fn detach<T: Send>(py: Python<'_>, wait: impl Send + FnOnce() -> T) -> T {
    py.detach(|| {
        let result = wait();
        if is_at_end() {
            drop(result);
            loop {
                thread::park();
            }
        }
        result
    })
}

/// Whether the interpreter ends, by another thread than this one.
fn is_at_end() -> bool {
    ENDS_IN.get().is_some_and(|thread| *thread != thread::current().id())
}

/// The interpreter begins to end.
pub(crate) fn end(py: Python<'_>) {
    let _ = ENDS_IN.set(thread::current().id());
    let began = Instant::now();
    while UNDER_WAY.load(Ordering::SeqCst) > 0 && began.elapsed() < PATIENCE {
        // Those that are under way need the GIL to come to their end.
        py.detach(thread::yield_now);
    }
}

/// In a forked child: the threads that made calls are not there.
#[pyfunction]
#[pyo3(name = "_is_forked")]
pub(crate) fn is_forked() {
    UNDER_WAY.store(0, Ordering::SeqCst);
}
