//! The operating system: the only module with platform code, and the only one with unsafe code.
//!
//! Everything above speaks of files, locks, processes and waits in the words of this module. A
//! platform that lacks a thing answers [`std::io::ErrorKind::Unsupported`]; nothing is imitated.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod forks;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod mounts;
#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "sys/linux.rs"]
mod platform;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
#[path = "sys/bsd.rs"]
mod platform;
#[cfg(not(unix))]
#[path = "sys/other.rs"]
mod platform;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod proc_locks;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod process_id;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod signals;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod stat;
#[cfg(unix)]
mod unix;

mod fork_local;
#[cfg(all(test, target_os = "linux"))]
pub(crate) mod testing;

pub(crate) use fork_local::ForkLocal;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use forks::forks;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use mounts::locate;
pub(crate) use platform::*;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
use platform::{stat_by_file, stat_by_name};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use proc_locks::{contenders, locked_inodes};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use process_id::process_id;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use signals::poll_unless;
#[cfg(any(target_os = "linux", target_os = "android"))]
use stat::{stat_by_file, stat_by_name};
/// Elsewhere the C library remembers it, or there is no fork.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use std::process::id as process_id;
#[cfg(unix)]
pub(crate) use unix::*;

/// Not known.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn forks() -> Option<usize> {
    None
}

/// Asks `ask`, and waits like [`poll`] if that is content. A handler that runs between the two is not noticed.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn poll_unless<E: From<std::io::Error>>(
    ask: impl Fn() -> Result<(), E>,
    sources: &[Source<'_>],
    time: std::time::Duration,
) -> Result<Woken, E> {
    ask()?;
    Ok(poll(sources, Some(time))?)
}

/// What names an inode for as long as somebody has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "nothing can be looked at there"))]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    /// A pipe, a socket, a device.
    Special,
}

/// What there is at a path, or behind an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) id: FileId,
    pub(crate) kind: Kind,
}

/// Whether other machines can change a filesystem behind this kernel's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filesystem {
    /// This kernel alone: its locks and its notifications tell the whole truth.
    Local,
    /// A network filesystem, or one that is not known.
    Remote,
}

/// A byte range of a file, for locks of an open file description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) length: i64,
}

/// What the process table says of a pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "no process can be looked at there"))]
pub(crate) enum ProcessState {
    /// There is none, or it has ended and has not been reaped.
    Gone,
    /// There is one; when it started, where that may be read.
    Running { start: Option<u64> },
}

impl ProcessState {
    pub(crate) fn start(self) -> Option<u64> {
        match self {
            ProcessState::Running { start } => start,
            ProcessState::Gone => None,
        }
    }
}
