//! What the protocol says, how much is tried, and what must never come of it.

/// What the protocol says. A rule that is `false` is broken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// `let_go` looks for announcements once more after it has unlocked.
    pub(crate) second_look: bool,
    /// `settle` reads the record before it writes its own.
    pub(crate) reads_record: bool,
    /// `settle` compares path and inode.
    pub(crate) identity: bool,
    /// It does so after it has judged the record, and not before.
    pub(crate) identity_last: bool,
    /// `leave` removes only with the `flock` in hand.
    pub(crate) lock_to_remove: bool,
    /// A waiter and its parker never leave at once.
    pub(crate) mutex: bool,
    /// A parker makes sure that it still has what `flock` gave it before it tells its waiter.
    pub(crate) confirms_turn: bool,
    /// Who finds the `flock` taken, a mark, and nobody announced, tries again: for as long as it
    /// takes, where the crate does so a few times.
    pub(crate) waits_out_mark: bool,
    /// Who removes a name on release says so first.
    pub(crate) says_it_leaves: bool,
    /// And looks for a breaker before it looks at the name, and not after.
    pub(crate) breaker_first: bool,
    /// A breaker waits for those who leave.
    pub(crate) breaker_waits: bool,
    /// Who has adopted a lock looks for a breaker.
    pub(crate) adopter_looks: bool,
    /// And then compares path and inode again.
    pub(crate) identity_again: bool,
}

/// How much happens at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    pub(crate) programs: u8,
    /// Acquisitions of each program.
    pub(crate) acquisitions: u8,
    /// Whether they may also be tries that don't wait.
    pub(crate) tries: bool,
    /// Acquisitions of the other program, which knows the name only.
    pub(crate) others: u8,
    pub(crate) probes: u8,
    /// Locks that are broken by a person's order.
    pub(crate) breaks: u8,
    pub(crate) crashes: u8,
    /// Waits that end by time, by being cancelled, or by a look at another inode.
    pub(crate) timeouts: u8,
    /// Holders whose files are all closed, as daemons do.
    pub(crate) losses: u8,
    /// Whether programs end, and their parkers with them.
    pub(crate) exits: bool,
}

/// What must never be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// Two believe that they hold the lock.
    TwoHolders,
    /// A holder's name or record is not there: the next may come in.
    HeldWithoutName,
    /// A name was removed by one whose it was not.
    OthersNameRemoved,
    /// All is quiet, and a name is left that another program takes for a lock.
    NameLeft,
    /// All is quiet, and a contender of ours could not have the lock.
    Unrecoverable,
    /// Somebody waits, and nothing that must happen will wake it.
    WaitsForEver,
}
