//! What a wait costs, and what it leaves.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Child, everywhere, is_busy, lock_of, places, say, switches, until};

/// The role `count switches`: waits ten seconds in vain.
pub(crate) fn count_switches(args: &[&str]) {
    let lock = lock_of(args[0], args[1]);
    let before = switches(std::process::id());
    let result = lock.acquire_within(Duration::from_secs(10));
    let after = switches(std::process::id());
    assert!(is_busy(&result), "it is held: {result:?}");
    say(after - before);
}

#[test]
fn a_wait_of_ten_seconds_wakes_at_most_ten_times() {
    let places = everywhere();
    let waits: Vec<_> = places
        .iter()
        // The best of three: on a busy machine a process sleeps for its own memory too.
        .map(|place| (place, place.holder(), [(); 3].map(|()| Child::start("count switches", place.args()))))
        .collect();
    for (place, holder, mut waiters) in waits {
        let counts = waiters.each_mut().map(|waiter| waiter.line().parse::<u64>().expect("a number"));
        println!("{place}: {counts:?} voluntary context switches in ten seconds");
        let best = *counts.iter().min().expect("there are three");
        assert!(best <= 10, "{place}: {counts:?} voluntary context switches in ten seconds");
        waiters.into_iter().for_each(Child::end);
        holder.end();
    }
}

/// The role `time out again and again`: says how many threads there are at the end.
pub(crate) fn time_out_again_and_again(args: &[&str]) {
    let lock = lock_of(args[0], args[1]);
    let threads = || fs::read_dir("/proc/self/task").expect("Linux").count();
    let before = threads();
    for _ in 0..200 {
        let result = lock.acquire_within(Duration::from_millis(5));
        assert!(is_busy(&result), "it is held: {result:?}");
    }
    let files = fs::read_dir("/proc/self/fd").expect("Linux").count();
    say(format!("{} {files}", threads() - before));
}

#[test]
fn waits_that_time_out_again_and_again_pile_up_neither_threads_nor_files() {
    for place in everywhere() {
        let holder = place.holder();
        let mut waiter = Child::start("time out again and again", place.args());
        let line = waiter.line();
        let (threads, files) = line.split_once(' ').expect("two numbers");
        println!("{place}: {threads} threads, {files} files after 200 timeouts");
        assert!(threads.parse::<usize>().expect("one") <= 2, "{place}: {threads} threads more than before");
        assert!(files.parse::<usize>().expect("two") <= 20, "{place}: {files} open files");
        waiter.end();
        holder.end();
    }
}

/// Until `moment`, to the microsecond.
fn spin_until(moment: Instant) {
    while Instant::now() < moment {
        thread::yield_now();
    }
}

#[test]
fn a_timeout_in_the_very_moment_of_a_release_leaves_no_lock_behind() {
    const TIMEOUT: Duration = Duration::from_micros(1_500);
    for place in places(&["link", "mkdir", "symlink", "pid"]) {
        let (mut acquired, mut timed_out) = (0, 0);
        for round in 0..300_u64 {
            let guard = place.lock().acquire().expect("nobody has it");
            let lock = place.lock();
            let waiter = thread::spawn(move || {
                let result = lock.acquire_within(TIMEOUT);
                result.map(|guard| guard.release().expect("it is ours")).is_ok()
            });
            // From before the timeout to well after it, in steps that never fall on the same moment twice.
            spin_until(Instant::now() + TIMEOUT / 2 + Duration::from_micros(round * 37 % 2_000));
            guard.release().expect("it is ours");
            *(if waiter.join().expect("no panic") { &mut acquired } else { &mut timed_out }) += 1;
            // An abandoned place in the queue is cleared up by a thread of its own, at its turn.
            until("no lock is left", || !place.has_lock_file());
        }
        println!("{place}: {acquired} acquired, {timed_out} timed out");
        assert!(place.names().is_empty(), "{place}: nothing else is left either: {:?}", place.names());
    }
}
