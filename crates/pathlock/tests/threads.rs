//! One process: its threads, its handles, and the guards they pass around.
#![cfg(unix)]

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use pathlock::{FailureReason, LockError, Ownership, Reentry, Timeout, acquire_all};

mod common;
use common::{PATIENCE, Place, assert_free, everywhere, is_busy, lock_of, within};

const SHORT: Duration = Duration::from_millis(20);

/// Runs `body` in another thread and returns what it returns.
fn elsewhere<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(body).join().expect("it does not panic"))
}

fn would_deadlock<T>(result: &Result<T, LockError>) -> bool {
    matches!(result, Err(LockError::LockFailed(failure)) if failure.reason() == FailureReason::WouldDeadlock)
}

#[test]
fn threads_that_share_a_handle_take_turns() {
    for place in everywhere() {
        let lock = place.lock();
        let guard = lock.acquire().expect("it is free");
        elsewhere(|| {
            assert!(matches!(lock.try_acquire(), Err(LockError::AlreadyLocked(_))), "{place}: it is held");
            assert!(
                matches!(lock.acquire_within(SHORT), Err(LockError::LockTimeout(_))),
                "{place}: waiting does not help"
            );
        });
        thread::scope(|scope| {
            let waiter = scope.spawn(|| lock.acquire().map(|guard| guard.release()));
            guard.release().expect("it was ours");
            let released = waiter.join().expect("no panic").expect("the waiter gets it");
            released.expect("and it was the waiter's");
        });
        assert_free(&lock);
    }
}

#[test]
fn a_second_handle_in_the_same_thread_is_told_that_it_would_wait_for_itself() {
    for place in everywhere() {
        let (one, other) = (place.lock(), place.lock());
        let guard = one.acquire().expect("it is free");
        for again in [&one, &other] {
            let tried = again.try_acquire();
            assert!(matches!(tried, Err(LockError::AlreadyLocked(_))), "{place}: not waiting: {tried:?}");
            for timeout in [Timeout::Never, Timeout::After(Duration::from_secs(3600))] {
                let waited = again.acquire_within(timeout);
                assert!(would_deadlock(&waited), "{place}: {timeout:?}: {waited:?}");
            }
        }
        assert!(guard.is_valid(), "{place}: the refusals have not touched it");
        guard.release().expect("it is still ours");
        drop(other.try_acquire().expect("now it is free"));
    }
}

#[test]
fn with_process_ownership_another_thread_waits_and_does_not_deadlock() {
    for place in everywhere() {
        let lock = place.lock().ownership(Ownership::Process);
        let guard = lock.acquire().expect("it is free");
        assert!(would_deadlock(&lock.acquire()), "{place}: the same thread would wait for itself");
        elsewhere(|| {
            assert!(is_busy(&lock.try_acquire()), "{place}: it lets no second caller in");
            assert!(is_busy(&lock.acquire_within(SHORT)), "{place}: and waiting there is no deadlock");
        });
        drop(guard);
    }
}

#[test]
fn i_am_locking_is_true_for_the_owner_alone() {
    for place in everywhere() {
        let (mine, other) = (place.lock(), place.lock());
        let shared = place.lock().ownership(Ownership::Process);
        assert!(!mine.i_am_locking(), "{place}: nobody holds it");

        let guard = mine.acquire().expect("it is free");
        assert!(mine.i_am_locking() && other.i_am_locking(), "{place}: any handle of this thread");
        elsewhere(|| assert!(!mine.i_am_locking(), "{place}: a thread's lock is not another thread's"));
        elsewhere(|| assert!(!shared.i_am_locking(), "{place}: it was not acquired for the process"));
        guard.release().expect("it is ours");
        assert!(!mine.i_am_locking(), "{place}: released");

        let guard = shared.acquire().expect("it is free");
        elsewhere(|| assert!(shared.i_am_locking(), "{place}: every thread of the process owns it"));
        elsewhere(|| assert!(!mine.i_am_locking(), "{place}: who asks as a thread is not the process"));
        drop(guard);
        assert!(!shared.i_am_locking(), "{place}: dropped");
    }
}

#[test]
fn a_reentrant_owner_holds_it_until_its_last_guard_is_gone() {
    for place in everywhere() {
        let lock = place.lock().reentry(Reentry::Count);
        let outer = lock.acquire().expect("it is free");
        let inner = lock.acquire().expect("its owner may enter again");
        let innermost =
            place.lock().reentry(Reentry::Count).try_acquire().expect("through another handle too");
        assert!(would_deadlock(&place.lock().acquire()), "{place}: a handle without re-entry is refused");
        outer.release().expect("a guard that is not the last lets go of nothing");
        assert!(inner.is_valid() && innermost.is_valid(), "{place}: two guards are left");
        drop(inner);
        elsewhere(|| assert!(is_busy(&lock.try_acquire()), "{place}: one guard is left"));
        innermost.release().expect("the last one releases");
        elsewhere(|| drop(lock.try_acquire().expect("now it is free")));
        assert!(!lock.i_am_locking(), "{place}: nothing is left over");
    }
}

#[test]
fn reentry_of_a_process_works_across_its_threads() {
    for place in everywhere() {
        let lock = place.lock().reentry(Reentry::Count).ownership(Ownership::Process);
        let thread_lock = place.lock().reentry(Reentry::Count);
        let first = lock.acquire().expect("it is free");
        let second = elsewhere(|| lock.acquire().expect("the process owns it"));
        elsewhere(|| assert!(is_busy(&thread_lock.try_acquire()), "{place}: a thread by itself does not"));
        drop(first);
        assert!(second.is_valid(), "{place}: the other thread's guard holds it");
        elsewhere(|| second.release().expect("the last guard releases"));
        drop(thread_lock.try_acquire().expect("now it is free"));
    }
}

#[test]
fn a_guard_can_be_released_in_another_thread() {
    for place in everywhere() {
        let lock = place.lock();
        let guard = lock.acquire().expect("it is free");
        elsewhere(|| {
            assert!(guard.is_valid(), "{place}: it is held, wherever the guard is");
            guard.release().expect("a guard is what holds it, not a thread");
        });
        assert!(!lock.i_am_locking(), "{place}: its first owner no longer is");
        drop(lock.acquire().expect("its first owner does not wait for itself"));
    }
}

#[test]
fn counting_under_the_lock_loses_nothing() {
    const THREADS: u64 = 8;
    const TURNS: u64 = 150;
    for place in everywhere() {
        let (counter, inside) = (AtomicU64::new(0), AtomicBool::new(false));
        let lock = place.lock();
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (counter, inside, shared, place) = (&counter, &inside, &lock, &place);
                scope.spawn(move || {
                    // Half of them share a handle.
                    let own = place.lock();
                    let lock = if number % 2 == 0 { shared } else { &own };
                    for _ in 0..TURNS {
                        let guard = lock.acquire().expect("its turn comes");
                        assert!(!inside.swap(true, Ordering::SeqCst), "{place}: two threads are inside");
                        let count = counter.load(Ordering::Relaxed);
                        thread::yield_now();
                        counter.store(count + 1, Ordering::Relaxed);
                        inside.store(false, Ordering::SeqCst);
                        guard.release().expect("it is ours");
                    }
                });
            }
        });
        assert_eq!(counter.into_inner(), THREADS * TURNS, "{place}: every turn was counted");
        assert!(!lock.is_locked().expect("it can be looked at"), "{place}: nobody is left");
    }
}

#[test]
fn of_64_threads_with_a_timeout_each_gets_its_turn_or_is_told() {
    for place in everywhere() {
        let held = place.lock().acquire().expect("it is free");
        let lock = place.lock();
        let late = (0..64).map(|_| {
            thread::spawn({
                let lock = lock.clone();
                move || lock.acquire_within(SHORT).map(drop)
            })
        });
        for thread in late.collect::<Vec<_>>() {
            let result = thread.join().expect("no panic");
            assert!(matches!(result, Err(LockError::LockTimeout(_))), "{place}: it is held: {result:?}");
        }
        let patient = (0..64).map(|_| {
            thread::spawn({
                let lock = lock.clone();
                move || lock.acquire_within(PATIENCE).map(drop)
            })
        });
        let patient: Vec<_> = patient.collect();
        held.release().expect("it was ours all the time");
        for thread in patient {
            thread
                .join()
                .expect("no panic")
                .unwrap_or_else(|error| panic!("{place}: its turn comes: {error}"));
        }
        assert_free(&lock);
    }
}

#[test]
fn two_that_want_two_locks_in_opposite_orders_do_not_deadlock() {
    for place in everywhere() {
        let scheme = place.scheme;
        let (a, b) = (place.join("a"), place.join("b"));
        within("opposite orders", move || {
            let inside = Arc::new(AtomicBool::new(false));
            let threads = [[a.clone(), b.clone()], [b, a]].map(|order| {
                let inside = Arc::clone(&inside);
                thread::spawn(move || {
                    let locks = order.map(|path| lock_of(scheme, path));
                    for _ in 0..200 {
                        let guards = acquire_all(&locks, Timeout::Never).expect("its turn comes");
                        assert_eq!(guards.len(), 2, "{scheme}: both are held");
                        assert!(!inside.swap(true, Ordering::SeqCst), "{scheme}: two threads are inside");
                        inside.store(false, Ordering::SeqCst);
                    }
                })
            });
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        });
    }
}

#[test]
fn one_lock_named_twice_among_several_is_acquired_once() {
    for place in everywhere() {
        let (a, b) = (lock_of(place.scheme, place.join("a")), lock_of(place.scheme, place.join("b")));
        let same = lock_of(place.scheme, place.join("./a"));
        let guards = acquire_all([&b, &a, &same, &a], Timeout::NoWait).expect("all are free");
        let paths: Vec<_> = guards.iter().map(|guard| guard.lock_file().to_owned()).collect();
        assert_eq!(paths, [a.lock_file(), b.lock_file()], "{place}: each once, in the common order");
        drop(guards);
        let nothing =
            acquire_all::<pathlock::scheme::Link>([], Timeout::NoWait).expect("there is none to wait for");
        assert!(nothing.is_empty(), "no locks make no guards");
    }
}

#[test]
fn when_one_of_several_locks_is_busy_the_others_are_released() {
    for place in everywhere() {
        let locks = ["a", "b", "c"].map(|name| lock_of(place.scheme, place.join(name)));
        let held = locks[1].acquire().expect("it is free");
        elsewhere(|| {
            let result = acquire_all(&locks, SHORT);
            let Err(LockError::LockTimeout(contention)) = result else { panic!("{place}: {result:?}") };
            assert_eq!(contention.lock_file(), locks[1].lock_file(), "{place}: it says which");
        });
        elsewhere(|| drop(locks[0].try_acquire().expect("the one before it was released")));
        elsewhere(|| drop(locks[2].try_acquire().expect("the one after it was not taken")));
        drop(held);
        drop(acquire_all(&locks, PATIENCE).expect("now all are free"));
    }
}

#[test]
fn with_lock_holds_it_for_the_body_and_lets_go_after_a_panic_too() {
    let place = Place::new("link");
    let ran = Cell::new(0);
    let answer = pathlock::with_lock(place.path(), || {
        ran.set(ran.get() + 1);
        assert!(place.lock().i_am_locking(), "the body runs with the lock held");
        elsewhere(|| assert!(is_busy(&place.lock().try_acquire()), "nobody else gets it"));
        42
    });
    assert_eq!(
        (answer.expect("it was free"), ran.get()),
        (42, 1),
        "the body runs once and its value is returned"
    );
    let unwound = thread::spawn({
        let path = place.path();
        move || pathlock::with_lock(path, || panic!("the body fails"))
    });
    assert!(unwound.join().is_err(), "the panic goes on");
    drop(place.lock().try_acquire().expect("the lock was released on the way"));

    let held = place.lock().acquire().expect("it is free");
    let refused = pathlock::with_lock(place.path(), || ran.set(ran.get() + 1));
    assert!(refused.is_err() && ran.get() == 1, "a body never runs without the lock");
    drop(held);
}

#[test]
fn a_lock_is_handed_round_a_ring_of_threads() {
    for place in everywhere() {
        let lock = place.lock();
        let (give, mut take) = mpsc::channel();
        give.send(lock.acquire().expect("it is free")).expect("there is a receiver");
        for _ in 0..16 {
            let (next, next_take) = mpsc::channel();
            thread::spawn(move || {
                let guard: pathlock::Guard = take.recv().expect("it is handed over");
                assert!(guard.is_valid(), "it is held all the way");
                next.send(guard).expect("there is a next one");
            });
            take = next_take;
        }
        take.recv().expect("it comes round").release().expect("it is still ours");
        assert!(!lock.is_locked().expect("it can be looked at"), "{place}: released at the end of the ring");
    }
}
