//! Signals: they end the wait for a lock, and are passed on to the command that runs under one.
//!
//! The invariant: from [`Signals::catch`] on no signal is lost, and none kills this process. One
//! that comes before the command is started means that it is not started, or, where it is just
//! being started, is passed on right after. Nothing is ever sent to a pid that has been reaped.
//!
//! No thread is made on the way to a lock that is free, nor while the command runs, unless there is a
//! limit to its time.

use std::fs::File;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pathlock::CancelToken;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;

/// What ends a process unless it says otherwise, and what people send to a command.
const CAUGHT: [i32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];

/// The `si_code` of what the terminal sends to all of its foreground process group.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FROM_TERMINAL: Option<i32> = Some(0x80);
#[cfg(target_os = "freebsd")]
const FROM_TERMINAL: Option<i32> = Some(0x10006);
/// Elsewhere it can't be told apart, and the command may see a Ctrl-C twice.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const FROM_TERMINAL: Option<i32> = None;

/// The signals that this process catches.
#[derive(Debug)]
pub(crate) struct Signals {
    /// The number of the last one; 0 before the first.
    caught: Arc<AtomicUsize>,
    arrivals: SignalsInfo<WithRawSiginfo>,
}

impl Signals {
    /// Catches the signals, from here on.
    pub(crate) fn catch() -> io::Result<Signals> {
        let caught = Arc::default();
        let mut signals = not_ignored();
        for signal in &signals {
            signal_hook::flag::register_usize(*signal, Arc::clone(&caught), *signal as usize)?;
        }
        // Whoever started us may have left SIGCHLD ignored; the system would then reap the
        // command by itself and its exit code would be lost.
        signals.push(SIGCHLD);
        Ok(Signals { caught, arrivals: SignalsInfo::new(signals)? })
    }

    /// A signal that has come by now.
    pub(crate) fn caught(&self) -> Option<i32> {
        i32::try_from(self.caught.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }

    /// What a wait has to call when it begins: `token` is then cancelled as soon as there is a
    /// signal, from a thread that is made by the first call and lasts as long as the process.
    pub(crate) fn canceller(
        &self,
        token: CancelToken,
    ) -> impl Fn() -> io::Result<()> + Send + Sync + 'static {
        let caught = Arc::clone(&self.caught);
        let begun = AtomicBool::new(false);
        move || {
            if begun.swap(true, Ordering::SeqCst) {
                return Ok(());
            }
            let mut arrivals = SignalsInfo::<WithRawSiginfo>::new(not_ignored())?;
            let waiting = token.clone();
            thread::Builder::new().spawn(move || arrivals.forever().for_each(|_| waiting.cancel()))?;
            // One that came before there was a thread to hear it.
            if caught.load(Ordering::SeqCst) != 0 {
                token.cancel();
            }
            Ok(())
        }
    }

    /// Waits for the command to end, and passes on to it every signal until then. Tells as well
    /// whether it took longer than it may.
    pub(crate) fn forward_until_end(
        mut self,
        child: &mut Child,
        limits: Limits,
    ) -> io::Result<(ExitStatus, bool)> {
        let mut ending = Ending::new(child, limits);
        // These came while the command was being started, so the terminal's may have missed it.
        for info in self.arrivals.pending() {
            ending.pass_on(info.si_signo);
        }
        // SIGCHLD is among the arrivals: it wakes us when the command has ended. It is not reaped by
        // the look, so as long as signals are passed on its pid is its own.
        while !ending.has_ended() {
            ending.keep_time()?;
            for info in self.arrivals.wait() {
                if limits.group || FROM_TERMINAL != Some(info.si_code) {
                    ending.pass_on(info.si_signo);
                }
            }
        }
        ending.end_the_rest();
        Ok((child.wait()?, ending.too_long))
    }
}

/// What ends a command that does not end by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// It gets TERM after this time.
    pub(crate) max_run: Option<Duration>,
    /// It gets KILL this time after the first TERM.
    pub(crate) kill_after: Option<Duration>,
    /// It has a process group of its own, and signals are for all of that.
    pub(crate) group: bool,
}

/// The end of a command, as it comes about.
struct Ending {
    pid: Pid,
    limits: Limits,
    term_at: Option<Instant>,
    kill_at: Option<Instant>,
    too_long: bool,
    /// Until when somebody is there to wake us.
    alarm: Option<Instant>,
}

impl Ending {
    fn new(child: &Child, limits: Limits) -> Ending {
        let term_at = limits.max_run.and_then(|time| Instant::now().checked_add(time));
        Ending { pid: Pid::from_child(child), limits, term_at, kill_at: None, too_long: false, alarm: None }
    }

    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error would be that it is not our child: then there is nothing to wait for either.
        !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None))
    }

    fn pass_on(&mut self, signal: i32) {
        if signal == SIGCHLD {
            return;
        }
        let Some(named) = Signal::from_named_raw(signal) else { return };
        // It fails for a command that has just ended, or that has become another user's.
        let _ = if self.limits.group {
            kill_process_group(self.pid, named)
        } else {
            kill_process(self.pid, named)
        };
        if signal == SIGTERM && self.kill_at.is_none() {
            self.kill_at = self.limits.kill_after.and_then(|time| Instant::now().checked_add(time));
        }
    }

    /// Before the command is reaped, while the group's number is its own: what it has started, and what has
    /// not ended with it, is killed if it was to be.
    fn end_the_rest(&mut self) {
        if self.kill_at.take().is_some() {
            self.pass_on(SIGKILL);
        }
    }

    /// Sends what is due, and sees to it that we are woken when more is.
    fn keep_time(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.term_at.take_if(|at| *at <= now).is_some() {
            self.too_long = true;
            self.pass_on(SIGTERM);
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            // Nothing can outlast it, so it is sent once.
            self.kill_at = None;
            self.limits.kill_after = None;
            self.pass_on(SIGKILL);
        }
        let next = [self.term_at, self.kill_at].into_iter().flatten().min();
        if let Some(next) = next.filter(|next| self.alarm != Some(*next)) {
            self.alarm = Some(next);
            thread::Builder::new().spawn(move || {
                let (_open, never) = std::sync::mpsc::channel::<()>();
                let _ = never.recv_timeout(next.saturating_duration_since(Instant::now()));
                // Only to wake the thread that waits for signals.
                let _ = signal_hook::low_level::raise(SIGCHLD);
            })?;
        }
        Ok(())
    }
}

/// Gives the command that is started a process group of its own.
pub(crate) fn give_own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

/// Lets every program that is started from now on inherit `file`.
pub(crate) fn let_inherit(file: &File) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())?)
}

/// The signal's name.
pub(crate) fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("a signal")
}

fn not_ignored() -> Vec<i32> {
    let ignored = ignored();
    CAUGHT.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect()
}

/// The signals we were started to ignore (`nohup`, or a shell's `&`), one bit each. They stay
/// ignored, and so the command ignores them too.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Not known without unsafe code; a command under `nohup` gets its signals here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn ignored() -> u64 {
    0
}
