//! Scheme `mkdir`: the lock is held while the directory `PATH.lock` exists, as pylockfile's
//! `MkdirLockFile`. The owner's file in it holds the record.
//!
//! A directory made in place would be seen empty and unlocked for a moment, and a process killed
//! in that moment would leave a lock that nobody can be proven to own. So it is made under a fresh
//! name, locked and filled, and renamed to its own with `RENAME_NOREPLACE`; and it is taken away
//! by one rename too, then emptied. What others have put into it stays in the renamed directory:
//! nothing that is not ours is removed. On filesystems without that rename the directory is made
//! in place, and that moment is the one state which a person has to clear up.
//!
//! The rest of the protocol, and why it is safe, is in the module `baton`: the inode is the
//! directory's.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;

use super::baton::{self, Form, Found, Place, kernel_owner};
use super::{Attempt, Request, Scheme};
use crate::error::Obstacle;
use crate::litter;
use crate::mode::Mode;
use crate::owner::{Mark, Owner, Record};
use crate::site::Site;
use crate::status::Status;
use crate::sys::{self, Filesystem, Kind};
use baton::Reader;
pub(super) use readers::is_reader_name;

mod readers;

/// Directories: the default on Windows. See the [module](crate::scheme) and `docs/protocol.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mkdir;

impl Scheme for Mkdir {
    fn name(&self) -> &str {
        "mkdir"
    }
    fn can_share(&self) -> bool {
        true
    }
    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        match request.mode {
            Mode::Exclusive => baton::attempt(DirectoryForm, request),
            Mode::Shared => readers::attempt(request),
        }
    }
    fn status(&self, site: &Site) -> Result<Status, Obstacle> {
        baton::status(DirectoryForm, site)
    }
    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
        baton::remove(DirectoryForm, site, seen)
    }
}

/// A lock's directory holds an owner's file; this many are looked at.
const MOST: usize = 32;
/// Each reader has a file there, too.
const MOST_NAMES: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct DirectoryForm;

impl Form for DirectoryForm {
    const BATON: bool = true;

    fn create(self, request: &Request<'_>, filesystem: Filesystem) -> Result<Option<Place>, Obstacle> {
        let site = request.site;
        if filesystem == Filesystem::Remote {
            return Ok(create_in_place(request, request.owner, filesystem)?);
        }
        let owner = kernel_owner(request);
        let draft = litter::fresh_name(site, &owner);
        sys::make_directory(&draft, 0o777)?;
        let result = fill(request, &owner, &draft, filesystem).and_then(|place| {
            sys::rename_new(&draft, site.lock_file())?;
            Ok(place)
        });
        let error = match result {
            Ok(place) => return Ok(Some(place)),
            Err(error) => error,
        };
        litter::discard(&draft);
        match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => Ok(None),
            io::ErrorKind::Unsupported => Ok(create_in_place(request, &owner, filesystem)?),
            _ => Err(error.into()),
        }
    }

    fn open(self, path: &Path) -> Result<Found, Obstacle> {
        match sys::stat_at(path)?.map(|stat| stat.kind) {
            None => return Ok(Found::Absent),
            Some(Kind::Directory) => {}
            Some(Kind::File) => {
                return Ok(Found::Other("a file has its name: a lock of another scheme, it seems"));
            }
            Some(Kind::Symlink) => {
                return Ok(Found::Other("a symbolic link has its name: a lock of scheme symlink, it seems"));
            }
            Some(Kind::Special) => return Ok(Found::NotALock("a pipe, a socket or a device has its name")),
        }
        match sys::open_directory(path) {
            Ok(directory) => Ok(look_inside(Place::new(directory, false)?)?),
            // It has just gone, or become something else: look again.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Found::Absent)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Ok(Found::Other("its directory may not be read"))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn find_record(self, place: &Place) -> io::Result<Option<(File, bool)>> {
        for name in names_of_owners(&place.inode)? {
            if let Ok(Some((file, writable, record))) = open_record(&place.inode, &name)
                && matches!(record, Record::Owned(..) | Record::Free(_))
            {
                return Ok(Some((file, writable)));
            }
        }
        Ok(None)
    }

    fn renamed(self, place: &Place, owner: &Owner) {
        let Some((record, _)) = place.record.get() else { return };
        let Ok(id) = sys::stat_of(record).map(|stat| stat.id) else { return };
        for name in names_of_owners(&place.inode).unwrap_or_default() {
            let same = sys::open_existing_in(&place.inode, &name)
                .and_then(|(file, _)| sys::stat_of(&file))
                .is_ok_and(|stat| stat.id == id);
            if same {
                let _ = sys::rename_in(&place.inode, &name, &owner_file_name(owner));
                return;
            }
        }
    }

    fn turnstile(self, place: &Place) -> Option<&File> {
        match place.record_file(self) {
            Ok(Some((file, true))) => Some(file),
            _ => None,
        }
    }

    fn readers(self, place: &Place) -> io::Result<Vec<Reader>> {
        readers::recorded(&place.inode)
    }

    fn remove(self, site: &Site, place: &Place, owner: &Owner) -> io::Result<()> {
        // Whose it is was checked: another's is there only if somebody has broken the lock since.
        let is_it = |aside: &Path| {
            let is_it = sys::stat_at(aside)?.is_some_and(|stat| stat.id == place.id);
            if is_it {
                remove_own_file(place, owner);
            }
            Ok(is_it)
        };
        litter::take_away(site, owner, is_it).map(|_| ())
    }
}

/// Opens, locks and writes a directory that has been made at `path`.
fn fill(request: &Request<'_>, owner: &Owner, path: &Path, filesystem: Filesystem) -> io::Result<Place> {
    let place = Place::new(sys::open_directory(path)?, false)?;
    if filesystem == Filesystem::Local {
        // Somebody may be looking at it, for a moment.
        sys::lock_wait(&place.inode, Mode::Exclusive)?;
    }
    let file = sys::create_new_in(&place.inode, &owner_file_name(owner), request.file_mode.unwrap_or(0o666))?;
    sys::write_start(&file, &Record::owned(owner, Mark::default()))?;
    // The cell is empty: this is its first use.
    let _ = place.record.set((file, true));
    Ok(place)
}

fn create_in_place(
    request: &Request<'_>,
    owner: &Owner,
    filesystem: Filesystem,
) -> io::Result<Option<Place>> {
    let path = request.site.lock_file();
    match sys::make_directory(path, 0o777) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        result => result?,
    }
    fill(request, owner, path, filesystem).map(Some).inspect_err(|_| litter::discard(path))
}

/// Removes the file with the record from a directory that has lost the lock's name. As a rule it is the only one, and
/// the directory need not be read.
fn remove_own_file(place: &Place, owner: &Owner) {
    let Some((record, _)) = place.record.get() else { return };
    let name = owner_file_name(owner);
    let there = sys::stat_in(&place.inode, &name).ok().flatten().map(|stat| stat.id);
    if there.is_some() && there == sys::stat_of(record).ok().map(|stat| stat.id) {
        let _ = sys::remove_name_in(&place.inode, &name);
    }
}

/// pylockfile's name for an owner in a directory: `HOST.-THREADPID`, the thread in hexadecimal.
fn owner_file_name(owner: &Owner) -> OsString {
    let host: String = owner.host().chars().filter(|&c| c != '/' && c != '\0').take(64).collect();
    format!("{host}.-{:x}{}", owner.thread().unwrap_or(0), owner.pid()).into()
}

/// The names that may be an exclusive owner's.
fn names_of_owners(directory: &File) -> io::Result<Vec<OsString>> {
    let mut names = sys::names_in(directory, MOST_NAMES)?;
    names.retain(|name| !is_reader_name(name));
    names.truncate(MOST);
    Ok(names)
}

/// The file `name` in a lock's directory and what it says; `None` where that is no file.
fn open_record(directory: &File, name: &OsStr) -> io::Result<Option<(File, bool, Record)>> {
    let (file, writable) = sys::open_existing_in(directory, name)?;
    if sys::stat_of(&file)?.kind != Kind::File {
        return Ok(None);
    }
    let record = Record::parse(&Record::text_in(&file)?);
    Ok(Some((file, writable, record)))
}

/// Whether the file `name` in a lock's directory is an owner's, and so may go with the lock.
pub(crate) fn is_owner_file(directory: &File, name: &OsStr) -> bool {
    matches!(open_record(directory, name), Ok(Some((_, _, record))) if is_owners(name, &record))
}

fn is_owners(name: &OsStr, record: &Record) -> bool {
    match record {
        Record::Owned(..) | Record::Free(_) => true,
        // One whose maker was killed before it was written; and pylockfile's, which are empty.
        Record::Empty => is_reader_name(name) || name.to_str().is_some_and(has_owners_form),
        Record::Idle(_) | Record::Bare(_) | Record::Foreign => false,
    }
}

fn has_owners_form(name: &str) -> bool {
    let Some((_, digits)) = name.rsplit_once('.') else { return false };
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A directory with files in it that no lock has is a user's own.
fn look_inside(place: Place) -> io::Result<Found> {
    let mut foreign = false;
    for name in sys::names_in(&place.inode, MOST)? {
        match open_record(&place.inode, &name) {
            Ok(Some((_, _, record))) if is_owners(&name, &record) => return Ok(Found::Place(place)),
            Ok(Some((_, _, Record::Empty | Record::Bare(_)))) => {}
            // One that has gone since the listing was an owner's: the lock is changing hands. It
            // is opened once only: by a second time it may have come back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) | Err(_) => foreign = true,
        }
    }
    Ok(if foreign {
        Found::NotALock("a directory has its name, with files in it that are no lock's")
    } else {
        Found::Place(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_owners_files_count() {
        for name in ["host.-7f0a1b2c12345", "a.b.c.123", "host.-0"] {
            assert!(has_owners_form(name), "{name}");
        }
        for name in [".DS_Store", ".nfs000012", "README", "host.-", "notes.txt"] {
            assert!(!has_owners_form(name), "{name}");
        }
    }
}
