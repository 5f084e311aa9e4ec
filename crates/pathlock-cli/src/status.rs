//! `pathlock status`: who holds a lock. It waits for nothing and takes nothing.

use std::ffi::OsStr;

use pathlock::{State, Status};

use crate::args;
use crate::exit::{self, Failure};
use crate::say::{answer, say, shown};

pub(crate) fn status(args: &args::Status) -> Result<i32, Failure> {
    let mut code = exit::SUCCESS;
    for path in &args.paths {
        // A path that can't be read does not hide the answer about the next.
        let one = show(&args.how, path).unwrap_or_else(|failure| {
            say(failure.message);
            failure.code
        });
        code = code.max(one);
    }
    Ok(code)
}

fn show(how: &args::How, path: &OsStr) -> Result<i32, Failure> {
    let lock = how.open(path);
    let status = lock.status().map_err(|error| Failure::locking(&error, exit::BUSY))?;
    answer(format_args!("{}: {}", shown(lock.path()), describe(&status)))?;
    Ok(match status.state() {
        State::Free | State::Stale => exit::SUCCESS,
        State::Held | State::Unknown => exit::HELD,
    })
}

/// The state, the owner and the evidence, in one line.
pub(crate) fn describe(status: &Status) -> String {
    let state = match status.state() {
        State::Free => return "free".to_owned(),
        State::Held => "held",
        State::Stale => "stale: was held",
        State::Unknown => "unknown: held",
    };
    let owner = status.owner().map(|owner| format!(" by {owner}")).unwrap_or_default();
    let detail = status.detail();
    if detail.is_empty() { format!("{state}{owner}") } else { format!("{state}{owner}; {detail}") }
}
