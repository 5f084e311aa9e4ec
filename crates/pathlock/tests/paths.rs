//! Paths: any that a file can have, and an error that says what is wrong with those that none can have.
#![cfg(unix)]

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pathlock::{AnyLockFile, FailureReason, LockError, LockFile, SCHEME_NAMES};
use proptest::prelude::*;

mod common;
use common::{Child, Place, everywhere, is_busy, lock_of, say};

/// Long enough that a failure which comes before it was no timeout.
const LONG: Duration = Duration::from_secs(600);

#[test]
fn child() {
    common::play(&[("hold", common::hold), ("move about", move_about), ("start elsewhere", start_elsewhere)]);
}

fn failure(result: Result<pathlock::Guard, LockError>) -> (FailureReason, String) {
    match result {
        Err(LockError::LockFailed(failure)) => (failure.reason(), LockError::LockFailed(failure).to_string()),
        other => panic!("it can't be locked: {other:?}"),
    }
}

/// What of another path can be told of its lock's.
fn same_lock(scheme: &str, one: &Path, other: &Path) {
    let guard = lock_of(scheme, one).acquire().unwrap_or_else(|error| panic!("{}: {error}", one.display()));
    let tried = lock_of(scheme, other).try_acquire();
    assert!(is_busy(&tried), "{scheme}: {} and {} are one lock", one.display(), other.display());
    guard.release().expect("it is ours");
}

#[test]
fn two_spellings_of_a_path_are_one_lock() {
    for place in everywhere() {
        fs::create_dir(place.join("sub")).expect("it can be made");
        std::os::unix::fs::symlink("sub", place.join("link")).expect("it can be made");
        let plain = place.join("sub/res");
        for other in ["sub/./res", "sub//res", "./sub/res", "sub/../sub/res", "link/res"] {
            same_lock(place.scheme, &plain, &place.join(other));
            same_lock(place.scheme, &place.join(other), &plain);
        }
    }
}

#[test]
fn a_slash_at_the_end_of_a_path_changes_nothing() {
    for place in everywhere() {
        if place.scheme == "pid" {
            continue;
        }
        fs::create_dir(place.join("data")).expect("it can be made");
        let lock = lock_of(place.scheme, place.join("data/"));
        assert_eq!(lock.lock_file(), place.join("data.lock"), "{place}: beside the directory, not in it");
        same_lock(place.scheme, &place.join("data"), &place.join("data/"));
        same_lock(place.scheme, &place.join("data///"), &place.join("data"));
    }
}

/// The role `move about`: arguments scheme, directory. Acquires by a relative path, goes elsewhere, and releases.
fn move_about(args: &[&str]) {
    env::set_current_dir(args[1]).expect("it can be entered");
    let lock = lock_of(args[0], "res");
    let guard = lock.acquire().expect("it is free");
    env::set_current_dir("/").expect("everybody may");
    assert!(guard.is_valid() && lock.i_am_locking(), "it is held, wherever one goes");
    assert!(lock.is_locked().expect("it can be looked at"), "and is found again");
    say(lock.lock_file().display());
    common::hear();
    guard.release().expect("it is ours");
    assert!(!lock.is_locked().expect("it can be looked at"), "it is gone");
}

#[test]
fn p12_a_relative_path_stays_what_it_was_when_the_process_changes_its_directory() {
    for place in everywhere() {
        let directory = place.directory().canonicalize().expect("it is there");
        let args = [place.scheme.to_owned(), directory.to_str().expect("a plain path").to_owned()];
        let mut child = Child::start("move about", args);
        assert_eq!(
            Path::new(&child.line()),
            directory.join(place.lock_file().file_name().expect("it has one"))
        );
        assert!(is_busy(&place.lock().try_acquire()), "{place}: it is the same lock for everybody");
        child.end();
        let kernel = matches!(place.scheme, "flock" | "ofd");
        assert!(kernel || place.names().is_empty(), "{place}: no orphan is left: {:?}", place.names());
    }
}

/// The role `start elsewhere`: in a directory that is gone, a relative path names nothing.
fn start_elsewhere(args: &[&str]) {
    env::set_current_dir(args[1]).expect("it can be entered");
    common::remove(args[1]);
    for scheme in SCHEME_NAMES {
        let (reason, message) = failure(lock_of(scheme, "res").acquire_within(LONG));
        assert!(matches!(reason, FailureReason::BadPath | FailureReason::Os), "{scheme}: {message}");
    }
    say("content");
}

#[test]
fn from_a_directory_that_is_gone_a_relative_path_is_an_error() {
    let place = Place::new("link");
    let gone = place.join("gone");
    fs::create_dir(&gone).expect("it can be made");
    let mut child =
        Child::start("start elsewhere", ["".to_owned(), gone.to_str().expect("plain").to_owned()]);
    assert_eq!(child.next_line().as_deref(), Some("content"), "see what the child says");
    child.end();
}

#[test]
fn a_name_can_be_as_long_as_the_filesystem_allows() {
    for place in everywhere() {
        let suffix = if place.scheme == "pid" { 0 } else { ".lock".len() };
        let longest = "x".repeat(255 - suffix);
        let lock = lock_of(place.scheme, place.join(&longest));
        lock.acquire().expect("255 bytes are a name").release().expect("it is ours");

        let (reason, message) =
            failure(lock_of(place.scheme, place.join(longest + "x")).acquire_within(LONG));
        assert_eq!(reason, FailureReason::Os, "{place}: the system refuses: {message}");
        assert!(message.contains("too long"), "{place}: and it says why: {message}");
    }
}

#[test]
fn a_path_that_names_no_file_is_an_error_that_says_so() {
    for place in everywhere() {
        for path in ["", "/"] {
            let lock = lock_of(place.scheme, path);
            if path == "/" && place.scheme != "pid" {
                // `/.lock` would be one, and is no business of ours.
                assert!(lock.lock_file().is_absolute(), "{place}: {lock:?}");
                continue;
            }
            let (reason, message) = failure(lock.acquire_within(LONG));
            assert_eq!(reason, FailureReason::BadPath, "{place}, {path:?}: {message}");
            assert!(lock.status().is_err() && lock.break_lock().is_err(), "{place}, {path:?}: there is none");
            assert!(!lock.i_am_locking(), "{place}, {path:?}: nobody holds it");
        }
        let (reason, message) = failure(lock_of(place.scheme, place.join("a\0b")).acquire_within(LONG));
        assert!(
            matches!(reason, FailureReason::BadPath | FailureReason::Os),
            "{place}: no name has a NUL: {message}"
        );
    }
}

#[test]
fn a_directory_that_is_missing_or_a_file_is_an_error_that_says_so() {
    for place in everywhere() {
        fs::write(place.join("file"), "").expect("it can be written");
        for (directory, advice) in [("missing", "make it first"), ("file", "must be a directory")] {
            let lock = lock_of(place.scheme, place.join(directory).join("res"));
            let (reason, message) = failure(lock.acquire_within(LONG));
            assert_eq!(reason, FailureReason::Os, "{place}: {message}");
            assert!(message.contains(advice) && message.contains(directory), "{place}: {message}");
            assert!(lock.status().is_err(), "{place}: nothing is to be seen there");
        }
    }
}

#[test]
fn a_lock_file_can_be_named_itself() {
    for scheme in SCHEME_NAMES {
        let place = Place::new(scheme);
        let file = place.join("lock");
        let lock = AnyLockFile::at_with_scheme(&file, pathlock::scheme_named(scheme).expect("it is one"));
        assert_eq!((lock.path(), lock.lock_file()), (&*file, &*file), "{place}: it is taken as it is");
        let guard = lock.acquire().expect("it is free");
        assert!(fs::symlink_metadata(&file).is_ok(), "{place}: that file it is");
        guard.release().expect("it is ours");
    }
    assert_eq!(
        LockFile::at("/run/lock/job").lock_file(),
        Path::new("/run/lock/job"),
        "of a scheme that is a type too"
    );
}

#[test]
fn a_name_with_a_scheme_in_front_opens_that_scheme() {
    let opened = |name: &OsStr| {
        let lock = AnyLockFile::open(name);
        (lock.scheme().name().to_owned(), lock.path().to_owned())
    };
    for scheme in SCHEME_NAMES {
        let place = Place::new(scheme);
        let mut name = OsString::from(format!("{scheme}:"));
        name.push(place.path());
        assert_eq!(opened(&name), ((*scheme).to_owned(), place.path()), "{scheme}");
        let guard = AnyLockFile::open(&name).acquire().expect("it is free");
        assert_eq!(guard.scheme_name(), *scheme, "the guard says so too");
        assert!(is_busy(&place.lock().try_acquire()), "{scheme}: it is that very lock");
        guard.release().expect("it is ours");
    }
    let here = env::current_dir().expect("there is one");
    let of = |scheme: &str, path: PathBuf| (scheme.to_owned(), path);
    for (name, expected) in [
        ("/srv/job", of("link", "/srv/job".into())),
        ("job", of("link", here.join("job"))),
        ("mkdir:job", of("mkdir", here.join("job"))),
        ("/srv/12:30", of("link", "/srv/12:30".into())),
        ("telepathy:/srv/job", of("link", here.join("telepathy:/srv/job"))),
        ("MKDIR:/srv/job", of("link", here.join("MKDIR:/srv/job"))),
        (":/srv/job", of("link", here.join(":/srv/job"))),
        ("flock:ofd:/srv/job", of("flock", here.join("ofd:/srv/job"))),
        ("./mkdir:/srv/job", of("link", here.join("mkdir:/srv/job"))),
    ] {
        assert_eq!(opened(OsStr::new(name)), expected, "{name}");
    }
    assert_eq!(
        opened(OsStr::from_bytes(b"mkdir:/srv/\xff")),
        of("mkdir", OsStr::from_bytes(b"/srv/\xff").into()),
        "what is no Unicode"
    );
    let (reason, message) = failure(AnyLockFile::open("flock:").acquire_within(LONG));
    assert_eq!(reason, FailureReason::BadPath, "a scheme alone names nothing: {message}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_name_that_a_file_can_have_can_be_locked(
        bytes in proptest::collection::vec(1_u8..=255, 1..=250),
        scheme in proptest::sample::select(SCHEME_NAMES),
    ) {
        let name: Vec<u8> = bytes.into_iter().map(|byte| if byte == b'/' { b'_' } else { byte }).collect();
        prop_assume!(name != b"." && name != b"..");
        let place = Place::new(scheme);
        let path = place.join(OsStr::from_bytes(&name));
        let lock = lock_of(scheme, &path);
        prop_assert_eq!(lock.path(), &*path);
        let guard = lock.acquire_within(LONG).expect("it is free");
        prop_assert!(guard.is_valid() && lock.i_am_locking());
        let again = lock.try_acquire();
        prop_assert!(is_busy(&again));
        let message = again.expect_err("it is held").to_string();
        prop_assert!(!message.contains(char::is_control), "{:?}", message);
        guard.release().expect("it is ours");
        prop_assert!(!lock.is_locked().expect("it can be looked at"));
    }

    #[test]
    fn a_way_there_and_back_leads_to_the_same_lock(
        steps in proptest::collection::vec("sub/\\.\\./|\\./|/|other/\\.\\./sub/\\.\\./", 0..6),
        scheme in proptest::sample::select(SCHEME_NAMES),
    ) {
        let place = Place::new(scheme);
        for name in ["sub", "other"] {
            fs::create_dir(place.join(name)).expect("it can be made");
        }
        let mut spelled = place.directory().as_os_str().to_owned();
        spelled.push("/");
        steps.iter().for_each(|step| spelled.push(step));
        spelled.push("res");
        same_lock(scheme, &place.path(), Path::new(&spelled));
    }

    #[test]
    fn what_is_opened_by_name_never_panics(name in any::<String>()) {
        let lock = AnyLockFile::open(&name);
        prop_assert!(SCHEME_NAMES.contains(&lock.scheme().name()));
        prop_assert!(lock.path().is_absolute() || lock.path().as_os_str().is_empty());
    }
}
