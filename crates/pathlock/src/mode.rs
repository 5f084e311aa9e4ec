//! The options of a lock that are a choice between a few words.

/// Whether a lock is one holder's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// One holder, and nobody else: for writers.
    #[default]
    Exclusive,
    /// Any number of holders, as long as nobody holds the lock exclusively: for readers.
    Shared,
}

impl Mode {
    /// One word: `exclusive` or `shared`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mode::Exclusive => "exclusive",
            Mode::Shared => "shared",
        }
    }
}

/// Who owns a lock that was acquired.
///
/// pylockfile's `threaded`: it decides what [`i_am_locking`](crate::Lock::i_am_locking) answers
/// and who may enter again under [`Reentry::Count`]. It never lets two callers in: a second
/// thread, and a second handle, wait like anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ownership {
    /// The thread that acquired it.
    #[default]
    Thread,
    /// Every thread of the process that acquired it.
    Process,
}

/// What happens when an owner asks again for a lock that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reentry {
    /// Refuse: waiting for oneself never ends. [`acquire`](crate::Lock::acquire) fails with
    /// [`WouldDeadlock`](crate::FailureReason::WouldDeadlock), and
    /// [`try_acquire`](crate::Lock::try_acquire) with
    /// [`AlreadyLocked`](crate::LockError::AlreadyLocked).
    #[default]
    Refuse,
    /// Count: the owner gets a further guard of the same lock, which is released when the last of
    /// its guards is.
    Count,
}

/// When a lock that nobody seems to hold may be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recovery {
    /// When its owner is proven dead (see [`scheme`](crate::scheme)).
    #[default]
    ProvenDead,
    /// Never: a stale lock stays until a person breaks it.
    Never,
    /// When its owner is proven dead; and a *lease*, whose owner can't be seen to run, when it is older than this term.
    ///
    /// For hosts that share locks on a network filesystem without a server that keeps leases. It is **weaker than
    /// proof**: a holder that was stopped, or cut off, for longer than its term loses the lock and may go on, so it
    /// has to ask [`Guard::is_valid`](crate::Guard::is_valid) before each step that must not be taken twice, or be told by
    /// [`on_lost`](crate::Lock::on_lost).
    ///
    /// Who acquires a lock so also holds it as a lease: a thread of the library touches the lock file three
    /// times within the term. Only leases are taken over for their age, and only by who asks for it; the longer of the two
    /// terms counts, on the file server's clock. Schemes link, symlink, mkdir and pid, exclusively.
    ByAge(std::time::Duration),
}
