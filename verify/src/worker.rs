//! One process of an exclusion run: acquires, enters, leaves, releases, and again; and kills itself
//! inside now and then.
//!
//! Hard times and quiet ones take turns, second by second. In hard times one holder in three dies
//! inside, and hardly anything but recovery goes on. In quiet ones most processes live long enough
//! to pass the lock on, to give up waits, and to take such waits up again.
//!
//! It waits in all the ways there are: for ever, for a moment, not at all. Whoever gives up must
//! leave nothing behind either, so the short waits are part of the proof. It may wait by way of futures, and
//! drops many of them on the way; and it may come as a reader.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pathlock::{LockError, Mode, Timeout};
use rustix::process::{Signal, getpid, kill_process};
use rustix::time::{ClockId, clock_gettime};

use crate::args::Args;
use crate::audit::Auditor;
use crate::pace;
use crate::poller;
use crate::random::Random;
use crate::variant::Variant;

/// The longest critical section, in microseconds.
const LONGEST_INSIDE: u64 = 100;
/// The longest of the short waits, in microseconds: many end in the moment in which their turn comes.
const SHORT_WAIT: u64 = 600;
/// A wait longer than this has missed its wake-up: the next look is seconds away.
const SLOW: Duration = Duration::from_secs(2);
/// Nobody who is in a queue waits as long as this.
const NEVER_SO_LONG: Duration = Duration::from_secs(20);

/// One holder in so many is killed inside, in quiet times.
const QUIET: u64 = 300;

/// What a worker is started with.
#[derive(Debug, Clone)]
pub struct Orders {
    /// The scheme, and how it is used.
    pub variant: Variant,
    /// What the lock protects.
    pub path: PathBuf,
    /// The auditor's directory.
    pub audit: PathBuf,
    /// One holder in so many is killed inside, in hard times.
    pub one_dies_in: u64,
}

impl Orders {
    /// Reads the orders from the arguments.
    ///
    /// # Errors
    /// When they make no sense.
    pub fn parse(args: &Args) -> Result<Orders, String> {
        Ok(Orders {
            variant: Variant::parse(&args.text("scheme")?)?,
            path: args.path("path")?,
            audit: args.path("audit")?,
            one_dies_in: args.number("one-dies-in", 3)?,
        })
    }
}

/// Dies as a process dies that is killed with -9: at once, with all its threads.
pub fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

/// Whether this is a hard second; all processes agree, for they share the clock.
fn times_are_hard() -> bool {
    clock_gettime(ClockId::Monotonic).tv_sec % 2 == 0
}

/// Works until it is killed.
///
/// # Errors
/// When the auditor can't do its work, or the orders make no sense.
pub fn work(orders: &Orders) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    // Made once: its description in records is this process's command line.
    let variant = &orders.variant;
    let writer = variant.lock(&orders.path)?;
    let reader = writer.clone().shared();
    let mut auditor = Auditor::open(&orders.audit, variant.slots).map_err(text)?;
    let mut random = Random::default();
    loop {
        let timeout = match random.below(8) {
            _ if variant.is_broken() => Timeout::NoWait,
            0 => Timeout::NoWait,
            1..=3 => Timeout::After(Duration::from_micros(random.below(SHORT_WAIT))),
            4 => Timeout::After(NEVER_SO_LONG),
            _ => Timeout::Never,
        };
        let reads = variant.slots.is_some() || variant.readers && !random.one_in(3);
        let mode = if reads { Mode::Shared } else { Mode::Exclusive };
        let lock = if variant.readers && reads && !variant.is_broken() { &reader } else { &writer };
        let began = Instant::now();
        let acquired = if variant.futures {
            let patience = random.one_in(2).then(|| Duration::from_micros(random.below(SHORT_WAIT)));
            match poller::acquire(lock, timeout, patience) {
                Some(acquired) => acquired,
                None => continue,
            }
        } else {
            lock.acquire_within(timeout)
        };
        let guard = match acquired {
            Ok(guard) => guard,
            Err(LockError::AlreadyLocked(_)) => continue,
            Err(LockError::LockTimeout(_)) if began.elapsed() < NEVER_SO_LONG => continue,
            Err(error) => {
                auditor.report(&format!("acquire: {error}")).map_err(text)?;
                continue;
            }
        };
        let waited = began.elapsed();
        auditor.enter(mode).map_err(text)?;
        pace::work(Duration::from_micros(random.below(LONGEST_INSIDE + 1)));
        if random.one_in(if times_are_hard() { orders.one_dies_in } else { QUIET }) {
            auditor.die_inside().map_err(text)?;
            die();
        }
        auditor.leave(mode).map_err(text)?;
        if let Err(error) = guard.release() {
            auditor.report(&format!("release: {error}")).map_err(text)?;
        }
        if waited > SLOW {
            auditor.report_slow(waited).map_err(text)?;
        }
        if random.one_in(16) {
            let _ = lock.is_locked();
        }
    }
}
