//! What ends a wait besides the lock: its deadline, a signal if the caller says so, its token. And what does not.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pathlock::{CancelToken, FailureReason, LockError};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::shim::Shim;
use crate::common::{
    Child, PATIENCE, alone, everywhere, lock_of, median, queued, say, tid, until, until_asleep,
};

const TIMEOUT: Duration = Duration::from_millis(50);

#[test]
fn a_timeout_is_never_early_and_at_most_20_milliseconds_late() {
    let _alone = alone();
    for place in everywhere() {
        let holder = place.holder();
        let mut late: Vec<Duration> = (0..3)
            .map(|_| {
                median(
                    (0..7)
                        .map(|_| {
                            let began = Instant::now();
                            let result = place.lock().acquire_within(TIMEOUT);
                            let took = began.elapsed();
                            let Err(LockError::LockTimeout(told)) = result else {
                                panic!("{place}: {result:?}")
                            };
                            assert!(took >= TIMEOUT, "{place}: after {took:?}");
                            assert!(told.waited() >= TIMEOUT, "{place}: it says so: {:?}", told.waited());
                            took - TIMEOUT
                        })
                        .collect(),
                )
            })
            .collect();
        late.sort();
        println!("{place}: late by {late:?}");
        assert!(late[0] <= Duration::from_millis(20), "{place}: late by {late:?}");
        holder.end();
    }
}

#[test]
fn a_timeout_is_kept_behind_other_waiters_too() {
    for place in everywhere() {
        let holder = place.holder();
        thread::scope(|scope| {
            let waiters = [40, 90, 10, 60, 25].map(|milliseconds| {
                let lock = place.lock();
                scope.spawn(move || {
                    let (began, timeout) = (Instant::now(), Duration::from_millis(milliseconds));
                    let result = lock.acquire_within(timeout);
                    (result, began.elapsed(), timeout)
                })
            });
            for waiter in waiters {
                let (result, took, timeout) = waiter.join().expect("no panic");
                assert!(matches!(result, Err(LockError::LockTimeout(_))), "{place}: {result:?}");
                assert!(took >= timeout, "{place}: {took:?} instead of {timeout:?}");
            }
        });
        holder.end();
    }
}

/// The role `wait and say how it ends`: arguments scheme, path, what is answered to a signal, timeout in ms.
pub(crate) fn wait_and_say_how_it_ends(args: &[&str]) {
    let told = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&told))
        .expect("a handler can be installed");
    let mut lock = lock_of(args[0], args[1]).on_wait(|_| say(format!("waits {}", tid())));
    lock = match args[2] {
        "break" | "break before" => lock.on_interrupt(move || match told.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }),
        "continue" => lock.on_interrupt(|| ControlFlow::Continue(())),
        _ => lock,
    };
    if args[2] == "break before" {
        signal_hook::low_level::raise(signal_hook::consts::SIGUSR1).expect("a signal can be raised");
    }
    let timeout = Duration::from_millis(args[3].parse().expect("a number"));
    let began = Instant::now();
    let result = lock.acquire_within(timeout);
    let early = began.elapsed() < timeout;
    say(match result {
        Ok(_) => "acquired",
        Err(LockError::LockFailed(failure)) if failure.reason() == FailureReason::Interrupted => {
            "interrupted"
        }
        Err(LockError::LockTimeout(_)) if early => "timed out early",
        Err(LockError::LockTimeout(_)) => "timed out",
        Err(_) => "failed",
    });
}

/// Sends signals to the thread of `waiter` that waits until it says how its wait has ended.
fn disturb(waiter: &mut Child) -> String {
    let first = waiter.line();
    let tid = first.strip_prefix("waits ").expect("the lock is held").parse().expect("a number");
    until_asleep(waiter.pid(), tid);
    // A signal sent to the number of a thread is the process's, and that thread gets first crack at it.
    let thread = Pid::from_raw(i32::try_from(tid).expect("it is a pid_t"));
    thread::scope(|scope| {
        let (end, ended) = mpsc::channel();
        scope.spawn(move || {
            let line = loop {
                let line = waiter.line();
                // It may look again, and then it waits on.
                if !line.starts_with("waits") {
                    break line;
                }
            };
            end.send(line).expect("we are listened to");
        });
        let mut line = None;
        until("the wait ends", || {
            // One that has just ended can't be told any more.
            let _ = kill_process(thread.expect("not zero"), Signal::USR1);
            line = ended.try_recv().ok();
            line.is_some()
        });
        line.expect("it has ended")
    })
}

#[test]
fn a_signal_ends_a_wait_when_the_caller_says_so() {
    for place in everywhere() {
        let holder = place.holder();
        let args = [&place.args()[..], &["break".into(), "3600000".into()]].concat();
        let mut waiter = Child::start("wait and say how it ends", args);
        assert_eq!(disturb(&mut waiter), "interrupted", "{place}: an hour was not over");
        waiter.end();
        holder.end();
        drop(place.lock().try_acquire().expect("nobody is left"));
    }
}

#[test]
fn a_signal_just_before_a_wait_ends_it() {
    for place in everywhere() {
        let holder = place.holder();
        let args = [&place.args()[..], &["break before".into(), "3600000".into()]].concat();
        let mut waiter = Child::start("wait and say how it ends", args);
        let line = std::iter::repeat_with(|| waiter.line()).find(|line| !line.starts_with("waits"));
        assert_eq!(line.as_deref(), Some("interrupted"), "{place}: no call of the kernel was interrupted");
        waiter.end();
        holder.end();
    }
}

#[test]
fn signals_do_not_end_a_wait_when_the_caller_does_not_say_so() {
    for place in everywhere() {
        let holder = place.holder();
        for answer in ["continue", "none"] {
            let args = [&place.args()[..], &[answer.into(), "200".into()]].concat();
            let mut waiter = Child::start("wait and say how it ends", args);
            assert_eq!(disturb(&mut waiter), "timed out", "{place}, {answer}: in a storm of signals");
            waiter.end();
        }
        holder.end();
    }
}

/// The role `wait by the clock`: arguments scheme, path; says how long half a second was, on both clocks.
pub(crate) fn wait_by_the_clock(args: &[&str]) {
    let lock = lock_of(args[0], args[1]).on_wait(|_| say("waits"));
    let (began, wall) = (Instant::now(), SystemTime::now());
    let result = lock.acquire_within(Duration::from_millis(500));
    let took = began.elapsed().as_millis();
    let wall = match wall.elapsed() {
        Ok(forward) => i64::try_from(forward.as_secs()).expect("no ages"),
        Err(backward) => -i64::try_from(backward.duration().as_secs()).expect("no ages"),
    };
    assert!(matches!(result, Err(LockError::LockTimeout(_))), "it is held: {result:?}");
    say(format!("{took} {wall}"));
}

#[test]
fn setting_the_clock_neither_ends_nor_prolongs_a_wait() {
    let shim = Shim::build();
    for place in everywhere() {
        let holder = place.holder();
        for step in [3_600, -86_400] {
            let file = place.join(format!("step{step}"));
            let command = Child::command("wait by the clock", place.args());
            let mut waiter = Child::spawn(shim.with_step(step, &file, command));
            assert_eq!(waiter.line(), "waits", "{place}: it is held");
            std::fs::write(&file, "").expect("it can be made");
            let line = loop {
                let line = waiter.line();
                if line != "waits" {
                    break line;
                }
            };
            let (took, wall) = line.split_once(' ').expect("two numbers");
            let (took, wall): (u64, i64) = (took.parse().expect("one"), wall.parse().expect("two"));
            assert!((wall - step).abs() < 60, "{place}: the wall clock was set by {step} s: {wall} s");
            assert!(took >= 500, "{place}, set by {step} s: early, after {took} ms");
            assert!(took < 10_000, "{place}, set by {step} s: late, after {took} ms");
            waiter.end();
        }
        holder.end();
    }
}

#[test]
fn a_cancelled_wait_ends_at_once_and_leaves_nothing_behind() {
    for place in everywhere() {
        let guard = place.lock().acquire().expect("it is free");
        let before = place.names();
        let token = CancelToken::new().expect("there are descriptors");
        let lock = place.lock().cancel_token(token.clone());
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..4)
                .map(|_| {
                    let (begins, begun) = mpsc::channel();
                    let lock = lock.clone().on_wait(move |_| {
                        let _ = begins.send(());
                    });
                    let waiter = scope.spawn(move || (lock.acquire().map(drop), Instant::now()));
                    begun.recv().expect("it waits");
                    waiter
                })
                .collect();
            let cancelled = Instant::now();
            token.cancel();
            for waiter in waiters {
                let (result, at) = waiter.join().expect("no panic");
                let Err(LockError::LockFailed(failure)) = &result else { panic!("{place}: {result:?}") };
                assert_eq!(failure.reason(), FailureReason::Cancelled, "{place}: it says why");
                let took = at.saturating_duration_since(cancelled);
                assert!(took < Duration::from_secs(2), "{place}: it took {took:?}");
            }
        });
        let late = lock.acquire();
        assert!(late.is_err(), "{place}: a token is cancelled for good: {late:?}");
        assert_eq!(place.names(), before, "{place}: nothing was left behind");
        guard.release().expect("it is ours");
        until("nobody is in the queue", || queued(&place.lock_file()) == 0);
        if !matches!(place.scheme, "flock" | "ofd") {
            until("no lock is left for waiters who are gone", || !place.has_lock_file());
        }
        drop(place.lock().acquire_within(PATIENCE).expect("it is free"));
    }
}

#[test]
fn who_waits_is_told_for_whom_and_until_when() {
    for place in everywhere() {
        let holder = place.holder();
        let (tell, told) = mpsc::channel();
        let lock = place.lock().on_wait(move |event| {
            let left = event.deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let owner = event.owner.map(|owner| (owner.pid(), owner.command().contains("--exact child")));
            let _ = tell.send((event.path.to_owned(), event.lock_file.to_owned(), owner, event.waited, left));
        });
        let result = lock.acquire_within(TIMEOUT);
        assert!(matches!(result, Err(LockError::LockTimeout(_))), "{place}: it is held: {result:?}");
        let (path, lock_file, owner, waited, left) = told.try_recv().expect("it was told");
        assert_eq!((path, lock_file), (place.path(), place.lock_file()), "{place}: what is waited for");
        assert_eq!(owner, Some((holder.pid(), true)), "{place}: who holds it, and what that runs");
        assert!(waited < TIMEOUT, "{place}: that is when the wait begins: {waited:?}");
        assert!(left.is_some_and(|left| left <= TIMEOUT), "{place}: until when: {left:?}");
        holder.end();
    }
}
