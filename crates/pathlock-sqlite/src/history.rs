//! Who has held a lock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pathlock::{Mode, Obstacle, Owner, Scheme, Site};

use crate::SqliteLockFile;

/// A holder of the past.
#[derive(Debug, Clone)]
pub struct Past {
    mode: Mode,
    owner: Owner,
    token: u64,
    since: SystemTime,
    held: Duration,
    how: String,
}

impl Past {
    /// Of times in milliseconds since 1970.
    pub(crate) fn new(shared: bool, owner: Owner, token: i64, since: i64, until: i64, how: String) -> Past {
        let milliseconds = |number: i64| Duration::from_millis(u64::try_from(number).unwrap_or(0));
        Past {
            mode: if shared { Mode::Shared } else { Mode::Exclusive },
            owner,
            token: u64::try_from(token).unwrap_or(0),
            since: UNIX_EPOCH.checked_add(milliseconds(since)).unwrap_or(UNIX_EPOCH),
            held: milliseconds(until.saturating_sub(since)),
            how,
        }
    }

    /// Whether it was a reader or the writer.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Who it was.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Its [token](pathlock::Guard::token); that of the writer before, for a reader.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// When it got the lock, on the clock of that moment.
    #[must_use]
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// For how long it had the lock; in the case of one that died, until that was found.
    #[must_use]
    pub fn held(&self) -> Duration {
        self.held
    }

    /// How it ended: `released`, `died` or `broken`.
    #[must_use]
    pub fn how(&self) -> &str {
        &self.how
    }
}

/// The last holders of a lock, the last first: 100 at most.
///
/// # Errors
/// When the database can't be read.
pub fn history(lock: &SqliteLockFile) -> Result<Vec<Past>, Obstacle> {
    let site = Site::of(lock.path(), lock.lock_file())?;
    let Some(mut database) = lock.scheme().existing(&site)? else { return Ok(Vec::new()) };
    database.read(|rows| rows.history(lock.scheme().part()))
}
