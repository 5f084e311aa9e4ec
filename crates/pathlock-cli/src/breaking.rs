//! `pathlock break`: remove a lock by a person's order.
//!
//! The invariant: only the very lock that was looked at is removed. The library checks it by the
//! identity of the lock file, so a lock that has changed hands since is left alone.

use pathlock::{AnyLockFile, Contenders, Owner, State, Status};

use crate::args::Break;
use crate::exit::{self, Failure};
use crate::say::{answer, answer_json, shown};
use crate::status::{describe, fields};

pub(crate) fn break_lock(args: &Break) -> Result<i32, Failure> {
    let lock = args.how.open(&args.path);
    let path = shown(lock.path());
    let status = lock.status().map_err(|error| Failure::locking(&error, exit::BUSY))?;
    let found = describe(&status);
    if status.state() == State::Free {
        tell(args, &lock, &status, format_args!("{path}: free, nothing to break"))?;
        return Ok(exit::SUCCESS);
    }
    if let Some(pid) = args.if_owner {
        if status.owner().map(Owner::pid) != Some(pid) {
            let message = format!("the lock on {path} was left alone, as pid {pid} does not own it: {found}");
            return Err(Failure::new(exit::BUSY, message));
        }
    } else if status.state() != State::Stale && !args.force {
        let message = format!(
            "the lock on {path} was left alone, as its owner may be at work: {found}. End the owner; or add \
             --force if you are sure that nothing runs any more"
        );
        return Err(Failure::new(exit::BUSY, message));
    }
    if !lock.break_if(&status).map_err(|error| Failure::locking(&error, exit::BUSY))? {
        let message =
            format!("the lock on {path} has changed hands in the meantime and was left alone; look again");
        return Err(Failure::new(exit::BUSY, message));
    }
    tell(args, &lock, &status, format_args!("{path}: broken ({found})"))?;
    Ok(exit::SUCCESS)
}

/// Says what there was, in words or as JSON.
fn tell(
    args: &Break,
    lock: &AnyLockFile,
    status: &Status,
    words: impl std::fmt::Display,
) -> Result<(), Failure> {
    if args.json { answer_json(&fields(lock, status, &Contenders::default())) } else { answer(words) }
}
