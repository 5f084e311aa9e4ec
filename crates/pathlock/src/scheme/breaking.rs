//! Breaking a lock while it may change hands.
//!
//! A break removes the name of the lock that somebody has looked at, and no other. To look and then
//! to unlink would be two steps, and the lock could be released, or be another's, between them. So
//! three of those who act on a lock say so, each by a shared lock of a byte that nobody writes; the
//! kernel takes it back from one that dies. The bytes are the inode's; a symbolic link has none that
//! could be locked, and has bytes of its directory, by a digest of its name.
//!
//! - A *waiter* has [`ANNOUNCED`] (and see the module `kernel::queue`).
//! - A *breaker* has a byte from before its look until after the removal ([`Breaking`]).
//!   Breakers are serialised by [`Breaker`](crate::recover::Breaker).
//! - Who takes the name away on release has another, from before its look at the name
//!   ([`Leaving`]).
//!
//! # Invariant
//!
//! *What a breaker removes is the lock that it has looked at inside its stretch, or is nobody's.*
//! The name could be bound anew, or the record be another's, in three ways:
//!
//! 1. *An owner removes the name, and a third makes it.* Each of the two sets its byte, then looks for
//!    the other's, then at the name: at least one sees the other, or what it has done. An owner that sees a breaker
//!    leaves the name with a free mark, and the breaker looks after the mark when it is through; or, if
//!    it has no `flock` (that of a symbolic link, and one that has closed its files), it waits for the breaker. A breaker that sees an owner leave waits for it, and
//!    gives up if it stays.
//! 2. *The owner lets go, and the next writes its own record on the inode.* The next writes, then looks
//!    for a breaker, then at the name ([`outlasts`]). If the breaker's look came after the
//!    writing, the record is not the one it came for. If it came before, its byte is still set when
//!    the next looks for it, who backs off; or the removal is over, and the next sees that the
//!    name is gone.
//! 3. *The owner dies, and a contender adopts its record*: as in 2.
//!
//! Killed at any point, a breaker has removed the name or has not.
//!
//! Other programs know nothing of these bytes: their locks are taken aside, looked at, and given back
//! if they are others' ([`remove_if`](crate::litter::remove_if)). On a network filesystem the bytes
//! would be the server's; there it is the same.

use std::fs::File;
use std::io;

use crate::litter;
use crate::mode::Mode;
use crate::recover;
use crate::site::Site;
use crate::sys::{self, FileId, Range};

/// Where the bytes of an inode begin: far beyond what anybody writes.
const START: i64 = i64::MAX - 0x10;
/// Slots: see there. They come before everything else that is not the lock itself.
pub(super) const SLOTS: Range = Range { start: START - 0x1_0000, length: 0x1_0000 };
/// Readers that wait.
pub(super) const READERS: Range = Range { start: START, length: 1 };
/// Who waits and is to be respected: all waiters of a lock that has no readers, writers of one that has.
pub(super) const ANNOUNCED: Range = Range { start: START + 1, length: 1 };
/// Writers that wait for readers to have had their turn.
pub(super) const STAGED: Range = Range { start: START + 2, length: 1 };
/// All who wait. No byte before these stands for anything but the lock.
pub(crate) const WAITING: Range = Range { start: START, length: 3 };
/// Readers of a directory: those who hold it, and those who are about to.
pub(super) const READING: Range = Range { start: START + 3, length: 1 };
/// A breaker comes after those, and who leaves after that.
const BREAKING: i64 = 4;
const LEAVING: i64 = 5;

/// How often one looks for what another is about to finish.
pub(super) const LOOKS: u32 = 24;

/// Where the bytes of a lock are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a> {
    file: &'a File,
    start: i64,
}

impl<'a> Bytes<'a> {
    pub(super) fn of_inode(file: &'a File) -> Bytes<'a> {
        Bytes { file, start: START }
    }

    /// Those of a name in `directory`. Two names may have the same: then one waits for the other.
    pub(super) fn of_name(directory: &'a File, site: &Site) -> Bytes<'a> {
        // Far from the end, and no two overlap but wholly.
        let start = (litter::place(site) >> 4 << 3).cast_signed();
        Bytes { file: directory, start }
    }

    fn breaking(self) -> Range {
        Range { start: self.start + BREAKING, length: 1 }
    }

    fn leaving(self) -> Range {
        Range { start: self.start + LEAVING, length: 1 }
    }

    pub(super) fn is_breaking(self) -> bool {
        others_have(self.file, self.breaking())
    }
}

/// Where the system can't say, nobody has it.
pub(super) fn others_have(file: &File, bytes: Range) -> bool {
    sys::range_held_as(file, bytes).is_ok_and(|mode| mode.is_some())
}

/// Whether others break the lock, or wait for it or read where they keep the name (`baton`).
pub(super) fn is_watched(file: &File, baton: bool) -> bool {
    let breaking = Bytes::of_inode(file).breaking();
    let all = Range { start: START, length: BREAKING + 1 };
    others_have(file, if baton { all } else { breaking })
}

/// A shared lock of a byte, for as long as it is there.
#[derive(Debug)]
struct Flag<'a> {
    file: &'a File,
    byte: Range,
}

impl<'a> Flag<'a> {
    /// Nobody has the byte exclusively, so it is there for the asking; where the system has no such locks, a
    /// break is as safe as it is with another program's lock.
    fn set(file: &'a File, byte: Range) -> Flag<'a> {
        let _ = sys::range_try(file, byte, Mode::Shared);
        Flag { file, byte }
    }
}

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        // By hand: a child may share the open file, and outlive us.
        let _ = sys::range_unlock(self.file, self.byte);
    }
}

/// The stretch in which an owner takes the name away, or leaves it.
#[derive(Debug)]
pub(super) struct Leaving<'a> {
    _flag: Flag<'a>,
}

impl<'a> Leaving<'a> {
    /// To look for a breaker is the next thing to do.
    pub(super) fn begin(bytes: Bytes<'a>) -> Leaving<'a> {
        Leaving { _flag: Flag::set(bytes.file, bytes.leaving()) }
    }
}

/// The stretch in which a breaker looks and removes.
#[derive(Debug)]
pub(super) struct Breaking<'a> {
    _flag: Flag<'a>,
}

impl<'a> Breaking<'a> {
    /// `None` when an owner is leaving, and does not come to an end.
    pub(super) fn begin(bytes: Bytes<'a>) -> Option<Breaking<'a>> {
        let breaking = Breaking { _flag: Flag::set(bytes.file, bytes.breaking()) };
        ends(|| others_have(bytes.file, bytes.leaving())).then_some(breaking)
    }
}

/// Whether a record that has just been written into `file`, with its kernel lock in hand, makes its
/// writer the owner: the path names it, and nobody is about to take the name away. `None` when
/// a breaker is, and does not come to an end. That `file` is `id` still, and nobody has closed all files of
/// this process, the caller has seen.
pub(super) fn outlasts(site: &Site, file: &File, id: FileId) -> io::Result<Option<bool>> {
    if !ends(|| Bytes::of_inode(file).is_breaking()) {
        return Ok(None);
    }
    recover::names(site, id).map(Some)
}

/// Whether what others do ends within a few looks: it is a matter of a few calls.
fn ends(goes_on: impl Fn() -> bool) -> bool {
    (0..LOOKS).any(|look| {
        let over = !goes_on();
        if !over {
            crate::wait::step_aside(look);
        }
        over
    })
}
