//! `pathlock run`: hold locks while a command runs.
//!
//! The invariant: while the command lives, the locks are held, whatever becomes of this process. The
//! command inherits what holds them (or is killed with us), and we let go only after it has been
//! reaped.

use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use pathlock::{
    AnyLockFile, CancelToken, FailureReason, Guard, LockError, Mode, UnlockError, WaitEvent, acquire_all,
};

use crate::args::Run;
use crate::environment;
use crate::exit::{self, Failure};
use crate::json::{self, Event};
use crate::say::{say, shown, tell};
use crate::signals::{self, Limits, Signals};
use crate::waiting::{Voice, Waiting};

pub(crate) fn run(args: &Run) -> Result<i32, Failure> {
    let locks: Vec<AnyLockFile> = args.paths.iter().map(|path| lock(args, path)).collect();
    let signals = Signals::catch().map_err(|error| cannot_prepare("catch signals", &error))?;

    let waiting = Arc::new(Waiting::new(voice(args), args.timeout()));
    let began = Instant::now();
    let acquired = acquire(args, &locks, &signals, &waiting);
    if let Some(signal) = signals.caught() {
        let (paths, name) = (all_shown(&locks), signals::name(signal));
        let message = format_args!("{name} ended the wait for {paths}; the command was not started");
        return Err(Failure::new(exit::of_signal(signal), message));
    }
    let guards = match acquired {
        Ok(guards) => guards,
        Err(failure) if args.skips() && failure.code == args.patience.busy_code() => {
            return Ok(skip(args, &failure));
        }
        Err(failure) => return Err(failure),
    };
    tell_acquired(args, &locks, &waiting, began);
    let began = Instant::now();

    let mut child = match start(args, &locks, &guards)? {
        Ok(child) => child,
        Err(error) => {
            drop(guards);
            return Err(cannot_run(args, &error));
        }
    };
    let limits = Limits { max_run: args.max_run, kill_after: args.kill_after, group: has_own_group(args) };
    let ended = signals.forward_until_end(&mut child, limits);
    let held = let_go(guards, |message| match args.telling.json {
        true => tell(&Event::Warning { message }),
        false => say(message),
    });
    if args.telling.json {
        tell(&Event::Released { paths: paths(&locks), held: began.elapsed().as_secs_f64() });
    } else if args.telling.verbose {
        say(format_args!("released {} after {:.3} s", all_shown(&locks), began.elapsed().as_secs_f64()));
    }
    let (status, too_long) = ended.map_err(|error| {
        Failure::new(exit::CANNOT_RUN, format_args!("can't tell how {} ended: {error}", args.command_line()))
    })?;
    if too_long {
        let limit = args.max_run.unwrap_or_default().as_secs_f64();
        let message = format_args!("{} took longer than {limit} s and was ended", args.command_line());
        return Err(Failure::new(exit::TOO_LONG, message));
    }
    let code = exit::of_command(status);
    Ok(if code == exit::SUCCESS && !held { exit::LOST } else { code })
}

fn lock(args: &Run, path: &std::ffi::OsStr) -> AnyLockFile {
    let lock = args.how.open(path).command(args.command_line());
    match (args.slots, args.sharing.mode()) {
        (Some(count), _) => lock.slots(count),
        (None, Mode::Shared) => lock.shared(),
        (None, Mode::Exclusive) => lock,
    }
}

fn voice(args: &Run) -> Voice {
    match (args.telling.json, args.telling.quiet) {
        (true, _) => Voice::Json,
        (false, true) => Voice::Quiet,
        (false, false) => Voice::Plain,
    }
}

/// A command that may have to be ended is ended with all that it has started.
fn has_own_group(args: &Run) -> bool {
    args.max_run.is_some() || args.kill_after.is_some()
}

/// Takes the locks at the first go if they are free, and otherwise as the arguments say.
fn acquire(
    args: &Run,
    locks: &[AnyLockFile],
    signals: &Signals,
    waiting: &Arc<Waiting>,
) -> Result<Vec<Guard>, Failure> {
    let token = CancelToken::new().map_err(|error| cannot_prepare("wait", &error))?;
    // Why we ended the wait ourselves, where no signal did.
    let ended = Arc::new(OnceLock::new());

    let hear = {
        let (token, waiting, ended) = (token.clone(), Arc::clone(waiting), Arc::clone(&ended));
        let (cancel_on_signal, quiet) = (signals.canceller(token.clone()), args.telling.quiet);
        move |event: &WaitEvent<'_>| {
            let obstacle = if environment::is_held_by_ancestor(event.lock_file, event.owner) {
                Some(environment::never_ends(event.path))
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
    let hear = Arc::new(hear);
    let locks: Vec<AnyLockFile> = locks
        .iter()
        .map(|lock| {
            let hear = Arc::clone(&hear);
            lock.clone().cancel_token(token.clone()).on_wait(move |event| hear(event))
        })
        .collect();
    let acquired = acquire_all(&locks, args.timeout());
    waiting.end();
    acquired.map_err(|error| match (&error, ended.get()) {
        (_, Some(failure)) => failure.clone(),
        (LockError::AlreadyLocked(busy), _)
            if environment::is_held_by_ancestor(busy.lock_file(), busy.owner()) =>
        {
            environment::never_ends(busy.path())
        }
        (LockError::LockFailed(failure), _) if failure.reason() == FailureReason::WouldDeadlock => {
            Failure::new(exit::USAGE, format_args!("one lock file is named twice, by two schemes: {error}"))
        }
        _ => Failure::locking(&error, args.patience.busy_code()),
    })
}

fn tell_acquired(args: &Run, locks: &[AnyLockFile], waiting: &Waiting, began: Instant) {
    let waited = began.elapsed().as_secs_f64();
    if args.telling.json {
        let mode = args.mode().name();
        tell(&Event::Acquired { paths: paths(locks), mode, waited });
    } else if args.telling.verbose {
        say(format_args!("got {} after {waited:.3} s", all_shown(locks)));
    } else if let Some(waited) = waiting.end().filter(|_| !args.telling.quiet && !waiting.was_live()) {
        say(format_args!("got {} after {:.1} s", all_shown(locks), waited.as_secs_f64()));
    }
}

fn skip(args: &Run, failure: &Failure) -> i32 {
    if args.telling.json {
        tell(&Event::Skipped { message: &failure.message });
    } else if !args.telling.quiet {
        say(format_args!("skipped: {}", failure.message));
    }
    exit::SUCCESS
}

/// Starts the command, with all that it inherits. The outer error is about the lock.
fn start(args: &Run, locks: &[AnyLockFile], guards: &[Guard]) -> Result<io::Result<Child>, Failure> {
    let (program, words) = args.command();
    let mut command = Command::new(program);
    command.args(words);
    environment::describe(&mut command, locks, guards, args.mode());
    if has_own_group(args) {
        signals::give_own_group(&mut command);
    }
    // Open until the command has been started, and inherited by nothing else: there is one thread.
    let mut inherited = Vec::new();
    for guard in guards {
        let files = if args.close { Ok(Vec::new()) } else { guard.try_clone_files() };
        let handed = files.and_then(|files| {
            if files.is_empty() {
                return guard.tie(&mut command);
            }
            files.iter().try_for_each(signals::let_inherit)?;
            inherited.extend(files);
            Ok(())
        });
        handed.map_err(|error| cannot_prepare("hand the lock to the command", &error))?;
    }
    Ok(command.spawn())
}

/// Releases the locks, and tells whether all were held to the end.
fn let_go(guards: Vec<Guard>, warn: impl Fn(&str)) -> bool {
    let mut held = true;
    for guard in guards {
        let path = shown(guard.path());
        let valid = guard.is_valid();
        let released = guard.release();
        if !valid || matches!(released, Err(UnlockError::NotLocked(..) | UnlockError::NotMyLock(..))) {
            warn(&format!(
                "the lock on {path} was broken while the command ran: another may have run at the same \
                 time, so check what they did",
            ));
            held = false;
        } else if let Err(error) = released {
            warn(&error.to_string());
        }
    }
    held
}

fn paths(locks: &[AnyLockFile]) -> Vec<String> {
    locks.iter().map(|lock| json::path(lock.path())).collect()
}

fn all_shown(locks: &[AnyLockFile]) -> String {
    let paths: Vec<String> = locks.iter().map(|lock| shown(lock.path())).collect();
    paths.join(", ")
}

fn cannot_prepare(what: &str, error: &io::Error) -> Failure {
    Failure::new(exit::CANNOT_LOCK, format_args!("can't {what}: {error}; the command was not started"))
}

fn cannot_run(args: &Run, error: &io::Error) -> Failure {
    let (program, _) = args.command();
    let name = program.to_string_lossy();
    if error.kind() != io::ErrorKind::NotFound {
        let message = format!("can't run {name}: {error}; the lock was released");
        return Failure::new(exit::CANNOT_RUN, message);
    }
    let reason = if Path::new(&program).exists() {
        "the interpreter that its first line names was not found"
    } else {
        "it was not found"
    };
    let hint = if name == "--" {
        ". One `--` is enough: what follows it is the command"
    } else if name.contains(char::is_whitespace) {
        ". For a line of shell, write: pathlock run -c 'LINE' PATH"
    } else {
        ""
    };
    Failure::new(exit::NOT_FOUND, format_args!("can't run {name}: {reason}; the lock was released{hint}"))
}
