//! `pathlock run`: hold a lock while a command runs.
//!
//! The invariant: while the command lives, the lock is held, whatever becomes of this process. The
//! command inherits what holds the lock, and we let go only after it has been reaped.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use pathlock::{AnyLockFile, CancelToken, Guard, LockError, UnlockError, WaitEvent};

use crate::args::Run;
use crate::environment;
use crate::exit::{self, Failure};
use crate::say::{say, shown};
use crate::signals::{self, Signals};
use crate::waiting::Waiting;

pub(crate) fn run(args: &Run) -> Result<i32, Failure> {
    let lock = args.how.open(&args.path).command(args.command_line());
    let signals = Signals::catch().map_err(|error| cannot_prepare("catch signals", &error))?;

    let acquired = acquire(args, &lock, &signals);
    if let Some(signal) = signals.caught() {
        let (path, name) = (shown(lock.path()), signals::name(signal));
        let message = format_args!("{name} ended the wait for {path}; the command was not started");
        return Err(Failure::new(exit::of_signal(signal), message));
    }
    let guard = acquired?;

    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    environment::describe(&mut command, &lock, guard.owner());
    guard.share_with(&mut command).map_err(|error| cannot_prepare("hand the lock to the command", &error))?;
    let spawned = command.spawn();
    // What it has of the lock for the command to inherit is not wanted any more.
    drop(command);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            drop(guard);
            return Err(cannot_run(args, &error));
        }
    };

    let ended = signals.forward_until_end(&mut child);
    let held = let_go(guard, lock.path());
    let status = ended.map_err(|error| {
        Failure::new(exit::CANNOT_RUN, format_args!("can't tell how {} ended: {error}", args.command_line()))
    })?;
    let code = exit::of_command(status);
    Ok(if code == exit::SUCCESS && !held { exit::LOST } else { code })
}

/// Takes the lock at the first go if it is free, and otherwise as the arguments say.
fn acquire(args: &Run, lock: &AnyLockFile, signals: &Signals) -> Result<Guard, Failure> {
    let token = CancelToken::new().map_err(|error| cannot_prepare("wait", &error))?;
    let waiting = Arc::new(Waiting::new(args.timeout()));
    // Why we ended the wait ourselves, where no signal did.
    let ended = Arc::new(OnceLock::new());

    let begin = {
        let (token, waiting, ended, quiet) =
            (token.clone(), Arc::clone(&waiting), Arc::clone(&ended), args.quiet);
        let cancel_on_signal = signals.canceller(token.clone());
        move |event: &WaitEvent<'_>| {
            let obstacle = if environment::is_held_by_ancestor(event.lock_file, event.owner) {
                Some(never_ends(event.path))
            } else {
                cancel_on_signal().err().map(|error| cannot_prepare("wait", &error))
            };
            match obstacle {
                Some(failure) => {
                    let _ = ended.set(failure);
                    token.cancel();
                }
                None if !quiet => waiting.hear(event),
                None => {}
            }
        }
    };
    let acquired = lock.clone().cancel_token(token).on_wait(begin).acquire_within(args.timeout());
    waiting.end(acquired.is_ok());
    acquired.map_err(|error| match (&error, ended.get()) {
        (_, Some(failure)) => failure.clone(),
        (LockError::AlreadyLocked(busy), _)
            if environment::is_held_by_ancestor(busy.lock_file(), busy.owner()) =>
        {
            never_ends(busy.path())
        }
        _ => Failure::locking(&error, args.busy_code()),
    })
}

fn never_ends(path: &Path) -> Failure {
    let message = format!(
        "{} is already held by this command's own ancestor (PATHLOCK_HELD): waiting would never end. \
         What runs under a lock needs no `pathlock run` of its own for it",
        shown(path),
    );
    Failure::new(exit::BUSY, message)
}

/// Releases the lock, and tells whether it was held to the end.
fn let_go(guard: Guard, path: &Path) -> bool {
    let valid = guard.is_valid();
    let released = guard.release();
    if !valid || matches!(released, Err(UnlockError::NotLocked(..) | UnlockError::NotMyLock(..))) {
        say(format_args!(
            "the lock on {} was broken while the command ran: another may have run at the same time, \
             so check what they did",
            shown(path),
        ));
        return false;
    }
    if let Err(error) = released {
        say(error);
    }
    true
}

fn cannot_prepare(what: &str, error: &io::Error) -> Failure {
    Failure::new(exit::CANNOT_LOCK, format_args!("can't {what}: {error}; the command was not started"))
}

fn cannot_run(args: &Run, error: &io::Error) -> Failure {
    let name = args.command[0].to_string_lossy();
    if error.kind() != io::ErrorKind::NotFound {
        let message = format!("can't run {name}: {error}; the lock was released");
        return Failure::new(exit::CANNOT_RUN, message);
    }
    let reason = if Path::new(&args.command[0]).exists() {
        "the interpreter that its first line names was not found"
    } else {
        "it was not found"
    };
    let hint =
        if name.contains(char::is_whitespace) { ". For a line of shell, write: -- sh -c 'LINE'" } else { "" };
    Failure::new(exit::NOT_FOUND, format_args!("can't run {name}: {reason}; the lock was released{hint}"))
}
