//! What is in the file that flock and ofd lock: the record while it is held, and whatever its users put there, which stays.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;

use pathlock::State;

mod common;
use common::{is_busy, places, remove};

#[test]
fn an_empty_file_that_is_locked_with_flock_is_empty_again_and_one_that_was_made_names_no_pid() {
    for place in places(&["flock", "ofd"]) {
        fs::write(place.lock_file(), "").expect("it can be made");
        let guard = place.lock().acquire().expect("it is free");
        assert_ne!(fs::read(place.lock_file()).expect("it is there"), b"", "{place}: it says who holds it");
        guard.release().expect("it is ours");
        assert_eq!(fs::read(place.lock_file()).expect("it is there"), b"", "{place}: as it was");
        remove(place.lock_file());

        for turn in 0..3 {
            place.lock().acquire().expect("it is free").release().expect("it is ours");
            let text = fs::read_to_string(place.lock_file()).expect("it stays");
            let numbers = text.split_whitespace().filter(|word| word.parse::<i64>().is_ok()).count();
            assert_eq!(
                (numbers, pathlock::Owner::from_record(text.as_bytes())),
                (0, None),
                "{place}: {turn}"
            );
            let status = place.lock().status().expect("it can be looked at");
            assert_eq!((status.state(), status.owner()), (State::Free, None), "{place}: {turn}");
        }
        let found = pathlock::locks_below(place.directory()).expect("it can be listed");
        let schemes: Vec<_> = found
            .filter(|lock| lock.lock_file() == place.lock_file())
            .map(|lock| lock.scheme().name().to_owned())
            .collect();
        assert_eq!(schemes, [place.scheme], "{place}: the mark says whose it is");
        // A name that is a lock to another scheme is not taken for one that was left to it.
        let other = common::lock_of("link", place.path());
        assert!(is_busy(&other.try_acquire()), "{place}: it is not free for scheme link");
    }
}

#[test]
fn what_is_written_into_a_lock_file_while_it_is_held_stays() {
    for place in places(&["flock", "ofd"]) {
        for before in [None, Some("")] {
            let scheme = pathlock::scheme_named(place.scheme).expect("it is one");
            let file = place.join(format!("results-{before:?}"));
            before.into_iter().for_each(|text| fs::write(&file, text).expect("it can be written"));
            let guard = pathlock::AnyLockFile::at_with_scheme(&file, scheme).acquire().expect("it is free");
            fs::write(&file, "a,1\n").expect("its user goes on using it");
            guard.release().expect("it is ours");
            assert_eq!(fs::read_to_string(&file).expect("it is there"), "a,1\n", "{place}: {before:?}");
        }
    }
}

#[test]
fn what_is_appended_to_a_file_that_the_caller_has_named_stays_as_it_is() {
    for place in places(&["flock", "ofd"]) {
        let scheme = pathlock::scheme_named(place.scheme).expect("it is one");
        let lock = pathlock::AnyLockFile::at_with_scheme(place.join("results"), scheme);
        fs::write(lock.lock_file(), "").expect("it can be made");
        for turn in 1..=2 {
            let guard = lock.acquire().expect("it is free");
            let mut file = fs::OpenOptions::new().append(true).open(lock.lock_file()).expect("it is there");
            writeln!(file, "a,1").expect("it can be written");
            guard.release().expect("it is ours");
            let text = fs::read_to_string(lock.lock_file()).expect("it is there");
            assert_eq!(text, "a,1\n".repeat(turn), "{place}: nothing of ours was ever in it");
        }
    }
}

#[test]
fn what_is_appended_to_a_lock_file_stays() {
    for place in places(&["flock", "ofd"]) {
        for before in [None, Some("")] {
            before.into_iter().for_each(|text| fs::write(place.lock_file(), text).expect("it can be made"));
            let guard = place.lock().acquire().expect("it is free");
            let mut file = fs::OpenOptions::new().append(true).open(place.lock_file()).expect("it is there");
            writeln!(file, "a,1").expect("it can be written");
            guard.release().expect("it is ours");
            let text = fs::read_to_string(place.lock_file()).expect("it is there");
            assert!(text.ends_with("a,1\n"), "{place}, {before:?}: {text}");
            remove(place.lock_file());
        }
    }
}

#[test]
fn a_number_that_is_written_into_a_lock_file_is_nobodys_record() {
    for place in places(&["flock", "ofd"]) {
        let guard = place.lock().acquire().expect("it is free");
        fs::write(place.lock_file(), "1\n").expect("it can be written");
        assert!(guard.is_valid(), "{place}: the kernel's lock is ours");
        guard.release().expect("it is ours");
    }
}
