//! Mutual exclusion broken.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pathlock::{LockError, Ownership, State, UnlockError};

use crate::common::shim::Shim;
use crate::common::{Child, Place, assert_free, everywhere, is_busy, lock_of, places, remove, say};

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn t1_a_second_thread_sharing_the_handle_does_not_acquire() {
    for place in everywhere() {
        let lock = place.lock();
        let guard = lock.acquire().expect("it is free");
        thread::scope(|scope| {
            let second = scope.spawn(|| (lock.try_acquire(), lock.acquire_within(SHORT)));
            let (tried, waited) = second.join().expect("no panic");
            assert!(is_busy(&tried) && is_busy(&waited), "{place}: {tried:?}, {waited:?}");
        });
        guard.release().expect("it was never lost");
    }
}

#[test]
fn t2_with_process_ownership_a_second_thread_does_not_acquire() {
    for place in everywhere() {
        let guard = place.lock().ownership(Ownership::Process).acquire().expect("it is free");
        thread::scope(|scope| {
            let second = scope.spawn(|| place.lock().ownership(Ownership::Process).try_acquire());
            let tried = second.join().expect("no panic");
            assert!(is_busy(&tried), "{place}: {tried:?}");
        });
        guard.release().expect("it was never lost");
    }
}

#[test]
fn l28_a_second_handle_in_one_thread_does_not_acquire() {
    for place in everywhere() {
        let (one, other) = (place.lock(), place.lock());
        let guard = one.acquire().expect("it is free");
        assert!(is_busy(&other.try_acquire()), "{place}: it is held");
        assert!(other.acquire().is_err(), "{place}: and nobody waits for himself");
        assert!(guard.is_valid(), "{place}: the first one still holds it");
        guard.release().expect("and releases it");
    }
}

/// What a backup program does that saves space: another name for each file.
fn back_up(place: &Place) {
    let mut copy = std::process::Command::new("cp");
    copy.arg("-al").arg(place.lock_file()).arg(place.join("backup"));
    assert!(copy.status().expect("cp runs").success(), "{place}: the lock file has a second name now");
}

#[test]
fn l32_a_backup_made_of_hard_links_hands_the_lock_to_no_waiter() {
    for place in everywhere() {
        let holder = place.holder();
        thread::scope(|scope| {
            let (waiting, is_waiting) = std::sync::mpsc::channel();
            let lock = place.lock().on_wait(move |_| {
                let _ = waiting.send(());
            });
            let waiter = scope.spawn(move || lock.acquire_within(Duration::from_millis(200)));
            is_waiting.recv().expect("it waits");
            back_up(&place);
            let waited = waiter.join().expect("no panic");
            assert!(is_busy(&waited), "{place}: {waited:?}");
        });
        holder.end();
        assert_free(&place.lock());
    }
}

#[test]
fn l32b_a_backup_made_of_hard_links_does_not_take_the_lock_from_its_holder() {
    for place in everywhere() {
        let lock = place.lock();
        let guard = lock.acquire().expect("it is free");
        back_up(&place);
        assert!(guard.is_valid() && lock.i_am_locking(), "{place}: it is held as before");
        assert!(is_busy(&lock.try_acquire()), "{place}: it is held as before");
        guard.release().expect("it was never lost");
        drop(lock.try_acquire().expect("it was released"));
    }
}

/// The role `try`: says whether one attempt succeeds, and holds what it got until it ends.
pub(crate) fn try_once(args: &[&str]) {
    let result = lock_of(args[0], args[1]).try_acquire();
    say(match &result {
        Ok(_) => "acquired",
        Err(LockError::AlreadyLocked(_)) => "busy",
        Err(_) => "failed",
    });
    crate::common::hear();
}

#[test]
fn l33_two_processes_with_one_pid_and_host_are_two_owners() {
    let shim = Shim::build();
    for place in everywhere() {
        // A process that exists for sure, so that nobody takes its locks for stale.
        let start = |role| Child::spawn(shim.with_pid(1, Child::command(role, place.args())));
        let mut holder = start("hold");
        assert_eq!(holder.line(), "held", "{place}: it is free");
        let owner = place.lock().owner().expect("it can be looked at").expect("it says who holds it");
        assert_eq!(owner.pid(), 1, "{place}: the child believes that it has this pid");
        let mut twin = start("try");
        assert_eq!(twin.line(), "busy", "{place}: the other one's lock is not its own");
        twin.end();
        holder.end();
    }
}

#[test]
fn l3_the_release_of_a_broken_lock_does_not_free_the_next_owners() {
    for place in everywhere() {
        let first = place.lock().acquire().expect("it is free");
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                assert!(place.lock().break_lock().expect("a person may"), "{place}: there was a lock");
                place.lock().try_acquire().expect("it is free")
            });
            let second = second.join().expect("no panic");
            assert!(!first.is_valid(), "{place}: the first owner can learn that it was broken");
            let released = first.release();
            assert!(matches!(released, Err(UnlockError::NotMyLock(_))), "{place}: {released:?}");
            assert!(second.is_valid(), "{place}: the second owner has lost nothing");
            assert!(is_busy(&place.lock().try_acquire()), "{place}: and still keeps others out");
            second.release().expect("it is the second owner's");
        });
    }
}

#[test]
fn l31_of_two_who_timed_out_only_one_breaks_what_they_have_seen() {
    for place in everywhere() {
        let holder = place.holder();
        assert!(is_busy(&place.lock().acquire_within(SHORT)), "{place}: it is held");
        let (b_saw, c_saw) = (place.lock().status().expect("held"), place.lock().status().expect("held"));
        assert!(place.lock().break_if(&b_saw).expect("a person may"), "{place}: b breaks what it has seen");
        let b = place.lock().try_acquire().expect("and acquires");
        assert!(!place.lock().break_if(&c_saw).expect("there is nothing to do"), "{place}: c breaks nothing");
        assert!(is_busy(&place.lock().try_acquire()), "{place}: c does not get it");
        assert!(b.is_valid(), "{place}: b holds it");
        b.release().expect("it is b's");
        holder.kill();
    }
}

#[test]
fn l31_of_many_who_find_a_stale_lock_exactly_one_takes_it_over() {
    for place in everywhere() {
        place.holder().kill();
        let won: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| place.lock().try_acquire())).collect();
            threads.into_iter().filter_map(|thread| thread.join().expect("no panic").ok()).collect()
        });
        assert!(won.len() <= 1, "{place}: {} have it", won.len());
        drop(won);
        drop(place.lock().acquire_within(crate::common::PATIENCE).expect("nobody is left to keep it"));
    }
}

#[test]
fn s37_p38_a_release_removes_nothing_that_was_put_in_the_locks_place() {
    for place in everywhere() {
        let guard = place.lock().acquire().expect("it is free");
        remove(place.lock_file());
        fs::write(place.lock_file(), "4711\n").expect("another program makes its lock");
        let released = guard.release();
        assert!(matches!(released, Err(UnlockError::NotMyLock(_))), "{place}: {released:?}");
        let left = fs::read_to_string(place.lock_file()).expect("it is still there");
        assert_eq!(left, "4711\n", "{place}: and still says the same");
    }
}

#[test]
fn s37_p38_what_is_broken_is_what_was_seen_even_while_the_lock_changes_hands() {
    for place in everywhere() {
        for round in 0..300 {
            let first = place.lock().acquire().expect("it is free");
            let seen = place.lock().status().expect("it is held");
            let (broken, (released, second)) = thread::scope(|scope| {
                let breaker = scope.spawn(|| place.lock().break_if(&seen));
                let owner = scope.spawn(|| (first.release(), place.lock().acquire()));
                (breaker.join().expect("no panic"), owner.join().expect("no panic"))
            });
            let second = second.expect("whoever won, the lock is free");
            // A breaker that came in time has broken the first lock, and its owner knows.
            assert!(
                second.is_valid(),
                "{place}, round {round}: the second lock is gone: {broken:?}, {released:?}"
            );
            second.release().expect("it was never broken");
        }
    }
}

#[test]
fn m40_a_lock_is_never_seen_without_its_owner() {
    for place in places(&["mkdir", "link", "pid"]) {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..400 {
                    place.lock().acquire().expect("it is free").release().expect("it is ours");
                }
                stop.store(true, Ordering::Relaxed);
            });
            let (mut seen, mut looks) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let status = place.lock().status().expect("it can be looked at");
                looks += 1;
                match status.state() {
                    State::Free => {}
                    State::Held => {
                        seen += 1;
                        assert!(status.owner().is_some(), "{place}: held by nobody: {status:?}");
                    }
                    State::Stale | State::Unknown => panic!("{place}: its owner lives: {status:?}"),
                }
            }
            println!("{place}: {looks} looks, held in {seen}");
        });
    }
}
