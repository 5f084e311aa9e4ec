//! Leases: locks that are taken over for their age, where the caller asks for it.
//!
//! Nothing proves to one host that a process of another is dead. Where hosts share locks without a server that
//! keeps leases, age is what is left, and it is *weaker than proof*: a holder that was stopped, or cut off, for longer than its
//! lease has lost it, and may not know it until it looks. So it has to look: [`Guard::is_valid`](crate::Guard::is_valid)
//! before each step that must not be taken twice, or [`on_lost`](crate::Lock::on_lost).
//!
//! # Invariants
//!
//! 1. *Only who has agreed is robbed*: a lock whose record says that it is a lease, of an owner that can't be seen to
//!    run. A process that runs on this host keeps its lock, whatever its age.
//! 2. *Age is what the file server says.* The holder has the server set the time of the lock (`UTIME_NOW`); a contender
//!    makes a fresh file beside it, and compares the two. No host's clock is read. The longer of the two terms
//!    counts, the holder's and the contender's.
//! 3. *A holder stops trusting its lease before others may take it*: nine tenths of the term after it began its last
//!    touch that succeeded, on its own monotonic clock. What is assumed is that no clock is slower or faster than another by
//!    a twentieth. A lease that has lapsed is not touched again, so it is not revived while somebody takes it.
//! 4. *What is removed is the lock that was looked at*, as in any break (see the module `scheme::breaking`).

use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::error::{FailureReason, Obstacle};
use crate::litter;
use crate::mode::{Mode, Recovery};
use crate::owner::Owner;
use crate::scheme::{Attempt, Busy, Hold, Lost, Request, Scheme, Waiter};
use crate::site::Site;
use crate::status::State;
use crate::sys::{self, ForkLocal};

/// How often a lease is touched within its term.
const TOUCHES: u32 = 3;
/// No shorter term is taken.
const SHORTEST: Duration = Duration::from_secs(1);
/// The part of a term in which a lease can be trusted.
const TRUSTED: (u32, u32) = (9, 10);

/// What is called when a lease is lost.
pub(crate) type OnLost = Arc<dyn Fn() + Send + Sync>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes over a lock that was found busy, if it is a lease that has run out.
pub(crate) fn go_on(
    scheme: &dyn Scheme,
    attempt: Attempt,
    request: &Request<'_>,
) -> Result<Attempt, Obstacle> {
    let Recovery::ByAge(term) = request.recovery else { return Ok(attempt) };
    let Attempt::Busy(Busy { status, waiter: Waiter::Change | Waiter::Backoff }) = &attempt else {
        return Ok(attempt);
    };
    if status.state() == State::Held || status.owner().is_none_or(|owner| owner.lease.is_none()) {
        return Ok(attempt);
    }
    let site = request.site;
    let seen = scheme.status(site)?;
    let lease = seen.owner().filter(|_| seen.state() != State::Held).and_then(Owner::lease);
    let Some(lease) = lease.map(|lease| lease.max(term)) else { return Ok(attempt) };
    if age(site, request.owner)?.is_some_and(|age| age > lease) && scheme.remove(site, &seen)? {
        litter::sweep(site);
        return scheme.attempt(request);
    }
    Ok(attempt)
}

/// How old the lock is, by the clock of who keeps the files; `None` when it is gone, or from the future.
fn age(site: &Site, owner: &Owner) -> io::Result<Option<Duration>> {
    site.refresh()?;
    let fresh = litter::fresh_name(site, owner);
    let made: File = sys::create_new(&fresh, 0o600)?;
    // The first write has the server set the time.
    let now = sys::touch(&made).and_then(|()| sys::modified(&fresh));
    let then = sys::modified(site.lock_file());
    litter::discard(&fresh);
    Ok(now?.zip(then?).and_then(|(now, then)| now.checked_sub(then)))
}

/// Makes a lock that has just been acquired a lease: it is touched until it is released.
pub(crate) fn keep(
    mut hold: Box<dyn Hold>,
    site: &Site,
    term: Duration,
    told: Option<OnLost>,
) -> io::Result<LeaseHold> {
    let owner = hold.owner().clone();
    let began = Instant::now();
    if let Err(error) = sys::touch_name(site.lock_file()) {
        let _ = hold.release();
        return Err(error);
    }
    let lease = Arc::new(Lease {
        site: site.clone(),
        term,
        told,
        hold: Mutex::new(hold),
        trust: Mutex::new(Trust { until: began + trusted(term), lost: false }),
    });
    keeper().add(&lease, began + term / TOUCHES);
    Ok(LeaseHold { lease, owner })
}

fn trusted(term: Duration) -> Duration {
    term * TRUSTED.0 / TRUSTED.1
}

/// A lock that is a lease.
struct Lease {
    site: Site,
    term: Duration,
    told: Option<OnLost>,
    hold: Mutex<Box<dyn Hold>>,
    trust: Mutex<Trust>,
}

#[derive(Debug)]
struct Trust {
    until: Instant,
    lost: bool,
}

impl Lease {
    fn is_trusted(&self) -> bool {
        let trust = lock(&self.trust);
        !trust.lost && Instant::now() < trust.until
    }

    /// Touches it, if it still can be trusted; when to do so again, or `None` when it is lost.
    fn beat(&self) -> Option<Instant> {
        let began = Instant::now();
        if !self.is_trusted() {
            return self.lose();
        }
        if !lock(&self.hold).is_valid() {
            // It may be that the server does not answer: then the term decides.
            return match sys::stat_at(self.site.lock_file()) {
                Err(_) => Some(began + self.term / (TOUCHES * TOUCHES)),
                Ok(_) => self.lose(),
            };
        }
        if sys::touch_name(self.site.lock_file()).is_err() {
            return Some(began + self.term / (TOUCHES * TOUCHES));
        }
        let mut trust = lock(&self.trust);
        // The touch itself may have taken longer than the term: then it has come too late.
        if Instant::now() < trust.until {
            trust.until = began + trusted(self.term);
            return Some(began + self.term / TOUCHES);
        }
        drop(trust);
        self.lose()
    }

    fn lose(&self) -> Option<Instant> {
        let told = !std::mem::replace(&mut lock(&self.trust).lost, true);
        if let Some(tell) = self.told.as_ref().filter(|_| told) {
            tell();
        }
        None
    }
}

/// A lease that is held.
pub(crate) struct LeaseHold {
    lease: Arc<Lease>,
    owner: Owner,
}

impl std::fmt::Debug for LeaseHold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseHold").field("owner", &self.owner).field("term", &self.lease.term).finish()
    }
}

impl Hold for LeaseHold {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn release(&mut self) -> Result<(), Lost> {
        // From here on it is not touched.
        lock(&self.lease.trust).lost = true;
        lock(&self.lease.hold).release()
    }

    fn is_valid(&self) -> bool {
        self.lease.is_trusted() && lock(&self.lease.hold).is_valid()
    }

    fn valid_until(&self) -> Option<Instant> {
        Some(lock(&self.lease.trust).until)
    }

    fn adopt(&mut self, owner: Owner) -> io::Result<()> {
        let owner = Owner { lease: milliseconds(self.lease.term), ..owner };
        // In a child that was forked while the parent's thread looked at the lock, the mutex stays locked.
        let busy = || io::Error::other("the process was forked while its lease was looked at: fork again");
        self.lease.hold.try_lock().map_err(|_| busy())?.adopt(owner.clone())?;
        self.owner = owner;
        // The parent's thread is not here.
        keeper().add(&self.lease, Instant::now());
        Ok(())
    }
}

/// Who touches the leases of this process: one thread, while there are any.
#[derive(Default)]
struct Keeper {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Default)]
struct Work {
    leases: Vec<(Weak<Lease>, Instant)>,
    runs: bool,
}

fn keeper() -> &'static Keeper {
    static KEEPER: ForkLocal<Keeper> = ForkLocal::new();
    KEEPER.get_or_init(Keeper::default)
}

impl Keeper {
    fn add(&'static self, lease: &Arc<Lease>, due: Instant) {
        let mut work = lock(&self.work);
        work.leases.push((Arc::downgrade(lease), due));
        if !work.runs {
            let spawned = sys::with_signals_blocked(|| {
                std::thread::Builder::new().name("pathlock-lease".into()).spawn(|| self.serve())
            });
            // Without a thread the lease lapses at the end of its term, and says so.
            work.runs = spawned.is_ok();
        }
        drop(work);
        self.changed.notify_one();
    }

    fn serve(&self) {
        let mut work = lock(&self.work);
        while !work.leases.is_empty() {
            let next = work.leases.iter().map(|(_, due)| *due).min().unwrap_or_else(Instant::now);
            let wait = next.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                work = self.changed.wait_timeout(work, wait).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let leases = std::mem::take(&mut work.leases);
            drop(work);
            let now = Instant::now();
            let beat = |(lease, due): (Weak<Lease>, Instant)| {
                let held = lease.upgrade().filter(|lease| !lock(&lease.trust).lost)?;
                let due = if due <= now { held.beat()? } else { due };
                Some((lease, due))
            };
            let left: Vec<_> = leases.into_iter().filter_map(beat).collect();
            work = lock(&self.work);
            work.leases.extend(left);
        }
        work.runs = false;
    }
}

/// The term as the record has it.
pub(crate) fn milliseconds(term: Duration) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(term.as_millis()).unwrap_or(u32::MAX))
}

/// Whether locks of this kind can be leases of this term: those of one holder that are held by a name.
pub(crate) fn check(scheme: &dyn Scheme, mode: Mode, term: Duration) -> Result<(), Obstacle> {
    let refused = |message| Err(Obstacle::new(FailureReason::Unsupported, message));
    if !matches!(scheme.name(), "link" | "symlink" | "mkdir" | "pid") || mode == Mode::Shared {
        return refused(
            "leases are for one holder of schemes link, symlink, mkdir and pid: what the kernel or a database \
             holds has no age",
        );
    }
    if term < SHORTEST {
        return refused(
            "a lease needs a term of a second at least: the times of files are no finer everywhere",
        );
    }
    Ok(())
}
