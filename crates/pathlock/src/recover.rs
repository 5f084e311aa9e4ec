//! When a lock may be taken over, and by whom: the one protocol.
//!
//! Invariant: a lock is taken from an owner only by a contender that has *proof* of its death, and
//! of all that have the proof exactly one acts.
//!
//! # Kernel evidence: [`under_lock`]
//!
//! An owner of ours takes `flock(2)` on the inode before the lock's name appears and keeps it
//! until after the name is gone. The kernel gives it up when the last descriptor of it is closed:
//! at the owner's release or death. So a contender that has the inode's `flock`
//! - is the only one that has it: there is one breaker, and no owner that is about to release;
//! - knows that the owner has let go or died, *or* has closed all its descriptors. Daemons do the
//!   latter, and are alive. The record tells: same boot, pid namespace, pid and start time.
//!
//! It has then to make sure that the path still names the inode it has locked (the one it opened
//! may have been removed and another made since), and acts while it holds the `flock`: whoever
//! comes after it has to pass the same `flock` or finds another inode.
//!
//! A pid that can't be judged from here (another container) leaves the kernel's word alone, which
//! covers every process on every side of it: the `flock` is on the inode.
//!
//! # Record evidence: [`by_record`]
//!
//! A symbolic link has no inode to lock, and other programs' locks have nobody who locks it. The
//! record alone must prove the death: same boot, same pid namespace, and the pid is gone or
//! belongs to a process with another start time. On a local filesystem a record of another boot
//! proves it too: a kernel that is gone runs nothing. Anything less is unknown, and means held.
//! Breakers are serialised by [`Breaker`], and read the record again inside it.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::liveness::{self, Evidence, Liveness};
use crate::mode::Mode;
use crate::owner::{Owner, Record};
use crate::site::Site;
use crate::status::{State, Status};
use crate::sys::{self, FileId};

/// What may be done with a lock.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It was left for the next: take it.
    Free,
    /// Its owner is proven dead: take it over.
    Stale(Status),
    /// It is held, or may be.
    Held(Status),
    /// It is no lock.
    NotALock(&'static str),
}

/// What the record says to a contender that holds the inode's kernel lock.
pub(crate) fn under_lock(record: &Record) -> Verdict {
    let Record::Owned(owner, _) = record else { return by_record(record) };
    if !owner.kernel {
        return by_record(record);
    }
    let evidence = liveness::judge(owner);
    match evidence {
        Evidence::Runs => Verdict::Held(Status::new(
            State::Held,
            Some(owner.clone()),
            "the process runs, though it has closed the lock file",
        )),
        Evidence::Hidden => {
            Verdict::Held(Status::new(State::Unknown, Some(owner.clone()), evidence.sentence()))
        }
        Evidence::Gone
        | Evidence::Reused
        | Evidence::OtherBoot
        | Evidence::Elsewhere
        | Evidence::Unidentified => Verdict::Stale(Status::new(
            State::Stale,
            Some(owner.clone()),
            "its kernel lock is free: every process that had it is gone",
        )),
    }
}

/// Whether a forked child that has closed its files may make itself the owner in the place of `owner`. While that
/// lives nobody takes the lock; of a dead owner's lock, which no file of ours keeps any longer, others may have
/// the proof already.
pub(crate) fn can_hand_over(owner: &Owner) -> io::Result<()> {
    match owner.liveness() {
        Liveness::Dead => Err(io::ErrorKind::NotFound.into()),
        Liveness::Alive | Liveness::Unknown => Ok(()),
    }
}

/// What the record says by itself, on a local filesystem.
pub(crate) fn by_record(record: &Record) -> Verdict {
    match record {
        Record::Free(_) => Verdict::Free,
        Record::Owned(owner, _) => {
            let evidence = liveness::judge(owner);
            let status = |state| Status::new(state, Some(owner.clone()), evidence.sentence());
            match evidence {
                Evidence::Runs => Verdict::Held(status(State::Held)),
                Evidence::Gone | Evidence::Reused | Evidence::OtherBoot => {
                    Verdict::Stale(status(State::Stale))
                }
                Evidence::Elsewhere | Evidence::Unidentified | Evidence::Hidden => {
                    Verdict::Held(status(State::Unknown))
                }
            }
        }
        Record::Bare(owner) => Verdict::Held(Status::new(
            State::Unknown,
            Some(owner.clone()),
            "another program made it, and its pid alone proves nothing",
        )),
        Record::Idle(_) => Verdict::Held(Status::new(
            State::Unknown,
            None,
            "it is a lock file of scheme flock or ofd, which stays when nobody holds the lock",
        )),
        Record::Empty => Verdict::Held(Status::new(
            State::Unknown,
            None,
            "another program made it, and it does not say who holds it",
        )),
        Record::Foreign => Verdict::NotALock("it holds something that is not a lock's record"),
    }
}

/// What the record says by itself, on a filesystem that other hosts share. A record of another
/// boot may be another host's there.
pub(crate) fn from_afar(record: &Record) -> Verdict {
    match record {
        Record::Owned(owner, _) if liveness::judge(owner) == Evidence::OtherBoot => {
            Verdict::Held(Status::new(State::Unknown, Some(owner.clone()), Evidence::OtherBoot.sentence()))
        }
        _ => by_record(record),
    }
}

/// The right to break the locks at one path on the evidence of a record: one process at a time.
///
/// It is a file beside the lock, locked with `flock(2)`. It is removed while it is locked, and
/// whoever gets the lock of one that has been removed starts again: the file at the path is the
/// one that counts. A breaker that is killed leaves a file that nobody has locked, and the next
/// one uses it.
#[derive(Debug)]
pub(crate) struct Breaker {
    path: PathBuf,
    file: File,
}

impl Breaker {
    /// `None` while another process has it.
    pub(crate) fn try_become(site: &Site) -> io::Result<Option<Breaker>> {
        Breaker::lock_with(site, |file| sys::lock_try(file, Mode::Exclusive))
    }

    /// Waits for the other breakers: each has it for a few calls only.
    pub(crate) fn wait(site: &Site) -> io::Result<Option<Breaker>> {
        Breaker::lock_with(site, |file| sys::lock_wait(file, Mode::Exclusive).map(|()| true))
    }

    fn lock_with(site: &Site, lock: impl Fn(&File) -> io::Result<bool>) -> io::Result<Option<Breaker>> {
        let path = site.directory().join(crate::litter::breaker_name(site));
        loop {
            let file = sys::open_or_create(&path, 0o666)?;
            if !lock(&file)? {
                return Ok(None);
            }
            let opened = sys::stat_of(&file)?;
            if sys::stat_at(&path)?.is_some_and(|stat| stat.id == opened.id) {
                return Ok(Some(Breaker { path, file }));
            }
        }
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        // The path names our file for as long as we have it locked: only a breaker removes it.
        let _ = sys::remove_name(&self.path);
        let _ = sys::unlock(&self.file);
    }
}

/// Whether the path of `site` still names the inode behind `file`.
pub(crate) fn still_names(site: &Site, file: &File) -> io::Result<bool> {
    names(site, sys::stat_of(file)?.id)
}

/// Whether the path of `site` names the inode `id`, which somebody has open.
pub(crate) fn names(site: &Site, id: FileId) -> io::Result<bool> {
    Ok(sys::stat_at(site.lock_file())?.is_some_and(|stat| stat.id == id))
}
