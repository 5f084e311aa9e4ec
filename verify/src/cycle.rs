//! One acquisition and one release, or one break, step by step, for a tracer to look at and to interfere with.
//!
//! The process talks with the test through its standard output and input: it says `waiting` when a
//! wait begins, then `held`, and goes on when it is given a line or the end of its input; then
//! `released`. What goes wrong it says as one line, and it ends when its input ends: until then it
//! is a living process that has failed to acquire or to release.
//!
//! It talks by `writev` and `readv`, which the library does not use: so a tracer can tell the
//! library's calls from these by their names alone. Calls of `access(2)` on names that nobody has
//! mark where the library's part begins and ends.

use std::io::{IoSlice, IoSliceMut};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pathlock::{LockError, UnlockError};
use rustix::fs::Access;

use crate::args::Args;
use crate::variant::Variant;

/// The name that is looked for before the library is called.
pub const BEGIN: &str = "/pathlock-verify/begin";
/// The name that is looked for when the library has done its work.
pub const END: &str = "/pathlock-verify/end";

/// Acquires and releases the lock that the arguments name.
///
/// # Errors
/// When the arguments make no sense.
pub fn run(args: &Args) -> Result<ExitCode, String> {
    let variant = Variant::parse(&args.text("scheme")?)?;
    let lock = variant.lock(&args.path("path")?)?;
    if variant.again {
        // What another holds, or has left, is for the tracer to look at.
        drop(lock.try_acquire());
    }
    let patience = Duration::from_millis(args.number("patience-ms", 5_000)?);
    let told = AtomicBool::new(false);
    let lock = lock.on_wait(move |_| {
        if !told.swap(true, Ordering::Relaxed) {
            say("waiting");
        }
    });
    mark(BEGIN);
    let guard = match lock.acquire_within(patience) {
        Ok(guard) => guard,
        Err(error) => return Ok(failed(&format!("acquire: {}: {error}", lock_error(&error)))),
    };
    say("held");
    hear();
    if let Err(error) = guard.release() {
        return Ok(failed(&format!("release: {}: {error}", unlock_error(&error))));
    }
    mark(END);
    say("released");
    while hear() {}
    Ok(ExitCode::SUCCESS)
}

/// Breaks the lock that the arguments name, and says `broken`.
///
/// # Errors
/// When the arguments make no sense.
pub fn break_lock(args: &Args) -> Result<ExitCode, String> {
    let lock = crate::lock(&args.text("scheme")?, &args.path("path")?)?;
    mark(BEGIN);
    if let Err(error) = lock.break_lock() {
        return Ok(failed(&format!("break: {}", lock_error(&error))));
    }
    mark(END);
    say("broken");
    while hear() {}
    Ok(ExitCode::SUCCESS)
}

fn failed(message: &str) -> ExitCode {
    mark(END);
    say(message);
    while hear() {}
    ExitCode::FAILURE
}

/// The name of the variant, and the reason of a failure.
fn lock_error(error: &LockError) -> String {
    match error {
        LockError::LockTimeout(contention) => format!("LockTimeout {:?}", contention.state()),
        LockError::AlreadyLocked(contention) => format!("AlreadyLocked {:?}", contention.state()),
        LockError::LockFailed(failure) => format!("LockFailed {:?}", failure.reason()),
    }
}

fn unlock_error(error: &UnlockError) -> &'static str {
    match error {
        UnlockError::NotLocked(_) => "NotLocked",
        UnlockError::NotMyLock(_) => "NotMyLock",
        UnlockError::Failed(_) => "Failed",
    }
}

fn mark(name: &str) {
    let _ = rustix::fs::access(name, Access::EXISTS);
}

fn say(line: &str) {
    let line = format!("{}\n", line.replace('\n', " "));
    // Nobody listens any longer when the test has given up.
    let _ = rustix::io::writev(std::io::stdout(), &[IoSlice::new(line.as_bytes())]);
}

/// Waits for a line; `false` at the end of the input.
fn hear() -> bool {
    let mut line = [0; 64];
    matches!(rustix::io::readv(std::io::stdin(), &mut [IoSliceMut::new(&mut line)]), Ok(1..))
}
