//! Robustness and the API.

use std::error::Error as _;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pathlock::LockError;
use rustix::process::Signal;

use crate::common::{Child, everywhere, lock_of, places, say};

#[test]
fn p39_a_pid_file_is_never_seen_empty_or_half_written() {
    for place in places(&["pid"]) {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    place.lock().acquire().expect("it is free").release().expect("it is ours");
                }
                stop.store(true, Ordering::Relaxed);
            });
            let mine = std::process::id().to_string();
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                let Ok(text) = fs::read_to_string(place.lock_file()) else { continue };
                assert_eq!(text.lines().next(), Some(mine.as_str()), "{place}: a whole record: {text:?}");
                seen += 1;
            }
            println!("{place}: read {seen} times");
        });
    }
}

/// The role `wait`: says `waits` when it does.
pub(crate) fn wait(args: &[&str]) {
    let lock = lock_of(args[0], args[1]).on_wait(|_| say("waits"));
    let guard = lock.acquire().expect("its turn comes");
    say("held");
    guard.release().expect("it is ours");
}

#[test]
fn l29_a_waiter_that_is_interrupted_leaves_nothing_behind() {
    for place in everywhere() {
        let guard = place.lock().acquire().expect("it is free");
        let before = place.names();
        for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
            let mut waiter = Child::start("wait", place.args());
            assert_eq!(waiter.line(), "waits", "{place}: it is held");
            waiter.signal(signal);
            assert_eq!(waiter.next_line(), None, "{place}: it ends");
            drop(waiter);
            assert_eq!(place.names(), before, "{place}: nothing is left of it");
        }
        guard.release().expect("it is ours");
        if !matches!(place.scheme, "flock" | "ofd") {
            assert!(!place.has_lock_file(), "{place}: and no lock is left for one who is gone");
        }
        drop(place.lock().try_acquire().expect("it is free"));
    }
}

#[test]
fn l30_a_waiter_has_no_file_that_a_cleaner_could_take_from_it() {
    for place in everywhere() {
        let guard = place.lock().acquire().expect("it is free");
        let alone = place.names();
        let mut waiter = Child::start("wait", place.args());
        assert_eq!(waiter.line(), "waits", "{place}: it is held");
        assert_eq!(place.names(), alone, "{place}: there is the lock file and nothing else");
        guard.release().expect("it is ours");
        assert_eq!(waiter.line(), "held", "{place}: its turn has come");
        waiter.end();
    }
}

#[test]
fn b25_a_path_of_any_bytes_can_be_locked() {
    for place in everywhere() {
        let path = place.join(OsStr::from_bytes(b"caf\xe9 \n\x01\xff"));
        let lock = lock_of(place.scheme, &path);
        assert_eq!(lock.path(), path, "{place}: it is kept as it was given");
        let guard = lock.acquire().expect("names are bytes");
        assert!(guard.is_valid() && lock.is_locked().expect("it can be looked at"), "{place}: held");
        let refused = lock.try_acquire().expect_err("it is held");
        let message = refused.to_string();
        assert!(!message.contains('\n') && !message.contains('\u{1}'), "{place}: on one line: {message}");
        guard.release().expect("it is ours");
    }
}

#[test]
fn b50_an_error_of_the_system_is_kept() {
    for place in everywhere() {
        let lock = lock_of(place.scheme, place.join("missing/res"));
        let error = lock.acquire_within(Duration::from_secs(600)).expect_err("there is no such directory");
        let LockError::LockFailed(failure) = &error else { panic!("{place}: {error:?}") };
        let kept = failure.io_error().expect("the system said why");
        assert_eq!(kept.kind(), io::ErrorKind::NotFound, "{place}: {kept}");
        assert!(error.source().is_some(), "{place}: and it is the source");
        let message = error.to_string();
        assert!(message.contains("missing") && message.contains("make it first"), "{place}: {message}");
        assert_eq!(
            io::Error::from(error).kind(),
            io::ErrorKind::NotFound,
            "{place}: as an error of the system"
        );
    }
}
