//! A question that a signal handler may answer, and the sleep after it, as one step.
//!
//! # Invariant
//!
//! Signals are held back from this thread from before the question until the kernel has put it to sleep, so that a
//! handler runs before the question, which sees what it has set, or ends the sleep: pselect(2) tells of the race that
//! this closes. A signal that the kernel gives to another thread of the process interrupts nobody here: whoever has
//! such threads looks again now and then.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use super::{Source, Woken};

/// Asks `ask`, and waits like [`poll`](super::poll) if that is content.
///
/// A language that runs its handlers when it is asked would run them with signals held back: so let it have been asked
/// just before.
pub(crate) fn poll_unless<E: From<io::Error>>(
    ask: impl Fn() -> Result<(), E>,
    sources: &[Source<'_>],
    time: Duration,
) -> Result<Woken, E> {
    let held = HeldSignals::new()?;
    ask()?;
    Ok(held.poll(sources, time)?)
}

/// The signals of this thread, held back until this is dropped.
struct HeldSignals {
    before: libc::sigset_t,
}

impl HeldSignals {
    fn new() -> io::Result<HeldSignals> {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: both sets are this function's own, `all` is filled before it is read, and `before` is written by a
        // call that has succeeded. Faults of this thread's own doing are not held back: the kernel kills who does.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP] {
                libc::sigdelset(all.as_mut_ptr(), fault);
            }
            match libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr()) {
                0 => Ok(HeldSignals { before: before.assume_init() }),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }

    /// [`poll`](super::poll), during which the signals come.
    fn poll(&self, sources: &[Source<'_>], time: Duration) -> io::Result<Woken> {
        let mut fds: Vec<libc::pollfd> = sources
            .iter()
            .map(|source| libc::pollfd { fd: source.as_raw_fd(), events: libc::POLLIN, revents: 0 })
            .collect();
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
            // Less than 1,000,000,000, which every width of the field holds.
            tv_nsec: time.subsec_nanos() as _,
        };
        // SAFETY: the array, its length, the time and the set are valid for the call.
        let ready = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, &time, &self.before) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(Woken::Interrupted)
            } else {
                Err(error)
            };
        }
        Ok(Woken::of(fds.iter().map(|fd| fd.revents != 0)))
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        // SAFETY: the set is the one that this thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut());
        }
    }
}
