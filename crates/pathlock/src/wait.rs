//! One wait, over what there is to wait for, with a deadline.
//!
//! # Invariants
//!
//! - *No wake-up is lost.* Who sits in a queue of the kernel is woken by the kernel. Who watches a
//!   name starts the watch first, then tries again, then sleeps: whatever happens after the try
//!   is seen by the watch.
//! - *Nobody polls* on a local filesystem. A safety re-check every few seconds ([`RECHECK`]) covers
//!   what no notification tells: a lock file that somebody has removed by hand under its holder.
//! - *A wait ends on time*: never before its deadline, which is on the monotonic clock; and at once
//!   when its token is cancelled, or when a signal handler has run and the caller says so.
//! - *A wait that ends leaves nothing*: no place in a queue that keeps others out, no mark.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::cancel::CancelToken;
use crate::deadline::Deadline;
use crate::error::{FailureReason, Obstacle};
use crate::liveness::{self, Evidence};
use crate::scheme::{Attempt, Busy, Hold, Request, Scheme, Waiter};
use crate::status::{State, Status};
use crate::sys::{self, Exit, Source, Watch, Woken};

mod backoff;
mod park;

use backoff::Backoff;

/// How often a waiter looks again though nothing has told it to.
const RECHECK: Duration = Duration::from_secs(3);

/// What ends a wait besides its end.
pub(crate) struct Wait<'a> {
    pub(crate) deadline: Deadline,
    pub(crate) cancel: Option<&'a CancelToken>,
    pub(crate) on_interrupt: Option<&'a (dyn Fn() -> ControlFlow<()> + Send + Sync)>,
    /// Told whom the wait is for, whenever that is looked at.
    pub(crate) on_wait: &'a dyn Fn(&Status),
}

/// Why there is no lock.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is another's, and the time is up.
    Busy(Box<Status>),
    Failed(Obstacle),
}

impl From<Obstacle> for Ended {
    fn from(obstacle: Obstacle) -> Ended {
        Ended::Failed(obstacle)
    }
}

/// What ended a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slept {
    /// These of the sources are ready, as in [`Woken::Ready`].
    Ready(u64),
    /// It is time to look again.
    Recheck,
    /// The deadline has passed.
    TimedOut,
}

impl Wait<'_> {
    /// Sleeps until one of `sources` is ready, at most `most` and not beyond the deadline.
    fn sleep(&self, sources: &[Source<'_>], most: Duration) -> Result<Slept, Obstacle> {
        let mut all = sources.to_vec();
        all.extend(self.cancel.map(CancelToken::source));
        let ends = Instant::now() + most;
        loop {
            self.check_cancelled()?;
            let left = self.deadline.cap(ends.saturating_duration_since(Instant::now()));
            match sys::poll(&all, Some(left))? {
                Woken::Ready(bits) => {
                    self.check_cancelled()?;
                    return Ok(Slept::Ready(bits));
                }
                Woken::TimedOut if self.deadline.has_passed() => return Ok(Slept::TimedOut),
                Woken::TimedOut => return Ok(Slept::Recheck),
                Woken::Interrupted => {
                    if self.on_interrupt.is_some_and(|ask| ask().is_break()) {
                        return Err(Obstacle::new(FailureReason::Interrupted, "a signal has ended the wait"));
                    }
                }
            }
        }
    }

    fn check_cancelled(&self) -> Result<(), Obstacle> {
        if self.cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(Obstacle::new(FailureReason::Cancelled, "the wait was cancelled"));
        }
        Ok(())
    }
}

/// Acquires the lock, or says why not.
pub(crate) fn acquire(
    scheme: &dyn Scheme,
    request: &Request<'_>,
    wait: &Wait<'_>,
) -> Result<Box<dyn Hold>, Ended> {
    let mut backoff = Backoff::new();
    let mut watch: Option<Watch> = None;
    let mut attempt = scheme.attempt(request)?;
    loop {
        let Busy { status, waiter } = match attempt {
            Attempt::Held(hold) => return Ok(hold),
            Attempt::Busy(busy) => busy,
        };
        if !wait.deadline.waits() || wait.deadline.has_passed() {
            if let Waiter::Queue(place) = waiter {
                place.0.leave();
            }
            return Err(Ended::Busy(Box::new(status)));
        }
        (wait.on_wait)(&status);
        attempt = match waiter {
            Waiter::Queue(place) => {
                watch = None;
                match park::wait(place.0, wait)? {
                    park::Turn::Come(queue) => match queue.claim(request)? {
                        Some(attempt) => attempt,
                        None => scheme.attempt(request)?,
                    },
                    park::Turn::LookAgain => scheme.attempt(request)?,
                    park::Turn::CannotPark => {
                        backoff.pause(wait)?;
                        scheme.attempt(request)?
                    }
                }
            }
            Waiter::Change => {
                match &watch {
                    None => match Watch::begin(request.site.directory()) {
                        // Now that nothing can be missed, try again before sleeping.
                        Ok(Some(begun)) => watch = Some(begun),
                        Ok(None) => backoff.pause(wait)?,
                        Err(error) => return Err(Obstacle::from(error).into()),
                    },
                    Some(watch) => watch_for(request, wait, watch, &status)?,
                }
                scheme.attempt(request)?
            }
            Waiter::Backoff => {
                backoff.pause(wait)?;
                scheme.attempt(request)?
            }
        };
    }
}

/// Lets others run who are about to do something: a moment at first, then a millisecond.
pub(crate) fn step_aside(times: u32) {
    if times < 8 {
        std::thread::yield_now();
    } else {
        let _ = sys::poll(&[], Some(Duration::from_millis(1)));
    }
}

/// Sleeps until the lock's name has changed, its owner has died, or it is time to look again.
fn watch_for(request: &Request<'_>, wait: &Wait<'_>, watch: &Watch, status: &Status) -> Result<(), Obstacle> {
    // Only one that lives now can be waited for; the pid of another is not its pid.
    let exit = match status.owner() {
        Some(owner) if owner.pid != std::process::id() => {
            let exit = Exit::of(owner.pid).unwrap_or(None);
            match liveness::judge(owner) {
                Evidence::Runs => exit,
                // It has died since it was judged: there is nothing to wait for.
                Evidence::Gone | Evidence::Reused if status.state() == State::Held => {
                    step_aside(u32::MAX);
                    return Ok(());
                }
                _ => None,
            }
        }
        _ => None,
    };
    let mut sources = vec![watch.source()];
    sources.extend(exit.as_ref().map(Exit::source));
    loop {
        match wait.sleep(&sources, backoff::jittered(RECHECK))? {
            // The watch alone, and nothing about this lock: somebody else's file in the directory.
            Slept::Ready(1) if !watch.saw(request.site.name()) => {}
            Slept::Ready(_) | Slept::Recheck | Slept::TimedOut => return Ok(()),
        }
    }
}
