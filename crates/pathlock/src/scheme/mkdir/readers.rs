//! Readers of scheme mkdir: many in one directory.
//!
//! A reader has `flock(2)` on the directory in shared mode, where a writer has it exclusively: the kernel
//! excludes. While readers are there, the record of the lock is a free mark, and each reader has
//! a file of its own in the directory, which says who it is. All that the module `baton` says of
//! marks holds for that one.
//!
//! # Invariants
//!
//! 1. *A reader counts once it has the `flock`, has read a free mark, has written its file, and has then seen
//!    that the path names this directory and that nobody breaks the lock.* It writes by way of the directory's
//!    descriptor: a file of one that comes too late lands in a directory that nobody finds. The name is
//!    removed by who has the `flock` exclusively, so by no one while a reader is there; a person's break
//!    is kept apart as in the module `breaking`, for what it has looked at has the readers' names in it.
//! 2. *A free mark has somebody who sees to it*, a reader among others: it has a byte
//!    ([`READING`]) from before it tries for the `flock` until it has let go, and then looks for others who see to
//!    the mark. Of readers that leave together, the last to drop the byte sees none, and removes the
//!    directory, with the `flock` in hand.
//! 3. *A writer that has the `flock` knows that all readers have left, are dead, or have closed their files
//!    and live.* The files say which (`baton::readers`). Those of the dead it removes.
//!
//! A reader that finds the record of a dead writer removes that lock, with the `flock` in hand exclusively, and
//! starts anew. It does not convert its `flock`, which takes the kernel two steps.
//!
//! # Crash points
//!
//! | killed | leaves | what the next does |
//! |---|---|---|
//! | before its file is written | nothing, or an empty file | a writer removes it; so does the last reader, with the directory |
//! | reading | its file | the same |
//! | after it has removed its file | nothing; or, as the last, a mark | adopts it |
//!
//! # The order
//!
//! Readers and writers that wait take turns: see the module `turns`. The bytes are those of the file with the
//! record, for who waits for a byte must be able to write; that file lives as long as the directory. On
//! the directory they announce themselves too, so that whoever lets go leaves it to them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{DirectoryForm, MOST_NAMES, open_record, owner_file_name};
use crate::error::{FailureReason, Obstacle};
use crate::litter;
use crate::mode::{Mode, Recovery};
use crate::owner::{Mark, Owner, Record};
use crate::recover::{self, Verdict};
use crate::scheme::baton::{Form, Found, Place, Reader, busy, kernel_owner, not_a_lock, queued_status};
use crate::scheme::breaking::{self, Bytes, LOOKS, Leaving, READING};
use crate::scheme::turns::is_behind;
use crate::scheme::{Attempt, Request, Waiter};
use crate::site::Site;
use crate::status::{State, Status};
use crate::sys::{self, Filesystem};

mod hold;
mod queue;

use hold::ReaderHold;
use queue::ReaderQueue;

/// What the names of readers' files end with.
const SUFFIX: &str = ".shared";

pub(in crate::scheme) fn is_reader_name(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(SUFFIX.as_bytes())
}

fn fresh_name(owner: &Owner) -> OsString {
    let mut name = owner_file_name(owner);
    // Another container may have the same host name and pid.
    let random = RandomState::new().hash_one(owner.serial);
    name.push(format!(".{random:016x}{SUFFIX}"));
    name
}

/// The readers whose files are in the directory.
pub(super) fn recorded(directory: &File) -> io::Result<Vec<Reader>> {
    let mut readers = Vec::new();
    for name in sys::names_in(directory, MOST_NAMES)?.into_iter().filter(|name| is_reader_name(name)) {
        match open_record(directory, &name) {
            Ok(Some((_, _, Record::Owned(owner, _)))) => readers.push(Reader { name, owner: Some(owner) }),
            Ok(Some((_, _, Record::Empty))) => readers.push(Reader { name, owner: None }),
            // It has just left; or it is somebody else's file.
            _ => {}
        }
    }
    readers.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(readers)
}

/// Tries once for a place among the readers.
pub(super) fn attempt(request: &Request<'_>) -> Result<Attempt, Obstacle> {
    let site = request.site;
    if site.filesystem()? == Filesystem::Remote {
        let message =
            "scheme mkdir has shared locks on local filesystems alone: this one is a network's, or not known";
        return Err(Obstacle::new(FailureReason::Unsupported, message));
    }
    // Each turn is another's progress: a name that was there is gone, or the other way round.
    loop {
        let place = match DirectoryForm.open(site.lock_file())? {
            Found::Absent => match create(request)? {
                Some(hold) => return Ok(Attempt::Held(Box::new(hold))),
                None => continue,
            },
            Found::Place(place) => Arc::new(place),
            Found::Other(what) => {
                return Ok(busy(Status::new(State::Unknown, None, what), Waiter::Change));
            }
            Found::NotALock(what) => return Err(not_a_lock(what)),
        };
        let queue = || match request.waits {
            true => ReaderQueue::waiter(request, &place),
            false => Waiter::Change,
        };
        let behind = || DirectoryForm.turnstile(&place).is_some_and(|file| is_behind(file, Mode::Shared));
        if request.waits && behind() {
            return Ok(busy(queued_status(DirectoryForm, &place), queue()));
        }
        set_reading(&place);
        if !sys::lock_try(&place.inode, Mode::Shared)? {
            leave(site, &place, request.owner);
            return Ok(busy(queued_status(DirectoryForm, &place), queue()));
        }
        if let Some(attempt) = join(request, &place)? {
            return Ok(attempt);
        }
    }
}

fn set_reading(place: &Place) {
    let _ = sys::range_try(&place.inode, READING, Mode::Shared);
}

/// Gives up the shared `flock`, which the caller may have, and sees to the mark if nobody else does.
fn leave(site: &Site, place: &Place, owner: &Owner) {
    let _ = sys::range_unlock(&place.inode, READING);
    let _ = sys::unlock(&place.inode);
    see_to_mark(site, place, owner);
}

fn see_to_mark(site: &Site, place: &Place, owner: &Owner) {
    if !place.is_watched(DirectoryForm) && place.regain(DirectoryForm, site) {
        place.let_go(DirectoryForm, site, owner);
    }
}

/// Decides, with the shared `flock` in hand: becomes a reader, or gives it up. `None` when the
/// directory is no longer the lock.
fn join(request: &Request<'_>, place: &Arc<Place>) -> Result<Option<Attempt>, Obstacle> {
    let result = join_locked(request, place);
    if !matches!(result, Ok(Some(Attempt::Held(_)))) {
        leave(request.site, place, request.owner);
    }
    result
}

fn join_locked(request: &Request<'_>, place: &Arc<Place>) -> Result<Option<Attempt>, Obstacle> {
    let site = request.site;
    let verdict = recover::under_lock(&Record::parse(&place.read(DirectoryForm)?));
    if !recover::still_names(site, &place.inode)? {
        return Ok(None);
    }
    match verdict {
        Verdict::Free => {}
        Verdict::Stale(status) if request.recovery == Recovery::Never => {
            return Ok(Some(busy(status, Waiter::Change)));
        }
        Verdict::Stale(_) => return remove_stale(request, place).map(|()| None),
        Verdict::Held(status) => return Ok(Some(busy(status, Waiter::Change))),
        Verdict::NotALock(what) => return Err(not_a_lock(what)),
    }
    let owner = kernel_owner(request);
    let hold = match ReaderHold::write(request, place, owner) {
        // The directory has been removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        hold => hold?,
    };
    let settled = breaking::outlasts(site, &place.inode, place.id);
    if matches!(settled, Ok(Some(true))) {
        return Ok(Some(Attempt::Held(Box::new(hold))));
    }
    hold.forget();
    let breaking = Status::new(State::Unknown, None, "somebody is breaking it");
    // Nothing would tell that a breaker which was stopped has been killed.
    Ok(settled?.is_none().then(|| busy(breaking, Waiter::Backoff)))
}

/// Takes away the lock of a writer that is proven dead. Whoever else does so at this moment, or takes it
/// over, is respected.
fn remove_stale(request: &Request<'_>, place: &Place) -> Result<(), Obstacle> {
    let site = request.site;
    sys::unlock(&place.inode)?;
    for look in 0..LOOKS {
        if sys::lock_try(&place.inode, Mode::Exclusive)? {
            let record = Record::parse(&place.read(DirectoryForm)?);
            let leaving = Leaving::begin(Bytes::of_inode(&place.inode));
            if matches!(recover::under_lock(&record), Verdict::Stale(_))
                && breaking::outlasts(site, &place.inode, place.id)? == Some(true)
            {
                DirectoryForm.remove(site, place, request.owner)?;
                litter::sweep(site);
            }
            drop(leaving);
            return Ok(());
        }
        crate::wait::step_aside(look);
    }
    Ok(())
}

/// Makes the directory, for a reader; `None` where there is one by now.
fn create(request: &Request<'_>) -> Result<Option<ReaderHold>, Obstacle> {
    let site = request.site;
    let owner = kernel_owner(request);
    let draft = litter::fresh_name(site, &owner);
    sys::make_directory(&draft, 0o777)?;
    let result = fill(request, &owner, &draft).and_then(|hold| {
        sys::rename_new(&draft, site.lock_file())?;
        Ok(hold)
    });
    let error = match result {
        Ok(hold) => return Ok(Some(hold)),
        Err(error) => error,
    };
    litter::discard(&draft);
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => Ok(None),
        io::ErrorKind::Unsupported => Ok(create_in_place(request, &owner)?),
        _ => Err(error.into()),
    }
}

fn create_in_place(request: &Request<'_>, owner: &Owner) -> io::Result<Option<ReaderHold>> {
    let path = request.site.lock_file();
    match sys::make_directory(path, 0o777) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        result => result?,
    }
    fill(request, owner, path).map(Some).inspect_err(|_| litter::discard(path))
}

/// Opens, locks and marks a directory that has been made at `path`, and becomes a reader of it.
fn fill(request: &Request<'_>, owner: &Owner, path: &Path) -> io::Result<ReaderHold> {
    let place = Place::new(sys::open_directory(path)?, false)?;
    set_reading(&place);
    // Somebody may be looking at it, for a moment.
    sys::lock_wait(&place.inode, Mode::Shared)?;
    let bits = request.file_mode.unwrap_or(0o666);
    let record = sys::create_new_in(&place.inode, &owner_file_name(owner), bits)?;
    sys::write_start(&record, &Record::free(Mark::default()))?;
    // The cell is empty: this is its first use.
    let _ = place.record.set((record, true));
    ReaderHold::write(request, &Arc::new(place), owner.clone())
}
