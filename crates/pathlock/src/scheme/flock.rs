//! Scheme `flock`: the lock is held while a process has the `flock(2)` lock of `PATH.lock`, which
//! stays on disk. Shared with flock(1), and with every program that uses the call.

use std::fs::File;
use std::io;

use super::kernel::{self, KernelLock};
use super::{Attempt, Request, Scheme};
use crate::error::Obstacle;
use crate::mode::Mode;
use crate::site::Site;
use crate::status::Status;
use crate::sys;

/// `flock(2)` locks. See the [module](crate::scheme) and `docs/protocol.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flock;

impl Scheme for Flock {
    fn name(&self) -> &str {
        "flock"
    }
    fn can_share(&self) -> bool {
        true
    }
    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        kernel::attempt(WholeFile, request)
    }
    fn status(&self, site: &Site) -> Result<Status, Obstacle> {
        kernel::status(WholeFile, site)
    }
    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
        kernel::remove(WholeFile, site, seen)
    }
}

/// The `flock(2)` lock of an inode.
#[derive(Debug, Clone, Copy)]
pub(super) struct WholeFile;

impl KernelLock for WholeFile {
    const READ_ONLY: bool = true;
    // "Converting a lock is not guaranteed to be atomic: the existing lock is first removed": flock(2).
    const CONVERTS: bool = false;
    fn try_lock(self, file: &File, mode: Mode) -> io::Result<bool> {
        sys::lock_try(file, mode)
    }
    fn wait(self, file: &File, mode: Mode) -> io::Result<()> {
        sys::lock_wait(file, mode)
    }
    fn unlock(self, file: &File) -> io::Result<()> {
        sys::unlock(file)
    }
    fn held_as(self, file: &File) -> io::Result<Option<Mode>> {
        sys::lock_held_as(file)
    }
}
