//! Leases: locks that are taken over for their age, by who asks for it and from who has agreed.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use pathlock::{AnyLockFile, FailureReason, LockError, Owner, Recovery, State};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use rustix::process::Signal;

mod common;

use common::{Child, Place, assert_free, hear, is_busy, lock_of, now, places, say, until};

const TERM: Duration = Duration::from_secs(2);
const LEASED: [&str; 4] = ["link", "symlink", "mkdir", "pid"];

#[test]
fn child() {
    common::play(&[("hold", common::hold), ("lease", lease)]);
}

/// Holds a lease of a second, and says when it is lost.
fn lease(args: &[&str]) {
    let lock = lock_of(args[0], args[1]).recovery(Recovery::ByAge(Duration::from_secs(1)));
    let guard = lock.on_lost(|| say("lost")).acquire().expect("it is free");
    say("held");
    hear();
    say(guard.is_valid());
    hear();
}

/// What a process in another container would have written: nothing tells from here whether it runs.
fn strangers_record(lease: Option<Duration>) -> String {
    let me = Owner::of_this_thread();
    let text = String::from_utf8(me.to_record()).expect("text");
    let namespace = format!("pidns={}", me.pid_namespace().expect("Linux"));
    let text = text.replace(&namespace, "pidns=1");
    let lease = lease.map(|lease| format!("pathlock=1\nlease={}", lease.as_millis()));
    text.replacen("pathlock=1", lease.as_deref().unwrap_or("pathlock=1"), 1)
}

/// Makes the stranger's lock.
fn leave(place: &Place, lease: Option<Duration>) {
    let (text, lock_file) = (strangers_record(lease), place.lock_file());
    match place.scheme {
        "symlink" => {
            let target = text.trim().replace('\n', ";");
            std::os::unix::fs::symlink(target, &lock_file).expect("it can be made");
        }
        "mkdir" => {
            fs::create_dir(&lock_file).expect("it can be made");
            fs::write(lock_file.join("elsewhere.-7f004711"), text).expect("it can be written");
        }
        _ => fs::write(&lock_file, text).expect("it can be written"),
    }
}

/// Sets the time of the lock so long ago, or so far ahead.
fn set_age(path: &Path, seconds: i64) {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    let then = Timespec { tv_sec: wall.as_secs().cast_signed() - seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: then, last_modification: then };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("it is ours");
}

fn modified(path: &Path) -> (i64, i64) {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    (metadata.mtime(), metadata.mtime_nsec())
}

fn by_age(place: &Place) -> AnyLockFile {
    place.lock().recovery(Recovery::ByAge(TERM))
}

#[test]
fn a_lease_that_has_run_out_is_taken_over_by_who_asks_for_it() {
    for place in places(&LEASED) {
        leave(&place, Some(TERM));
        set_age(&place.lock_file(), 3600);
        assert!(is_busy(&place.lock().try_acquire()), "{place}: nothing is proven");
        let guard = by_age(&place).try_acquire().expect("it has run out");
        let owner = place.lock().owner().expect("it can be looked at").expect("it is recorded");
        assert_eq!(
            (owner.pid(), owner.lease()),
            (std::process::id(), Some(TERM)),
            "{place}: ours, and a lease"
        );
        guard.release().expect("it is ours");
        assert_eq!(place.names(), [""; 0], "{place}: nothing is left");
    }
}

#[test]
fn a_lease_that_has_not_run_out_is_nobody_elses() {
    for place in places(&LEASED) {
        leave(&place, Some(TERM));
        // Touched a moment ago; and by a server whose clock has been set back since.
        for age in [0, -3600] {
            set_age(&place.lock_file(), age);
            assert!(is_busy(&by_age(&place).try_acquire()), "{place}, {age} s old");
        }
        assert_eq!(place.lock().status().expect("it can be looked at").state(), State::Unknown, "{place}");
    }
}

#[test]
fn the_longer_of_the_two_terms_counts() {
    for place in places(&LEASED) {
        leave(&place, Some(Duration::from_secs(7200)));
        set_age(&place.lock_file(), 3600);
        assert!(is_busy(&by_age(&place).try_acquire()), "{place}: the holder's is longer");
        let patient = place.lock().recovery(Recovery::ByAge(Duration::from_secs(36_000)));
        set_age(&place.lock_file(), 10_000);
        assert!(is_busy(&patient.try_acquire()), "{place}: the contender's is longer");
        drop(by_age(&place).try_acquire().expect("it is older than both"));
    }
}

#[test]
fn a_lock_that_is_no_lease_is_not_taken_for_its_age() {
    for place in places(&LEASED) {
        leave(&place, None);
        set_age(&place.lock_file(), 3_600_000);
        assert!(is_busy(&by_age(&place).try_acquire()), "{place}: nobody has agreed to that");
        common::remove(place.lock_file());
        if place.scheme == "link" {
            fs::write(place.lock_file(), "").expect("it can be written");
            set_age(&place.lock_file(), 3_600_000);
            assert!(is_busy(&by_age(&place).try_acquire()), "{place}: nor has pylockfile");
        }
    }
}

fn stopped_holder(place: &Place) -> Child {
    let mut child = Child::start("lease", place.args());
    assert_eq!(child.line(), "held", "{place}");
    child.signal(Signal::STOP);
    child
}

#[test]
fn a_process_that_runs_here_keeps_its_lock_whatever_its_age() {
    for place in places(&LEASED) {
        let child = stopped_holder(&place);
        set_age(&place.lock_file(), 3600);
        assert!(is_busy(&by_age(&place).try_acquire()), "{place}: it runs, and is stopped");
        child.kill();
        assert_free(&by_age(&place));
    }
}

#[test]
fn a_lease_is_touched_while_it_is_held_and_not_after_that() {
    for place in places(&LEASED) {
        let lock = place.lock().recovery(Recovery::ByAge(Duration::from_secs(1)));
        let guard = lock.acquire().expect("it is free");
        let first = guard.valid_until().expect("it is a lease");
        set_age(&place.lock_file(), 3600);
        let old = modified(&place.lock_file());
        until("it is touched", || modified(&place.lock_file()) != old);
        until("it is trusted for longer", || guard.valid_until() > Some(first));
        assert!(guard.is_valid(), "{place}");
        guard.release().expect("it is ours");
        assert_eq!(place.names(), [""; 0], "{place}");
    }
}

#[test]
fn whoever_loses_a_lease_is_told_once() {
    for place in places(&LEASED) {
        let told = Arc::new(AtomicU32::new(0));
        let lock = place.lock().recovery(Recovery::ByAge(Duration::from_secs(1))).on_lost({
            let told = Arc::clone(&told);
            move || {
                told.fetch_add(1, SeqCst);
            }
        });
        let guard = lock.acquire().expect("it is free");
        place.lock().break_lock().expect("it can be broken");
        until("the loss is told of", || told.load(SeqCst) > 0);
        assert!(!guard.is_valid(), "{place}");
        assert!(guard.release().is_err(), "{place}");
        assert_eq!(told.load(SeqCst), 1, "{place}: once");
        let released = lock.acquire().expect("it is free");
        released.release().expect("it is ours");
        assert_eq!(told.load(SeqCst), 1, "{place}: a release is no loss");
    }
}

#[test]
fn a_holder_that_was_stopped_for_longer_than_its_term_does_not_revive_its_lease() {
    for place in places(&LEASED) {
        let mut child = stopped_holder(&place);
        let (old, stopped) = (modified(&place.lock_file()), now());
        until("its term is over", || now() - stopped > Duration::from_millis(1_100));
        child.signal(Signal::CONT);
        assert_eq!(child.line(), "lost", "{place}: it is told");
        assert_eq!(modified(&place.lock_file()), old, "{place}: it has not touched the lock");
        child.tell("is it yours?");
        assert_eq!(child.line(), "false", "{place}: nor does it trust it");
        child.kill();
        assert_free(&by_age(&place));
    }
}

#[test]
fn a_waiter_takes_a_lease_when_it_runs_out() {
    for place in places(&["symlink"]) {
        leave(&place, Some(TERM));
        set_age(&place.lock_file(), 0);
        let began = Instant::now();
        let guard = by_age(&place).acquire_within(common::PATIENCE).expect("it runs out");
        assert!(began.elapsed() > TERM - Duration::from_secs(1), "{place}: not before its time");
        guard.release().expect("it is ours");
    }
}

#[test]
fn what_has_no_age_is_refused() {
    let refused = |lock: AnyLockFile, why: &str| match lock.try_acquire() {
        Err(LockError::LockFailed(failure)) => {
            assert_eq!(failure.reason(), FailureReason::Unsupported, "{why}")
        }
        other => panic!("{why}: {other:?}"),
    };
    for place in places(&["flock", "ofd"]) {
        refused(by_age(&place), "the kernel's locks");
    }
    let place = Place::new("mkdir");
    refused(by_age(&place).shared(), "readers");
    refused(place.lock().recovery(Recovery::ByAge(Duration::from_millis(10))), "a term too short for files");
    assert_eq!(place.names(), [""; 0], "nothing was made");
}
