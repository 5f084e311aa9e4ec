//! Scheme `link`: the lock is held while `PATH.lock` exists, as pylockfile's `LinkLockFile`.
//!
//! The file is made whole under no name, locked and written, and then linked to its name:
//! `link(2)` fails if the name exists, and of several callers exactly one succeeds. The rest of the
//! protocol, and why it is safe, is in the module `baton`.

use std::fs::File;
use std::io;
use std::path::Path;

use super::baton::{self, Form, Found, Place, kernel_owner};
use super::draft::Draft;
use super::{Attempt, Request, Scheme};
use crate::error::Obstacle;
use crate::owner::Owner;
use crate::site::Site;
use crate::status::Status;
use crate::sys::{self, Filesystem, Kind};

/// Hard links: the default on Unix. See the [module](crate::scheme) and `docs/protocol.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Link;

impl Scheme for Link {
    fn name(&self) -> &str {
        "link"
    }
    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        baton::attempt(LinkForm::<true>, request)
    }
    fn status(&self, site: &Site) -> Result<Status, Obstacle> {
        baton::status(LinkForm::<true>, site)
    }
    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
        baton::remove(LinkForm::<true>, site, seen)
    }
}

/// A file that is the lock; with or without the baton.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkForm<const BATON: bool>;

impl<const BATON: bool> LinkForm<BATON> {
    /// Everybody may read who holds a lock; a pid file, which is never adopted by others, is
    /// written by its owner alone.
    const MODE: u32 = if BATON { 0o666 } else { 0o644 };
}

impl<const BATON: bool> Form for LinkForm<BATON> {
    const BATON: bool = BATON;

    fn create(self, request: &Request<'_>, filesystem: Filesystem) -> Result<Option<Place>, Obstacle> {
        let owner = match filesystem {
            Filesystem::Local => kernel_owner(request),
            Filesystem::Remote => request.owner.clone(),
        };
        let request = Request { owner: &owner, ..*request };
        let draft = Draft::make(&request, request.file_mode.unwrap_or(Self::MODE), filesystem)?;
        Ok(draft.publish(&request)?)
    }

    fn open(self, path: &Path) -> Result<Found, Obstacle> {
        open_file(path, BATON, sys::open_existing)
    }

    fn open_to_look(self, path: &Path) -> Result<Found, Obstacle> {
        open_file(path, BATON, |path| Ok((sys::open_to_look(path)?, false)))
    }

    fn find_record(self, _place: &Place) -> io::Result<Option<(File, bool)>> {
        Ok(None)
    }

    fn renamed(self, _place: &Place, _owner: &Owner) {}

    fn remove(self, site: &Site, _place: &Place, _owner: &Owner) -> io::Result<()> {
        match sys::remove_name(site.lock_file()) {
            // A server whose first reply was lost says so of what it has removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

fn open_file(
    path: &Path,
    baton: bool,
    open: impl Fn(&Path) -> io::Result<(File, bool)>,
) -> Result<Found, Obstacle> {
    // Looked at before it is opened: opening a device or a pipe can do things.
    match sys::stat_at(path)?.map(|stat| stat.kind) {
        None => return Ok(Found::Absent),
        Some(Kind::File) => {}
        // A pid file's path is the user's own, and so is a directory there.
        Some(Kind::Directory) if !baton => return Ok(Found::NotALock("a directory has its name")),
        Some(Kind::Directory) => {
            return Ok(Found::Other("a directory has its name: a lock of scheme mkdir, it seems"));
        }
        Some(Kind::Symlink) => {
            return Ok(Found::Other("a symbolic link has its name: a lock of scheme symlink, it seems"));
        }
        Some(Kind::Special) => return Ok(Found::NotALock("a pipe, a socket or a device has its name")),
    }
    match open(path) {
        Ok((file, writable)) => {
            let place = Place::new(file, writable)?;
            Ok(if place.is_file() { Found::Place(place) } else { Found::Absent })
        }
        // It has just gone, or become something else: look again.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Absent),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Ok(Found::Other("its lock file may not be read"))
        }
        Err(error) => Err(error.into()),
    }
}
