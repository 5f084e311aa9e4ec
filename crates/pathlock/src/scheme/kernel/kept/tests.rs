use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::MOST;
use crate::scheme::SCHEME_NAMES;
use crate::sys::testing::fork;
use crate::{AnyLockFile, FlockLockFile, LockError, Mode, sys};

/// The schemes that keep their file, each with a directory of its own.
fn places() -> impl Iterator<Item = (String, tempfile::TempDir)> {
    SCHEME_NAMES
        .iter()
        .filter(|scheme| ["flock", "ofd"].contains(scheme))
        .map(|scheme| ((*scheme).to_owned(), tempfile::tempdir().expect("a directory can be made")))
}

fn lock_in(scheme: &str, directory: &Path) -> AnyLockFile {
    AnyLockFile::open(format!("{scheme}:{}", directory.join("res").display()))
}

/// Acquires it and lets it go.
fn cycle(lock: &AnyLockFile) {
    lock.try_acquire().expect("it is free").release().expect("it is ours");
}

/// How often this process has open what is in `directory`.
fn open_in(directory: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").expect("/proc is there");
    links
        .filter_map(|link| fs::read_link(link.ok()?.path()).ok())
        .filter(|path| path.starts_with(directory))
        .count()
}

fn is_busy(lock: &AnyLockFile) -> bool {
    matches!(lock.try_acquire(), Err(LockError::AlreadyLocked(_)))
}

/// Acquires and releases until the file is kept: other tests fork, and then it is not.
fn have_kept(lock: &AnyLockFile, directory: &Path) {
    for _ in 0..10_000 {
        cycle(lock);
        if open_in(directory) == 1 {
            return;
        }
    }
    panic!("the file is never kept");
}

#[test]
fn a_handle_keeps_one_file_open_and_closes_it_when_it_is_dropped() {
    for (scheme, directory) in places() {
        let lock = lock_in(&scheme, directory.path());
        have_kept(&lock, directory.path());
        let clone = lock.clone();
        cycle(&clone);
        assert!(open_in(directory.path()) <= 1, "{scheme}: a clone keeps no other");
        drop(lock);
        drop(clone);
        assert_eq!(open_in(directory.path()), 0, "{scheme}");
    }
}

#[test]
fn many_handles_keep_few_files() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    // In a process of their own: other tests want to keep some.
    let child = |_: &sys::testing::Baby| {
        let locks: Vec<_> = (0..2 * MOST)
            .map(|number| AnyLockFile::open(format!("flock:{}/{number}", directory.path().display())))
            .collect();
        locks.iter().for_each(cycle);
        let open = open_in(directory.path());
        drop(locks);
        (1..=MOST).contains(&open) && open_in(directory.path()) == 0
    };
    assert!(fork(child, || true), "no more than the limit, and none when they are gone");
}

#[test]
fn a_child_that_has_inherited_a_kept_file_does_not_keep_its_killed_parents_lock() {
    for (scheme, directory) in places() {
        let mine = lock_in(&scheme, directory.path());
        let won = Cell::new(false);
        let parent = |told: &sys::testing::Baby| {
            let lock = lock_in(&scheme, directory.path());
            have_kept(&lock, directory.path());
            let child = |me: &sys::testing::Baby| {
                me.say();
                // The parent is killed meanwhile.
                told.wait();
                true
            };
            fork(child, || {
                let guard = lock.try_acquire().expect("it is free");
                told.ready();
                guard.release().is_ok()
            })
        };
        fork(parent, || {
            let holder = mine.owner().expect("it can be looked at").expect("it is held").pid();
            assert!(is_busy(&mine), "{scheme}: the parent holds it");
            let exit = sys::Exit::of(holder).expect("it runs").expect("pidfd_open is there");
            let pid = rustix::process::Pid::from_raw(holder.cast_signed()).expect("it is a pid");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it can be killed");
            sys::poll(&[exit.source()], None).expect("it ends");
            won.set(mine.try_acquire().is_ok());
            true
        });
        assert!(won.get(), "{scheme}: the child lives, and has nothing of it");
    }
}

#[test]
fn parent_and_child_exclude_each_other_though_both_have_a_kept_file() {
    for (scheme, directory) in places() {
        let lock = lock_in(&scheme, directory.path());
        have_kept(&lock, directory.path());
        let child = |me: &sys::testing::Baby| {
            let guard = lock.try_acquire().expect("it is free");
            me.ready();
            guard.release().is_ok() && lock.try_acquire().is_ok()
        };
        assert!(fork(child, || is_busy(&lock)), "{scheme}: the child holds it alone");
        let child = |me: &sys::testing::Baby| {
            let busy = is_busy(&lock);
            me.ready();
            busy
        };
        let guard = lock.try_acquire().expect("it is free again");
        assert!(fork(child, || true), "{scheme}: and the parent");
        // What the child has inherited with a lock on it is not kept either.
        guard.release().expect("it is ours");
        assert_eq!(open_in(directory.path()), 0, "{scheme}");
    }
}

#[test]
fn who_closes_all_files_loses_the_kept_one_and_no_other() {
    for (scheme, directory) in places() {
        let child = |me: &sys::testing::Baby| {
            let lock = lock_in(&scheme, directory.path());
            have_kept(&lock, directory.path());
            let idle = lock_in(&scheme, &directory.path().join("other"));
            fs::create_dir(directory.path().join("other")).expect("it can be made");
            have_kept(&idle, &directory.path().join("other"));
            me.close_everything();
            // They get the numbers of those.
            let name = |number: usize| directory.path().join(format!("precious-{number}"));
            let mut files: Vec<File> =
                (0..8).map(|number| File::create(name(number)).expect("it can be made")).collect();
            cycle(&lock);
            drop((lock, idle));
            files.iter_mut().enumerate().all(|(number, file)| {
                file.write_all(b"gold").is_ok() && fs::read(name(number)).is_ok_and(|text| text == b"gold")
            })
        };
        assert!(fork(child, || true), "{scheme}: files of others are not touched");
    }
}

#[test]
fn what_was_given_to_others_is_not_kept() {
    for (scheme, directory) in places() {
        let lock = lock_in(&scheme, directory.path());
        have_kept(&lock, directory.path());
        let guard = lock.try_acquire().expect("it is free");
        let files = guard.try_clone_files().expect("it can be duplicated");
        guard.release().expect("it is ours");
        assert_eq!(open_in(directory.path()), files.len(), "{scheme}: the duplicate alone");
        let guard = lock.try_acquire().expect("it is free");
        drop(files);
        assert!(guard.is_valid() && is_busy(&lock_in(&scheme, directory.path())), "{scheme}");
    }
}

#[test]
fn a_kept_file_that_has_lost_its_name_is_not_believed() {
    for (scheme, directory) in places() {
        let lock = lock_in(&scheme, directory.path());
        for _ in 0..3 {
            have_kept(&lock, directory.path());
            let old = File::options().read(true).write(true).open(lock.lock_file()).expect("it is there");
            assert!(sys::lock_try(&old, Mode::Exclusive).expect("it can be locked"), "{scheme}");
            sys::remove_name(lock.lock_file()).expect("it can be removed");
            let guard = lock.try_acquire().expect("nobody has what the path names");
            let named = fs::metadata(lock.lock_file()).expect("it was made anew");
            assert_ne!(named.ino(), old.metadata().expect("it is open").ino(), "{scheme}");
            assert!(guard.is_valid() && is_busy(&lock_in(&scheme, directory.path())), "{scheme}");
            guard.release().expect("it is ours");
            assert!(open_in(directory.path()) <= 2, "{scheme}: the old one is closed, but for ours");
        }
    }
}

#[test]
fn a_reader_keeps_its_file_too_and_a_writer_may_use_it() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let lock = FlockLockFile::new(directory.path().join("res"));
    let other = FlockLockFile::new(directory.path().join("res"));
    let reader = lock.clone().shared().try_acquire().expect("it is free");
    assert!(other.try_acquire().is_err(), "a reader is there");
    reader.release().expect("it is ours");
    let writer = lock.try_acquire().expect("it is free");
    assert!(other.clone().shared().try_acquire().is_err(), "a writer is there");
    writer.release().expect("it is ours");
    assert!(other.shared().try_acquire().is_ok(), "and has gone");
}
