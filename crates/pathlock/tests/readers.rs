//! Readers in a lock's directory: who they are, and that the last of them leaves nothing.
#![cfg(target_os = "linux")]

use std::fs;

use pathlock::{Owner, Recovery, State, Status};
use rustix::process::Signal;

mod common;

use common::{Child, Place, assert_free, is_busy, lock_of, places};

#[test]
fn child() {
    common::play(&[("hold", common::hold), ("read", read)]);
}

fn read(args: &[&str]) {
    let guard = lock_of(args[0], args[1]).shared().acquire().expect("it can be read");
    common::say("reads");
    common::hear();
    guard.release().expect("it was ours");
}

fn reader(place: &Place) -> Child {
    let mut reader = Child::start("read", place.args());
    assert_eq!(reader.line(), "reads", "{place}: a reader is let in");
    reader
}

fn pids(status: &Status) -> Vec<u32> {
    let mut pids: Vec<u32> = status.holders().map(Owner::pid).collect();
    pids.sort_unstable();
    pids
}

#[test]
fn the_status_names_all_readers_that_live() {
    for place in places(&["mkdir"]) {
        let (one, other, killed) = (reader(&place), reader(&place), reader(&place));
        killed.kill();
        let status = place.lock().status().expect("it can be looked at");
        let mut expected = [one.pid(), other.pid()];
        expected.sort_unstable();
        assert_eq!((status.state(), pids(&status)), (State::Held, expected.to_vec()), "{place}");
        assert!(status.owner().is_none(), "{place}: of many none is the owner");
        let refused = place.lock().try_acquire();
        assert!(is_busy(&refused), "{place}: {refused:?}");
        let said = refused.expect_err("it is busy").to_string();
        assert!(
            expected.iter().any(|pid| said.contains(&format!("pid {pid}"))),
            "{place}: it names one: {said}"
        );
        assert!(said.contains("and 1 more"), "{place}: and says that there are more: {said}");
        let found = pathlock::locks_below(place.directory()).expect("it can be listed").count();
        assert_eq!(found, 1, "{place}: a search finds it");
        one.end();
        other.end();
        assert_eq!(
            place.names(),
            [""; 0],
            "{place}: the last has removed the directory, with the dead one's file"
        );
    }
}

#[test]
fn readers_that_leave_at_once_leave_nothing() {
    for place in places(&["mkdir"]) {
        for _ in 0..100 {
            let guards: Vec<_> =
                (0..4).map(|_| place.lock().shared().try_acquire().expect("readers share")).collect();
            std::thread::scope(|scope| {
                for guard in guards {
                    scope.spawn(|| guard.release().expect("it is ours"));
                }
            });
            assert_eq!(place.names(), [""; 0], "{place}: one of them was the last");
        }
    }
}

#[test]
fn the_lock_of_a_killed_reader_is_stale_and_taken_over() {
    for place in places(&["mkdir"]) {
        reader(&place).kill();
        let status = place.lock().status().expect("it can be looked at");
        assert_eq!(status.state(), State::Stale, "{place}: {status:?}");
        let found = pathlock::locks_below(place.directory()).expect("it can be listed").count();
        assert_eq!(found, 1, "{place}: a search finds it");
        let never = place.lock().recovery(Recovery::Never).try_acquire();
        assert!(is_busy(&never), "{place}: it is not taken over against the order: {never:?}");
        let guard = place.lock().try_acquire().expect("the reader is dead");
        let entries = fs::read_dir(place.lock_file()).expect("it is a directory").count();
        assert_eq!(entries, 1, "{place}: the dead reader's file is gone");
        guard.release().expect("it is ours");
        assert_eq!(place.names(), [""; 0], "{place}");
    }
}

#[test]
fn a_reader_that_was_stopped_keeps_its_place() {
    for place in places(&["mkdir"]) {
        let reader = reader(&place);
        reader.signal(Signal::STOP);
        assert!(is_busy(&place.lock().try_acquire()), "{place}: it lives");
        place.lock().shared().try_acquire().expect("readers share").release().expect("it is ours");
        assert!(is_busy(&place.lock().try_acquire()), "{place}: it still lives");
        reader.signal(Signal::CONT);
        reader.end();
        assert_eq!(place.names(), [""; 0], "{place}");
    }
}

#[test]
fn a_break_removes_the_readers_that_were_seen_and_no_others() {
    for place in places(&["mkdir"]) {
        let seen_by = place.lock();
        let first = place.lock().shared().try_acquire().expect("it is free");
        let seen = seen_by.status().expect("it can be looked at");
        let second = place.lock().shared().try_acquire().expect("readers share");
        first.release().expect("it is ours");
        assert!(!seen_by.break_if(&seen).expect("it can be tried"), "{place}: it was another reader's lock");
        assert!(second.is_valid(), "{place}: it reads on");
        assert!(seen_by.break_lock().expect("it can be broken"), "{place}: a person's order");
        assert!(!second.is_valid(), "{place}: it is told");
        assert!(second.release().is_err(), "{place}: and told again");
        assert_free(&place.lock());
        assert_eq!(place.names(), [""; 0], "{place}");
    }
}

#[test]
fn a_filesystem_that_is_not_known_to_be_local_has_no_readers_of_directories() {
    let refused = lock_of("mkdir", "/dev/pts/job").shared().try_acquire();
    let error = refused.expect_err("its locks may not be the kernel's own");
    assert!(error.to_string().contains("local filesystems alone"), "it says why: {error}");
}

#[test]
fn what_a_user_has_put_beside_the_readers_stays() {
    for place in places(&["mkdir"]) {
        let guard = place.lock().shared().try_acquire().expect("it is free");
        let notes = place.lock_file().join("notes.shared");
        fs::write(&notes, "mine").expect("it can be written");
        guard.release().expect("it is ours");
        let kept = place.names();
        assert_eq!(kept.len(), 1, "{place}: the directory is kept under another name: {kept:?}");
        let text = fs::read_to_string(place.join(&kept[0]).join("notes.shared")).expect("it is there");
        assert_eq!(text, "mine", "{place}: nothing that is not ours is removed");
        assert_free(&place.lock());
    }
}
