//! A row of ours in the database: a waiter's that becomes a holder's.

use std::io;
use std::time::{Duration, Instant};

use pathlock::scheme::{Hold, Lost, Request};
use pathlock::{Mode, Obstacle, Owner, Recovery, Site};

use crate::database::{Busyness, Database};
use crate::ledger;
use crate::scheme::Sqlite;

/// How long a release insists while others write to the database.
const INSISTS: Duration = Duration::from_secs(30);

/// A row of ours. What becomes of it is said by who has it: see `place` and the release.
#[derive(Debug)]
pub(crate) struct SqliteHold {
    /// `None` in a forked child, and between two uses.
    database: Option<Database>,
    scheme: Sqlite,
    site: Site,
    pub(crate) ticket: i64,
    owner: Owner,
    token: i64,
    recovers: bool,
}

impl SqliteHold {
    pub(crate) fn new(database: Database, scheme: &Sqlite, request: &Request<'_>, ticket: i64) -> SqliteHold {
        SqliteHold {
            database: Some(database),
            scheme: scheme.clone(),
            site: request.site.clone(),
            ticket,
            owner: request.owner.clone(),
            token: 0,
            recovers: request.recovery != Recovery::Never,
        }
    }

    pub(crate) fn with_token(self, token: i64) -> SqliteHold {
        SqliteHold { token, ..self }
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn name(&self) -> &str {
        self.scheme.lock_name()
    }

    /// Whether dead holders may be removed.
    pub(crate) fn recovers(&self) -> bool {
        self.recovers
    }

    /// The database; opened anew in a forked child, or when another file has its name by now.
    pub(crate) fn database(&mut self) -> Result<&mut Database, Obstacle> {
        let usable = self.database.take().filter(Database::is_usable);
        let database = match usable {
            Some(database) => database,
            None => match self.scheme.existing(&self.site)? {
                Some(database) => database,
                None => return Err(io::Error::from(io::ErrorKind::NotFound).into()),
            },
        };
        Ok(self.database.insert(database))
    }

    /// Makes `change` in one transaction, and insists.
    pub(crate) fn change<T>(
        &mut self,
        mut change: impl FnMut(&crate::database::Rows<'_>, &str, &Site) -> rusqlite::Result<T>,
    ) -> Result<T, Obstacle> {
        let began = Instant::now();
        let (site, name) = (self.site.clone(), self.name().to_owned());
        loop {
            match self.database()?.write(|rows| change(rows, &name, &site)) {
                Err(Busyness::Busy) if began.elapsed() < INSISTS => {}
                changed => return changed.map_err(Busyness::into_obstacle),
            }
        }
    }

    /// Leaves, whether as a waiter or as a holder.
    pub(crate) fn leave(&mut self) -> Result<(), Obstacle> {
        let (ticket, recovers) = (self.ticket, self.recovers);
        self.change(|rows, name, site| {
            rows.leave(ticket)?;
            if let Some(holder) = rows.holder(ticket)? {
                rows.let_go(name, &holder, "released")?;
            }
            ledger::settle(rows, name, site, recovers).map(|_| ())
        })
    }
}

fn lost(obstacle: &Obstacle) -> Lost {
    Lost::Os(io::Error::other(obstacle.to_string()))
}

impl Hold for SqliteHold {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn token(&self) -> Option<u64> {
        u64::try_from(self.token).ok()
    }

    fn release(&mut self) -> Result<(), Lost> {
        let (ticket, owner, recovers) = (self.ticket, self.owner.clone(), self.recovers);
        let released = self.change(|rows, name, site| {
            let holder = match rows.holder(ticket)? {
                Some(holder) if holder.entry.owner.is_same(&owner) => holder,
                // A forked child has adopted it, or somebody has broken the lock.
                Some(other) => return Ok(Err(Lost::Taken(Some(other.entry.owner)))),
                None => {
                    let other = rows.holders(name)?.into_iter().next();
                    return Ok(Err(other.map_or(Lost::Gone, |other| Lost::Taken(Some(other.entry.owner)))));
                }
            };
            rows.let_go(name, &holder, "released")?;
            ledger::settle(rows, name, site, recovers)?;
            Ok(Ok(()))
        });
        released.map_err(|obstacle| lost(&obstacle))?
    }

    fn is_valid(&self) -> bool {
        let Ok(Some(mut database)) = self.scheme.existing(&self.site) else { return false };
        let holder = database.read(|rows| rows.holder(self.ticket));
        holder.is_ok_and(|holder| holder.is_some_and(|holder| holder.entry.owner.is_same(&self.owner)))
    }

    fn adopt(&mut self, owner: Owner) -> io::Result<()> {
        let (ticket, old) = (self.ticket, self.owner.clone());
        let adopted = self.change(|rows, _, _| match rows.holder(ticket)? {
            Some(holder) if holder.entry.owner.is_same(&old) => rows.rename(ticket, &owner).map(|()| true),
            _ => Ok(false),
        });
        match adopted {
            Ok(true) => {
                self.owner = owner;
                Ok(())
            }
            Ok(false) => Err(io::ErrorKind::NotFound.into()),
            Err(obstacle) => Err(io::Error::other(obstacle.to_string())),
        }
    }

    fn convert(&mut self, mode: Mode) -> Result<bool, Lost> {
        let (ticket, recovers) = (self.ticket, self.recovers);
        let converted = self.change(|rows, name, site| {
            let holders = rows.holders(name)?;
            if !holders.iter().any(|holder| holder.entry.ticket == ticket) {
                return Ok(Err(Lost::Gone));
            }
            if mode == Mode::Exclusive && holders.len() > 1 {
                return Ok(Ok(None));
            }
            let token = rows.convert(name, ticket, mode == Mode::Shared)?;
            // Readers that wait may come in beside one.
            ledger::settle(rows, name, site, recovers)?;
            Ok(Ok(Some(token)))
        });
        let token = converted.map_err(|obstacle| lost(&obstacle))??;
        self.token = token.unwrap_or(self.token);
        Ok(token.is_some())
    }
}
