//! `pathlock status`: who holds a lock, and who waits for it. It waits for nothing and takes nothing.

use std::ffi::OsStr;

use pathlock::{AnyLockFile, Contender, Contenders, Owner, Scheme, State, Status};

use crate::args;
use crate::exit::{self, Failure};
use crate::json::{self, LockFields};
use crate::say::{answer, answer_json, shown};

pub(crate) fn status(args: &args::Status) -> Result<i32, Failure> {
    let mut code = exit::SUCCESS;
    for path in &args.paths {
        // A path that can't be read does not hide the answer about the next.
        let one = show(args, path).unwrap_or_else(|failure| failure.tell(args.json));
        code = code.max(one);
    }
    Ok(code)
}

fn show(args: &args::Status, path: &OsStr) -> Result<i32, Failure> {
    let lock = args.how.open(path);
    let status = lock.status().map_err(|error| Failure::locking(&error, exit::BUSY))?;
    let contenders = if status.state() == State::Free {
        Contenders::default()
    } else {
        // Whoever has gone since it was looked at is not shown, and nothing else is lost.
        lock.contenders().unwrap_or_default()
    };
    if args.json {
        answer_json(&fields(&lock, &status, &contenders))?;
    } else {
        answer(format_args!("{}: {}", shown(lock.path()), describe(&status)))?;
        if let Some(taken) = Some(status.slots_taken()).filter(|&taken| taken > 0) {
            let of = args.slots.map(|count| format!(" of {count}")).unwrap_or_default();
            answer(format_args!("  {taken}{of} slots are taken"))?;
        }
        let skipped = usize::from(status.owner().is_some());
        for reader in status.holders().skip(skipped) {
            answer(format_args!("  held by {reader}"))?;
        }
        let known: Vec<u32> = status.holders().map(Owner::pid).collect();
        for holder in contenders.holders().iter().filter(|holder| !known.contains(&holder.pid())) {
            answer(format_args!("  held too by {}", named(holder)))?;
        }
        for waiter in status.waiters() {
            answer(format_args!("  waited for by {waiter}"))?;
        }
        for waiter in contenders.waiters() {
            answer(format_args!("  waited for by {}", named(waiter)))?;
        }
    }
    Ok(match status.state() {
        State::Free | State::Stale => exit::SUCCESS,
        State::Held | State::Unknown => exit::HELD,
    })
}

/// What there is to say of a lock, as JSON has it.
pub(crate) fn fields<'a>(
    lock: &'a AnyLockFile,
    status: &'a Status,
    contenders: &'a Contenders,
) -> LockFields<'a> {
    LockFields {
        path: json::path(lock.path()),
        lock_file: json::path(lock.lock_file()),
        scheme: lock.scheme().name(),
        state: json::state(status.state()),
        detail: status.detail(),
        owner: status.owner().map(Into::into),
        readers: status.holders().skip(usize::from(status.owner().is_some())).map(Into::into).collect(),
        slots_taken: status.slots_taken(),
        holders: contenders.holders().iter().map(Into::into).collect(),
        waiters: status
            .waiters()
            .iter()
            .map(Into::into)
            .chain(contenders.waiters().iter().map(Into::into))
            .collect(),
    }
}

fn named(contender: &Contender) -> String {
    let command: String = contender.command().chars().take(120).collect();
    if command.is_empty() {
        format!("pid {}", contender.pid())
    } else {
        format!("pid {} ({})", contender.pid(), shown(command.as_ref()))
    }
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
