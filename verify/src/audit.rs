//! The auditor: it says who is in the critical section, and does not ask the lock under test.
//!
//! Whoever enters takes a POSIX record lock (`F_SETLK`, see fcntl_locking(2)) on a file in another
//! directory, without waiting: a shared one as a reader, an exclusive one as a writer. If it can't be had,
//! somebody is inside beside whom this one must not be: a violation. Where `n` may be inside, there are `n` such
//! files, and who finds none of them free is one too many.
//!
//! # Why a POSIX lock
//!
//! An entry must not outlive its process, however that dies; so the kernel must keep it. And it
//! must end *before* the lock under test does: else the next holder would meet the entry of a
//! process that is dead, and be accused wrongly. A dying process gives up its POSIX locks when it
//! closes its descriptors, and locks of open files (`flock(2)`, `F_OFD_SETLK`) only when all
//! descriptors have been closed and the files are released; it is seen to be dead after that. So a
//! POSIX lock goes first, whatever the descriptors' numbers. No scheme of the library uses one.
//!
//! # The log
//!
//! Each entry and each regular exit of a writer appends one byte to a log. Since they are made by one process
//! at a time, a writer's entry that follows a writer's entry follows one that died inside. Of readers, who are
//! inside together, only those count who have said that they will die inside; they have been recovered
//! from when a writer enters after that.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pathlock::Mode;
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

const ENTERED: u8 = b'E';
const LEFT: u8 = b'L';
const READS: u8 = b'R';
const HAS_READ: u8 = b'r';
const DIES: u8 = b'D';

/// One process's way to the auditor. It must be opened once in a process and kept: closing any
/// descriptor of the gate gives up a POSIX lock.
#[derive(Debug)]
pub struct Auditor {
    /// One, or as many as may be inside.
    gates: Vec<File>,
    /// Which of them this process has.
    entered: usize,
    log: File,
    violations: File,
    errors: File,
    slow: File,
}

impl Auditor {
    /// Opens the auditor's files in `directory`, making those that are missing.
    ///
    /// # Errors
    /// When they can't be opened.
    pub fn open(directory: &Path, slots: Option<u16>) -> io::Result<Auditor> {
        let append = |name: &str| OpenOptions::new().append(true).create(true).open(directory.join(name));
        let gate = |number: u16| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.open(directory.join(format!("gate-{number}")))
        };
        Ok(Auditor {
            gates: (0..slots.unwrap_or(1)).map(gate).collect::<io::Result<_>>()?,
            entered: 0,
            log: append("log")?,
            violations: append("violations")?,
            errors: append("errors")?,
            slow: append("slow")?,
        })
    }

    /// Says that this process has entered the critical section.
    ///
    /// # Errors
    /// When the auditor can't do its work.
    pub fn enter(&mut self, mode: Mode) -> io::Result<()> {
        let (operation, entry) = match mode {
            Mode::Exclusive => (FlockOperation::NonBlockingLockExclusive, ENTERED),
            Mode::Shared => (FlockOperation::NonBlockingLockShared, READS),
        };
        // In slots all are alone in theirs.
        let operation =
            if self.gates.len() > 1 { FlockOperation::NonBlockingLockExclusive } else { operation };
        let mut free = None;
        for (number, gate) in self.gates.iter().enumerate() {
            match fcntl_lock(gate, operation) {
                Ok(()) => {
                    free = Some(number);
                    break;
                }
                Err(Errno::AGAIN | Errno::ACCESS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match free {
            Some(number) => self.entered = number,
            None => {
                let line =
                    format!("process {} entered, {}, beside others\n", std::process::id(), mode.name());
                self.violations.write_all(line.as_bytes())?;
            }
        }
        self.log.write_all(&[entry])
    }

    /// Says that this process is about to release the lock.
    ///
    /// # Errors
    /// When the auditor can't do its work.
    pub fn leave(&mut self, mode: Mode) -> io::Result<()> {
        self.log.write_all(&[if mode == Mode::Shared { HAS_READ } else { LEFT }])?;
        match self.gates.get(self.entered) {
            Some(gate) => Ok(fcntl_lock(gate, FlockOperation::Unlock)?),
            None => Ok(()),
        }
    }

    /// Says that this process is about to die inside.
    ///
    /// # Errors
    /// When the auditor can't do its work.
    pub fn die_inside(&mut self) -> io::Result<()> {
        self.log.write_all(&[DIES])
    }

    /// Writes down what should not have happened, on one line.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn report(&mut self, what: &str) -> io::Result<()> {
        let line = format!("process {}: {}\n", std::process::id(), what.replace('\n', " "));
        self.errors.write_all(line.as_bytes())
    }

    /// Writes down that a wait has lasted so long that its wake-up was missed, it seems.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn report_slow(&mut self, waited: Duration) -> io::Result<()> {
        self.slow.write_all(format!("{:.1}\n", waited.as_secs_f64()).as_bytes())
    }
}

/// What the auditor has seen.
#[derive(Debug, Default)]
pub struct Findings {
    /// Entries into the critical section.
    pub acquisitions: usize,
    /// Entries that followed a holder which died inside.
    pub recovered: usize,
    /// Entries while another was inside, one line each.
    pub violations: Vec<String>,
    /// What else should not have happened, one line each.
    pub errors: Vec<String>,
    /// Waits that seem to have missed their wake-up.
    pub slow: usize,
}

impl Findings {
    /// Reads what has been written in `directory`.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(directory: &Path) -> io::Result<Findings> {
        let log = std::fs::read(directory.join("log"))?;
        let lines = |name: &str| -> io::Result<Vec<String>> {
            Ok(std::fs::read_to_string(directory.join(name))?.lines().map(str::to_owned).collect())
        };
        Ok(Findings {
            acquisitions: log.iter().filter(|&&byte| matches!(byte, ENTERED | READS)).count(),
            recovered: recovered(&log),
            violations: lines("violations")?,
            errors: lines("errors")?,
            slow: lines("slow")?.len(),
        })
    }
}

fn recovered(log: &[u8]) -> usize {
    if log.contains(&READS) {
        // Where there are slots and no writers, each entry after that takes a slot.
        let shows = if log.contains(&ENTERED) { ENTERED } else { READS };
        let last = log.iter().rposition(|&byte| byte == shows).unwrap_or(0);
        return log[..last].iter().filter(|&&byte| byte == DIES).count();
    }
    // One that has said that it dies has entered before.
    let entries: Vec<u8> = log.iter().copied().filter(|&byte| byte != DIES).collect();
    entries.windows(2).filter(|pair| pair == &[ENTERED, ENTERED]).count()
}

/// Where the log is: as long as it grows, the lock is acquired.
#[must_use]
pub fn log_path(directory: &Path) -> PathBuf {
    directory.join("log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_after_an_entry_is_a_recovery() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut auditor = Auditor::open(dir.path(), None).expect("the auditor's files");
        for leaves in [true, false, false, true] {
            auditor.enter(Mode::Exclusive).expect("the gate is this process's");
            if leaves {
                auditor.leave(Mode::Exclusive).expect("it can be left");
            }
        }
        let findings = Findings::read(dir.path()).expect("the findings");
        assert_eq!((findings.acquisitions, findings.recovered), (4, 2), "two entries followed a death");
        assert!(findings.violations.is_empty(), "a process does not meet itself: {findings:?}");
    }

    #[test]
    fn one_more_than_there_are_slots_is_a_violation() {
        let dir = tempfile::tempdir().expect("a directory");
        // A POSIX lock is the process's: another must have the gate.
        let mut auditor = Auditor::open(dir.path(), Some(0)).expect("the auditor's files");
        auditor.enter(Mode::Shared).expect("it can be written down");
        let findings = Findings::read(dir.path()).expect("the findings");
        assert_eq!(findings.violations.len(), 1, "there is no slot at all");
    }

    #[test]
    fn a_reader_that_has_died_is_recovered_from_when_a_writer_enters() {
        assert_eq!(recovered(b"RRDrEL"), 1, "the writer could not have come in otherwise");
        assert_eq!(recovered(b"ELRRDr"), 0, "nobody has come in since");
        assert_eq!(recovered(b"EDEDEL"), 2, "of writers, the entries tell");
    }
}
