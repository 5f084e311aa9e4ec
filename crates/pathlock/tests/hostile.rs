//! What is in the lock file's place is not what it should be, or changes under its holder: an answer comes at once,
//! and nothing that is not ours is followed, written, emptied or removed.
#![cfg(target_os = "linux")]

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use pathlock::{FailureReason, LockError, State, UnlockError};
use rustix::fs::{CWD, FileType, Mode};
use rustix::thread::{Gid, Uid};

mod common;
use common::{Child, Place, everywhere, is_busy, lock_of, places, remove, say, within};

const SHORT: Duration = Duration::from_millis(20);
const PRECIOUS: &str = "precious\n";

#[test]
fn child() {
    common::play(&[("hold", common::hold), ("be nobody", be_nobody)]);
}

/// What a hostile or clumsy neighbour puts in the lock file's place, and what of it may be told apart from before.
struct Trap {
    name: &'static str,
    set: fn(&Path, &Path),
    /// The schemes for which it may be a lock that another program has made, so that a person may break it.
    breakable: &'static [&'static str],
}

const TRAPS: &[Trap] = &[
    Trap {
        name: "a link to a file",
        set: |at, victim| symlink(victim, at).expect("made"),
        breakable: &["symlink"],
    },
    Trap {
        name: "a link to a directory",
        set: |at, victim| symlink(victim.parent().expect("it has one"), at).expect("made"),
        breakable: &["symlink"],
    },
    Trap {
        name: "a dangling link",
        set: |at, victim| symlink(victim.with_extension("gone"), at).expect("made"),
        breakable: &["symlink"],
    },
    Trap { name: "a loop", set: |at, _| symlink(at, at).expect("made"), breakable: &["symlink"] },
    Trap {
        name: "a pipe",
        set: |at, _| rustix::fs::mkfifoat(CWD, at, Mode::from_raw_mode(0o666)).expect("made"),
        breakable: &[],
    },
    Trap { name: "a socket", set: |at, _| drop(UnixListener::bind(at).expect("made")), breakable: &[] },
    Trap {
        name: "an empty directory",
        set: |at, _| fs::create_dir(at).expect("made"),
        breakable: &["mkdir"],
    },
    Trap { name: "a directory with a user's files", set: directory_of_a_user, breakable: &[] },
    Trap {
        name: "a sparse file of a gibibyte",
        set: |at, _| File::create(at).and_then(|file| file.set_len(1 << 30)).expect("made"),
        breakable: &[],
    },
    Trap {
        name: "binary garbage",
        set: |at, _| fs::write(at, [0xff, 0, b'\n', 0x80, b'=', 0xfe].repeat(5_000)).expect("made"),
        breakable: &[],
    },
    Trap { name: "a user's text", set: |at, _| fs::write(at, PRECIOUS).expect("made"), breakable: &[] },
    Trap {
        name: "a hard link to a file",
        set: |at, victim| fs::hard_link(victim, at).expect("made"),
        breakable: &[],
    },
];

fn directory_of_a_user(at: &Path, _: &Path) {
    fs::create_dir(at).expect("made");
    fs::write(at.join("thesis.tex"), PRECIOUS).expect("made");
    fs::write(at.join("notes"), "").expect("made");
}

/// All that must stay as it is of what is at `path`.
fn picture(path: &Path) -> (u64, u32, u64, Vec<u8>) {
    let metadata = fs::symlink_metadata(path).expect("it is still there");
    let content = match metadata.file_type() {
        kind if kind.is_file() => {
            let mut bytes = Vec::new();
            File::open(path).and_then(|file| file.take(100_000).read_to_end(&mut bytes)).map(|_| bytes)
        }
        kind if kind.is_dir() => fs::read_dir(path).map(|entries| {
            let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
            names.sort();
            names.iter().flat_map(|name| name.as_encoded_bytes().to_owned()).collect()
        }),
        kind if kind.is_symlink() => fs::read_link(path).map(|to| to.into_os_string().into_encoded_bytes()),
        _ => Ok(Vec::new()),
    };
    let size = if metadata.is_file() { metadata.len() } else { 0 };
    (metadata.ino(), metadata.mode(), size, content.unwrap_or_default())
}

/// Asks the lock everything that there is to ask.
fn ask(scheme: &'static str, path: &Path) {
    let lock = lock_of(scheme, path);
    let _ = (lock.status(), lock.is_locked(), lock.owner());
    for timeout in [Duration::ZERO, SHORT] {
        if let Ok(guard) = lock.acquire_within(timeout) {
            guard.release().expect("what was acquired can be released");
        }
    }
}

#[test]
fn whatever_is_in_the_locks_place_is_answered_and_left_as_it_is() {
    for trap in TRAPS {
        for place in everywhere() {
            let what = format!("{place}: {}", trap.name);
            let (at, path, scheme) = (place.lock_file(), place.path(), place.scheme);
            let victim = place.join("victim");
            fs::write(&victim, PRECIOUS).expect("it can be written");
            (trap.set)(&at, &victim);
            let (before, victim_before) = (picture(&at), picture(&victim));

            within(&what, move || ask(scheme, &path));
            assert_eq!(picture(&at), before, "{what}: it was only looked at");

            let path = place.path();
            let broken = within(&what, move || lock_of(scheme, path).break_lock());
            match broken {
                Ok(true) => {
                    assert!(trap.breakable.contains(&scheme), "{what}: it is no lock, and was removed")
                }
                _ => assert_eq!(picture(&at), before, "{what}: it was not broken: {broken:?}"),
            }
            assert_eq!(picture(&victim), victim_before, "{what}: the victim is untouched");
        }
    }
}

#[test]
fn what_can_be_no_lock_is_an_error_of_its_own_and_no_contention() {
    for place in places(&["link", "mkdir", "pid", "flock", "ofd"]) {
        rustix::fs::mkfifoat(CWD, place.lock_file(), Mode::from_raw_mode(0o666)).expect("it can be made");
        let result = place.lock().acquire_within(Duration::from_secs(600));
        let Err(LockError::LockFailed(failure)) = &result else { panic!("{place}: {result:?}") };
        assert_eq!(failure.reason(), FailureReason::NotALockFile, "{place}: {failure:?}");
        let kind = fs::symlink_metadata(place.lock_file()).expect("it is there").file_type();
        assert!(kind.is_fifo(), "{place}: and it stays");
    }
}

#[test]
fn a_device_in_the_locks_place_is_not_opened() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can make a device: not tested");
        return;
    }
    for place in everywhere() {
        // A terminal that is opened can become one's own; the null device does no harm should this fail.
        let null = rustix::fs::makedev(1, 3);
        let made = rustix::fs::mknodat(CWD, place.lock_file(), FileType::CharacterDevice, Mode::RWXU, null);
        if made.is_err() {
            println!("{place}: no device can be made here: not tested");
            continue;
        }
        let before = picture(&place.lock_file());
        let (path, scheme) = (place.path(), place.scheme);
        within("a device", move || {
            ask(scheme, &path);
            let lock = lock_of(scheme, &path);
            assert!(lock.try_acquire().is_err(), "scheme {scheme}: a device is no lock");
            assert!(!lock.break_lock().unwrap_or(false), "scheme {scheme}: and is not removed");
        });
        assert_eq!(picture(&place.lock_file()), before, "{place}: it is there");
    }
}

/// A lock that is held, and what somebody then does to its lock file.
fn meddle(place: &Place, meddle: impl FnOnce(&Path)) -> (bool, Result<(), UnlockError>) {
    let guard = place.lock().acquire().expect("it is free");
    assert!(guard.is_valid(), "{place}: nobody has meddled yet");
    meddle(&place.lock_file());
    (guard.is_valid(), guard.release())
}

#[test]
fn when_the_lock_file_is_removed_its_holder_learns_of_it_and_removes_nothing() {
    for place in everywhere() {
        let (valid, released) = meddle(&place, |file| remove(file));
        assert!(!valid, "{place}: it is no longer held");
        assert!(matches!(released, Err(UnlockError::NotLocked(_))), "{place}: {released:?}");
        assert!(place.names().is_empty(), "{place}: nothing was made anew: {:?}", place.names());
        drop(place.lock().try_acquire().expect("it is free"));
    }
}

#[test]
fn when_the_lock_file_is_replaced_its_holder_learns_of_it_and_leaves_the_other() {
    for place in everywhere() {
        for directory in [false, true] {
            let (valid, released) = meddle(&place, |file| {
                remove(file);
                if directory {
                    fs::create_dir(file).expect("it can be made");
                    fs::write(file.join("notes"), PRECIOUS).expect("it can be written");
                } else {
                    fs::write(file, PRECIOUS).expect("it can be written");
                }
            });
            assert!(!valid, "{place}: it is no longer held");
            assert!(matches!(released, Err(UnlockError::NotMyLock(_))), "{place}: {released:?}");
            let file = place.lock_file();
            let left = if directory { file.join("notes") } else { file.clone() };
            assert_eq!(fs::read_to_string(left).expect("it is there"), PRECIOUS, "{place}: untouched");
            remove(file);
        }
    }
}

#[test]
fn when_the_lock_file_is_renamed_its_holder_learns_of_it_and_leaves_it_there() {
    for place in everywhere() {
        let (valid, released) =
            meddle(&place, |file| fs::rename(file, file.with_extension("moved")).expect("it can be renamed"));
        assert!(!valid, "{place}: it is no longer held");
        assert!(matches!(released, Err(UnlockError::NotLocked(_))), "{place}: {released:?}");
        assert_eq!(place.names().len(), 1, "{place}: what was moved stays: {:?}", place.names());
        drop(place.lock().try_acquire().expect("it is free"));
    }
}

#[test]
fn when_the_whole_directory_is_moved_away_its_holder_learns_of_it() {
    for place in everywhere() {
        let (here, there) = (place.join("here"), place.join("there"));
        fs::create_dir(&here).expect("it can be made");
        let guard = lock_of(place.scheme, here.join("res")).acquire().expect("it is free");
        fs::rename(&here, &there).expect("it can be renamed");
        assert!(!guard.is_valid(), "{place}: what its path names is not held");
        let released = guard.release();
        assert!(released.is_err(), "{place}: and can't be released: {released:?}");
    }
}

#[test]
fn who_waits_for_a_lock_file_that_is_removed_under_its_holder_gets_the_new_one() {
    let waits = everywhere().into_iter().map(|place| {
        let holder = place.holder();
        let (waiting, is_waiting) = std::sync::mpsc::channel();
        let lock = place.lock().on_wait(move |_| {
            let _ = waiting.send(());
        });
        let waiter =
            std::thread::spawn(move || lock.acquire_within(common::PATIENCE).map(|guard| guard.is_valid()));
        is_waiting.recv().expect("it waits");
        remove(place.lock_file());
        (place, holder, waiter)
    });
    for (place, holder, waiter) in waits.collect::<Vec<_>>() {
        let valid = waiter.join().expect("no panic").expect("the safety re-check sees that the name is free");
        assert!(valid, "{place}: it holds what the path names");
        holder.kill();
    }
}

#[test]
fn a_users_file_can_be_locked_with_flock_and_keeps_its_content() {
    for place in places(&["flock", "ofd"]) {
        let file = place.join("data.csv");
        fs::write(&file, "a,1\nb,2\n").expect("it can be written");
        let scheme = || pathlock::scheme_named(place.scheme).expect("it is one");
        let lock = || pathlock::AnyLockFile::at_with_scheme(&file, scheme());
        let guard = lock().acquire().expect("it is free");
        let status = lock().status().expect("it can be looked at");
        assert_eq!(
            (status.state(), status.owner()),
            (State::Held, None),
            "{place}: held, and it says no more"
        );
        assert!(is_busy(&lock().try_acquire()), "{place}: it is held");
        let mut append = File::options().append(true).open(&file).expect("its user goes on using it");
        writeln!(append, "c,3").expect("it can be written");
        assert!(guard.is_valid(), "{place}: a user's writing breaks nothing");
        guard.release().expect("it is ours");
        assert_eq!(
            fs::read_to_string(&file).expect("it is there"),
            "a,1\nb,2\nc,3\n",
            "{place}: not a byte of ours"
        );
        assert!(!lock().is_locked().expect("it can be looked at"), "{place}: released");
    }
}

/// The role `be nobody`: arguments scheme, path. Gives up being root, tries everything, and says what came of it.
fn be_nobody(args: &[&str]) {
    // Of this thread alone, and of those that it starts: it is the one that locks.
    let (uid, gid) = (Uid::from_raw(65_534), Gid::from_raw(65_534));
    if rustix::process::geteuid().is_root() {
        rustix::thread::set_thread_res_gid(gid, gid, gid).expect("root may");
        rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may");
    }
    let lock = lock_of(args[0], args[1]);
    let _ = (lock.status(), lock.owner());
    say(match lock.acquire_within(SHORT) {
        Ok(guard) => guard.release().map_or("lost", |()| "acquired"),
        Err(LockError::LockFailed(failure)) if failure.io_error().is_some() => "refused",
        Err(LockError::LockFailed(_)) => "failed",
        Err(_) => "busy",
    });
}

/// What a user who is not root meets at `place`.
fn as_nobody(place: &Place) -> String {
    let mut child = Child::start("be nobody", place.args());
    let line = child.line();
    child.end();
    line
}

#[test]
fn a_directory_that_may_not_be_written_is_an_error_of_the_system() {
    for place in places(&["link", "symlink", "mkdir", "pid", "flock", "ofd"]) {
        if !reachable(&place, 0o555) {
            continue;
        }
        assert_eq!(as_nobody(&place), "refused", "{place}: permission denied, and no contention");
        assert!(place.names().is_empty(), "{place}: {:?}", place.names());
    }
}

#[test]
fn a_lock_file_that_may_not_be_written_can_be_locked_with_flock_alone() {
    for place in places(&["flock", "ofd"]) {
        fs::write(place.lock_file(), "").expect("it can be written");
        fs::set_permissions(place.lock_file(), Permissions::from_mode(0o444)).expect("it is ours");
        if !reachable(&place, 0o555) {
            continue;
        }
        let expected = if place.scheme == "flock" { "acquired" } else { "refused" };
        assert_eq!(as_nobody(&place), expected, "{place}: byte ranges need a file that may be written");
    }
}

#[test]
fn a_lock_file_that_may_not_be_read_counts_as_held_or_is_an_error() {
    for place in everywhere() {
        let guard = place.lock().file_mode(0o600).acquire().expect("it is free");
        if place.scheme != "symlink" {
            fs::set_permissions(place.lock_file(), Permissions::from_mode(0o000)).expect("it is ours");
        }
        if !reachable(&place, 0o777) {
            continue;
        }
        let met = as_nobody(&place);
        assert!(matches!(met.as_str(), "busy" | "refused"), "{place}: nobody gets it: {met}");
        drop(guard);
    }
}

/// Opens the directory to everybody, as `mode` says. Whether others can reach it at all is not ours to say.
fn reachable(place: &Place, mode: u32) -> bool {
    fs::set_permissions(place.directory(), Permissions::from_mode(mode)).expect("it is ours");
    let passable = |dir: &Path| fs::metadata(dir).is_ok_and(|metadata| metadata.mode() & 0o001 != 0);
    let reachable = place.directory().ancestors().all(passable);
    if !reachable {
        println!("{place}: other users can't get there: not tested");
    }
    reachable
}
