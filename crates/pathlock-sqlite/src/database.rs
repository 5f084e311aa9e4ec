//! The database: opening it, its form, and its transactions.
//!
//! # What is trusted
//!
//! A file is used as a database of locks if it says so (`application_id`) and is of this form
//! (`user_version`), or is empty. Anything else is left as it is, with an error that says what it is.
//!
//! A connection is used by one thread at a time and never in a forked child, as SQLite asks for it; nor is the
//! file of a database ever opened and closed otherwise by a process that has it open, for that would give up
//! SQLite's own locks (see "How to corrupt an SQLite database file", §2.2, sqlite.org).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pathlock::{FailureReason, Obstacle, Owner, Site};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

pub(crate) use rows::Rows;

mod rows;

/// "PLck": what marks a database of locks.
const APPLICATION: i32 = 0x504c_636b;
/// The form of the tables.
const FORM: i32 = 1;
const TABLES: &str = "
    CREATE TABLE boots (number INTEGER NOT NULL, id TEXT NOT NULL) STRICT;
    INSERT INTO boots VALUES (0, '');
    CREATE TABLE locks (name TEXT PRIMARY KEY, token INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE waiters (
        ticket INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL, shared INTEGER NOT NULL, record BLOB NOT NULL
    ) STRICT;
    CREATE INDEX waiters_of ON waiters (name, ticket);
    CREATE TABLE holders (
        ticket INTEGER PRIMARY KEY,
        name TEXT NOT NULL, shared INTEGER NOT NULL, record BLOB NOT NULL,
        token INTEGER NOT NULL, since INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX holders_of ON holders (name, ticket);
    CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL, shared INTEGER NOT NULL, record BLOB NOT NULL,
        token INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, how TEXT NOT NULL
    ) STRICT;
    CREATE INDEX history_of ON history (name, id);
";
/// More statements than there are: none is ever parsed twice.
const STATEMENTS: usize = 64;
/// In bytes.
const PAGE: i32 = 1024;
/// A token's bits below the number of the boot.
const TOKENS_OF_A_BOOT: u32 = 40;
/// So many times one lets others run who write, then sleeps for a millisecond, and so often at most.
const YIELDS: i32 = 200;
const NAPS: i32 = 1_000;
/// Connections that are kept for the next use of a lock.
const MOST_IDLE: usize = 4;

/// Why there was no transaction.
#[derive(Debug)]
pub(crate) enum Busyness {
    /// Others write, and do not come to an end.
    Busy,
    Failed(Obstacle),
}

impl Busyness {
    pub(crate) fn into_obstacle(self) -> Obstacle {
        match self {
            Busyness::Busy => Obstacle::new(
                FailureReason::Os,
                "the database is busy: others write to it, and don't come to an end",
            ),
            Busyness::Failed(obstacle) => obstacle,
        }
    }
}

impl From<Obstacle> for Busyness {
    fn from(obstacle: Obstacle) -> Busyness {
        Busyness::Failed(obstacle)
    }
}

/// Connections that nobody uses.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Open>>,
}

/// A connection, and what it is one to.
#[derive(Debug)]
struct Open {
    /// In a mutex because others may look at who has it; only who has it uses it.
    connection: Mutex<Connection>,
    pid: u32,
    path: PathBuf,
    file: Identity,
    /// Whether the tables are there, and this boot is known to them: once seen, that stays.
    prepared: bool,
}

/// What tells a file from one that has its name later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    fn of(metadata: &fs::Metadata) -> Identity {
        use std::os::unix::fs::MetadataExt;
        Identity(metadata.dev(), metadata.ino())
    }

    /// There a file that is open can't be removed.
    #[cfg(not(unix))]
    fn of(_metadata: &fs::Metadata) -> Identity {
        Identity(0, 0)
    }
}

/// A database of locks that this process has open.
#[derive(Debug)]
pub(crate) struct Database {
    /// `None` while it is being dropped.
    open: Option<Open>,
    pool: std::sync::Arc<Pool>,
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.pid != std::process::id() {
            // It is the parent's. Closing it here would be a use of it.
            std::mem::forget(open);
            return;
        }
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(open);
        }
    }
}

impl Database {
    /// The database of `site`, made if need be.
    pub(crate) fn open(
        pool: &std::sync::Arc<Pool>,
        site: &Site,
        file_mode: Option<u32>,
        on_network: bool,
    ) -> Result<Database, Obstacle> {
        if let Some(database) = Database::existing(pool, site, on_network)? {
            return Ok(database);
        }
        // Nobody has it open yet: it may be opened and closed.
        match create(site.lock_file(), file_mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => drop(result?),
        }
        match Database::connect(pool, site)? {
            Some(database) => database.prepared(site),
            None => Err(io::Error::from(io::ErrorKind::NotFound).into()),
        }
    }

    /// The database of `site`; `None` where there is none yet.
    pub(crate) fn existing(
        pool: &std::sync::Arc<Pool>,
        site: &Site,
        on_network: bool,
    ) -> Result<Option<Database>, Obstacle> {
        if !on_network && !site.is_local()? {
            let message = "it is on a network filesystem, or one that is not known, where SQLite's locks may not \
                           exclude: put it on a local one, or allow it (`on_network`)";
            return Err(Obstacle::new(FailureReason::Unsupported, message));
        }
        let Some(database) = Database::connect(pool, site)? else { return Ok(None) };
        let Some(open) = &database.open else { return Ok(None) };
        if !open.prepared {
            let connection = open.connection.lock().unwrap_or_else(PoisonError::into_inner);
            if form(&connection).map_err(|error| trouble(&error))?.is_none() {
                return Ok(None);
            }
        }
        database.prepared(site).map(Some)
    }

    fn connect(pool: &std::sync::Arc<Pool>, site: &Site) -> Result<Option<Database>, Obstacle> {
        let path = site.lock_file();
        let metadata = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        if !metadata.is_file() {
            let message = "a directory, a symbolic link or a device has its name, and is left as it is: \
                           give the database another name";
            return Err(Obstacle::new(FailureReason::NotALockFile, message));
        }
        let file = Identity::of(&metadata);
        let pid = std::process::id();
        let is_it = |open: &Open| open.pid == pid && open.path == path && open.file == file;
        let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of a parent, and of files that are gone, are of no use any more.
        let found = idle.iter().position(is_it).map(|at| idle.swap_remove(at));
        for stale in idle.extract_if(.., |open| !is_it(open)) {
            if stale.pid != pid {
                std::mem::forget(stale);
            }
        }
        drop(idle);
        let open = match found {
            Some(open) => open,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let mut connection =
                    Connection::open_with_flags(path, flags).map_err(|error| trouble(&error))?;
                connection.set_prepared_statement_cache_capacity(STATEMENTS);
                connection.busy_handler(Some(give_way)).map_err(|error| trouble(&error))?;
                Open { connection: Mutex::new(connection), pid, path: path.to_owned(), file, prepared: false }
            }
        };
        Ok(Some(Database { open: Some(open), pool: std::sync::Arc::clone(pool) }))
    }

    /// Makes the tables where they are missing, and sees to it that tokens grow in this boot.
    fn prepared(mut self, site: &Site) -> Result<Database, Obstacle> {
        if self.open.as_ref().is_some_and(|open| open.prepared) {
            return Ok(self);
        }
        let local = site.is_local()?;
        let boot = Owner::of_this_thread().boot_id().map(str::to_owned);
        let connection = self.connection()?;
        prepare(connection, local, boot.as_deref()).map_err(|error| trouble(&error))?;
        if let Some(open) = &mut self.open {
            open.prepared = true;
        }
        Ok(self)
    }

    fn connection(&mut self) -> Result<&mut Connection, Obstacle> {
        match &mut self.open {
            Some(open) => Ok(open.connection.get_mut().unwrap_or_else(PoisonError::into_inner)),
            None => Err(io::Error::from(io::ErrorKind::NotFound).into()),
        }
    }

    /// Whether the file still has its name, in the process that has opened it.
    pub(crate) fn is_usable(&self) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let file = fs::symlink_metadata(&open.path).map(|metadata| Identity::of(&metadata));
            open.pid == std::process::id() && file.is_ok_and(|file| file == open.file)
        })
    }

    /// Reads, in one transaction.
    pub(crate) fn read<T>(
        &mut self,
        mut read: impl FnMut(&Rows<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Obstacle> {
        let transaction = self.connection()?.transaction().map_err(|error| trouble(&error))?;
        let rows = Rows::new(&transaction);
        rows.check().and_then(|()| read(&rows)).map_err(|error| trouble(&error))
    }

    /// Changes rows, in one transaction: all of it or nothing.
    pub(crate) fn write<T>(
        &mut self,
        mut change: impl FnMut(&Rows<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Busyness> {
        let connection = self.connection()?;
        let written =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
                let rows = Rows::new(&transaction);
                rows.check()?;
                let value = change(&rows)?;
                transaction.commit()?;
                Ok(value)
            });
        written.map_err(|error| if is_busy(&error) { Busyness::Busy } else { trouble(&error).into() })
    }
}

/// What SQLite calls while another writes: whether to try again.
fn give_way(times: i32) -> bool {
    if times < YIELDS {
        std::thread::yield_now();
    } else {
        #[expect(clippy::disallowed_methods, reason = "a database has no queue for writers to wait in")]
        std::thread::sleep(Duration::from_millis(1));
    }
    times < YIELDS + NAPS
}

fn create(path: &Path, file_mode: Option<u32>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, file_mode.unwrap_or(0o666));
    #[cfg(not(unix))]
    let _ = file_mode;
    options.open(path)
}

/// The form of a database of locks; `None` where nothing is in it yet. All of it is read as of one moment: another
/// process may be about to commit the tables.
fn form(connection: &Connection) -> rusqlite::Result<Option<i32>> {
    let one_moment = connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose()?;
    let form = form_in_transaction(connection)?;
    drop(one_moment);
    Ok(form)
}

fn form_in_transaction(connection: &Connection) -> rusqlite::Result<Option<i32>> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    if number("application_id")? == APPLICATION {
        return number("user_version").map(Some);
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let empty = tables == 0 && number("application_id")? == 0 && number("user_version")? == 0;
    if empty { Ok(None) } else { Err(rusqlite::Error::InvalidQuery) }
}

fn prepare(connection: &mut Connection, local: bool, boot: Option<&str>) -> rusqlite::Result<()> {
    if form(connection)?.is_none() {
        // Rows are few and small, and whole pages are written: it takes effect on an empty file alone.
        connection.pragma_update(None, "page_size", PAGE)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if form(&transaction)?.is_none() {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", FORM)?;
        }
        transaction.commit()?;
    }
    match form(connection)? {
        Some(FORM) => {}
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(0, other.unwrap_or(0).into())),
    }
    // Without it, the database is as sound and not as fast. It can't be had while others read.
    let journal = if local { "WAL" } else { "DELETE" };
    let _ = connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()));
    connection.pragma_update(None, "synchronous", "FULL")?;
    let Some(boot) = boot else { return Ok(()) };
    let known: String = connection.query_row("SELECT id FROM boots", [], |row| row.get(0))?;
    if known != boot {
        // Synced: whatever a loss of power undoes, the next boot has another number.
        let sql = "UPDATE boots SET number = number + 1, id = ?1 WHERE id <> ?1";
        connection.execute(sql, [boot])?;
    }
    if local {
        connection.pragma_update(None, "synchronous", "NORMAL")?;
    }
    Ok(())
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What a person can do about an error of SQLite's.
fn trouble(error: &rusqlite::Error) -> Obstacle {
    let foreign = |message: String| Obstacle::new(FailureReason::NotALockFile, message);
    match error {
        rusqlite::Error::InvalidQuery => {
            return foreign(
                "it is another program's database, and is left as it is: give the locks one of their own"
                    .to_owned(),
            );
        }
        rusqlite::Error::IntegralValueOutOfRange(_, found) => {
            return foreign(format!(
                "its tables have form {found}, and this program knows form {FORM}: use one version of pathlock for one \
                 database, or another database"
            ));
        }
        rusqlite::Error::FromSqlConversionFailure(..) => {
            return foreign("a row of it does not say who it is: somebody else has written to it".to_owned());
        }
        _ => {}
    }
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            return foreign(format!(
                "it is no database, and is left as it is ({error}): give the locks another name"
            ));
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            return foreign(format!(
                "the database is damaged ({error}): end the programs that use it, and remove it"
            ));
        }
        Some(ErrorCode::DiskFull) => "there is no space left on the disk",
        Some(
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied,
        ) => "the database, and the directory that it is in, must be writable",
        Some(ErrorCode::CannotOpen) => {
            "its directory must exist and be writable, and the process have descriptors left"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "others write to it, and don't come to an end"
        }
        _ => "SQLite refuses",
    };
    Obstacle::new(FailureReason::Os, format!("{error}: {advice}"))
}
