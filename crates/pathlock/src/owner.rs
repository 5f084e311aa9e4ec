//! Who holds a lock: the owner, and the record in which it is written down.
//!
//! The record is text of a fixed size: the pid alone on the first line, so that every program
//! that reads pids from lock files can read it; then lines `key=value`; blanks to the end.
//!
//! Invariants:
//! - No word of a record but the first is a number: a value holds no blank and its key is stuck to
//!   it. `kill $(cat job.pid)` signals the owner and nobody else.
//! - A record is as long as any other, and is written by one `pwrite` over the one before it: a
//!   writer that is killed leaves no half of one, and overwriting needs no new disk block. Whoever
//!   decides something reads it with the kernel lock in hand; a look without it may see two mixed.
//! - Reading is total: any bytes give an answer, at most 4 KiB of them are looked at.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::liveness::{self, Liveness};
use crate::sys;

mod record;

pub(crate) use record::{Mark, Record};

/// A process that holds, or held, a lock: as much as is known of it.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let guard = pathlock::LockFile::new(dir.path().join("job")).acquire()?;
/// assert_eq!(guard.owner().pid(), std::process::id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub(crate) pid: u32,
    pub(crate) identity: Arc<Identity>,
    pub(crate) start: Option<u64>,
    pub(crate) thread: Option<NonZeroU64>,
    pub(crate) since: Option<Duration>,
    pub(crate) serial: u64,
    pub(crate) command: Arc<str>,
    /// The name of the scheme; empty where the record does not say.
    pub(crate) scheme: Arc<str>,
    /// The owner keeps a kernel lock on the inode for as long as it holds the lock.
    pub(crate) kernel: bool,
    /// It may be robbed when the lock was not touched for so many milliseconds.
    pub(crate) lease: Option<NonZeroU32>,
}

/// What the owners in one process have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    pub(crate) host: String,
    pub(crate) boot: Option<String>,
    pub(crate) namespace: Option<u64>,
    pub(crate) user: Option<u32>,
}

/// This process, read once in its life and anew in a forked child.
#[derive(Debug)]
struct Myself {
    pid: u32,
    start: Option<u64>,
    identity: Arc<Identity>,
    /// What all of its records say.
    text: Box<[u8]>,
    command: Arc<str>,
}

fn myself() -> &'static Myself {
    static MYSELF: sys::ForkLocal<Myself> = sys::ForkLocal::new();
    MYSELF.get_or_init(|| {
        let pid = sys::process_id();
        let start = sys::process_state(pid).start();
        let identity = Arc::new(Identity {
            host: sys::hostname(),
            boot: sys::boot_id(),
            namespace: sys::pid_namespace(),
            user: sys::user_id(),
        });
        let text = record::process_text(start, &identity);
        Myself { pid, start, identity, text, command: command_line().into() }
    })
}

fn command_line() -> String {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    words.join(" ")
}

pub(crate) fn my_identity() -> Arc<Identity> {
    Arc::clone(&myself().identity)
}

impl Owner {
    /// The calling thread of this process, now, as one that uses `scheme`.
    pub(crate) fn current(scheme: &Arc<str>, command: Option<&Arc<str>>) -> Owner {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let me = myself();
        Owner {
            pid: me.pid,
            identity: Arc::clone(&me.identity),
            start: me.start,
            thread: sys::thread_id().and_then(NonZeroU64::new),
            since: SystemTime::now().duration_since(UNIX_EPOCH).ok(),
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            command: Arc::clone(command.unwrap_or(&me.command)),
            scheme: Arc::clone(scheme),
            kernel: false,
            lease: None,
        }
    }

    /// This thread of this process.
    #[must_use]
    pub fn of_this_thread() -> Owner {
        Owner::current(&Arc::from(""), None)
    }

    /// Who is known by a pid alone, as in a file that another program wrote.
    pub(crate) fn bare(pid: u32) -> Owner {
        Owner {
            pid,
            identity: Arc::new(Identity::default()),
            start: None,
            thread: None,
            since: None,
            serial: 0,
            command: Arc::from(""),
            scheme: Arc::from(""),
            kernel: false,
            lease: None,
        }
    }

    /// What all records of its process say, if that is this process.
    fn process_text(&self) -> Option<&'static [u8]> {
        let me = myself();
        let is_me = Arc::ptr_eq(&self.identity, &me.identity) && self.start == me.start;
        is_me.then_some(&me.text)
    }

    /// Whether this is the same acquisition by the same process: what to compare a record with that was read
    /// back, in which long texts are cut.
    #[must_use]
    pub fn is_same(&self, other: &Owner) -> bool {
        (self.pid, self.serial) == (other.pid, other.serial)
    }

    /// The process id, as seen in its own pid namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The name of the host; empty when another program wrote the record.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.identity.host
    }

    /// The term of its [lease](crate::Recovery::ByAge), if the lock is one.
    #[must_use]
    pub fn lease(&self) -> Option<Duration> {
        self.lease.map(|milliseconds| Duration::from_millis(milliseconds.get().into()))
    }

    /// The id of the boot it ran under (`/proc/sys/kernel/random/boot_id`).
    #[must_use]
    pub fn boot_id(&self) -> Option<&str> {
        self.identity.boot.as_deref()
    }

    /// Its pid namespace, as an inode number (`/proc/self/ns/pid`).
    #[must_use]
    pub fn pid_namespace(&self) -> Option<u64> {
        self.identity.namespace
    }

    /// When the process started, in the system's own unit (Linux: clock ticks since boot, field
    /// 22 of `proc_pid_stat(5)`). With the pid it names a process that no other can be taken for.
    #[must_use]
    pub fn start_time(&self) -> Option<u64> {
        self.start
    }

    /// The thread that acquired the lock, as the system numbers it.
    #[must_use]
    pub fn thread(&self) -> Option<u64> {
        self.thread.map(NonZeroU64::get)
    }

    /// The effective user id.
    #[must_use]
    pub fn user(&self) -> Option<u32> {
        self.identity.user
    }

    /// What it ran; empty when unknown. Control characters are kept: escape them before printing,
    /// as this type's `Display` does.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The name of the scheme it holds the lock by; empty where the record does not say.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// When it acquired the lock, on its own wall clock. For people: nothing is decided by it.
    #[must_use]
    pub fn since(&self) -> Option<SystemTime> {
        self.since.and_then(|since| UNIX_EPOCH.checked_add(since))
    }

    /// The owner as text for a lock file: the pid on the first line, then `key=value` lines,
    /// padded to a fixed size.
    #[must_use]
    pub fn to_record(&self) -> Vec<u8> {
        Record::owned(self, Mark::default()).to_vec()
    }

    /// The owner that a lock file's text names, whoever wrote it; `None` where it names none. Any
    /// bytes will do, and no more than 4 KiB of them are looked at.
    #[must_use]
    pub fn from_record(text: &[u8]) -> Option<Owner> {
        Record::parse(text).owner().cloned()
    }

    /// Whether the process still runs, as far as it can be proven from here and now.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        liveness::judge(self).liveness()
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        if !self.command.is_empty() {
            write!(f, " ({})", printable(&self.command, 120))?;
        }
        if !self.host().is_empty() {
            write!(f, " on {}", printable(self.host(), 64))?;
        }
        if let Some(since) = self.since {
            write!(f, " since {}", Utc(since.as_secs()))?;
        }
        Ok(())
    }
}

/// `text` on one line, control characters escaped, cut after `most` characters.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        // Line and paragraph separators and the bidirectional marks can rearrange a terminal line too.
        if character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// Seconds since 1970 as ISO 8601, in UTC.
struct Utc(u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_in_utc() {
        assert_eq!(Utc(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Utc(951_827_696).to_string(), "2000-02-29T12:34:56Z");
        assert_eq!(Utc(1_763_927_461).to_string(), "2025-11-23T19:51:01Z");
        let _ = Utc(u64::MAX).to_string();
    }

    #[test]
    fn control_characters_are_escaped_and_long_text_is_cut() {
        assert_eq!(printable("a\u{1b}[2Jb\n", 20), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("abcdef", 3), "abc…");
    }
}
