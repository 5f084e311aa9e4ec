//! The workers of one scheme, and the pipe that they share.
//!
//! The invariant: when a [`Team`] is dropped, all of its processes have ended and been waited for.

use std::io::{self, PipeReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::audit::Audit;
use super::event::{Event, Kind, now};
use super::worker::Order;
use crate::exit::{self, Failure};
use crate::signals::{self, Signals};

/// How many contend: one holds the lock, and the others are enough to make a queue.
pub(super) const WORKERS: usize = 4;
/// How long those who were told to end may take for it.
const FAREWELL: Duration = Duration::from_millis(400);

/// Processes that contend for one lock.
#[derive(Debug)]
pub(super) struct Team<'a> {
    workers: Vec<Worker>,
    events: PipeReader,
    /// What was read and is not a whole line yet, or has not been heard yet.
    unheard: Vec<u8>,
    /// Whether all workers have ended: nobody has the other end of the pipe any more.
    is_over: bool,
    audit: Audit,
    signals: &'a Signals,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
}

impl<'a> Team<'a> {
    /// Starts the workers. They do nothing until they are told to.
    pub(super) fn start(scheme: &str, lock_file: &Path, signals: &'a Signals) -> io::Result<Team<'a>> {
        let executable = std::env::current_exe()?;
        let (events, said) = io::pipe()?;
        let mut team = Team {
            workers: Vec::new(),
            events,
            unheard: Vec::new(),
            is_over: false,
            audit: Audit::default(),
            signals,
        };
        for _ in 0..WORKERS {
            let mut command = Command::new(&executable);
            command.arg("doctor-worker").arg(scheme).arg(lock_file);
            command.stdin(Stdio::piped()).stdout(said.try_clone()?).stderr(Stdio::null());
            let mut child = command.spawn()?;
            let orders = child.stdin.take();
            team.workers.push(Worker { child, orders });
        }
        Ok(team)
    }

    /// What is known by now.
    pub(super) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Whether all workers have ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Tells all workers what to do.
    pub(super) fn order_all(&mut self, order: Order) {
        self.workers.iter_mut().for_each(|worker| worker.tell(order));
    }

    /// Tells one worker what to do.
    pub(super) fn order(&mut self, pid: u32, order: Order) {
        self.workers
            .iter_mut()
            .filter(|worker| worker.child.id() == pid)
            .for_each(|worker| worker.tell(order));
    }

    /// Sends SIGKILL to one worker; returns the moment before.
    pub(super) fn kill(&mut self, pid: u32) -> u64 {
        let at = now();
        self.audit.kill(pid, at);
        for worker in self.workers.iter_mut().filter(|worker| worker.child.id() == pid) {
            // It fails for one that has ended already.
            let _ = worker.child.kill();
        }
        at
    }

    /// Hears what the workers say until `done`; returns whether it came to that before `until`.
    pub(super) fn listen(&mut self, until: Instant, done: impl Fn(&Audit) -> bool) -> Result<bool, Failure> {
        loop {
            if done(&self.audit) {
                return Ok(true);
            }
            if let Some(event) = self.next_event() {
                self.hear(&event);
                continue;
            }
            // Ctrl-C ends the workers as well, and so the poll. A signal that is sent to this process
            // alone interrupts the poll; in the moment before, it is seen when the poll times out.
            if let Some(signal) = self.signals.caught() {
                let message = format_args!("{} ended it; nothing was found out", signals::name(signal));
                return Err(Failure::new(exit::of_signal(signal), message));
            }
            if self.is_over || !self.read(until)? {
                return Ok(false);
            }
        }
    }

    /// The next whole line, if it has been read.
    fn next_event(&mut self) -> Option<Event> {
        loop {
            let end = self.unheard.iter().position(|&byte| byte == b'\n')?;
            let line: Vec<u8> = self.unheard.drain(..=end).collect();
            let event = std::str::from_utf8(&line).ok().and_then(|line| Event::parse(line.trim_end()));
            if event.is_some() {
                return event;
            }
        }
    }

    fn hear(&mut self, event: &Event) {
        if matches!(event.kind, Kind::Enter | Kind::Stay) {
            // One inside that still lives has not left: its `leave` would be in the pipe. One that
            // somebody else has killed may have died before this one entered.
            for worker in &mut self.workers {
                let pid = worker.child.id();
                if self.audit.inside().contains(&pid) && !matches!(worker.child.try_wait(), Ok(None)) {
                    self.audit.lose(pid);
                }
            }
        }
        self.audit.hear(event);
    }

    /// Waits for something to read, and reads it; `false` when it is `until`.
    fn read(&mut self, until: Instant) -> Result<bool, Failure> {
        let left = until.saturating_duration_since(Instant::now());
        let deaf = |error: io::Error| {
            Failure::new(exit::CANNOT_LOCK, format_args!("can't hear those who try it: {error}"))
        };
        let timeout = Timespec::try_from(left).map_err(|_| deaf(Errno::INVAL.into()))?;
        match poll(&mut [PollFd::new(&self.events, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Ok(false),
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(deaf(error.into())),
            Ok(_) => {}
        }
        let mut bytes = [0; 4096];
        match self.events.read(&mut bytes) {
            Ok(0) => self.is_over = true,
            Ok(count) => self.unheard.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(deaf(error)),
        }
        Ok(true)
    }
}

impl Drop for Team<'_> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.orders = None;
        }
        let until = Instant::now() + FAREWELL;
        while !self.is_over && matches!(self.read(until), Ok(true)) {}
        for worker in &mut self.workers {
            // Nothing is sent to one that has been waited for.
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

impl Worker {
    fn tell(&mut self, order: Order) {
        // It fails for one that has ended, and of that the pipe tells.
        let _ = self.orders.as_mut().map(|orders| orders.write_all(&[order.byte()]));
    }
}
