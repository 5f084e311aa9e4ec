//! The trial of one scheme: a race, hand-overs, and kills.

use std::path::Path;
use std::time::{Duration, Instant};

use pathlock::{AnyLockFile, scheme_named};

use super::audit::Audit;
use super::team::{Team, WORKERS};
use super::worker::Order;
use crate::exit::{self, Failure};
use crate::signals::Signals;

/// How many turns make a race.
const RACE: usize = 120;
/// Fewer say nothing of exclusion.
const FEWEST: usize = 10;
const HAND_OVERS: usize = 11;
/// How many holders are killed: one is left to take the lock over from the last.
const KILLS: usize = WORKERS - 1;

/// What a trial has shown.
#[derive(Debug)]
pub(super) struct Finding {
    /// The scheme's name.
    pub(super) scheme: &'static str,
    /// Whether it let in one at a time.
    pub(super) excludes: Excludes,
    /// What became of the lock of a holder that was killed.
    pub(super) kill: Kill,
    /// From just before a release until one that waited had the lock, the median.
    pub(super) wake: Option<Duration>,
    /// How often the lock was acquired.
    pub(super) turns: usize,
}

/// Whether a lock let in one at a time.
#[derive(Debug)]
pub(super) enum Excludes {
    /// It did, whenever it was tried.
    Yes,
    /// These two were inside at once.
    No(u32, u32),
    /// Nobody could acquire it, because of this.
    Unsupported(String),
    /// Somebody acquired it, and then this went wrong.
    Failed(String),
    /// It was not tried often enough.
    Unknown,
}

/// What became of the lock of a holder that was killed.
#[derive(Debug)]
pub(super) enum Kill {
    /// It was taken over, at the latest after this time.
    Recovered(Duration),
    /// It was not taken over for this time; what the library says of it.
    LeftBehind(Duration, String),
    /// It was not tried.
    Unknown,
}

impl Finding {
    /// Whether it let in one at a time.
    pub(super) fn excludes(&self) -> bool {
        matches!(self.excludes, Excludes::Yes)
    }

    /// Whether the lock of a killed holder came free.
    pub(super) fn recovers(&self) -> bool {
        matches!(self.kill, Kill::Recovered(_))
    }
}

/// Tries `scheme` on a lock file in `directory` for no longer than `limit`.
pub(super) fn examine(
    scheme: &'static str,
    directory: &Path,
    limit: Duration,
    signals: &Signals,
) -> Result<Finding, Failure> {
    let lock_file = directory.join(scheme);
    let mut team = Team::start(scheme, &lock_file, signals).map_err(|error| {
        let message = format_args!("can't start the processes that try {scheme}: {error}");
        Failure::new(exit::CANNOT_LOCK, message)
    })?;
    let end = Instant::now() + limit;
    race(&mut team, end - limit / 2)?;
    let mut kill = Kill::Unknown;
    if !team.audit().is_settled() {
        hand_over(&mut team, end - limit / 4)?;
    }
    if !team.audit().is_settled() {
        kill = kill_holders(&mut team, end, scheme, &lock_file)?;
    }
    let audit = team.audit();
    Ok(Finding {
        scheme,
        excludes: verdict(audit),
        kill,
        wake: audit.hand_over().map(Duration::from_nanos),
        turns: audit.turns(),
    })
}

/// All want the lock, and whoever has had it wants it again.
fn race(team: &mut Team<'_>, until: Instant) -> Result<(), Failure> {
    team.order_all(Order::Race);
    let enough = |audit: &Audit| audit.turns() >= RACE && audit.entered() == WORKERS;
    team.listen(until, |audit| enough(audit) || audit.is_settled())?;
    Ok(())
}

/// One lets go, and does not come back before another has the lock.
fn hand_over(team: &mut Team<'_>, until: Instant) -> Result<(), Failure> {
    team.order_all(Order::Stay);
    for _ in 0..HAND_OVERS {
        // The first time, all the others: the race is over then.
        let ready = |audit: &Audit| audit.staying().is_some() && audit.waiting() == WORKERS - 1;
        if !team.listen(until, |audit| ready(audit) || audit.is_settled())? {
            break;
        }
        let (Some(holder), turns) = (team.audit().staying(), team.audit().turns()) else { break };
        team.order(holder, Order::Rest);
        let followed = |audit: &Audit| audit.turns() > turns && audit.staying().is_some();
        let has_followed = team.listen(until, |audit| followed(audit) || audit.is_settled())?;
        team.order(holder, Order::Stay);
        if !has_followed {
            break;
        }
    }
    Ok(())
}

/// The holder is killed, and so is the one that takes over from it, and so on.
fn kill_holders(
    team: &mut Team<'_>,
    until: Instant,
    scheme: &str,
    lock_file: &Path,
) -> Result<Kill, Failure> {
    let mut slowest = None;
    for _ in 0..KILLS {
        team.listen(until, |audit| audit.staying().is_some() || audit.is_settled())?;
        let Some(holder) = team.audit().staying() else { break };
        let turns = team.audit().turns();
        let (began, at) = (Instant::now(), team.kill(holder));
        let taken_over = team.listen(until, |audit| audit.turns() > turns || audit.is_settled())?;
        if team.audit().is_settled() || team.is_over() {
            return Ok(Kill::Unknown);
        }
        if !taken_over {
            return Ok(Kill::LeftBehind(began.elapsed(), state_of(scheme, lock_file)));
        }
        slowest = slowest.max(Some(team.audit().last_entry().saturating_sub(at)));
    }
    // What has failed meanwhile may have freed the lock in the place of the recovery.
    let slowest = slowest.filter(|_| !team.audit().is_settled());
    Ok(slowest.map_or(Kill::Unknown, |slowest| Kill::Recovered(Duration::from_nanos(slowest))))
}

/// What the library says of the lock: why it was not taken over.
fn state_of(scheme: &str, lock_file: &Path) -> String {
    let status = scheme_named(scheme).map(|scheme| AnyLockFile::at_with_scheme(lock_file, scheme).status());
    match status {
        Some(Ok(status)) => status.detail().to_string(),
        Some(Err(error)) => error.to_string(),
        None => String::new(),
    }
}

fn verdict(audit: &Audit) -> Excludes {
    match (audit.overlap(), audit.failure()) {
        (Some((one, other)), _) => Excludes::No(one, other),
        (None, Some(failure)) if audit.turns() == 0 => Excludes::Unsupported(failure.to_owned()),
        (None, Some(failure)) => Excludes::Failed(failure.to_owned()),
        (None, None) if audit.turns() < FEWEST || audit.entered() < 2 => Excludes::Unknown,
        (None, None) => Excludes::Yes,
    }
}
