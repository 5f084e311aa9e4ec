//! Sitting in a queue of the kernel, in a thread that the waiter can leave behind.
//!
//! A call that waits for a kernel lock can't be given a deadline, and can only be interrupted by a
//! signal handler, which is not a library's to install. So a *parker* thread makes the call, and
//! the waiter polls for it beside its deadline and its token.
//!
//! A waiter that gives up abandons the call: the thread stays in the queue until its turn comes,
//! and then hands it on. A later waiter of this process for the same lock takes the abandoned call
//! over, so that a program which tries again and again has one such thread and not one for each
//! try.
//!
//! To wake a thread takes longer than to claim a lock. So the parker wakes the waiter first and then claims what it
//! has won in the waiter's place, while that one is on its way.
//!
//! # Invariant
//!
//! Waiter and thread share one open file, and with it the kernel lock. The call itself only ever
//! gains the lock. Everything that may give it up is done by the one whom [`State`] names, under its
//! mutex: *waiting*: the thread, before its call, and after it as it claims; *come*: the waiter; *abandoned*: the
//! waiter as it leaves, and the thread once its call has returned. So neither gives up what the other acts on.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{RECHECK, Slept, Wait, backoff};
use crate::error::Obstacle;
use crate::scheme::{Attempt, Busy, OwnedRequest, Queue, QueuePlace, Request, Waiter};
use crate::status::Status;
use crate::sys::{self, Event, ForkLocal};

/// How long an idle thread waits for another call before it ends.
const IDLE: Duration = Duration::from_secs(1);
/// How often a newcomer gives way to those who came first: a few times, because one of them may be
/// stopped, and wait for nothing.
const COURTESY: u32 = 8;
const STACK: usize = 256 * 1024;

/// What came of a wait.
#[derive(Debug)]
pub(super) enum Turn {
    /// Our turn in this queue: it was waited in, though it need not be the one that was given.
    Come(Arc<dyn Queue>),
    /// Our turn has come, and this came of claiming it, as [`Queue::claim`] has it.
    Claimed(Result<Option<Attempt>, Obstacle>),
    /// The deadline has passed, or the lock is another one by now.
    LookAgain,
    /// There is no thread or descriptor to be had.
    CannotPark,
}

#[derive(Debug)]
struct Call {
    queue: Arc<dyn Queue>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// The event is raised when the turn has come, and then what was asked for is claimed.
    Waiting(Arc<Event>, Option<OwnedRequest>),
    Come(Turn),
    Abandoned,
    /// The thread has handed on an abandoned turn: there is nothing to take over.
    Over,
}

/// The parker threads of this process. A forked child has none, and starts with its own.
#[derive(Debug, Default)]
struct Parkers {
    work: Mutex<Work>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    calls: VecDeque<Arc<Call>>,
    /// All of them, and those that have nothing to do.
    threads: usize,
    idle: usize,
    abandoned: Vec<Arc<Call>>,
}

/// No thread panics with one of these locked; if one did, the data would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parkers() -> &'static Parkers {
    static PARKERS: ForkLocal<Parkers> = ForkLocal::new();
    PARKERS.get_or_init(Parkers::default)
}

/// How many threads sit in queues, for waiters and for those who have left.
pub(super) fn busy_threads() -> usize {
    let work = lock(&parkers().work);
    work.threads - work.idle
}

/// Waits for our turn in `queue`.
pub(super) fn wait(queue: Arc<dyn Queue>, request: &Request<'_>, wait: &Wait<'_>) -> Result<Turn, Obstacle> {
    let Ok(event) = Event::new().map(Arc::new) else {
        queue.leave();
        return Ok(Turn::CannotPark);
    };
    let Some(parked) = Parked::begin(queue, &event, Some(OwnedRequest::of(request))) else {
        return Ok(Turn::CannotPark);
    };
    loop {
        let slept = wait.sleep(&[event.source()], backoff::jittered(RECHECK))?;
        if slept == Slept::Recheck
            && let Some(status) = parked.look()
        {
            (wait.on_wait)(&status);
            continue;
        }
        return Ok(parked.end());
    }
}

/// A call that a waiter waits for; dropped when the wait is ended by something else, a panic of the
/// caller's `on_wait` among them.
#[derive(Debug)]
pub(super) struct Parked(&'static Parkers, Option<Arc<Call>>);

impl Parked {
    /// Has a thread sit in `queue`; it raises `event` when our turn has come, and claims what is `asked` for. `None`
    /// where no thread is to be had: then the queue is left.
    pub(super) fn begin(
        queue: Arc<dyn Queue>,
        event: &Arc<Event>,
        mut asked: Option<OwnedRequest>,
    ) -> Option<Parked> {
        let parkers = parkers();
        if let Some(call) = parkers.take_over(&queue, event, &mut asked) {
            queue.leave();
            return Some(Parked(parkers, Some(call)));
        }
        let call = Arc::new(Call { queue, state: Mutex::new(State::Waiting(Arc::clone(event), asked)) });
        if parkers.start(&call).is_err() {
            call.queue.leave();
            return None;
        }
        Some(Parked(parkers, Some(call)))
    }

    /// Who holds the lock now; `None` when it is another by now.
    pub(super) fn look(&self) -> Option<Status> {
        self.1.as_ref().and_then(|call| call.queue.look())
    }

    pub(super) fn has_come(&self) -> bool {
        self.1.as_ref().is_some_and(|call| matches!(*lock(&call.state), State::Come(_)))
    }

    pub(super) fn end(mut self) -> Turn {
        let Some(call) = self.1.take() else { return Turn::LookAgain };
        self.0.abandon(&call).unwrap_or(Turn::LookAgain)
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if let Some(call) = self.1.take()
            && let Some(turn) = self.0.abandon(&call)
        {
            // Our turn came in the same moment, and is not wanted.
            turn.refuse();
        }
    }
}

impl Turn {
    /// Gives up what has come.
    fn refuse(self) {
        match self {
            Turn::Come(queue)
            | Turn::Claimed(Ok(Some(Attempt::Busy(Busy {
                waiter: Waiter::Queue(QueuePlace(queue)), ..
            })))) => queue.leave(),
            Turn::Claimed(Ok(Some(Attempt::Held(mut hold)))) => drop(hold.release()),
            Turn::Claimed(_) | Turn::LookAgain | Turn::CannotPark => {}
        }
    }
}

impl Parkers {
    /// Takes over a call for the same queue that an earlier waiter has abandoned.
    fn take_over(
        &self,
        queue: &Arc<dyn Queue>,
        event: &Arc<Event>,
        asked: &mut Option<OwnedRequest>,
    ) -> Option<Arc<Call>> {
        let call = {
            let mut work = lock(&self.work);
            let at = work.abandoned.iter().position(|call| call.queue.key() == queue.key())?;
            work.abandoned.swap_remove(at)
        };
        let mut state = lock(&call.state);
        if !matches!(*state, State::Abandoned) {
            return None;
        }
        *state = State::Waiting(Arc::clone(event), asked.take());
        call.queue.join();
        drop(state);
        Some(call)
    }

    /// Has a thread make the call.
    fn start(&'static self, call: &Arc<Call>) -> io::Result<()> {
        let mut work = lock(&self.work);
        if work.idle <= work.calls.len() {
            let spawned = sys::with_signals_blocked(|| {
                let thread = std::thread::Builder::new().name("pathlock-park".into()).stack_size(STACK);
                thread.spawn(|| self.serve())
            });
            // One that is about to be idle will do.
            spawned?;
            work.threads += 1;
        }
        work.calls.push_back(Arc::clone(call));
        drop(work);
        self.more.notify_one();
        Ok(())
    }

    fn serve(&self) {
        let mut work = lock(&self.work);
        loop {
            if let Some(call) = work.calls.pop_front() {
                drop(work);
                self.make(&call);
                drop(call);
                work = lock(&self.work);
                continue;
            }
            work.idle += 1;
            let (back, timeout) = self.more.wait_timeout(work, IDLE).unwrap_or_else(PoisonError::into_inner);
            work = back;
            work.idle -= 1;
            if timeout.timed_out() && work.calls.is_empty() {
                work.threads -= 1;
                return;
            }
        }
    }

    fn make(&self, call: &Arc<Call>) {
        for _ in 0..COURTESY {
            let state = lock(&call.state);
            let gave_way = matches!(*state, State::Waiting(..)) && call.queue.give_way().unwrap_or(false);
            drop(state);
            if !gave_way {
                break;
            }
            std::thread::yield_now();
        }
        loop {
            let mut result = call.queue.block();
            let mut state = lock(&call.state);
            let State::Waiting(event, asked) = &mut *state else {
                call.queue.leave();
                *state = State::Over;
                lock(&self.work).abandoned.retain(|other| !Arc::ptr_eq(other, call));
                return;
            };
            // One that abandoned the call just when it came through has unlocked what it had won;
            // then another took the call over, and waits still.
            if result.is_ok() {
                match call.queue.has_turn() {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(error) => result = Err(error),
                }
            }
            event.raise();
            let turn = match (result, asked.take()) {
                (Ok(()), Some(asked)) => Turn::Claimed(call.queue.claim(&asked.request())),
                (Ok(()), None) => Turn::Come(Arc::clone(&call.queue)),
                (Err(_), _) => {
                    call.queue.leave();
                    Turn::CannotPark
                }
            };
            *state = State::Come(turn);
            return;
        }
    }

    /// Gives the call up, unless our turn has come: then that is the caller's to use or to leave.
    fn abandon(&self, call: &Arc<Call>) -> Option<Turn> {
        let mut state = lock(&call.state);
        if let State::Come(turn) = &mut *state {
            return Some(std::mem::replace(turn, Turn::LookAgain));
        }
        *state = State::Abandoned;
        call.queue.leave();
        lock(&self.work).abandoned.push(Arc::clone(call));
        None
    }
}

#[cfg(all(test, unix))]
mod tests;
