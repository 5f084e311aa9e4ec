//! A lock file before it has its name: made whole, locked and written first, then published by
//! one `link(2)` that fails if the name exists.
//!
//! Nobody ever sees a lock file of ours that is not locked or not written. On Linux the draft has
//! no name at all (`O_TMPFILE`), and vanishes with a process that is killed; elsewhere it has a
//! fresh one for the moment, and loses it as soon as the lock has its own.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::litter;
use crate::mode::Mode;
use crate::owner::{Mark, Record};
use crate::scheme::Request;
use crate::scheme::baton::Place;
use crate::sys::{self, Filesystem};

#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    name: Option<FreshName>,
}

/// The name of a draft, which goes when the draft does and when it has become the lock.
#[derive(Debug)]
struct FreshName(PathBuf);

impl Drop for FreshName {
    fn drop(&mut self) {
        let _ = sys::remove_name(&self.0);
    }
}

impl Draft {
    pub(crate) fn make(request: &Request<'_>, mode: u32, filesystem: Filesystem) -> io::Result<Draft> {
        let unnamed = match filesystem {
            Filesystem::Local => sys::create_unnamed(request.site.directory(), mode)?,
            // A server may not know it, and what has no name there can't be told from a leak.
            Filesystem::Remote => None,
        };
        let draft = match unnamed {
            Some(file) => Draft { file, name: None },
            None => {
                let name = litter::fresh_name(request.site, request.owner);
                Draft { file: sys::create_new(&name, mode)?, name: Some(FreshName(name)) }
            }
        };
        if filesystem == Filesystem::Local && !sys::lock_try(&draft.file, Mode::Exclusive)? {
            // Nobody else knows a fresh file; a sweep of the name alone could look at it.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        sys::write_start(&draft.file, &Record::owned(request.owner, Mark::default()))?;
        Ok(draft)
    }

    /// Gives it the name of the lock file. `None`: there is a lock file already.
    pub(crate) fn publish(self, request: &Request<'_>) -> io::Result<Option<Place>> {
        let to = request.site.lock_file();
        // Nothing that can fail comes after the name: a lock that nobody holds would stay.
        let place = Place::new(self.file, true)?;
        let linked = match &self.name {
            None => sys::name_unnamed(&place.inode, to),
            Some(FreshName(name)) => sys::hard_link(name, to),
        };
        match linked {
            Ok(()) => {}
            // A server whose first reply was lost reports that the name exists, to its winner.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if self.name.is_none() || !is_at_lock_file(request, &place.inode) {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(Some(place))
    }
}

/// Whether the lock file is this very file, whatever the number of its names: a backup made of hard
/// links adds names too.
fn is_at_lock_file(request: &Request<'_>, file: &File) -> bool {
    let _ = request.site.refresh();
    crate::recover::still_names(request.site, file).unwrap_or(false)
}
