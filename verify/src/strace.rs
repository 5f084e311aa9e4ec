//! Interference with a process at one of its system calls, through strace(1).
//!
//! A plain run is traced first. Each call between the two marks of [`crate::cycle`] is then known by
//! its name and its number among the calls of that name, and a second run is killed there, or has
//! that one call fail.
//!
//! A process that is killed with `SIGKILL` when it enters a call never makes that call. Since
//! nothing but calls changes what others can see, *before each call* is every moment at which a
//! process can die.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::cycle::{BEGIN, END};

/// One system call of a traced process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The name of the call.
    pub name: String,
    /// Its number among the calls of that name in its thread, from 1.
    pub nth: usize,
    /// Whether the thread that made the marks made it.
    pub by_main_thread: bool,
    /// The call as the tracer shows it.
    pub text: String,
}

/// What happens to the traced process.
#[derive(Debug, Clone, Copy)]
pub enum Interference<'a> {
    /// Nothing: its calls are written down.
    None,
    /// It is killed when it enters this call.
    Kill(&'a Call),
    /// This call fails with this error and is not made.
    Fail(&'a Call, &'a str),
}

/// A command that runs `program` under strace, its calls written to `log`, for 30 seconds at most.
///
/// # Errors
/// When strace(1) or timeout(1) is missing.
pub fn command(program: &Path, log: &Path, interference: Interference<'_>) -> io::Result<Command> {
    for tool in ["strace", "timeout"] {
        Command::new(tool).arg("--version").output().map_err(|error| {
            io::Error::other(format!(
                "`{tool}` can't be run ({error}), and nothing can be shown without it: install it"
            ))
        })?;
    }
    let mut command = Command::new("timeout");
    command.args(["30", "strace", "-f", "-qq", "-o"]).arg(log);
    match interference {
        Interference::None => {}
        Interference::Kill(Call { name, nth, .. }) => {
            command.arg(format!("--trace={name}")).arg(format!("--inject={name}:signal=SIGKILL:when={nth}"));
        }
        Interference::Fail(Call { name, nth, .. }, error) => {
            command.arg("--seccomp-bpf").arg(format!("--trace={name}"));
            command.arg(format!("--inject={name}:error={error}:when={nth}"));
        }
    }
    command.arg(program);
    Ok(command)
}

/// The calls between the marks in a log, the mark at the end included: to be killed there is to be
/// killed when all is done.
///
/// # Errors
/// When the log can't be read, or has no marks.
pub fn calls(log: &Path) -> io::Result<Vec<Call>> {
    let log = fs::read_to_string(log)?;
    parse(&log).ok_or_else(|| io::Error::other(format!("the trace has not both marks:\n{log}")))
}

fn parse(log: &str) -> Option<Vec<Call>> {
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    let mut main_thread = None;
    let mut calls = Vec::new();
    for line in log.lines() {
        let (thread, text) = line.split_once(' ')?;
        let text = text.trim_start();
        // Signals, exits and the ends of calls that another thread's call has cut in two.
        let Some(name) = text.split_once('(').map(|(name, _)| name).filter(|name| is_name(name)) else {
            continue;
        };
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        if text.contains(BEGIN) {
            main_thread = Some(thread);
        } else if let Some(main_thread) = main_thread {
            calls.push(Call {
                name: name.to_owned(),
                nth: *count,
                by_main_thread: thread == main_thread,
                text: text.to_owned(),
            });
            if text.contains(END) {
                return Some(calls);
            }
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_thread_and_name() {
        let log = format!(
            "7 openat(AT_FDCWD, \"/etc/x\", O_RDONLY) = 3\n7 access(\"{BEGIN}\", F_OK) = -1 ENOENT\n\
             7 openat(AT_FDCWD, \"a(b\", O_RDWR <unfinished ...>\n8 openat(AT_FDCWD, \"c\", O_RDWR) = 4\n\
             7 <... openat resumed>) = 3\n8 +++ exited with 0 +++\n7 --- SIGCHLD {{si_signo=SIGCHLD}} ---\n\
             7 access(\"{END}\", F_OK) = -1 ENOENT\n7 close(3) = 0\n"
        );
        let calls = parse(&log).expect("both marks are there");
        let calls: Vec<_> =
            calls.iter().map(|call| (&call.name[..], call.nth, call.by_main_thread)).collect();
        assert_eq!(
            calls,
            [("openat", 2, true), ("openat", 1, false), ("access", 2, true)],
            "the call before the mark counts, the resumed one does not count again"
        );
        assert!(parse("7 close(3) = 0\n").is_none(), "a trace without marks is refused");
    }
}
