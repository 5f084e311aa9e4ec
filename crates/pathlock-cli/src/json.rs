//! What programs read: one JSON object a line, with the names that the messages for people use.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use pathlock::{Contender, Liveness, Owner, State};
use serde::Serialize;

/// A path, with what is no UTF-8 in it replaced.
pub(crate) fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Who holds a lock, as its record says.
#[derive(Debug, Serialize)]
pub(crate) struct OwnerFields<'a> {
    pid: u32,
    host: &'a str,
    command: &'a str,
    user: Option<u32>,
    /// Seconds since 1970.
    since: Option<f64>,
    thread: Option<u64>,
    start_time: Option<u64>,
    boot_id: Option<&'a str>,
    scheme: &'a str,
    liveness: &'static str,
}

impl<'a> From<&'a Owner> for OwnerFields<'a> {
    fn from(owner: &'a Owner) -> OwnerFields<'a> {
        OwnerFields {
            pid: owner.pid(),
            host: owner.host(),
            command: owner.command(),
            user: owner.user(),
            since: owner.since().map(seconds),
            thread: owner.thread(),
            start_time: owner.start_time(),
            boot_id: owner.boot_id(),
            scheme: owner.scheme(),
            liveness: match owner.liveness() {
                Liveness::Alive => "alive",
                Liveness::Dead => "dead",
                Liveness::Unknown => "unknown",
            },
        }
    }
}

/// A process that the kernel shows.
#[derive(Debug, Serialize)]
pub(crate) struct Process<'a> {
    pid: u32,
    command: &'a str,
}

impl<'a> From<&'a Contender> for Process<'a> {
    fn from(contender: &'a Contender) -> Process<'a> {
        Process { pid: contender.pid(), command: contender.command() }
    }
}

impl<'a> From<&'a Owner> for Process<'a> {
    fn from(owner: &'a Owner) -> Process<'a> {
        Process { pid: owner.pid(), command: owner.command() }
    }
}

/// What `status`, `list` and `break` say of a lock.
#[derive(Debug, Serialize)]
pub(crate) struct LockFields<'a> {
    pub(crate) path: String,
    pub(crate) lock_file: String,
    pub(crate) scheme: &'a str,
    pub(crate) state: &'static str,
    pub(crate) detail: &'a str,
    pub(crate) owner: Option<OwnerFields<'a>>,
    /// Those who hold it with the owner, or without one, by records of their own.
    pub(crate) readers: Vec<OwnerFields<'a>>,
    pub(crate) slots_taken: u32,
    pub(crate) holders: Vec<Process<'a>>,
    pub(crate) waiters: Vec<Process<'a>>,
}

/// What happens in `run`, `fd` and `wait`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// A wait has begun, or is now for another owner.
    Waiting {
        path: String,
        lock_file: String,
        owner: Option<OwnerFields<'a>>,
        waited: f64,
        limit: Option<f64>,
    },
    /// The lock is held.
    Acquired { paths: Vec<String>, mode: &'static str, waited: f64 },
    /// The lock is free; nothing is held.
    Free { path: String, waited: f64 },
    /// The command was not run.
    Skipped { message: &'a str },
    /// The lock was let go.
    Released { paths: Vec<String>, held: f64 },
    /// What went wrong and ended nothing.
    Warning { message: &'a str },
    /// What this program exits with, and why.
    Error { code: i32, message: &'a str },
}

/// The word for a state.
pub(crate) fn state(state: State) -> &'static str {
    match state {
        State::Free => "free",
        State::Held => "held",
        State::Stale => "stale",
        State::Unknown => "unknown",
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
