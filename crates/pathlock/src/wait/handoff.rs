//! What passes between a future and the thread that waits for it. Nothing here knows of locks or of
//! the system: so every interleaving of it can be tried (`tests/interleavings.rs`).
//!
//! # Invariants
//!
//! - [`Handoff`]: *an outcome has one keeper*: who gives it, until [`give`](Handoff::give) has taken it; then
//!   the cell; then who has polled it, or abandoned the cell. Nothing is given to a cell that was
//!   abandoned. So a lock that is won for a future which is dropped at that very moment is somebody's
//!   to release. And a future that has been polled in vain is woken once there is an outcome.
//! - [`Inbox`]: *what is submitted is taken*: by a server that runs, or by the one that its submitter was
//!   told to start. There is never more than one server.

use std::task::{Poll, Waker};

use super::sync::{Mutex, MutexGuard, PoisonError};

/// Nobody panics with one of these locked; if one did, the data would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cell for one outcome.
#[derive(Debug)]
pub(crate) struct Handoff<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
enum State<T> {
    Awaited(Option<Waker>),
    Given(T),
    /// It was taken, or nobody wants it.
    Over,
}

impl<T> Handoff<T> {
    pub(crate) fn new() -> Handoff<T> {
        Handoff { state: Mutex::new(State::Awaited(None)) }
    }

    /// Takes the outcome, if it is there; otherwise `waker` is woken when it is.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<T> {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, State::Over) {
            State::Given(outcome) => Poll::Ready(outcome),
            State::Awaited(_) => {
                *state = State::Awaited(Some(waker.clone()));
                Poll::Pending
            }
            State::Over => Poll::Pending,
        }
    }

    /// Puts the outcome there; gives it back when nobody wants it any more.
    pub(crate) fn give(&self, outcome: T) -> Result<(), T> {
        let mut state = lock(&self.state);
        let State::Awaited(waker) = &mut *state else { return Err(outcome) };
        let waker = waker.take();
        *state = State::Given(outcome);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Says that nobody wants the outcome any more, and gives it back if it is there already.
    pub(crate) fn abandon(&self) -> Option<T> {
        match std::mem::replace(&mut *lock(&self.state), State::Over) {
            State::Given(outcome) => Some(outcome),
            State::Awaited(_) | State::Over => None,
        }
    }

    pub(crate) fn is_awaited(&self) -> bool {
        matches!(*lock(&self.state), State::Awaited(_))
    }
}

/// What is submitted to a server that ends when there is nothing to do.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    state: Mutex<(Vec<T>, bool)>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Inbox<T> {
        Inbox { state: Mutex::new((Vec::new(), false)) }
    }
}

impl<T> Inbox<T> {
    /// Whether the caller has to start a server.
    pub(crate) fn submit(&self, item: T) -> bool {
        let mut state = lock(&self.state);
        state.0.push(item);
        !std::mem::replace(&mut state.1, true)
    }

    /// By the server: takes what has been submitted.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut lock(&self.state).0)
    }

    /// By the server: whether it may end, since nothing is there. By then it no longer counts as one.
    pub(crate) fn close(&self) -> bool {
        let mut state = lock(&self.state);
        let empty = state.0.is_empty();
        state.1 = !empty;
        empty
    }

    /// By one that could start no server: takes what was submitted, by others too meanwhile.
    pub(crate) fn fail(&self) -> Vec<T> {
        let mut state = lock(&self.state);
        state.1 = false;
        std::mem::take(&mut state.0)
    }
}
