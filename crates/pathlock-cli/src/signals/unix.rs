//! Signals: they end the wait for a lock, and are passed on to the command that runs under one.
//!
//! The invariant: from [`Signals::catch`] on no signal is lost, and none kills this process. One
//! that comes before the command is started means that it is not started, or, where it is just
//! being started, is passed on right after. Nothing is ever sent to a pid that has been reaped.
//!
//! No thread is made on the way to a lock that is free.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use pathlock::CancelToken;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
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
        // Whoever started us may have left SIGCHLD ignored; the system would then reap the
        // command by itself and its exit code would be lost.
        signal_hook::flag::register(SIGCHLD, Arc::default())?;
        let caught = Arc::default();
        let signals = not_ignored();
        for signal in &signals {
            signal_hook::flag::register_usize(*signal, Arc::clone(&caught), *signal as usize)?;
        }
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

    /// Waits for the command to end, and passes on to it every signal until then.
    pub(crate) fn forward_until_end(mut self, child: &mut Child) -> io::Result<ExitStatus> {
        let pid = Pid::from_child(child);
        // These came while the command was being started, so the terminal's may have missed it.
        for info in self.arrivals.pending() {
            forward(pid, info.si_signo);
        }
        let handle = self.arrivals.handle();
        thread::scope(|scope| {
            let watching = thread::Builder::new().spawn_scoped(scope, move || {
                // The command is not reaped here: while signals are passed on, its pid is its own.
                let ended = || waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
                let _ = rustix::io::retry_on_intr(ended);
                handle.close();
            });
            // Without a thread signals can't be passed on, but the command runs and is waited for.
            if watching.is_ok() {
                for info in self.arrivals.forever() {
                    if FROM_TERMINAL != Some(info.si_code) {
                        forward(pid, info.si_signo);
                    }
                }
            }
        });
        child.wait()
    }
}

/// The signal's name.
pub(crate) fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("a signal")
}

fn not_ignored() -> Vec<i32> {
    let ignored = ignored();
    CAUGHT.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect()
}

fn forward(pid: Pid, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // It fails for a command that has just ended, or that has become another user's.
        let _ = kill_process(pid, signal);
    }
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
