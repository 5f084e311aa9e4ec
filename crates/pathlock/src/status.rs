//! What a look at a lock has shown.

use std::borrow::Cow;

use crate::mode::Mode;
use crate::owner::Owner;
use crate::sys::FileId;

/// What a lock is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody holds it.
    Free,
    /// Somebody holds it.
    Held,
    /// Nobody holds it: its owner is proven dead. The next to acquire it takes it over.
    Stale,
    /// Somebody may hold it: it can't be proven otherwise, and so it counts as held.
    Unknown,
}

/// What a look at a lock has shown: its state, who holds it, and the evidence.
#[derive(Debug, Clone)]
pub struct Status {
    state: State,
    owner: Option<Owner>,
    /// Seldom there, and so kept aside.
    company: Option<Box<Company>>,
    detail: Cow<'static, str>,
    /// What was looked at, so that no other lock than this one is ever broken.
    pub(crate) seen: Seen,
}

/// Who is there besides the owner.
#[derive(Debug, Clone, Default)]
struct Company {
    others: Vec<Owner>,
    waiters: Vec<Owner>,
    slots: u32,
}

/// What tells the lock that was looked at from any other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Seen {
    #[default]
    Nothing,
    /// An inode, and what its record said.
    Inode(FileId, Vec<u8>),
    /// An inode that is locked by the kernel alone, what its record said, and how it was held.
    Kernel(FileId, Vec<u8>, Option<Mode>),
    /// The target of a symbolic link.
    Target(Vec<u8>),
}

impl Status {
    /// A status with `detail`: one clause that says how it is known.
    #[must_use]
    pub fn new(state: State, owner: Option<Owner>, detail: impl Into<Cow<'static, str>>) -> Status {
        Status { state, owner, company: None, detail: detail.into(), seen: Seen::Nothing }
    }

    /// This status of a lock that `others` hold besides its owner: its other readers.
    #[must_use]
    pub fn with_others(mut self, others: Vec<Owner>) -> Status {
        self.company.get_or_insert_default().others = others;
        self
    }

    /// This status of a lock whose scheme keeps a queue, and has `waiters` in it.
    #[must_use]
    pub fn with_waiters(mut self, waiters: Vec<Owner>) -> Status {
        self.company.get_or_insert_default().waiters = waiters;
        self
    }

    /// This status of a lock that has `taken` slots taken.
    pub(crate) fn with_slots(mut self, taken: u32) -> Status {
        if taken > 0 {
            self.company.get_or_insert_default().slots = taken;
        }
        self
    }

    pub(crate) fn free() -> Status {
        Status::new(State::Free, None, "there is no lock file")
    }

    pub(crate) fn of(self, seen: Seen) -> Status {
        Status { seen, ..self }
    }

    /// What the lock is in.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Who holds it, or held it, where the lock file says so.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// Who holds it, or held it, where the lock file says so: the [owner](Self::owner) first, and the
    /// other readers where it is shared.
    pub fn holders(&self) -> impl Iterator<Item = &Owner> {
        self.owner.iter().chain(self.company.iter().flat_map(|company| &company.others))
    }

    /// How many of its [slots](crate::Lock::slots) are taken; zero where it is used without.
    #[must_use]
    pub fn slots_taken(&self) -> u32 {
        self.company.as_ref().map_or(0, |company| company.slots)
    }

    /// Who waits for it, first come first, where the scheme keeps its own queue. For the others see
    /// [`Lock::contenders`](crate::Lock::contenders).
    #[must_use]
    pub fn waiters(&self) -> &[Owner] {
        self.company.as_ref().map_or(&[], |company| &company.waiters)
    }

    /// One clause: how this is known.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether an acquisition would have to wait.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self.state, State::Held | State::Unknown)
    }
}
