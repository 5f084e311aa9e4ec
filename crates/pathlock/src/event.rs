//! What a caller can be told while it waits. The library itself never prints.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::Owner;

/// A wait has begun, or the owner that is waited for has changed, or a safety re-check found the
/// lock still held.
///
/// Given to the callback set with [`on_wait`](crate::Lock::on_wait), in the waiting thread.
#[derive(Debug)]
#[non_exhaustive]
pub struct WaitEvent<'a> {
    /// What is protected, as an absolute path.
    pub path: &'a Path,
    /// The lock file.
    pub lock_file: &'a Path,
    /// Who holds it, where that is known.
    pub owner: Option<&'a Owner>,
    /// What there is to see of the lock, in one clause; as [`Status::detail`](crate::Status::detail).
    pub detail: &'a str,
    /// How long this acquisition has waited so far.
    pub waited: Duration,
    /// When it will give up; `None` means never.
    pub deadline: Option<Instant>,
}
