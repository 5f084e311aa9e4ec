//! Forking, for tests: what a forked child may do with its parent's locks can't be tested without.

use std::os::fd::{AsRawFd, OwnedFd};

/// Runs `child` in a forked process, `parent` meanwhile in this one, and says whether both were
/// content. `child` is given an end of a pipe that is closed once `parent` has returned; `parent`
/// is called when the child has sent the byte that [`Baby::ready`] sends.
pub(crate) fn fork(child: impl FnOnce(&Baby) -> bool, parent: impl FnOnce() -> bool) -> bool {
    let (until, parents_end) = rustix::pipe::pipe().expect("a pipe can be had");
    let (readiness, ready) = rustix::pipe::pipe().expect("a pipe can be had");
    // SAFETY: the child runs on in this thread alone. It allocates and takes this crate's own
    // mutexes, which is what is tested: glibc makes the first safe, `ForkLocal` the second.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork works");
    if pid == 0 {
        drop((parents_end, readiness));
        let baby = Baby { until, ready };
        let content =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| child(&baby))).unwrap_or(false);
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { libc::_exit(i32::from(!content)) };
    }
    drop((until, ready));
    // An end without a byte is a child that never was ready: it ends by itself.
    let _ = rustix::io::read(&readiness, &mut [0]);
    let content = parent();
    drop(parents_end);
    let mut status = 0;
    // SAFETY: waits for our own child; `status` outlives the call.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    content && waited == pid && status == 0
}

/// The child's side of [`fork`].
pub(crate) struct Baby {
    until: OwnedFd,
    ready: OwnedFd,
}

impl Baby {
    /// Has the parent go on, and waits until it is done.
    pub(crate) fn ready(&self) {
        self.say();
        self.wait();
    }

    /// Has the parent go on.
    pub(crate) fn say(&self) {
        let _ = rustix::io::write(&self.ready, b"r");
    }

    /// Waits until the parent is done, or dead.
    pub(crate) fn wait(&self) {
        let _ = rustix::io::read(&self.until, &mut [0]);
    }

    /// Closes every file of this process but standard error and its own, as daemons do.
    pub(crate) fn close_everything(&self) {
        for fd in 3..256 {
            if fd != self.until.as_raw_fd() && fd != self.ready.as_raw_fd() {
                // SAFETY: this is the violation of I/O safety that the library has to survive.
                unsafe { libc::close(fd) };
            }
        }
    }
}
