//! A reader that becomes the writer, and a writer that becomes a reader, with nobody in between.
#![cfg(target_os = "linux")]

use std::fs;

use pathlock::{FailureReason, LockError, Mode, Ownership, Reentry, State};

mod common;

use common::{Child, Place, assert_free, hear, is_busy, lock_of, places, queued, say, until};

#[test]
fn child() {
    common::play(&[("hold", common::hold), ("convert", convert), ("write", write)]);
}

/// Acquires as a reader, becomes the writer, and stays so.
fn convert(args: &[&str]) {
    let mut guard = lock_of(args[0], args[1]).shared().acquire().expect("it can be read");
    guard.try_upgrade().expect("nobody else reads");
    say("writes");
    hear();
}

/// Writes `w` into the file beside the lock, once it may.
fn write(args: &[&str]) {
    say("comes");
    let _guard = lock_of(args[0], args[1]).acquire().expect("it comes free");
    fs::write(format!("{}.data", args[1]), "w").expect("it can be written");
    say("wrote");
}

#[test]
fn the_only_reader_becomes_the_writer_and_a_reader_again() {
    for place in places(&["ofd"]) {
        let mut guard = place.lock().shared().acquire().expect("it is free");
        guard.try_upgrade().expect("nobody else reads");
        assert_eq!(guard.mode(), Mode::Exclusive, "{place}");
        assert!(is_busy(&place.lock().shared().try_acquire()), "{place}: it is alone");
        let owner = place.lock().owner().expect("it can be looked at").expect("a writer is recorded");
        assert_eq!(owner.pid(), std::process::id(), "{place}");
        guard.downgrade().expect("a writer can always become a reader");
        assert_eq!(guard.mode(), Mode::Shared, "{place}");
        let text = fs::read(place.lock_file()).expect("it is there");
        assert_eq!(pathlock::Owner::from_record(&text), None, "{place}: a reader has no record");
        let other = place.lock().shared().try_acquire().expect("readers share");
        assert!(is_busy(&place.lock().try_acquire()), "{place}: readers are there");
        other.release().expect("it is ours");
        guard.downgrade().expect("it is a reader already");
        guard.release().expect("it is ours");
        assert_free(&place.lock());
    }
}

#[test]
fn a_reader_among_readers_stays_one() {
    for place in places(&["ofd"]) {
        let other = place.lock().shared().acquire().expect("it is free");
        let mut guard = place.lock().shared().try_acquire().expect("readers share");
        let refused = guard.try_upgrade();
        assert!(matches!(refused, Err(LockError::AlreadyLocked(_))), "{place}: {refused:?}");
        assert!(guard.is_valid() && guard.mode() == Mode::Shared, "{place}: it still reads");
        other.release().expect("it is ours");
        guard.try_upgrade().expect("the other has left");
        guard.release().expect("it is ours");
        assert_free(&place.lock());
    }
}

#[test]
fn no_writer_comes_between_the_reading_and_the_writing() {
    for place in places(&["ofd"]) {
        let data = format!("{}.data", place.path().display());
        fs::write(&data, "").expect("it can be written");
        let mut guard = place.lock().shared().acquire().expect("it is free");
        let mut writer = Child::start("write", place.args());
        assert_eq!(writer.line(), "comes");
        until("the writer waits", || queued(&place.lock_file()) > 0);
        for turn in 0..500 {
            guard.try_upgrade().expect("one that waits does not hold");
            guard.downgrade().expect("a writer can always become a reader");
            let seen = fs::read(&data).expect("it is there");
            assert!(seen.is_empty(), "{place}: a writer was there before turn {turn}");
        }
        guard.release().expect("it is ours");
        assert_eq!(writer.line(), "wrote", "{place}: its turn comes after all");
        writer.end();
    }
}

#[test]
fn a_writer_that_becomes_a_reader_lets_readers_in_that_wait() {
    for place in places(&["ofd"]) {
        let mut guard = place.lock().acquire().expect("it is free");
        let waiting = place.lock().shared();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| waiting.acquire().expect("readers share").release());
            until("the reader waits", || queued(&place.lock_file()) > 0);
            guard.downgrade().expect("a writer can always become a reader");
            reader.join().expect("it reads").expect("it is its own");
        });
        guard.release().expect("it is ours");
    }
}

#[test]
fn the_lock_of_a_killed_one_is_taken_over() {
    for place in places(&["ofd"]) {
        let mut child = Child::start("convert", place.args());
        assert_eq!(child.line(), "writes", "{place}");
        assert_eq!(place.lock().status().expect("it can be looked at").state(), State::Held, "{place}");
        child.kill();
        assert_free(&place.lock());
    }
}

#[test]
fn where_it_takes_two_steps_it_is_refused_with_the_reason() {
    for place in places(&["flock", "link", "symlink", "mkdir", "pid"]) {
        let reads = place.scheme == "flock";
        let lock = if reads { place.lock().shared() } else { place.lock() };
        let mut guard = lock.acquire().expect("it is free");
        let refused = if reads { guard.try_upgrade() } else { guard.downgrade() };
        match refused {
            Err(LockError::LockFailed(ref failure)) => {
                assert_eq!(failure.reason(), FailureReason::Unsupported, "{place}");
                let text = refused.as_ref().expect_err("it is one").to_string();
                assert!(text.contains("in between") && text.contains("ofd"), "{place}: it says why: {text}");
            }
            other => panic!("{place}: {other:?}"),
        }
        assert!(guard.is_valid(), "{place}: it holds what it held");
        guard.release().expect("it is ours");
        assert_free(&place.lock());
    }
}

#[test]
fn guards_of_one_lock_that_was_entered_twice_have_one_mode() {
    let place = Place::new("ofd");
    let lock = place.lock().shared().ownership(Ownership::Process).reentry(Reentry::Count);
    let mut outer = lock.acquire().expect("it is free");
    let inner = lock.acquire().expect("it enters again");
    let refused = outer.try_upgrade();
    assert!(matches!(refused, Err(LockError::LockFailed(_))), "the other guard reads: {refused:?}");
    inner.release().expect("one of two");
    outer.try_upgrade().expect("it is the only one");
    outer.release().expect("it is ours");
    assert_free(&place.lock());
}

#[test]
fn a_lock_that_was_broken_is_not_converted() {
    let place = Place::new("ofd");
    let mut guard = place.lock().shared().acquire().expect("it is free");
    common::remove(place.lock_file());
    let refused = guard.try_upgrade();
    assert!(matches!(refused, Err(LockError::LockFailed(_))), "it is not ours: {refused:?}");
    assert_eq!(guard.mode(), Mode::Shared, "it is what it was");
}
