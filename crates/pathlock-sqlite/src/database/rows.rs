//! The rows, within a transaction. What they mean is in the module `ledger`.

use std::time::{SystemTime, UNIX_EPOCH};

use pathlock::Owner;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{FORM, TOKENS_OF_A_BOOT};
use crate::history::Past;
use crate::ledger::{Entry, Holder};

/// So many of the last holders of each lock are remembered.
const REMEMBERED: i64 = 100;

/// A transaction.
pub(crate) struct Rows<'a> {
    connection: &'a Connection,
}

/// In milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn owner(row: &Row<'_>, column: usize) -> rusqlite::Result<Owner> {
    let record: Vec<u8> = row.get(column)?;
    let unreadable =
        || rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, "it names nobody".into());
    Owner::from_record(&record).ok_or_else(unreadable)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry { ticket: row.get(0)?, shared: row.get(1)?, owner: owner(row, 2)? })
}

fn holder(row: &Row<'_>) -> rusqlite::Result<Holder> {
    Ok(Holder { entry: entry(row)?, token: row.get(3)?, since: row.get(4)? })
}

impl<'a> Rows<'a> {
    pub(super) fn new(connection: &'a Connection) -> Rows<'a> {
        Rows { connection }
    }

    /// Whether the tables still are of the form that is known: another version may have changed them.
    pub(super) fn check(&self) -> rusqlite::Result<()> {
        match self.connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))? {
            FORM => Ok(()),
            other => Err(rusqlite::Error::IntegralValueOutOfRange(0, other.into())),
        }
    }

    /// Stands in the queue: the ticket.
    pub(crate) fn wait(&self, name: &str, shared: bool, owner: &Owner) -> rusqlite::Result<i64> {
        let sql = "INSERT INTO waiters (name, shared, record) VALUES (?1, ?2, ?3) RETURNING ticket";
        self.connection
            .prepare_cached(sql)?
            .query_row(params![name, shared, owner.to_record()], |row| row.get(0))
    }

    pub(crate) fn leave(&self, ticket: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM waiters WHERE ticket = ?1")?.execute([ticket]).map(|_| ())
    }

    pub(crate) fn is_waiting(&self, ticket: i64) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("SELECT 1 FROM waiters WHERE ticket = ?1")?.exists([ticket])
    }

    pub(crate) fn first_waiter(&self, name: &str) -> rusqlite::Result<Option<Entry>> {
        let sql = "SELECT ticket, shared, record FROM waiters WHERE name = ?1 ORDER BY ticket LIMIT 1";
        self.connection.prepare_cached(sql)?.query_row([name], entry).optional()
    }

    pub(crate) fn waiters(&self, name: &str) -> rusqlite::Result<Vec<Entry>> {
        let sql = "SELECT ticket, shared, record FROM waiters WHERE name = ?1 ORDER BY ticket";
        self.connection.prepare_cached(sql)?.query_map([name], entry)?.collect()
    }

    pub(crate) fn holders(&self, name: &str) -> rusqlite::Result<Vec<Holder>> {
        let sql = "SELECT ticket, shared, record, token, since FROM holders WHERE name = ?1 ORDER BY ticket";
        self.connection.prepare_cached(sql)?.query_map([name], holder)?.collect()
    }

    pub(crate) fn holder(&self, ticket: i64) -> rusqlite::Result<Option<Holder>> {
        let sql = "SELECT ticket, shared, record, token, since FROM holders WHERE ticket = ?1";
        self.connection.prepare_cached(sql)?.query_row([ticket], holder).optional()
    }

    /// The token of a holder; `None` of who is none.
    pub(crate) fn token_of(&self, ticket: i64) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT token FROM holders WHERE ticket = ?1";
        self.connection.prepare_cached(sql)?.query_row([ticket], |row| row.get(0)).optional()
    }

    /// The lock's token: the next, for a writer.
    fn token(&self, name: &str, next: bool) -> rusqlite::Result<i64> {
        let sql = "INSERT INTO locks (name, token) VALUES (?1, (SELECT number << ?2 FROM boots) + ?3)
                   ON CONFLICT (name) DO UPDATE SET token = max(token, (SELECT number << ?2 FROM boots)) + ?3
                   RETURNING token";
        let values = params![name, TOKENS_OF_A_BOOT, i64::from(next)];
        self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))
    }

    /// Makes a waiter a holder.
    pub(crate) fn grant(&self, name: &str, entry: &Entry) -> rusqlite::Result<()> {
        let token = self.token(name, !entry.shared)?;
        self.leave(entry.ticket)?;
        let sql = "INSERT INTO holders (ticket, name, shared, record, token, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let values = params![entry.ticket, name, entry.shared, entry.owner.to_record(), token, now()];
        self.connection.prepare_cached(sql)?.execute(values).map(|_| ())
    }

    /// Makes a holder one of another mode: its token.
    pub(crate) fn convert(&self, name: &str, ticket: i64, shared: bool) -> rusqlite::Result<i64> {
        let token = self.token(name, !shared)?;
        let sql = "UPDATE holders SET shared = ?2, token = ?3 WHERE ticket = ?1";
        self.connection.prepare_cached(sql)?.execute(params![ticket, shared, token])?;
        Ok(token)
    }

    /// Makes a holder another process.
    pub(crate) fn rename(&self, ticket: i64, owner: &Owner) -> rusqlite::Result<()> {
        let sql = "UPDATE holders SET record = ?2 WHERE ticket = ?1";
        self.connection.prepare_cached(sql)?.execute(params![ticket, owner.to_record()]).map(|_| ())
    }

    /// Removes a holder, and remembers it.
    pub(crate) fn let_go(&self, name: &str, holder: &Holder, how: &str) -> rusqlite::Result<()> {
        let Entry { ticket, shared, ref owner } = holder.entry;
        self.connection.prepare_cached("DELETE FROM holders WHERE ticket = ?1")?.execute([ticket])?;
        let sql = "INSERT INTO history (name, shared, record, token, since, until, how)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![name, shared, owner.to_record(), holder.token, holder.since, now(), how];
        self.connection.prepare_cached(sql)?.execute(values)?;
        let sql = "DELETE FROM history WHERE name = ?1 AND id <=
                   (SELECT id FROM history WHERE name = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
        self.connection.prepare_cached(sql)?.execute(params![name, REMEMBERED]).map(|_| ())
    }

    /// The last holders, the last first.
    pub(crate) fn history(&self, name: &str) -> rusqlite::Result<Vec<Past>> {
        let sql =
            "SELECT shared, record, token, since, until, how FROM history WHERE name = ?1 ORDER BY id DESC";
        let past = |row: &Row<'_>| {
            let (shared, token, since, until, how) =
                (row.get(0)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
            Ok(Past::new(shared, owner(row, 1)?, token, since, until, how))
        };
        self.connection.prepare_cached(sql)?.query_map([name], past)?.collect()
    }
}
