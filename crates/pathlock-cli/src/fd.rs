//! `pathlock fd`: lock a file that the shell has open.
//!
//! A `flock(2)` lock belongs to the open file, which the shell shares with us: what we take stays
//! when we end, until the shell closes the file or lets go.
//!
//! The invariant: exit code 0 if and only if the lock is held. A wait with a limit is a thread that
//! sits in the kernel's queue, and the limit may pass at the very moment in which that thread is
//! given the lock. So at the end of the time this process runs itself anew, without waiting:
//! execve(2) ends every other thread before it goes on, and the one try that follows finds out
//! what has become of the lock: it succeeds if the thread had won.

use std::time::{Duration, Instant};

use crate::args::Fd;

#[cfg(not(unix))]
pub(crate) fn fd(_args: &Fd) -> Result<i32, crate::exit::Failure> {
    Err(crate::exit::Failure::new(crate::exit::CANNOT_LOCK, "this system has no file descriptors to lock"))
}

#[cfg(unix)]
pub(crate) use unix::fd;

/// How long a lock took, said to whom it may concern.
fn tell_locked(args: &Fd, began: Instant) {
    let waited = began.elapsed();
    if args.unlock {
        return;
    }
    if args.telling.json {
        let paths = vec![format!("fd {}", args.number)];
        let mode = args.sharing.mode().name();
        crate::say::tell(&crate::json::Event::Acquired { paths, mode, waited: waited.as_secs_f64() });
    } else if args.telling.verbose {
        crate::say::say(format_args!(
            "got the lock of descriptor {} after {:.3} s",
            args.number,
            waited.as_secs_f64()
        ));
    }
}

/// Where a wait with a limit says to the program that it becomes when it has begun.
const BEGAN: &str = "PATHLOCK_FD_WAITED_MS";

/// When the wait has begun: before we were run anew, if we were.
fn began() -> Instant {
    let waited = std::env::var(BEGAN).ok().and_then(|text| text.parse().ok()).map(Duration::from_millis);
    let now = Instant::now();
    waited.and_then(|waited| now.checked_sub(waited)).unwrap_or(now)
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::thread;

    use pathlock::{Mode, Timeout};
    use rustix::fs::FlockOperation;
    use rustix::io::Errno;

    use super::{BEGAN, began, tell_locked};
    use crate::args::Fd;
    use crate::exit::{self, Failure};

    pub(crate) fn fd(args: &Fd) -> Result<i32, Failure> {
        let number = args.number;
        let file = pathlock::inherited_file(number).map_err(|error| {
            let message = format!(
                "can't use descriptor {number}: {error}. Open a file under that number first: exec {number}>FILE"
            );
            Failure::new(exit::CANNOT_LOCK, message)
        })?;
        let (wait, try_it) = match args.sharing.mode() {
            _ if args.unlock => (FlockOperation::Unlock, FlockOperation::Unlock),
            Mode::Exclusive => (FlockOperation::LockExclusive, FlockOperation::NonBlockingLockExclusive),
            Mode::Shared => (FlockOperation::LockShared, FlockOperation::NonBlockingLockShared),
        };
        let began = began();
        // The first go is without waiting, and most are the last.
        if lock(&file, try_it, number)? {
            tell_locked(args, began);
            return Ok(exit::SUCCESS);
        }
        let busy = || {
            let message = format!("the file of descriptor {number} is locked by another");
            Failure::new(args.patience.busy_code(), message)
        };
        let limit = match args.patience.timeout() {
            Timeout::NoWait => return Err(busy()),
            Timeout::Never => None,
            Timeout::After(_) if std::env::var_os(BEGAN).is_some() => return Err(busy()),
            Timeout::After(limit) => Some(limit),
        };
        let Some(limit) = limit else {
            lock(&file, wait, number)?;
            tell_locked(args, began);
            return Ok(exit::SUCCESS);
        };
        let (won, end) = mpsc::channel();
        thread::Builder::new()
            .spawn(move || won.send(lock(&file, wait, number)))
            .map_err(|error| Failure::new(exit::CANNOT_LOCK, format_args!("can't wait: {error}")))?;
        match end.recv_timeout(limit.saturating_sub(began.elapsed())) {
            Ok(locked) => {
                locked?;
                tell_locked(args, began);
                Ok(exit::SUCCESS)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(run_anew(began.elapsed().as_millis()))
            }
        }
    }

    /// One call; `false` when another has the lock, which a call that waits never answers.
    fn lock(file: &File, operation: FlockOperation, number: i32) -> Result<bool, Failure> {
        loop {
            match rustix::fs::flock(file, operation) {
                Ok(()) => return Ok(true),
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => {
                    let message = format!("can't lock the file of descriptor {number}: {error}");
                    return Err(Failure::new(exit::CANNOT_LOCK, message));
                }
            }
        }
    }

    /// Becomes the program that tries once more and says how it ended.
    fn run_anew(waited: u128) -> Failure {
        let cannot = |error: io::Error| {
            let message = format!(
                "the time is up, and it can't be told whether the lock was taken at the last moment: {error}"
            );
            Failure::new(exit::CANNOT_LOCK, message)
        };
        match std::env::current_exe() {
            Ok(program) => cannot(
                Command::new(program).args(std::env::args_os().skip(1)).env(BEGAN, waited.to_string()).exec(),
            ),
            Err(error) => cannot(error),
        }
    }
}
