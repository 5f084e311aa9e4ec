//! Scheme `pid`: the lock is held while the pid file `PATH` itself exists, as pylockfile's
//! `PIDLockFile` and the Filesystem Hierarchy Standard's `/run` files.
//!
//! It is a [`Link`](super::Link) lock on `PATH` without the baton: the file is never left behind
//! for the next owner, because people send signals to what it holds. It appears whole: no reader
//! ever finds it empty.

use std::path::{Path, PathBuf};

use super::baton;
use super::link::LinkForm;
use super::{Attempt, Request, Scheme};
use crate::error::Obstacle;
use crate::site::Site;
use crate::status::Status;

/// Pid files. See the [module](crate::scheme) and `docs/protocol.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pid;

impl Scheme for Pid {
    fn name(&self) -> &str {
        "pid"
    }
    fn lock_file(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        baton::attempt(LinkForm::<false>, request)
    }
    fn status(&self, site: &Site) -> Result<Status, Obstacle> {
        baton::status(LinkForm::<false>, site)
    }
    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
        baton::remove(LinkForm::<false>, site, seen)
    }
}
