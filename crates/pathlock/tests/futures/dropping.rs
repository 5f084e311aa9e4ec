//! A future may be dropped at any time: nothing is held for it then, and nothing is left behind.

use std::sync::Barrier;
use std::sync::mpsc;
use std::thread;

use pathlock::AnyLockFile;

use super::common::{Child, PATIENCE, Place, assert_free, everywhere, queued, until};
use super::poller::Poller;

/// Another process gets the lock, and nothing but what the scheme leaves on purpose is there afterwards.
fn assert_nothing_is_left(place: &Place) {
    let mut visitor = Child::start("hold", place.args());
    assert_eq!(visitor.line(), "held", "{place}: another process gets the lock");
    visitor.tell("go");
    assert_eq!(visitor.line(), "released", "{place}");
    visitor.end();
    assert_free(&place.lock());
    let stays = matches!(place.scheme, "flock" | "ofd");
    let names: Vec<String> = place.names();
    let expected: &[&str] = if stays { &["res.lock"] } else { &[] };
    assert_eq!(names, expected, "{place}: nothing else is left behind");
}

#[test]
fn before_it_was_polled() {
    for place in everywhere() {
        drop(place.lock().acquire_async());
        assert_nothing_is_left(&place);
    }
}

#[test]
fn when_it_has_been_submitted_and_the_lock_is_free() {
    for place in everywhere() {
        for _ in 0..20 {
            let mut future = Poller::new(place.lock().acquire_async());
            // Whatever the thread has done by now: nothing, half of it, or all.
            assert!(future.poll().is_none(), "{place}: the first poll only asks");
            drop(future);
            assert_free(&place.lock());
        }
        assert_nothing_is_left(&place);
    }
}

#[test]
fn when_the_lock_was_won_for_it_and_it_was_not_polled_again() {
    for place in everywhere() {
        let mut future = Poller::new(place.lock().acquire_async());
        assert!(future.poll().is_none(), "{place}: the first poll only asks");
        future.until_woken();
        assert!(place.lock().is_locked().expect("it can be looked at"), "{place}: it is held for the future");
        drop(future);
        assert!(
            !place.lock().is_locked().expect("it can be looked at"),
            "{place}: dropping it has released it"
        );
        assert_nothing_is_left(&place);
    }
}

#[test]
fn while_it_waits() {
    for place in everywhere() {
        let holder = place.holder();
        let (told, hears) = mpsc::channel();
        let lock = place.lock().on_wait(move |_| {
            let _ = told.send(());
        });
        let mut future = Poller::new(lock.acquire_async());
        assert!(future.poll().is_none(), "{place}: it is held");
        hears.recv_timeout(PATIENCE).expect("it waits");
        drop(future);
        holder.end();
        assert_nothing_is_left(&place);
    }
}

#[test]
fn while_a_thread_sits_in_the_kernels_queue_for_it() {
    for place in super::common::places(&["link", "mkdir", "flock", "ofd"]) {
        let holder = place.holder();
        let mut future = Poller::new(place.lock().acquire_async());
        assert!(future.poll().is_none(), "{place}: it is held");
        until("it is in the queue", || queued(&place.lock_file()) > 0);
        drop(future);
        // The next takes the place over, in which the thread still sits.
        let mut next = Poller::new(place.lock().acquire_async());
        assert!(next.poll().is_none(), "{place}: it is held");
        holder.end();
        drop(next.finish().expect("it has come free"));
        assert_nothing_is_left(&place);
    }
}

#[test]
fn the_first_of_a_line_and_the_next_has_its_place() {
    for place in everywhere() {
        let holder = place.holder();
        let mut line = [(); 3].map(|()| Poller::new(place.lock().acquire_async()));
        for future in &mut line {
            assert!(future.poll().is_none(), "{place}: it is held");
        }
        let [first, second, mut third] = line;
        drop(first);
        drop(second);
        holder.end();
        drop(third.finish().expect("it has come free"));
        assert_nothing_is_left(&place);
    }
}

/// A release and a drop, each a little later than the other in some of the rounds: the turn comes before,
/// while and after the future goes.
fn race(lock: &AnyLockFile, place: &Place) {
    for round in 0..100_u32 {
        let guard = lock.acquire_within(PATIENCE).expect("what the last round has left comes free");
        let mut future = Poller::new(lock.acquire_async());
        assert!(future.poll().is_none(), "{place}: it is held");
        let mut behind = Poller::new(lock.acquire_async());
        assert!(behind.poll().is_none(), "{place}: it is held");
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                (0..round % 10 * 40).for_each(|_| std::hint::spin_loop());
                guard.release().expect("it is ours");
            });
            start.wait();
            (0..round / 10 * 400).for_each(|_| std::hint::spin_loop());
            drop(future);
        });
        drop(behind.finish().expect("it comes to the next in the line"));
    }
}

#[test]
fn in_the_moment_in_which_its_turn_comes() {
    for place in everywhere() {
        race(&place.lock(), &place);
        assert_nothing_is_left(&place);
    }
}

#[test]
fn while_a_process_that_waits_too_is_next() {
    for place in everywhere() {
        let holder = place.holder();
        let mut future = Poller::new(place.lock().acquire_async());
        assert!(future.poll().is_none(), "{place}: it is held");
        let mut other = Child::start("hold", place.args());
        drop(future);
        holder.end();
        assert_eq!(other.line(), "held", "{place}: the other process does not wait for one that is gone");
        other.end();
        assert_nothing_is_left(&place);
    }
}
