//! Every interleaving of what a future and the thread that waits for it do to the state they share.
#![cfg(target_os = "linux")]

use std::sync::Arc as StdArc;
use std::task::{Poll, Wake, Waker};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::thread;

/// The mutex whose interleavings can be tried takes the place of the system's.
mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}
#[path = "../src/wait/handoff.rs"]
mod handoff;

use handoff::{Handoff, Inbox};

/// A waker that remembers.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: StdArc<Flag>) {
        self.0.store(true, SeqCst);
    }
}

fn flag() -> (StdArc<Flag>, Waker) {
    let flag = StdArc::new(Flag(AtomicBool::new(false)));
    (StdArc::clone(&flag), flag.into())
}

/// A lock that has been won: it counts its releases.
struct Won(Arc<AtomicUsize>);

impl Drop for Won {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_future_that_was_polled_in_vain_is_woken_when_there_is_an_outcome() {
    loom::model(|| {
        let handoff = Arc::new(Handoff::new());
        let giver = {
            let handoff = Arc::clone(&handoff);
            thread::spawn(move || assert!(handoff.give(7).is_ok(), "the future is there to take it"))
        };
        let (first, waker) = flag();
        let polled = handoff.poll(&waker);
        // Executors may poll again, with another waker, though nothing has woken them.
        let (second, waker) = flag();
        let polled = if polled.is_pending() { handoff.poll(&waker) } else { polled };
        giver.join().expect("it ends");
        if polled.is_pending() {
            assert!(second.0.load(SeqCst), "the last waker is the one that counts");
            assert_eq!(handoff.poll(&waker), Poll::Ready(7), "the outcome is there");
        } else {
            assert_eq!(polled, Poll::Ready(7), "the outcome was there at once");
        }
        assert!(handoff.poll(&waker).is_pending(), "an outcome is taken once");
        drop(first);
    });
}

#[test]
fn what_is_won_for_a_future_that_is_dropped_is_released_once() {
    loom::model(|| {
        let releases = Arc::new(AtomicUsize::new(0));
        let handoff = Arc::new(Handoff::new());
        let giver = {
            let (handoff, releases) = (Arc::clone(&handoff), Arc::clone(&releases));
            thread::spawn(move || {
                if handoff.is_awaited() {
                    drop(handoff.give(Won(releases)));
                } else {
                    drop(Won(releases));
                }
            })
        };
        let (_, waker) = flag();
        let polled = handoff.poll(&waker);
        drop(polled);
        drop(handoff.abandon());
        giver.join().expect("it ends");
        assert_eq!(releases.load(SeqCst), 1, "one outcome, one keeper, one release");
        assert!(!handoff.is_awaited(), "nobody waits any more");
    });
}

/// The server of the model: takes until it may end, and counts itself.
fn serve(inbox: &Inbox<u32>, taken: &AtomicUsize, servers: &AtomicUsize) {
    assert_eq!(servers.fetch_add(1, SeqCst), 0, "there is one server at a time");
    loop {
        taken.fetch_add(inbox.take().len(), SeqCst);
        // It stops counting before it says so: the next may be started at once.
        servers.fetch_sub(1, SeqCst);
        if inbox.close() {
            return;
        }
        servers.fetch_add(1, SeqCst);
    }
}

#[test]
fn what_is_submitted_while_the_server_ends_is_taken() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::default());
        let (taken, servers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let submit = |item| {
            let (inbox, taken, servers) = (Arc::clone(&inbox), Arc::clone(&taken), Arc::clone(&servers));
            thread::spawn(move || {
                if inbox.submit(item) {
                    serve(&inbox, &taken, &servers);
                }
            })
        };
        let submitters = [submit(1), submit(2)];
        submitters.into_iter().for_each(|thread| thread.join().expect("it ends"));
        assert_eq!(taken.load(SeqCst), 2, "nothing is left in the inbox without a server");
    });
}

#[test]
fn what_no_server_could_be_started_for_is_given_back() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::default());
        let given = Arc::new(AtomicUsize::new(0));
        let submit = |item| {
            let (inbox, given) = (Arc::clone(&inbox), Arc::clone(&given));
            thread::spawn(move || {
                if inbox.submit(item) {
                    given.fetch_add(inbox.fail().len(), SeqCst);
                }
            })
        };
        let submitters = [submit(1), submit(2)];
        submitters.into_iter().for_each(|thread| thread.join().expect("it ends"));
        assert_eq!(given.load(SeqCst), 2, "each is told of by somebody");
    });
}
