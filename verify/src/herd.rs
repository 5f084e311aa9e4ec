//! Processes that are killed and replaced.
//!
//! Invariant: a signal goes to a process of the herd and to no other. A process is named by its
//! pidfd, opened before it can have been reaped: a pid that has passed on to another is not meant.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, wait};

use crate::random::Random;

/// A number of processes that run one command.
#[derive(Debug)]
pub struct Herd {
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    alive: Vec<(Pid, OwnedFd)>,
    /// Nobody is replaced any longer.
    ending: bool,
}

/// How the members of a herd have ended.
#[derive(Debug, Default)]
pub struct Deaths {
    /// By `SIGKILL`, while the herd was kept up.
    pub killed: usize,
    /// By themselves: something has gone wrong in them.
    pub by_themselves: usize,
}

impl Herd {
    /// A herd without members.
    #[must_use]
    pub fn new() -> Herd {
        Herd { members: Mutex::default() }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts `size` processes and replaces each that dies, until [`end`](Self::end) is called.
    /// The caller has no other children.
    ///
    /// # Errors
    /// When a process can't be started. Then all are ended.
    pub fn keep_up(&self, size: usize, command: &mut Command) -> io::Result<Deaths> {
        let mut deaths = Deaths::default();
        for _ in 0..size {
            self.start(command)?;
        }
        // With no child left, there is nothing to wait for and everything is done.
        while let Ok(Some((pid, status))) = wait(WaitOptions::empty()) {
            let ending = {
                let mut members = self.members();
                members.alive.retain(|(member, _)| *member != pid);
                members.ending
            };
            if ending {
                continue;
            }
            match status.terminating_signal() {
                Some(signal) if signal == Signal::KILL.as_raw() => deaths.killed += 1,
                _ => deaths.by_themselves += 1,
            }
            self.start(command)?;
        }
        Ok(deaths)
    }

    fn start(&self, command: &mut Command) -> io::Result<()> {
        let started = command.spawn().and_then(|child| {
            // Only `keep_up` reaps: until then the pid is this child's.
            let pid = Pid::from_child(&child);
            Ok((pid, pidfd_open(pid, PidfdFlags::empty())?))
        });
        let member = started.inspect_err(|_| self.end())?;
        let mut members = self.members();
        if members.ending {
            let _ = pidfd_send_signal(&member.1, Signal::KILL);
        }
        members.alive.push(member);
        Ok(())
    }

    /// Kills one of them.
    pub fn kill_one(&self, random: &mut Random) {
        let members = self.members();
        if members.alive.is_empty() {
            return;
        }
        let chosen = random.below(members.alive.len() as u64);
        if let Some((_, process)) = usize::try_from(chosen).ok().and_then(|chosen| members.alive.get(chosen))
        {
            // It may have died by itself.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }

    /// Kills them all, and replaces none.
    pub fn end(&self) {
        let mut members = self.members();
        members.ending = true;
        for (_, process) in &members.alive {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}

impl Default for Herd {
    fn default() -> Herd {
        Herd::new()
    }
}
