//! `pathlock break`: remove a lock by a person's order.
//!
//! The invariant: only the very lock that was looked at is removed. The library checks it by the
//! identity of the lock file, so a lock that has changed hands since is left alone.

use pathlock::State;

use crate::args::Break;
use crate::exit::{self, Failure};
use crate::say::{answer, shown};
use crate::status::describe;

pub(crate) fn break_lock(args: &Break) -> Result<i32, Failure> {
    let lock = args.how.open(&args.path);
    let path = shown(lock.path());
    let status = lock.status().map_err(|error| Failure::locking(&error, exit::BUSY))?;
    if status.state() == State::Free {
        answer(format_args!("{path}: free, nothing to break"))?;
        return Ok(exit::SUCCESS);
    }
    let found = describe(&status);
    if status.state() != State::Stale && !args.force {
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
    answer(format_args!("{path}: broken ({found})"))?;
    Ok(exit::SUCCESS)
}
