//! Breaking a lock while it changes hands: nobody else's lock is removed, and no two are let in.
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use pathlock::Guard;

mod common;

use common::everywhere;

/// How often the hands meet, in each scheme and directory.
const ROUNDS: u64 = 300;

#[test]
fn a_break_during_a_release_with_a_third_contender_lets_no_two_in() {
    for place in everywhere() {
        // The auditor's own word for who is inside.
        let (inside, met) = (AtomicBool::new(false), AtomicU64::new(0));
        let (broke, turns) = (AtomicU64::new(0), AtomicU64::new(0));
        let enter = |guard: Guard| {
            met.fetch_add(u64::from(inside.swap(true, SeqCst)), SeqCst);
            thread::yield_now();
            inside.store(false, SeqCst);
            turns.fetch_add(1, SeqCst);
            // What is looked at is who is let in, not whether a break came before the release.
            let _ = guard.release();
        };
        for _ in 0..ROUNDS {
            let first = place.lock().acquire().expect("its turn comes");
            let seen = place.lock().status().expect("it can be looked at");
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                let breaker = scope.spawn(|| place.lock().break_if(&seen));
                let owner = scope.spawn(|| {
                    let _ = first.release();
                    if let Ok(guard) = place.lock().try_acquire() {
                        enter(guard);
                    }
                });
                scope.spawn(|| {
                    while !done.load(SeqCst) {
                        if let Ok(guard) = place.lock().try_acquire() {
                            enter(guard);
                        }
                    }
                });
                let ended = (owner.join(), breaker.join());
                done.store(true, SeqCst);
                ended.0.expect("no panic");
                let broken = ended.1.expect("no panic").expect("a lock can be broken");
                broke.fetch_add(u64::from(broken), SeqCst);
            });
        }
        println!("{place}: {ROUNDS} rounds, {broke:?} broken, {turns:?} turns");
        assert_eq!(met.into_inner(), 0, "{place}: two were inside at once");
        common::assert_free(&place.lock());
        let left: Vec<String> =
            place.names().into_iter().filter(|name| name.starts_with(".pathlock-")).collect();
        assert_eq!(left, [""; 0], "{place}");
    }
}
