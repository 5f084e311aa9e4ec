//! Locks that are the kernel's own, on a file that stays: flock and ofd.
//!
//! # Invariants
//!
//! 1. The kernel excludes. What is added is that the file counts which the *path* names: after the
//!    lock is won, the path must still name the inode, or the attempt starts again on the one that
//!    it names now. So a lock file that is removed or replaced splits nobody; and a break removes
//!    only what it has looked at (see the module `breaking`).
//! 2. The record is written after winning and erased before letting go, both with the lock in
//!    hand: it never speaks of somebody who is not the holder, unless the holder was killed; then
//!    the next holder writes over it. It is written only into a file that is empty or has a record
//!    of ours, and erased only where it still stands: a user's file can be locked and keeps its content.
//!    One that the caller has named as the lock file, and that is there and empty, may be a user's too: it gets
//!    no record. Another file that was found empty is left empty. In one that was made for the lock a mark
//!    ([`Record::Idle`]) takes the record's place, in one write: to cut a file off, and to give it a block
//!    again, is half of the cost of a cycle on ext4.
//! 3. A record of a living process whose kernel lock is free means that it has closed all its
//!    files, as daemons do. It keeps the lock (see the module `recover`).
//!
//! # Crash points
//!
//! Killed at any point, the kernel gives the lock up. What may stay is the file, empty or with a mark or the
//! record of a dead owner; none of them keeps anybody out.
//!
//! # The order
//!
//! Waiters sit in the kernel's queue, and announce themselves by a shared lock of a far byte: a
//! contender that would wait joins the queue behind them, and gives way to one that has been woken
//! and does not run yet (see [`Queue::give_way`](super::Queue::give_way)). That neither readers nor
//! writers starve is the business of the module `turns`.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::baton::{kernel_held, kernel_owner};
use super::breaking::{self, Breaking, Bytes};
use super::slots;
use super::turns::is_behind;
use super::{Attempt, Busy, Request, Waiter};
use crate::error::{FailureReason, Obstacle};
use crate::litter;
use crate::mode::{Mode, Recovery};
use crate::owner::{Mark, Owner, Record};
use crate::recover::{self, Breaker, Verdict};
use crate::site::Site;
use crate::status::{Seen, State, Status};
use crate::sys::{self, FileId, Filesystem, Kind};

mod hold;
mod kept;
mod queue;

use hold::{Keeper, KernelHold};
use kept::Birth;
pub(crate) use kept::Kept;
use queue::KernelQueue;
pub(super) use queue::{Courtesy, give_way};

/// What flock and ofd differ in.
pub(crate) trait KernelLock: fmt::Debug + Copy + Send + Sync + 'static {
    /// Whether the lock can be had on a directory, and on a file that can't be written.
    const READ_ONLY: bool;
    /// Whether a lock that is held becomes one of another mode in one step.
    const CONVERTS: bool;
    fn try_lock(self, file: &File, mode: Mode) -> io::Result<bool>;
    fn wait(self, file: &File, mode: Mode) -> io::Result<()>;
    fn unlock(self, file: &File) -> io::Result<()>;
    /// How others hold it, if any does.
    fn held_as(self, file: &File) -> io::Result<Option<Mode>>;
}

/// An open lock file.
#[derive(Debug)]
struct Target {
    file: File,
    id: FileId,
    kind: Kind,
    writable: bool,
    /// Whether the path named nothing just before.
    made: bool,
}

/// What was in the file before a record was written, and is there again when that is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Empty,
    Mark,
}

impl Target {
    fn new(file: File, writable: bool) -> Result<Target, Obstacle> {
        let stat = sys::stat_of(&file)?;
        match stat.kind {
            Kind::File => Ok(Target { file, id: stat.id, kind: stat.kind, writable, made: false }),
            Kind::Directory => {
                Ok(Target { file, id: stat.id, kind: stat.kind, writable: false, made: false })
            }
            Kind::Symlink | Kind::Special => Err(not_a_file()),
        }
    }

    fn make(path: &Path, bits: u32) -> Result<Target, Obstacle> {
        Ok(Target { made: true, ..Target::new(sys::open_or_create(path, bits)?, true)? })
    }

    /// Writes the record of `owner`, where no user's content is: `None` where there is.
    fn write(&self, site: &Site, owner: &Owner, found: &Record) -> io::Result<Option<Before>> {
        let before = match found {
            // A file that the caller has named himself may be one for his own content.
            Record::Empty if !self.made && site.path() == site.lock_file() => return Ok(None),
            Record::Empty if !self.made => Before::Empty,
            Record::Empty | Record::Idle(_) | Record::Owned(..) | Record::Free(_) => Before::Mark,
            Record::Bare(_) | Record::Foreign => return Ok(None),
        };
        if !self.writable {
            return Ok(None);
        }
        sys::write_start(&self.file, &Record::owned(owner, Mark::default()))?;
        Ok(Some(before))
    }

    /// Erases the record of `owner`, which the caller has seen there.
    fn erase(&self, owner: &Owner, before: Before) -> io::Result<()> {
        // What somebody has appended is not cut off with it.
        let leaves_mark = before == Before::Mark || self.file.metadata()?.len() > Record::LENGTH;
        if leaves_mark && sys::write_start(&self.file, &Record::idle(owner.scheme())).is_ok() {
            return Ok(());
        }
        sys::truncate(&self.file)
    }

    fn record(&self) -> io::Result<Record> {
        self.text().map(|text| Record::parse(&text))
    }

    fn text(&self) -> io::Result<Vec<u8>> {
        match self.kind {
            Kind::File => Record::text_in(&self.file),
            Kind::Directory | Kind::Symlink | Kind::Special => Ok(Vec::new()),
        }
    }
}

fn not_a_file() -> Obstacle {
    Obstacle::new(
        FailureReason::NotALockFile,
        "a pipe, a socket, a device or a symbolic link has its name, and is left as it is: \
         give the lock file another name",
    )
}

/// Opens what is there, without following or waiting; `None` where there is nothing.
fn open(path: &Path) -> Result<Option<Target>, Obstacle> {
    open_by(path, sys::open_existing)
}

fn open_by(
    path: &Path,
    open: impl Fn(&Path) -> io::Result<(File, bool)>,
) -> Result<Option<Target>, Obstacle> {
    match sys::stat_at(path)?.map(|stat| stat.kind) {
        None => return Ok(None),
        Some(Kind::File | Kind::Directory) => {}
        Some(Kind::Symlink | Kind::Special) => return Err(not_a_file()),
    }
    match open(path) {
        Ok((file, writable)) => Target::new(file, writable).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn attempt<K: KernelLock>(lock: K, request: &Request<'_>) -> Result<Attempt, Obstacle> {
    let site = request.site;
    if let Some(attempt) = attempt_on_kept(lock, request) {
        return Ok(attempt);
    }
    loop {
        let keeper = Keeper::of(request);
        let target = match open(site.lock_file())? {
            Some(target) => target,
            None => Target::make(site.lock_file(), request.file_mode.unwrap_or(0o666))?,
        };
        if !target.writable && !K::READ_ONLY {
            return Err(Obstacle::from(io::Error::from(io::ErrorKind::PermissionDenied))
                .saying("this scheme needs a file that may be written: use scheme flock"));
        }
        let filesystem = sys::filesystem_of(&target.file)?;
        let target = Arc::new(target);
        let queue = || match filesystem {
            Filesystem::Local if request.waits => KernelQueue::waiter(lock, request, &target),
            // A blocking wait is polled by the client there, and can't be ended.
            _ => Waiter::Backoff,
        };
        let queues = request.waits && filesystem == Filesystem::Local;
        let behind = queues && is_behind(&target.file, request.mode);
        if behind || !lock.try_lock(&target.file, request.mode)? {
            let held_as = lock.held_as(&target.file)?.unwrap_or_default();
            let waiter = queue();
            return Ok(Attempt::Busy(Busy { status: held_status(&target, held_as), waiter }));
        }
        let keeper = keeper.filter(|_| filesystem == Filesystem::Local);
        if let Some(attempt) = settle(lock, request, &target, filesystem, keeper)? {
            return Ok(attempt);
        }
    }
}

/// Tries on the file that the handle has kept open; `None` where there is none, and where it takes a look at
/// what the path names: another has the lock, or anything has gone wrong.
fn attempt_on_kept(lock: impl KernelLock, request: &Request<'_>) -> Option<Attempt> {
    let (target, birth) = request.kept?.take()?;
    let behind = request.waits && is_behind(&target.file, request.mode);
    if behind || !lock.try_lock(&target.file, request.mode).ok()? {
        return None;
    }
    let keeper = Keeper::born(request, birth);
    settle(lock, request, &Arc::new(target), Filesystem::Local, keeper).ok()?
}

fn held_status(target: &Target, held_as: Mode) -> Status {
    match held_as {
        Mode::Exclusive => kernel_held(target.record().ok().and_then(|record| record.owner().cloned())),
        // A record that is there is that of a writer who was killed.
        Mode::Shared => Status::new(State::Held, None, "its kernel lock is held by readers"),
    }
}

/// Decides, with the kernel lock in hand; `None` when the path names another file by now.
fn settle(
    lock: impl KernelLock,
    request: &Request<'_>,
    target: &Arc<Target>,
    filesystem: Filesystem,
    keeper: Option<Keeper>,
) -> Result<Option<Attempt>, Obstacle> {
    let result = settle_locked(lock, request, target, filesystem, keeper);
    if !matches!(result, Ok(Some(Attempt::Held(_)))) {
        let _ = lock.unlock(&target.file);
    }
    result
}

fn settle_locked(
    lock: impl KernelLock,
    request: &Request<'_>,
    target: &Arc<Target>,
    filesystem: Filesystem,
    keeper: Option<Keeper>,
) -> Result<Option<Attempt>, Obstacle> {
    let record = target.record()?;
    let mut stale = false;
    if let Record::Owned(..) = record {
        match recover::under_lock(&record) {
            Verdict::Stale(_) if request.recovery != Recovery::Never => stale = true,
            Verdict::Held(status) | Verdict::Stale(status) => {
                let current = recover::still_names(request.site, &target.file)?;
                return Ok(current.then(|| Attempt::Busy(Busy { status, waiter: Waiter::Change })));
            }
            Verdict::Free | Verdict::NotALock(_) => {}
        }
    }
    // Of many readers no one is the owner, and none may write while others read.
    let owner = kernel_owner(request);
    let before = match request.mode {
        Mode::Exclusive => target.write(request.site, &owner, &record)?,
        Mode::Shared => None,
    };
    let settled = match filesystem {
        Filesystem::Local => breaking::outlasts(request.site, &target.file, target.id),
        Filesystem::Remote => recover::names(request.site, target.id).map(Some),
    };
    if !matches!(settled, Ok(Some(true))) {
        if let Some(before) = before {
            target.erase(&owner, before)?;
        }
        let breaking = Status::new(State::Unknown, Some(owner), "somebody is breaking it");
        // Nothing would tell that a breaker which was stopped has been killed.
        let waiter = Waiter::Backoff;
        return Ok(settled?.is_none().then(|| Attempt::Busy(Busy { status: breaking, waiter })));
    }
    if stale {
        litter::sweep(request.site);
    }
    Ok(Some(Attempt::Held(Box::new(KernelHold {
        lock,
        site: request.site.clone(),
        target: Some(Arc::clone(target)),
        owner,
        before,
        keeper,
    }))))
}

pub(super) fn status(lock: impl KernelLock, site: &Site) -> Result<Status, Obstacle> {
    loop {
        let looked = open_by(site.lock_file(), |path| Ok((sys::open_to_look(path)?, false)))?;
        let Some(target) = looked else { return Ok(Status::free()) };
        let text = target.text()?;
        let record = Record::parse(&text);
        let held_as = lock.held_as(&target.file)?;
        let status = match held_as {
            Some(mode) => held_status(&target, mode).with_slots(slots::taken(&target.file)),
            None => match (&record, recover::under_lock(&record)) {
                (Record::Owned(..), Verdict::Stale(status) | Verdict::Held(status)) => status,
                _ => Status::new(State::Free, None, "its kernel lock is free"),
            },
        };
        // What has lost the name meanwhile says nothing about the lock.
        if recover::still_names(site, &target.file)? {
            return Ok(status.of(Seen::Kernel(target.id, text, held_as)));
        }
    }
}

pub(super) fn remove(lock: impl KernelLock, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
    let Some(target) = open(site.lock_file())? else { return Ok(false) };
    let ours =
        matches!(target.record()?, Record::Owned(..) | Record::Free(_) | Record::Idle(_) | Record::Empty);
    if !ours || target.kind != Kind::File {
        return Err(Obstacle::new(
            FailureReason::NotALockFile,
            "it holds something that is not a lock's record, and is left as it is: end the processes that have it locked",
        ));
    }
    let _breaker = Breaker::wait(site)?;
    let _breaking = match site.filesystem()? {
        Filesystem::Local => match Breaking::begin(Bytes::of_inode(&target.file)) {
            None => return Ok(false),
            breaking => breaking,
        },
        Filesystem::Remote => None,
    };
    let seen_now = Seen::Kernel(target.id, target.text()?, lock.held_as(&target.file)?);
    let is_it = seen.seen == seen_now && recover::still_names(site, &target.file)?;
    if is_it {
        sys::remove_name(site.lock_file())?;
    }
    Ok(is_it)
}
