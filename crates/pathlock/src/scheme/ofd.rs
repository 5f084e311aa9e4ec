//! Scheme `ofd`: the lock is held while a process has an exclusive lock of the open file
//! description (`F_OFD_SETLK`, see fcntl_locking(2)) on `PATH.lock`, which stays on disk. Shared
//! with programs that use `fcntl` or `lockf` locks.

use std::fs::File;
use std::io;

use super::breaking::SLOTS;
use super::kernel::{self, KernelLock};
use super::{Attempt, Request, Scheme};
use crate::error::Obstacle;
use crate::mode::Mode;
use crate::site::Site;
use crate::status::Status;
use crate::sys::{self, Range};

/// Locks of an open file description; Linux only. See the [module](crate::scheme) and
/// `docs/protocol.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ofd;

impl Scheme for Ofd {
    fn name(&self) -> &str {
        "ofd"
    }
    fn can_share(&self) -> bool {
        true
    }
    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        kernel::attempt(Bytes, request)
    }
    fn status(&self, site: &Site) -> Result<Status, Obstacle> {
        kernel::status(Bytes, site)
    }
    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
        kernel::remove(Bytes, site, seen)
    }
}

/// Everything below the bytes that have another meaning: whatever part of the file another program locks, it
/// meets this.
const LOCK: Range = Range { start: 0, length: SLOTS.start };

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl KernelLock for Bytes {
    const READ_ONLY: bool = false;
    const CONVERTS: bool = true;
    fn try_lock(self, file: &File, mode: Mode) -> io::Result<bool> {
        sys::range_try(file, LOCK, mode)
    }
    fn wait(self, file: &File, mode: Mode) -> io::Result<()> {
        sys::range_wait(file, LOCK, mode)
    }
    fn unlock(self, file: &File) -> io::Result<()> {
        sys::range_unlock(file, LOCK)
    }
    fn held_as(self, file: &File) -> io::Result<Option<Mode>> {
        sys::range_held_as(file, LOCK)
    }
}
