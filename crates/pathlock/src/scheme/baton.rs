//! Locks that are held while a name exists, on an inode that is locked too: link, pid and mkdir.
//!
//! The holder keeps `flock(2)` on the inode from before the name appears. Whoever wants the lock
//! waits in that `flock`'s own queue in the kernel, first come first served, and is woken by the
//! holder's release and by its death alike: one waiter for one hand-over.
//!
//! # The baton
//!
//! A holder that lets go while somebody is in the queue leaves the name where it is: it writes a
//! *free mark* over its record and unlocks the inode. The first in the queue wakes, finds path and
//! mark unchanged, and writes its own record: the lock has passed on without an operation on the
//! directory. To be seen, a waiter *announces* itself by a shared lock of a far byte of the inode
//! ([`ANNOUNCED`](super::breaking::ANNOUNCED)); it is gone when the waiter is.
//!
//! # Invariants
//!
//! 1. *The owner is whoever's record is in the inode that the path names.* A record is only
//!    written by a contender that has the inode's `flock` and has then read a free mark, or a record
//!    whose owner is proven dead; and it counts once its writer has seen, after that, that the path names
//!    this inode. Two contenders cannot both have the `flock`. The name is only removed by who has the
//!    `flock`; by an owner that has closed its files, lives, and removes its own, so before the
//!    judgement; and by a person's break, which the module `breaking` keeps apart from all of these (other
//!    programs' breaks excepted: the guard of a lock that was broken says that it is no longer valid).
//! 2. *A free mark has somebody who sees to it*: its writer, until it has looked once more after
//!    unlocking; then somebody who is announced, and who looks after withdrawing; or somebody who
//!    has the `flock`, and who takes the lock or looks ([`Place::let_go`], [`Place::regain`]). So a
//!    mark is never left for a program that takes every name for a lock, unless its keeper is
//!    killed, or ends after it was stopped; and then any contender of ours adopts it at once.
//!
//! # Crash points
//!
//! | killed | leaves | what the next does |
//! |---|---|---|
//! | before the name appears | nothing, or a draft under a fresh name | makes its own; a later recovery sweeps the draft |
//! | holding | the name, its record, the `flock` free | adopts it: proof by kernel evidence |
//! | after writing the mark | the name, a mark, the `flock` free | adopts it |
//! | after removing the name | nothing | makes its own |
//! | waiting | nothing: announcement and place in the queue are the kernel's | – |
//!
//! # The order
//!
//! A contender that would wait, and sees that somebody is announced, joins the queue even when the
//! `flock` happens to be free: it must not overtake the waiter that has been woken and does not run
//! yet. One that does not wait takes what is free.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::error::{FailureReason, Obstacle};
use crate::litter;
use crate::mode::{Mode, Recovery};
use crate::owner::{Mark, Owner, Record};
use crate::recover::{self, Verdict};
use crate::scheme::breaking::{self, Bytes, LOOKS, Leaving};
use crate::scheme::{Attempt, Busy, Request, Waiter, turns};
use crate::site::Site;
use crate::status::{Seen, State, Status};
use crate::sys::{self, FileId, Filesystem};

mod hold;
mod looking;
mod queue;
mod readers;
mod removal;

use hold::BatonHold;
use looking::look;
pub(crate) use looking::{kernel_held, queued_status, status};
use queue::BatonQueue;
pub(crate) use readers::Reader;
use readers::{Forgotten, forget_readers, living_reader};
pub(crate) use removal::remove;

/// What the three schemes differ in.
pub(crate) trait Form: fmt::Debug + Copy + Send + Sync + 'static {
    /// Whether the name may stay while the lock passes from one owner to the next.
    const BATON: bool;

    /// Makes the lock: locked and written before its name appears. `None` where there is one.
    fn create(self, request: &Request<'_>, filesystem: Filesystem) -> Result<Option<Place>, Obstacle>;

    /// Opens what is at `path`, following nothing.
    fn open(self, path: &Path) -> Result<Found, Obstacle>;

    /// [`open`](Self::open) for a look, which is to wake nobody who watches for writers, itself among them.
    fn open_to_look(self, path: &Path) -> Result<Found, Obstacle> {
        self.open(path)
    }

    /// Finds the file in which the record is, where that is not the inode itself.
    fn find_record(self, place: &Place) -> io::Result<Option<(File, bool)>>;

    /// Has the name say the new owner, where it says one. For people: nothing depends on it.
    fn renamed(self, place: &Place, owner: &Owner);

    /// The file by whose bytes readers and writers take turns, where there are readers.
    fn turnstile(self, _place: &Place) -> Option<&File> {
        None
    }

    /// The readers whose records are there, dead or alive.
    fn readers(self, _place: &Place) -> io::Result<Vec<Reader>> {
        Ok(Vec::new())
    }

    /// Takes the name away.
    fn remove(self, site: &Site, place: &Place, owner: &Owner) -> io::Result<()>;
}

/// What has the lock's name.
#[derive(Debug)]
pub(crate) enum Found {
    Absent,
    Place(Place),
    /// Another scheme's lock, in all likelihood.
    Other(&'static str),
    /// Nothing that could be a lock.
    NotALock(&'static str),
}

/// An open inode that has, or had, the lock's name.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) inode: File,
    pub(crate) id: FileId,
    kind: sys::Kind,
    /// Whether `inode` is open for writing; a directory never is.
    pub(crate) writable: bool,
    /// The file with the record and whether it can be written, where it is not `inode`. Once
    /// found it stays: it lives as long as the inode.
    pub(crate) record: OnceLock<(File, bool)>,
}

impl Place {
    pub(crate) fn new(inode: File, writable: bool) -> io::Result<Place> {
        let sys::Stat { id, kind } = sys::stat_of(&inode)?;
        Ok(Place { inode, id, kind, writable, record: OnceLock::new() })
    }

    /// The file with the record, and whether it can be written; `None` where there is none of ours.
    pub(crate) fn record_file(&self, form: impl Form) -> io::Result<Option<(&File, bool)>> {
        if let Some((file, writable)) = self.record.get() {
            return Ok(Some((file, *writable)));
        }
        if self.is_file() {
            return Ok(Some((&self.inode, self.writable)));
        }
        let Some(found) = form.find_record(self)? else { return Ok(None) };
        let (file, writable) = self.record.get_or_init(|| found);
        Ok(Some((file, *writable)))
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == sys::Kind::File
    }

    pub(crate) fn read(&self, form: impl Form) -> io::Result<Vec<u8>> {
        match self.record_file(form)? {
            Some((file, _)) => Record::text_in(file),
            None => Ok(Vec::new()),
        }
    }

    fn write(&self, form: impl Form, text: &[u8]) -> io::Result<()> {
        match self.record_file(form)? {
            Some((file, true)) => sys::write_start(file, text),
            _ => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// What tells this state of the lock from any other.
    fn seen(&self, form: impl Form) -> io::Result<Seen> {
        let mut text = self.read(form)?;
        for reader in form.readers(self)? {
            text.extend(reader.name.as_encoded_bytes());
        }
        Ok(Seen::Inode(self.id, text))
    }

    /// Whether somebody sees to a mark: an heir, or a breaker.
    pub(crate) fn is_watched<F: Form>(&self, _form: F) -> bool {
        breaking::is_watched(&self.inode, F::BATON)
    }

    /// Whether this is the lock, and has a free mark.
    fn is_marked(&self, form: impl Form, site: &Site) -> bool {
        self.read(form).is_ok_and(|text| matches!(Record::parse(&text), Record::Free(_)))
            && recover::still_names(site, &self.inode).unwrap_or(false)
    }

    /// Gives up the inode's `flock`, which the caller has, without leaving a mark that nobody
    /// sees to. Invariant 2 of the module.
    pub(crate) fn let_go(&self, form: impl Form, site: &Site, owner: &Owner) {
        loop {
            let leaving = Leaving::begin(Bytes::of_inode(&self.inode));
            let watched = self.is_watched(form);
            let marked = self.is_marked(form, site);
            if marked && !watched && !matches!(living_reader(form, self), Ok(Some(_))) {
                let _ = form.remove(site, self, owner);
            }
            drop(leaving);
            let _ = sys::unlock(&self.inode);
            // Who was announced may have withdrawn before the unlock, and found the lock taken.
            if !marked || !watched || self.is_watched(form) || !self.regain(form, site) {
                return;
            }
        }
    }

    /// Tries for the inode's `flock`; and again while another has it, nobody is announced, and a mark
    /// is in place. That one is about to take the lock, or to look itself; but if it ends instead,
    /// as a waiter's thread does when the program exits, the mark is the caller's to see to.
    pub(crate) fn regain(&self, form: impl Form, site: &Site) -> bool {
        for look in 0..LOOKS {
            if sys::lock_try(&self.inode, Mode::Exclusive).unwrap_or(false) {
                return true;
            }
            if self.is_watched(form) || !self.is_marked(form, site) {
                return false;
            }
            crate::wait::step_aside(look);
        }
        false
    }
}

/// Tries once.
pub(crate) fn attempt(form: impl Form, request: &Request<'_>) -> Result<Attempt, Obstacle> {
    let site = request.site;
    let filesystem = site.filesystem()?;
    // A handle that has found no lock file expects none: to make one looks for one, too.
    let mut absent = request.kept.is_some_and(|kept| kept.was_absent());
    // Each turn is another's progress: a name that was there is gone, or the other way round.
    loop {
        let found = if absent { Found::Absent } else { form.open(site.lock_file())? };
        absent = false;
        let was_absent = matches!(found, Found::Absent);
        if let Some(kept) = request.kept {
            kept.set_absent(was_absent);
        }
        let place = match found {
            Found::Absent => match form.create(request, filesystem)? {
                Some(place) => return Ok(held(form, request, place, filesystem)),
                None => continue,
            },
            Found::Place(place) => place,
            Found::Other(what) => {
                return Ok(busy(Status::new(State::Unknown, None, what), waits_by(filesystem)));
            }
            Found::NotALock(what) => return Err(not_a_lock(what)),
        };
        if filesystem == Filesystem::Remote {
            return match look(form, site, &place, filesystem)? {
                Verdict::NotALock(what) => Err(not_a_lock(what)),
                Verdict::Free => {
                    Ok(busy(Status::new(State::Unknown, None, "it was left over"), Waiter::Backoff))
                }
                Verdict::Stale(status) | Verdict::Held(status) => Ok(busy(status, Waiter::Backoff)),
            };
        }
        let place = Arc::new(place);
        let queue = || BatonQueue::waiter(form, request, &place);
        if request.waits && turns::is_behind(&place.inode, Mode::Exclusive) {
            return Ok(busy(queued_status(form, &place), queue()));
        }
        if !sys::lock_try(&place.inode, Mode::Exclusive)? {
            let status = queued_status(form, &place);
            return Ok(busy(status, if request.waits { queue() } else { Waiter::Change }));
        }
        if let Some(attempt) = settle(form, request, &place)? {
            return Ok(attempt);
        }
    }
}

/// Decides, with the inode's `flock` in hand: takes the lock, or gives the `flock` up. `None` when
/// the name is no longer this inode's.
fn settle(form: impl Form, request: &Request<'_>, place: &Arc<Place>) -> Result<Option<Attempt>, Obstacle> {
    let result = settle_locked(form, request, place);
    if !matches!(result, Ok(Some(Attempt::Held(_)))) {
        place.let_go(form, request.site, request.owner);
    }
    result
}

fn settle_locked(
    form: impl Form,
    request: &Request<'_>,
    place: &Arc<Place>,
) -> Result<Option<Attempt>, Obstacle> {
    let site = request.site;
    let record = Record::parse(&place.read(form)?);
    let verdict = recover::under_lock(&record);
    if !recover::still_names(site, &place.inode)? {
        return Ok(None);
    }
    let stale = match verdict {
        Verdict::Free => match forget_readers(form, place, request.recovery)? {
            Forgotten::Dead(some) => some,
            Forgotten::No(status) => return Ok(Some(busy(status, Waiter::Change))),
        },
        Verdict::Stale(status) if request.recovery == Recovery::Never => {
            return Ok(Some(busy(status, Waiter::Change)));
        }
        Verdict::Stale(_) => true,
        Verdict::Held(status) => return Ok(Some(busy(status, Waiter::Change))),
        Verdict::NotALock(what) => return Err(not_a_lock(what)),
    };
    let mark = match record {
        Record::Owned(_, mark) | Record::Free(mark) => mark,
        Record::Idle(_) | Record::Bare(_) | Record::Empty | Record::Foreign => Mark::default(),
    };
    if !place.record_file(form)?.is_some_and(|(_, writable)| writable) {
        // Another user's file: it can't be adopted, but the directory may let us take it away.
        let leaving = Leaving::begin(Bytes::of_inode(&place.inode));
        let settled = breaking::outlasts(site, &place.inode, place.id)?;
        if settled == Some(false) || settled.is_some() && form.remove(site, place, request.owner).is_ok() {
            return Ok(None);
        }
        drop(leaving);
        let detail = "the lock file may be neither written nor removed";
        return Ok(Some(busy(Status::new(State::Stale, record.owner().cloned(), detail), Waiter::Change)));
    }
    let owner = kernel_owner(request);
    place.write(form, &Record::owned(&owner, mark))?;
    let settled = breaking::outlasts(site, &place.inode, place.id);
    if !matches!(settled, Ok(Some(true))) {
        place.write(form, &Record::free(mark))?;
        let breaking = Status::new(State::Unknown, Some(owner), "somebody is breaking it");
        // Nothing would tell that a breaker which was stopped has been killed.
        return Ok(settled?.is_none().then(|| busy(breaking, Waiter::Backoff)));
    }
    form.renamed(place, &owner);
    if stale {
        litter::sweep(site);
    }
    Ok(Some(Attempt::Held(Box::new(BatonHold::new(form, site, Arc::clone(place), owner, mark)))))
}

fn held(form: impl Form, request: &Request<'_>, place: Place, filesystem: Filesystem) -> Attempt {
    let owner = if filesystem == Filesystem::Local { kernel_owner(request) } else { request.owner.clone() };
    Attempt::Held(Box::new(BatonHold::new(form, request.site, Arc::new(place), owner, Mark::default())))
}

/// The owner as it is written by one who keeps the inode locked.
pub(crate) fn kernel_owner(request: &Request<'_>) -> Owner {
    Owner { kernel: true, ..request.owner.clone() }
}

pub(crate) fn busy(status: Status, waiter: Waiter) -> Attempt {
    Attempt::Busy(Busy { status, waiter })
}

fn waits_by(filesystem: Filesystem) -> Waiter {
    match filesystem {
        Filesystem::Local => Waiter::Change,
        Filesystem::Remote => Waiter::Backoff,
    }
}

pub(crate) fn not_a_lock(what: &'static str) -> Obstacle {
    Obstacle::new(
        FailureReason::NotALockFile,
        format!("{what}; it is left as it is: give the lock file another name, or remove it yourself"),
    )
}
