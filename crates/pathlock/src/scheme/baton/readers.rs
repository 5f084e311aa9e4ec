//! Readers of a lock that is held by its name: what their records say to those who don't read.
//!
//! While readers hold the lock, its record is a free mark, and each reader has a record of its own
//! beside it. Their kernel locks keep writers out; so a contender that has the inode's `flock` knows that every
//! reader is dead, has left, or has closed its files and lives. The latter keeps the lock.

use std::ffi::OsString;
use std::io;

use super::{Form, Place};
use crate::liveness::Liveness;
use crate::mode::Recovery;
use crate::owner::{Mark, Owner, Record};
use crate::recover::{self, Verdict};
use crate::scheme::slots;
use crate::status::{State, Status};
use crate::sys;

/// A reader, by the record that it has in the lock.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) name: OsString,
    /// `None` for one that was killed before it had written who it is.
    pub(crate) owner: Option<Owner>,
}

impl Reader {
    /// As one sees it who has the inode's `flock`.
    fn verdict(&self) -> Option<Verdict> {
        let owner = self.owner.clone()?;
        Some(recover::under_lock(&Record::Owned(owner, Mark::default())))
    }
}

/// What has become of the records of readers.
pub(super) enum Forgotten {
    /// They are gone; whether there were any.
    Dead(bool),
    /// One of them counts.
    No(Status),
}

/// The status of a lock whose readers have it locked; `None` when no living one is recorded.
pub(super) fn status(form: impl Form, place: &Place) -> Option<Status> {
    let owners = form.readers(place).ok()?.into_iter().filter_map(|reader| reader.owner);
    let living: Vec<Owner> = owners.filter(|owner| owner.liveness() != Liveness::Dead).collect();
    let status = || Status::new(State::Held, None, "its kernel lock is held by readers");
    let slots = || form.turnstile(place).map_or(0, slots::taken);
    (!living.is_empty()).then(|| status().with_others(living).with_slots(slots()))
}

/// Of a lock that nobody has locked, a reader that lives all the same.
pub(super) fn living_reader(form: impl Form, place: &Place) -> io::Result<Option<Status>> {
    Ok(form.readers(place)?.iter().find_map(|reader| match reader.verdict()? {
        Verdict::Held(status) => Some(status),
        Verdict::Free | Verdict::Stale(_) | Verdict::NotALock(_) => None,
    }))
}

/// Of a lock that nobody has locked, a reader that lives or one that was killed.
pub(super) fn reader_left(form: impl Form, place: &Place) -> io::Result<Option<Status>> {
    if let Some(status) = living_reader(form, place)? {
        return Ok(Some(status));
    }
    Ok(form.readers(place)?.iter().find_map(|reader| match reader.verdict()? {
        Verdict::Stale(status) => Some(status),
        Verdict::Free | Verdict::Held(_) | Verdict::NotALock(_) => None,
    }))
}

/// Removes the records of readers, by one who has the inode's `flock`: all that had it are dead.
pub(super) fn forget_readers(form: impl Form, place: &Place, recovery: Recovery) -> io::Result<Forgotten> {
    let left = match recovery {
        Recovery::ProvenDead | Recovery::ByAge(_) => living_reader(form, place)?,
        Recovery::Never => reader_left(form, place)?,
    };
    if let Some(status) = left {
        return Ok(Forgotten::No(status));
    }
    let dead = form.readers(place)?;
    for reader in &dead {
        sys::remove_name_in(&place.inode, &reader.name)?;
    }
    Ok(Forgotten::Dead(!dead.is_empty()))
}
