//! A place in the queue of a lock.

use std::ffi::OsStr;
use std::path::Path;

use pathlock::scheme::{Attempt, Busy, Place, Request, Waiter};
use pathlock::{Obstacle, Site, Status};

use crate::hold::SqliteHold;
use crate::ledger;
use crate::scheme::concerns;

/// A waiter's row, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct SqlitePlace {
    /// `None` when it has become a holder's.
    row: Option<SqliteHold>,
    site: Site,
}

impl SqlitePlace {
    pub(crate) fn new(row: SqliteHold, site: &Site) -> Box<SqlitePlace> {
        Box::new(SqlitePlace { row: Some(row), site: site.clone() })
    }

    pub(crate) fn busy(self: Box<SqlitePlace>, status: Status) -> Attempt {
        Attempt::Busy(Busy { status, waiter: Waiter::Place(self) })
    }
}

/// What a look has found.
enum Found {
    /// Our row is a holder's: its token.
    Turn(i64),
    Waiting(Status),
    /// Our row is gone: somebody has removed the database.
    Gone,
}

impl Place for SqlitePlace {
    fn directory(&self) -> &Path {
        self.site.directory()
    }

    fn concerns(&self, name: &OsStr) -> bool {
        concerns(&self.site, name)
    }

    fn look(mut self: Box<Self>, _request: &Request<'_>, _told: bool) -> Result<Attempt, Obstacle> {
        let Some(row) = &mut self.row else { return Err(gone()) };
        match found(row)? {
            Found::Waiting(status) => Ok(self.busy(status)),
            Found::Turn(token) => {
                let hold = self.row.take().map(|row| row.with_token(token)).ok_or_else(gone)?;
                Ok(Attempt::Held(Box::new(hold)))
            }
            Found::Gone => Err(gone()),
        }
    }
}

fn gone() -> Obstacle {
    let message = "the database was removed while it was waited for: acquire the lock again";
    Obstacle::new(pathlock::FailureReason::NotALockFile, message)
}

/// A look costs one read, unless somebody has died.
fn found(row: &mut SqliteHold) -> Result<Found, Obstacle> {
    let (ticket, site, name) = (row.ticket, row.site().clone(), row.name().to_owned());
    let recovers = row.recovers();
    let look = |rows: &crate::database::Rows<'_>| {
        if let Some(token) = rows.token_of(ticket)? {
            return Ok((Found::Turn(token), false));
        }
        if !rows.is_waiting(ticket)? {
            return Ok((Found::Gone, false));
        }
        let unsettled = recovers && ledger::is_unsettled(rows, &name, &site)?;
        Ok((Found::Waiting(ledger::status(rows, &name, &site, false)?), unsettled))
    };
    let (found, unsettled) = row.database()?.read(look)?;
    if !unsettled {
        return Ok(found);
    }
    row.change(|rows, name, site| {
        ledger::settle(rows, name, site, recovers)?;
        look(rows).map(|(found, _)| found)
    })
}

impl Drop for SqlitePlace {
    fn drop(&mut self) {
        if let Some(mut row) = self.row.take() {
            // A row that can't be removed is that of a living process until this one ends.
            let _ = row.leave();
        }
    }
}
