//! Scheme `sqlite`: the lock is held while a row in a database says so.
//!
//! # Invariants
//!
//! 1. *Rows change only in one transaction at a time* (`BEGIN IMMEDIATE`): SQLite excludes.
//! 2. *After every transaction, a lock that could be given to the first who waits for it has been* (the module
//!    `ledger`). So whoever lets go, or finds a dead holder, gives the lock to its heir in the same transaction; a
//!    waiter looks for its own row among the holders, and need not ask for anything.
//! 3. *A row of a holder or waiter goes only by itself, by proof of its owner's death, or by a person's
//!    order.* A pid that can't be judged from here holds.
//! 4. *Tokens only grow.* The counter of a lock grows in the transaction that grants it. A loss of power may undo the
//!    last transactions; so the upper bits of a token are the number of the boot, which is written and synced before
//!    the first transaction of that boot (`database`).
//!
//! # Crash points
//!
//! A transaction is there or it is not. Killed before its commit, a process has changed nothing. Killed after it, it
//! has left a row: of a waiter, which is passed over; or of a holder, maybe one that has not yet seen that it is one,
//! which is removed. Who does so is whoever next acquires, releases or waits; waiters watch the holders'
//! processes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pathlock::scheme::{Attempt, Busy, Request, Waiter};
use pathlock::{Mode, Obstacle, Recovery, Scheme, Site, State, Status};

use crate::database::{Busyness, Database, Pool, Rows};
use crate::hold::SqliteHold;
use crate::ledger;
use crate::place::SqlitePlace;

/// Locks in an SQLite database. See the [crate](crate).
#[derive(Debug, Clone, Default)]
pub struct Sqlite {
    database: Option<PathBuf>,
    name: String,
    on_network: bool,
    pool: Arc<Pool>,
}

impl Sqlite {
    /// The lock that is called `name` in the database at `database`.
    #[must_use]
    pub fn named(database: impl AsRef<Path>, name: impl Into<String>) -> Sqlite {
        let database = database.as_ref();
        let database = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
        Sqlite { database: Some(database), name: name.into(), ..Sqlite::default() }
    }

    /// Whether to use a database on a network filesystem, too. It is for a server and clients whose locks are
    /// known to work; there it is written without a write-ahead log, synced at each step, waiters of
    /// other hosts look every few seconds, and the row of a process of another host that has died has to be removed
    /// by hand.
    #[must_use]
    pub fn on_network(self, allowed: bool) -> Sqlite {
        Sqlite { on_network: allowed, ..self }
    }

    /// What the lock is called.
    #[must_use]
    pub fn lock_name(&self) -> &str {
        &self.name
    }

    /// The path that stands for the lock in messages: `DB#NAME`.
    pub(crate) fn shown(&self) -> PathBuf {
        let mut shown = self.database.clone().unwrap_or_default().into_os_string();
        shown.push("#");
        shown.push(&self.name);
        shown.into()
    }

    /// The database, made if need be.
    fn open(&self, site: &Site, file_mode: Option<u32>) -> Result<Database, Obstacle> {
        Database::open(&self.pool, site, file_mode, self.on_network)
    }

    /// The database, if it is there.
    pub(crate) fn existing(&self, site: &Site) -> Result<Option<Database>, Obstacle> {
        Database::existing(&self.pool, site, self.on_network)
    }
}

impl Scheme for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn lock_file(&self, path: &Path) -> PathBuf {
        self.database.clone().unwrap_or_else(|| {
            let mut name = path.as_os_str().to_owned();
            name.push(".lock.db");
            name.into()
        })
    }

    fn part(&self) -> &str {
        &self.name
    }

    fn can_share(&self) -> bool {
        true
    }

    fn concerns(&self, site: &Site, name: &OsStr) -> bool {
        concerns(site, name)
    }

    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        let site = request.site;
        let mut database = self.open(site, request.file_mode)?;
        let (shared, recovers) = (request.mode == Mode::Shared, request.recovery != Recovery::Never);
        if !request.waits {
            // Whoever tries again and again does not write each time, and wakes nobody.
            let look = |rows: &Rows<'_>| ledger::in_the_way(rows, &self.name, site, shared, recovers);
            if let Some(status) = database.read(look)? {
                return Ok(Attempt::Busy(Busy { status, waiter: Waiter::Change }));
            }
        }
        let entered = database.write(|rows| {
            let ticket = rows.wait(&self.name, shared, request.owner)?;
            ledger::settle(rows, &self.name, site, recovers)?;
            if let Some(token) = rows.token_of(ticket)? {
                return Ok((ticket, Some(token), None));
            }
            let status = ledger::status(rows, &self.name, site, false)?;
            if !request.waits {
                rows.leave(ticket)?;
            }
            Ok((ticket, None, Some(status)))
        });
        let (ticket, token, status) = match entered {
            Ok(entered) => entered,
            Err(Busyness::Busy) => {
                let status = Status::new(State::Unknown, None, "the database is busy: others write to it");
                return Ok(Attempt::Busy(Busy { status, waiter: Waiter::Backoff }));
            }
            Err(Busyness::Failed(obstacle)) => return Err(obstacle),
        };
        let claim = SqliteHold::new(database, self, request, ticket);
        match (token, status) {
            (None, Some(status)) if request.waits => Ok(SqlitePlace::new(claim, site).busy(status)),
            (None, Some(status)) => Ok(Attempt::Busy(Busy { status, waiter: Waiter::Change })),
            (token, _) => Ok(Attempt::Held(Box::new(claim.with_token(token.unwrap_or_default())))),
        }
    }

    fn status(&self, site: &Site) -> Result<Status, Obstacle> {
        let Some(mut database) = self.existing(site)? else {
            return Ok(Status::new(State::Free, None, "there is no database"));
        };
        database.read(|rows| ledger::status(rows, &self.name, site, true))
    }

    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
        let Some(mut database) = self.existing(site)? else { return Ok(false) };
        let removed = database.write(|rows| {
            let holders = rows.holders(&self.name)?;
            let same = holders.iter().map(|row| &row.entry.owner).eq(seen.holders());
            if holders.is_empty() || !same {
                return Ok(false);
            }
            for row in &holders {
                rows.let_go(&self.name, row, "broken")?;
            }
            ledger::settle(rows, &self.name, site, true)?;
            Ok(true)
        });
        removed.map_err(Busyness::into_obstacle)
    }
}

/// Whether a file of that name is the database, or has to do with it.
pub(crate) fn concerns(site: &Site, name: &OsStr) -> bool {
    let (own, name) = (site.name().as_encoded_bytes(), name.as_encoded_bytes());
    name.strip_prefix(own).is_some_and(|rest| matches!(rest, b"" | b"-wal" | b"-journal"))
}
