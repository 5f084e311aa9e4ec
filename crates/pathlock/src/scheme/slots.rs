//! Slots: at most so many holders of one lock.
//!
//! A holder of a slot is a reader of the lock, by the scheme's own protocol, that has one byte of a file
//! locked besides, exclusively: byte `i` of the first `n`, for slot `i` of `n`. The file is the lock file; in scheme mkdir
//! it is the file with the record in the lock's directory. So a writer keeps all of them out, and they the
//! writer.
//!
//! # Invariants
//!
//! 1. *At most `n` have a slot*: the kernel gives a byte to one open file at a time, and takes it back when the last
//!    process that has it open is gone. All that ask for one slot of a lock have to ask for the same `n`.
//! 2. *The file is the same for all of them*: who has a slot, or waits for one, is a reader meanwhile, and
//!    while readers are there nobody makes another file. Whoever waits for a slot thus keeps writers out, as all
//!    do who came before them.
//! 3. *No wake-up is lost.* Whoever gives a slot up unlocks the byte first and touches the file then; a waiter watches
//!    the file. When a process dies, the kernel tells of the file's being closed a moment before it gives the lock
//!    up: so a waiter that was woken in vain looks again, a few times, a millisecond apart ([`EAGER`]).
//!
//! All waiters of a lock are woken by one slot that comes free, and which of them gets it is not defined.
//!
//! Killed at any point, the kernel takes the byte back, and the reader's place is recovered as the scheme
//! does it. A program that closes all its files, as daemons do, gives its slot up.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::breaking::SLOTS;
use super::mkdir::is_reader_name;
use super::{Attempt, Busy, Hold, Lost, Place, Request, Waiter};
use crate::error::{FailureReason, Obstacle};
use crate::mode::Mode;
use crate::owner::Owner;
use crate::status::{State, Status};
use crate::sys::{self, FileId, Filesystem, Range};

/// How often one that was woken in vain looks again at once.
const EAGER: u32 = 4;
const SOON: Duration = Duration::from_millis(1);
/// A look at a lock from outside does not know how many slots there are: after so many free ones in a
/// row it sees no further.
const FREE_IN_A_ROW: u32 = 64;

fn byte(slot: u32) -> Range {
    Range { start: SLOTS.start + i64::from(slot), length: 1 }
}

/// How many slots are taken, as far as one can see who has none.
pub(super) fn taken(file: &File) -> u32 {
    let (mut taken, mut free) = (0, 0);
    for slot in 0..u32::from(u16::MAX) {
        match sys::range_held_as(file, byte(slot)) {
            Ok(Some(_)) => (taken, free) = (taken + 1, 0),
            Ok(None) => free += 1,
            // There are none on this system.
            Err(_) => break,
        }
        if free == FREE_IN_A_ROW {
            break;
        }
    }
    taken
}

/// Goes on with an attempt of one that asked for a slot, and has become a reader.
pub(crate) fn go_on(attempt: Attempt, request: &Request<'_>) -> Result<Attempt, Obstacle> {
    let Some(count) = request.slots else { return Ok(attempt) };
    let mut hold = match attempt {
        Attempt::Held(hold) if hold.slot().is_none() => hold,
        attempt => return Ok(attempt),
    };
    match take(&*hold, count) {
        Ok(Some((slot, file))) => Ok(Attempt::Held(Box::new(SlotHold { hold, slot, file }))),
        Ok(None) if request.waits && request.site.filesystem()? == Filesystem::Local => {
            Ok(SlotPlace::new(hold, count, request).busy())
        }
        Ok(None) => {
            let _ = hold.release();
            // Without a place, nothing tells of a slot.
            Ok(Attempt::Busy(Busy { status: all_taken(count), waiter: Waiter::Backoff }))
        }
        Err(obstacle) => {
            let _ = hold.release();
            Err(obstacle)
        }
    }
}

/// Takes the first slot that is free, in the file that is named by the second.
fn take(hold: &dyn Hold, count: u16) -> Result<Option<(u32, FileId)>, Obstacle> {
    let Some(file) = hold.slot_file() else {
        let message = "there are no slots in this scheme, or the lock file may not be written: \
                       use mkdir, flock or ofd";
        return Err(Obstacle::new(FailureReason::Unsupported, message));
    };
    for slot in 0..u32::from(count) {
        if sys::range_try(file, byte(slot), Mode::Exclusive)? {
            return Ok(Some((slot, sys::stat_of(file)?.id)));
        }
    }
    Ok(None)
}

fn all_taken(count: u16) -> Status {
    let detail =
        if count == 1 { "its slot is taken".to_owned() } else { format!("all {count} slots are taken") };
    Status::new(State::Held, None, detail).with_slots(count.into())
}

/// A reader that waits for a slot.
#[derive(Debug)]
struct SlotPlace {
    /// `None` once it has been given up, or has become a holder.
    hold: Option<Box<dyn Hold>>,
    count: u16,
    directory: PathBuf,
    /// The file that tells; `None` in a lock's directory, where it is the one with the record.
    name: Option<std::ffi::OsString>,
    /// How often it will look again at once.
    eager: u32,
}

impl SlotPlace {
    fn new(hold: Box<dyn Hold>, count: u16, request: &Request<'_>) -> Box<SlotPlace> {
        let site = request.site;
        let is_directory = sys::stat_at(site.lock_file())
            .is_ok_and(|stat| stat.is_some_and(|stat| stat.kind == sys::Kind::Directory));
        let (directory, name) = if is_directory {
            (site.lock_file().to_owned(), None)
        } else {
            (site.directory().to_owned(), Some(site.name().to_owned()))
        };
        Box::new(SlotPlace { hold: Some(hold), count, directory, name, eager: 0 })
    }

    fn busy(self: Box<SlotPlace>) -> Attempt {
        Attempt::Busy(Busy { status: all_taken(self.count), waiter: Waiter::Place(self) })
    }
}

impl Place for SlotPlace {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn concerns(&self, name: &OsStr) -> bool {
        match &self.name {
            Some(own) => own == name,
            // Not the readers' own files: a look at ours would wake us.
            None => !is_reader_name(name),
        }
    }

    fn again_in(&self) -> Option<Duration> {
        (self.eager > 0).then_some(SOON)
    }

    fn look(mut self: Box<Self>, _request: &Request<'_>, told: bool) -> Result<Attempt, Obstacle> {
        let Some(hold) = self.hold.take() else { return Ok(self.busy()) };
        if !hold.is_valid() {
            self.hold = Some(hold);
            return Err(Obstacle::os(io::ErrorKind::NotFound.into()).saying("somebody has broken the lock"));
        }
        let slot = match take(&*hold, self.count) {
            Ok(slot) => slot,
            Err(obstacle) => {
                self.hold = Some(hold);
                return Err(obstacle);
            }
        };
        if let Some((slot, file)) = slot {
            return Ok(Attempt::Held(Box::new(SlotHold { hold, slot, file })));
        }
        self.hold = Some(hold);
        self.eager = if told { EAGER } else { self.eager.saturating_sub(1) };
        Ok(self.busy())
    }
}

impl Drop for SlotPlace {
    fn drop(&mut self) {
        if let Some(mut hold) = self.hold.take() {
            let _ = hold.release();
        }
    }
}

/// A slot that is held.
#[derive(Debug)]
struct SlotHold {
    hold: Box<dyn Hold>,
    slot: u32,
    /// Of the file with the slots.
    file: FileId,
}

impl Hold for SlotHold {
    fn owner(&self) -> &Owner {
        self.hold.owner()
    }

    fn token(&self) -> Option<u64> {
        self.hold.token()
    }

    fn slot(&self) -> Option<u32> {
        Some(self.slot)
    }

    fn slot_file(&self) -> Option<&File> {
        self.hold.slot_file()
    }

    fn release(&mut self) -> Result<(), Lost> {
        // Who has closed all files has given the slot up; the number may be another's file by now.
        if let Some(file) = self.hold.slot_file().filter(|file| sys::is_still(file, self.file)) {
            let _ = sys::range_unlock(file, byte(self.slot));
            let _ = sys::touch(file);
        }
        self.hold.release()
    }

    fn is_valid(&self) -> bool {
        self.hold.is_valid()
    }

    fn adopt(&mut self, owner: Owner) -> io::Result<()> {
        self.hold.adopt(owner)
    }

    fn open_file(&self) -> Option<&File> {
        self.hold.open_file()
    }
}
