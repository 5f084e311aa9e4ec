//! Ways of locking: the trait [`Scheme`], and the six that lock files.
//!
//! A scheme says what one attempt is, how to let go, and what there is to wait for. Everything
//! else (timeouts, cancelling, events, guards, re-entry) is the same for all of them and lives in
//! [`Lock`](crate::Lock). `examples/own_scheme.rs` is a scheme outside of this crate.
//!
//! # Writing one
//!
//! 1. [`Scheme::attempt`] tries once and never waits. It answers [`Attempt::Held`] with a
//!    [`Hold`], or [`Attempt::Busy`] with who holds it and a [`Waiter`]: what will tell that
//!    another attempt is worth while.
//! 2. [`Hold::release`] lets go, and removes only what it made itself.
//! 3. [`Scheme::status`] looks and takes nothing; [`Scheme::remove`] is a person's order.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Obstacle;
use crate::mode::{Mode, Recovery};
use crate::owner::Owner;
use crate::site::Site;
use crate::status::Status;
use crate::sys::{self, FileId};

mod baton;
mod breaking;
mod draft;
mod flock;
mod kernel;
mod link;
mod mkdir;
mod ofd;
mod pid;
mod slots;
mod symlink;
mod turns;

pub(crate) use breaking::WAITING;
pub use flock::Flock;
pub(crate) use kernel::Kept;
pub use link::Link;
pub use mkdir::Mkdir;
pub(crate) use mkdir::is_owner_file;
pub use ofd::Ofd;
pub use pid::Pid;
pub(crate) use slots::go_on;
pub use symlink::Symlink;

/// The scheme of [`LockFile`](crate::LockFile): hard links, as pylockfile has it.
#[cfg(unix)]
pub type DefaultScheme = Link;
/// The scheme of [`LockFile`](crate::LockFile): directories, as pylockfile has it where there are
/// no hard links.
#[cfg(not(unix))]
pub type DefaultScheme = Mkdir;

/// The names of the schemes in this crate.
pub const SCHEME_NAMES: &[&str] = &["link", "symlink", "mkdir", "pid", "flock", "ofd"];

/// The scheme of this crate that is called `name`.
///
/// ```
/// assert_eq!(pathlock::scheme_named("mkdir").expect("it is one").name(), "mkdir");
/// assert!(pathlock::scheme_named("telepathy").is_none());
/// ```
#[must_use]
pub fn scheme_named(name: &str) -> Option<Arc<dyn Scheme>> {
    Some(match name {
        "link" => Arc::new(Link),
        "symlink" => Arc::new(Symlink),
        "mkdir" => Arc::new(Mkdir),
        "pid" => Arc::new(Pid),
        "flock" => Arc::new(Flock),
        "ofd" => Arc::new(Ofd),
        _ => return None,
    })
}

/// A way of locking.
pub trait Scheme: fmt::Debug + Send + Sync {
    /// Its name, one word: what stands before the colon in `mkdir:/srv/job`.
    fn name(&self) -> &str;

    /// The lock file for what is at `path`: `PATH.lock`.
    fn lock_file(&self, path: &Path) -> PathBuf {
        sys::with_suffix(path, ".lock")
    }

    /// Where a lock file has many locks in it, as a database does: the name of this one.
    fn part(&self) -> &str {
        ""
    }

    /// Whether it has shared locks: many holders at once, as long as none is exclusive.
    fn can_share(&self) -> bool {
        false
    }

    /// Whether what happens to the file `name` in the lock file's directory may free the lock.
    fn concerns(&self, site: &Site, name: &OsStr) -> bool {
        name == site.name()
    }

    /// Tries once for the lock. Never waits, and leaves nothing behind unless it is held.
    ///
    /// # Errors
    /// What keeps this lock from being taken at all, now or later. That somebody holds it is no
    /// error but [`Attempt::Busy`].
    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle>;

    /// Looks at the lock, and takes nothing.
    ///
    /// # Errors
    /// When the lock file can't be looked at.
    fn status(&self, site: &Site) -> Result<Status, Obstacle>;

    /// Removes the lock that `seen` described, whoever holds it, if it is still that one; says
    /// whether it did.
    ///
    /// # Errors
    /// When the lock file can't be removed, or is none.
    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle>;
}

impl<S: Scheme + ?Sized> Scheme for Arc<S> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn lock_file(&self, path: &Path) -> PathBuf {
        (**self).lock_file(path)
    }
    fn part(&self) -> &str {
        (**self).part()
    }
    fn can_share(&self) -> bool {
        (**self).can_share()
    }
    fn concerns(&self, site: &Site, name: &OsStr) -> bool {
        (**self).concerns(site, name)
    }
    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        (**self).attempt(request)
    }
    fn status(&self, site: &Site) -> Result<Status, Obstacle> {
        (**self).status(site)
    }
    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
        (**self).remove(site, seen)
    }
}

/// What an attempt is asked for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The lock file and where it is.
    pub site: &'a Site,
    /// Who asks: what the record will say.
    pub owner: &'a Owner,
    /// Whether others may hold it at the same time. Never [`Mode::Shared`] for a scheme that
    /// [cannot](Scheme::can_share).
    pub mode: Mode,
    /// The lock has so many slots, and the caller wants one. The scheme has nothing to do with that: whoever
    /// asks for a slot comes as a reader, and the rest is done for it.
    pub slots: Option<u16>,
    /// Whether the caller will wait: if not, nobody's place in a queue needs to be respected.
    pub waits: bool,
    /// The mode of a file that is made, before the umask; the scheme's own if `None`.
    pub file_mode: Option<u32>,
    /// When a lock may be taken over.
    pub recovery: Recovery,
    /// Where an open lock file may be kept for the next attempt.
    pub(crate) kept: Option<&'a Arc<Kept>>,
}

/// What was asked for, for a thread that attempts it in the asker's place.
#[derive(Debug, Clone)]
pub(crate) struct OwnedRequest {
    site: Site,
    owner: Owner,
    mode: Mode,
    slots: Option<u16>,
    file_mode: Option<u32>,
    recovery: Recovery,
}

impl OwnedRequest {
    pub(crate) fn of(request: &Request<'_>) -> OwnedRequest {
        let Request { mode, slots, file_mode, recovery, .. } = *request;
        OwnedRequest {
            site: request.site.clone(),
            owner: request.owner.clone(),
            mode,
            slots,
            file_mode,
            recovery,
        }
    }

    pub(crate) fn request(&self) -> Request<'_> {
        let OwnedRequest { ref site, ref owner, mode, slots, file_mode, recovery } = *self;
        Request { site, owner, mode, slots, waits: true, file_mode, recovery, kept: None }
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// The lock is held.
    Held(Box<dyn Hold>),
    /// Somebody else has it.
    Busy(Busy),
}

/// Who has a lock, and what to wait for.
#[derive(Debug)]
pub struct Busy {
    /// What there is to see of the holder.
    pub status: Status,
    /// What tells that another attempt is worth while.
    pub waiter: Waiter,
}

/// What a waiter waits for.
#[derive(Debug)]
pub enum Waiter {
    /// Its turn in a queue of the kernel: for schemes of this crate.
    Queue(QueuePlace),
    /// The lock file's name to go or to change, or an owner in the status to die.
    Change,
    /// Its turn in a queue that the scheme keeps itself.
    Place(Box<dyn Place>),
    /// Time to pass: what happens on other hosts can't be seen otherwise.
    Backoff,
}

impl Waiter {
    fn queue(queue: impl Queue + 'static) -> Waiter {
        Waiter::Queue(QueuePlace(Arc::new(queue)))
    }
}

/// A place in a queue that a scheme keeps itself: in a database, or by what it has locked.
///
/// It is looked at when a file that [concerns](Self::concerns) it has changed, when a holder in the
/// last status has died, and every few seconds. Dropping it leaves the queue.
pub trait Place: fmt::Debug + Send {
    /// The directory whose files tell, when one of them is written, closed by a writer or removed.
    fn directory(&self) -> &Path;

    /// Whether what has happened to the file `name` there may have brought our turn.
    fn concerns(&self, name: &OsStr) -> bool;

    /// When to look again though nothing tells; `None` for the usual few seconds.
    fn again_in(&self) -> Option<Duration> {
        None
    }

    /// Looks whether our turn has come, and never waits for it: an [`Attempt::Busy`] has this place
    /// in its waiter again. `told` says whether something has told, or it was merely time to look.
    ///
    /// # Errors
    /// As [`Scheme::attempt`]; then the queue is left.
    fn look(self: Box<Self>, request: &Request<'_>, told: bool) -> Result<Attempt, Obstacle>;
}

/// A place in a queue of the kernel.
#[derive(Debug)]
pub struct QueuePlace(pub(crate) Arc<dyn Queue>);

/// What tells one queue of the kernel from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueKey {
    pub(crate) inode: FileId,
    /// An inode has two: that of `flock(2)` and that of its byte ranges.
    pub(crate) ranged: bool,
    /// One wins a lock of one mode.
    pub(crate) mode: Mode,
}

/// A queue of the kernel, seen by one that waits in it through one open file.
///
/// A waiter calls [`join`](Self::join), has a thread [`block`](Self::block), and then calls either
/// [`claim`](Self::claim), once that has returned, or [`leave`](Self::leave). One that has left
/// while the thread still blocks may join again.
pub(crate) trait Queue: fmt::Debug + Send + Sync {
    fn key(&self) -> QueueKey;

    /// Lets those who let go, and those who come, know that somebody waits.
    fn join(&self);

    /// Gives the lock back if it was there for the asking while others are announced, and says
    /// whether it has.
    ///
    /// The kernel gives a lock that has just been released to whoever asks first, and not to the
    /// waiter that it has woken for it. Who would get it at once has overtaken that one.
    fn give_way(&self) -> io::Result<bool>;

    /// Blocks until it is our turn.
    fn block(&self) -> io::Result<()>;

    /// Whether the turn that [`block`](Self::block) has brought is still ours: somebody who left may
    /// have given it up through the open file that is shared. Takes it if it is free.
    fn has_turn(&self) -> io::Result<bool>;

    /// Our turn has come: takes the lock, or says why it is still busy; `None` when this has
    /// turned out to be the queue of a lock which is gone.
    fn claim(&self, request: &Request<'_>) -> Result<Option<Attempt>, Obstacle>;

    /// Who holds the lock now; `None` when this is no longer the queue of the lock at that path.
    fn look(&self) -> Option<Status>;

    /// Withdraws, and hands on what [`block`](Self::block) has won or may win.
    fn leave(&self);
}

/// A lock that is held.
pub trait Hold: fmt::Debug + Send + Sync {
    /// Who holds it.
    fn owner(&self) -> &Owner;

    /// A number that only grows from one exclusive holder to the next, where the scheme counts them:
    /// a fencing token.
    fn token(&self) -> Option<u64> {
        None
    }

    /// Which of the lock's slots it is. Said by the library, not by schemes.
    fn slot(&self) -> Option<u32> {
        None
    }

    /// An open file, the same for all readers of the lock, whose bytes can be locked exclusively: what
    /// slots are made of. `None` where there is none.
    fn slot_file(&self) -> Option<&File> {
        None
    }

    /// Lets go. Called once.
    ///
    /// # Errors
    /// When the lock was no longer ours: then nothing is removed.
    fn release(&mut self) -> Result<(), Lost>;

    /// Whether the lock is still ours.
    fn is_valid(&self) -> bool;

    /// Until when it can be trusted without another look; `None` for a lock that is held until it is released.
    fn valid_until(&self) -> Option<Instant> {
        None
    }

    /// Makes it a lock of another mode, in one step and without waiting; `false` while others hold it too.
    ///
    /// # Errors
    /// [`Unsupported`](io::ErrorKind::Unsupported) where it takes two steps, between which another could
    /// get the lock; and when the lock is no longer ours.
    fn convert(&mut self, _mode: Mode) -> Result<bool, Lost> {
        Err(Lost::Os(io::ErrorKind::Unsupported.into()))
    }

    /// Makes `owner`, in this forked child, the one who holds it.
    ///
    /// # Errors
    /// When the record can't be rewritten, or the lock is no longer ours.
    fn adopt(&mut self, owner: Owner) -> io::Result<()>;

    /// The open file that holds the lock: who inherits it keeps the lock held. `None` where nothing
    /// open does.
    fn open_file(&self) -> Option<&File> {
        None
    }
}

/// Why a lock could not be released.
#[derive(Debug)]
pub enum Lost {
    /// There is no lock any more.
    Gone,
    /// It is another's by now, or of another's making.
    Taken(Option<Owner>),
    /// The system refused.
    Os(io::Error),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Lost {
        Lost::Os(error)
    }
}
