//! `pathlock doctor`: tries each scheme in the very directory where the locks shall be.
//!
//! Whether a lock excludes depends on the filesystem, on how it is mounted and on the server behind
//! it, so it is tried there, with processes of our own ([`worker`]) and one auditor ([`audit`]).
//!
//! # Why the auditor can be believed
//!
//! It does not ask the lock. All workers of a scheme write to one pipe. A line is one write(2) of less
//! than `PIPE_BUF` bytes, so it is in the pipe as a whole, and the kernel puts the lines in one order.
//! A worker writes `enter` after it has acquired and `leave` before it releases. Hence:
//!
//! - If the lock excludes, `leave A` is in the pipe before B can acquire, let alone write `enter B`.
//!   The pipe of a sound lock never shows two inside: there are no false alarms.
//! - If `enter B` is in the pipe between `enter A` and `leave A`, then A had not begun to release when
//!   B had acquired already: both held the lock at that moment.
//! - A worker that is killed writes no `leave`. The parent counts it as out from the moment before the
//!   kill; B's `enter` carries the time at which B held the lock, so one from before that moment still
//!   is an overlap. The monotonic clock is one for all processes of a machine. A worker that turns out
//!   to have died by other hands proves nothing.
//!
//! What it can't see: overlaps that no try has brought about, and what other hosts do.
//!
//! # What is left
//!
//! Nothing: all files are in a fresh subdirectory, which is removed also after an error or a signal. The
//! workers end when the pipe to their stdin does, and so they end with their parent, however it ends;
//! if that is SIGKILL, the subdirectory `.pathlock-doctor-XXXXXX` stays.

#[cfg(unix)]
mod advice;
#[cfg(unix)]
mod audit;
#[cfg(unix)]
mod event;
#[cfg(unix)]
mod place;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod team;
#[cfg(unix)]
mod trial;
#[cfg(unix)]
mod visit;
#[cfg(unix)]
mod worker;

#[cfg(not(unix))]
mod other;

#[cfg(not(unix))]
pub(crate) use other::{doctor, worker};
#[cfg(unix)]
pub(crate) use {visit::doctor, worker::worker};
