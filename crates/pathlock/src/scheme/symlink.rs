//! Scheme `symlink`: the lock is held while the symbolic link `PATH.lock` exists, as pylockfile's
//! `SymlinkLockFile`. Its target is the record, on one line; it names no file.
//!
//! # Invariant
//!
//! *The owner is whom the target names.* `symlink(2)` makes name and record in one step and fails
//! if the name exists. A target is never used twice: it has the owner's pid, start time and a
//! serial number. It is removed by its owner, or by the one process that is the
//! [`Breaker`] and has, inside of that, read a target whose owner is proven dead. A dead owner
//! removes nothing, breakers are serialised: so what a breaker removes is what it has read. How a
//! break by a person's order and a living owner are kept apart is in the module `breaking`.
//!
//! # Crash points
//!
//! Killed before `symlink(2)`: nothing. Killed holding: the link of a dead owner, which the next
//! contender breaks on the record's evidence. Killed while breaking: a breaker's file that nobody
//! has locked; the next breaker uses it and removes it.
//!
//! A link has no inode that could be locked, so there is no queue and no kernel evidence: an owner
//! in another pid namespace can't be judged, and waiters watch for the name to go.

use std::fs::File;
use std::io;
use std::path::Path;

use super::breaking::{Breaking, Bytes, Leaving};
use super::{Attempt, Busy, Hold, Lost, Request, Scheme, Waiter};
use crate::error::Obstacle;
use crate::litter;
use crate::mode::Recovery;
use crate::owner::{Owner, Record};
use crate::recover::{self, Breaker, Verdict};
use crate::site::Site;
use crate::status::{Seen, State, Status};
use crate::sys::{self, Filesystem};

/// Symbolic links. See the [module](crate::scheme) and `docs/protocol.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Symlink;

impl Scheme for Symlink {
    fn name(&self) -> &str {
        "symlink"
    }

    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        let site = request.site;
        let filesystem = site.filesystem()?;
        let mine = Record::target(request.owner);
        // Each turn is another's progress: a link that was there is gone.
        loop {
            match sys::make_symlink(&mine, site.lock_file()) {
                Ok(()) => return Ok(held(request, mine, filesystem)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
            let target = match read(site)? {
                Target::Absent => continue,
                // A server whose first reply was lost reports that the name exists, to its winner.
                Target::Link(target) if target == mine.as_bytes() => {
                    return Ok(held(request, mine, filesystem));
                }
                Target::Link(target) => target,
                Target::Other => {
                    let status = Status::new(
                        State::Unknown,
                        None,
                        "it is not a symbolic link: a lock of another scheme, it seems",
                    );
                    return Ok(busy(status, filesystem));
                }
            };
            match judge(&target, filesystem) {
                Verdict::Stale(status)
                    if request.recovery != Recovery::Never && filesystem == Filesystem::Local =>
                {
                    let Some(breaker) = Breaker::try_become(site)? else {
                        return Ok(busy(status, filesystem));
                    };
                    if read(site)?.is_link_to(&target) {
                        sys::remove_name(site.lock_file())?;
                        litter::sweep(site);
                    }
                    drop(breaker);
                }
                Verdict::Stale(status) | Verdict::Held(status) => return Ok(busy(status, filesystem)),
                Verdict::Free | Verdict::NotALock(_) => return Ok(busy(foreign(), filesystem)),
            }
        }
    }

    fn status(&self, site: &Site) -> Result<Status, Obstacle> {
        let target = match read(site)? {
            Target::Absent => return Ok(Status::free()),
            Target::Other => return Ok(Status::new(State::Unknown, None, "it is not a symbolic link")),
            Target::Link(target) => target,
        };
        let status = match judge(&target, site.filesystem()?) {
            Verdict::Stale(status) | Verdict::Held(status) => status,
            Verdict::Free | Verdict::NotALock(_) => foreign(),
        };
        Ok(status.of(Seen::Target(target)))
    }

    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
        match read(site)? {
            Target::Absent => Ok(false),
            Target::Other => Err(Obstacle::new(
                crate::FailureReason::NotALockFile,
                "it is not a symbolic link, and is left as it is: name the scheme that made it, or remove it yourself",
            )),
            Target::Link(target) if seen.seen != Seen::Target(target.clone()) => Ok(false),
            Target::Link(target) => Ok(remove_link(site, &target, site.filesystem()?)?),
        }
    }
}

fn remove_link(site: &Site, target: &[u8], filesystem: Filesystem) -> io::Result<bool> {
    let _breaker = Breaker::wait(site)?;
    let directory = open_directory(site, filesystem);
    let bytes = directory.as_ref().map(|directory| Bytes::of_name(directory, site));
    let _breaking = match bytes.map(Breaking::begin) {
        // Its owner is releasing it.
        Some(None) => return Ok(false),
        breaking => breaking,
    };
    if bytes.is_some() && matches!(Record::parse_target(target), Record::Owned(..)) {
        let is_it = read(site)?.is_link_to(target);
        if is_it {
            sys::remove_name(site.lock_file())?;
        }
        return Ok(is_it);
    }
    let is_it = |aside: &Path| Ok(read_at(aside)?.is_link_to(target));
    litter::remove_if(site, &Owner::of_this_thread(), is_it)
}

/// The directory whose bytes stand for the link's.
fn open_directory(site: &Site, filesystem: Filesystem) -> Option<File> {
    match filesystem {
        Filesystem::Local => sys::open_directory(site.directory()).ok(),
        Filesystem::Remote => None,
    }
}

enum Target {
    Absent,
    Link(Vec<u8>),
    Other,
}

impl Target {
    fn is_link_to(&self, text: &[u8]) -> bool {
        matches!(self, Target::Link(target) if target == text)
    }
}

fn read(site: &Site) -> io::Result<Target> {
    read_at(site.lock_file())
}

fn read_at(path: &Path) -> io::Result<Target> {
    match sys::read_symlink(path) {
        Ok(Some(target)) => Ok(Target::Link(target)),
        Ok(None) => Ok(Target::Absent),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(Target::Other),
        Err(error) => Err(error),
    }
}

fn judge(target: &[u8], filesystem: Filesystem) -> Verdict {
    let record = Record::parse_target(target);
    match filesystem {
        Filesystem::Local => recover::by_record(&record),
        Filesystem::Remote => recover::from_afar(&record),
    }
}

fn foreign() -> Status {
    Status::new(State::Unknown, None, "another program made it, and its target does not say who holds it")
}

fn busy(status: Status, filesystem: Filesystem) -> Attempt {
    let waiter = match filesystem {
        Filesystem::Local => Waiter::Change,
        Filesystem::Remote => Waiter::Backoff,
    };
    Attempt::Busy(Busy { status, waiter })
}

fn held(request: &Request<'_>, target: String, filesystem: Filesystem) -> Attempt {
    let (site, owner) = (request.site.clone(), request.owner.clone());
    Attempt::Held(Box::new(SymlinkHold { site, owner, target, filesystem }))
}

#[derive(Debug)]
struct SymlinkHold {
    site: Site,
    owner: Owner,
    target: String,
    filesystem: Filesystem,
}

impl SymlinkHold {
    fn check(&self) -> Result<(), Lost> {
        match read(&self.site)? {
            Target::Absent => Err(Lost::Gone),
            Target::Link(target) if target == self.target.as_bytes() => Ok(()),
            Target::Link(target) => Err(Lost::Taken(Record::parse_target(&target).owner().cloned())),
            Target::Other => Err(Lost::Taken(None)),
        }
    }
}

impl Hold for SymlinkHold {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn release(&mut self) -> Result<(), Lost> {
        let directory = open_directory(&self.site, self.filesystem);
        let bytes = directory.as_ref().map(|directory| Bytes::of_name(directory, &self.site));
        let mut leaving = bytes.map(Leaving::begin);
        let breaking = bytes.is_some_and(Bytes::is_breaking);
        let _breaker = if breaking || self.check().is_err() {
            // After it: it waits for us as well, and may have taken the name aside to look.
            leaving.take();
            let breaker = Breaker::wait(&self.site)?;
            self.check()?;
            breaker
        } else {
            None
        };
        match sys::remove_name(self.site.lock_file()) {
            // A server whose first reply was lost says so of what it has removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => Ok(result?),
        }
    }

    fn is_valid(&self) -> bool {
        self.check().is_ok()
    }

    fn adopt(&mut self, owner: Owner) -> io::Result<()> {
        let _breaker = Breaker::wait(&self.site)?;
        if self.check().is_err() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let target = Record::target(&owner);
        let fresh = litter::fresh_name(&self.site, &owner);
        sys::make_symlink(&target, &fresh)?;
        // One step from the parent's name to the child's: nobody ever sees the lock free.
        if let Err(error) = sys::rename(&fresh, self.site.lock_file()) {
            litter::discard(&fresh);
            return Err(error);
        }
        (self.owner, self.target) = (owner, target);
        Ok(())
    }
}
