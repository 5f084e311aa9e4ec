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

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::cancel::CancelToken;
use crate::deadline::Deadline;
use crate::error::{FailureReason, Obstacle};
use crate::lease;
use crate::liveness::Liveness;
use crate::lock::Lock;
use crate::scheme::{Attempt, Busy, Hold, Request, Scheme, Waiter, go_on};
use crate::site::Site;
use crate::status::Status;
use crate::sys::{self, Exit, Filesystem, Source, Woken};

mod backoff;
mod driver;
mod handoff;
mod lines;
mod park;
mod sync;
mod watch;

use backoff::Backoff;
pub(crate) use driver::{someone_left, submit};
pub(crate) use handoff::Handoff;
use watch::{Begun, MOST_EXITS, Watch, Watching, sleep_on, watch_for};

/// How often a waiter looks again though nothing has told it to, and asks about signals: a handler may have run in
/// another thread of the process, which interrupts nobody here.
const RECHECK: Duration = Duration::from_secs(3);

/// How often one that waits for a lock to be free looks again at once while nobody's record is
/// in it, a millisecond apart.
const LETTING_GO: u32 = 20;

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
#[derive(Debug, Clone, PartialEq, Eq)]
enum Slept {
    /// These of the sources are ready, as in [`Woken::Ready`].
    Ready(Vec<usize>),
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
            self.check_interrupted()?;
            self.check_cancelled()?;
            let left = self.deadline.cap(ends.saturating_duration_since(Instant::now()));
            let woken = if self.on_interrupt.is_some() {
                sys::poll_unless(|| self.check_interrupted(), &all, left)?
            } else {
                sys::poll(&all, Some(left))?
            };
            match woken {
                Woken::Ready(which) => {
                    self.check_cancelled()?;
                    return Ok(Slept::Ready(which));
                }
                Woken::TimedOut if self.deadline.has_passed() => return Ok(Slept::TimedOut),
                Woken::TimedOut if Instant::now() >= ends => return Ok(Slept::Recheck),
                Woken::TimedOut | Woken::Interrupted => {}
            }
        }
    }

    fn check_interrupted(&self) -> Result<(), Obstacle> {
        if self.on_interrupt.is_some_and(|ask| ask().is_break()) {
            return Err(Obstacle::new(FailureReason::Interrupted, "a signal has ended the wait"));
        }
        Ok(())
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
    let mut watch = Watching::default();
    let mut attempt = scheme.attempt(request)?;
    loop {
        let Busy { status, waiter } = match lease::go_on(scheme, go_on(attempt, request)?, request)? {
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
                watch.end();
                let claimed = match park::wait(place.0, request, wait)? {
                    park::Turn::Come(queue) => queue.claim(request)?,
                    park::Turn::Claimed(claimed) => claimed?,
                    park::Turn::LookAgain => None,
                    park::Turn::CannotPark => {
                        backoff.pause(wait)?;
                        None
                    }
                };
                match claimed {
                    Some(attempt) => attempt,
                    None => scheme.attempt(request)?,
                }
            }
            Waiter::Change => {
                let site = request.site;
                match watch.begun(site.directory(), false)? {
                    Begun::Before(watch) => {
                        watch_for(wait, watch, &status, RECHECK, |name| scheme.concerns(site, name))?;
                    }
                    Begun::Now => {}
                    Begun::No => backoff.pause(wait)?,
                }
                scheme.attempt(request)?
            }
            Waiter::Place(place) => {
                let told = match watch.begun(place.directory(), true)? {
                    Begun::Before(watch) => {
                        let most = place.again_in().unwrap_or(RECHECK);
                        watch_for(wait, watch, &status, most, |name| place.concerns(name))?
                    }
                    Begun::Now => false,
                    Begun::No => {
                        backoff.pause(wait)?;
                        false
                    }
                };
                place.look(request, told)?
            }
            Waiter::Backoff => {
                backoff.pause(wait)?;
                scheme.attempt(request)?
            }
        };
    }
}

/// Waits until the lock can be acquired, and acquires nothing.
///
/// A release is seen as the name that goes, as the record that is erased, or as the end of a process
/// that holds the lock. Each look is made after the watch has begun.
pub(crate) fn until_free<S: Scheme>(lock: &Lock<S>, site: &Site, wait: &Wait<'_>) -> Result<(), Ended> {
    let mut backoff = Backoff::new();
    let mut watching = Watching::default();
    let mut letting_go = 0;
    loop {
        let status = lock.scheme().status(site)?;
        if !status.is_locked() {
            return Ok(());
        }
        if !wait.deadline.waits() || wait.deadline.has_passed() {
            return Err(Ended::Busy(Box::new(status)));
        }
        (wait.on_wait)(&status);
        if site.filesystem()? == Filesystem::Remote {
            backoff.pause(wait)?;
            continue;
        }
        match watching.begun(site.directory(), true)? {
            Begun::Now => {}
            Begun::No => backoff.pause(wait)?,
            // An owner that lets go erases its record first, and nothing tells of the rest.
            Begun::Before(_) if status.owner().is_none() && letting_go < LETTING_GO => {
                letting_go += 1;
                step_aside(u32::MAX);
            }
            Begun::Before(watch) => {
                letting_go = 0;
                watch_holders(lock, site, wait, watch, &status)?;
            }
        }
    }
}

/// Sleeps until there is something about the lock to look at again: its name or its record, or the
/// end of a process that the kernel shows to hold it.
fn watch_holders<S: Scheme>(
    lock: &Lock<S>,
    site: &Site,
    wait: &Wait<'_>,
    watch: &Watch,
    status: &Status,
) -> Result<(), Obstacle> {
    let concerns = |name: &OsStr| lock.scheme().concerns(site, name);
    if status.owner().is_some_and(|owner| owner.liveness() == Liveness::Alive) {
        return watch_for(wait, watch, status, RECHECK, concerns).map(|_| ());
    }
    let shown = lock.contenders().unwrap_or_default();
    let exits: Vec<Exit> = shown
        .holders()
        .iter()
        .filter(|holder| holder.pid() != sys::process_id())
        .take(MOST_EXITS)
        .filter_map(|holder| Exit::of(holder.pid()).ok().flatten())
        .collect();
    // One that has died before its end could be watched has let go by now.
    if !lock.scheme().status(site)?.is_locked() {
        return Ok(());
    }
    let mut sources = vec![watch.source()];
    sources.extend(exits.iter().map(Exit::source));
    sleep_on(wait, watch, &sources, RECHECK, concerns).map(|_| ())
}

/// Lets others run who are about to do something: a moment at first, then a millisecond.
pub(crate) fn step_aside(times: u32) {
    if times < 8 {
        std::thread::yield_now();
    } else {
        let _ = sys::poll(&[], Some(Duration::from_millis(1)));
    }
}
