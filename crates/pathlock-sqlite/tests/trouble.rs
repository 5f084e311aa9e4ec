//! What is no database of locks is left as it is, and said to be so.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pathlock::{FailureReason, LockError};
use pathlock_sqlite::{SqliteLockFile, named};
use rusqlite::Connection;

#[path = "../../pathlock/tests/common/mod.rs"]
mod common;

use common::Child;

#[test]
fn child() {
    common::play(&[("fill", fill)]);
}

/// The message of a failure, for that reason.
fn refused(lock: &SqliteLockFile, reason: FailureReason) -> String {
    for result in [lock.try_acquire().map(drop), lock.status().map(drop)] {
        match &result {
            Err(LockError::LockFailed(failure)) => assert_eq!(failure.reason(), reason, "{result:?}"),
            other => panic!("it can't be locked: {other:?}"),
        }
    }
    lock.try_acquire().expect_err("it can't be locked").to_string()
}

#[test]
fn what_is_no_database_is_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("notes");
    let text = "These are notes of mine, and they are longer than a header of SQLite's: ".repeat(20);
    fs::write(&path, &text).expect("it can be written");
    let said = refused(&named(&path, "job"), FailureReason::NotALockFile);
    assert!(said.contains("no database") && said.contains("notes"), "{said}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), text, "not a byte has changed");
    assert_eq!(fs::read_dir(dir.path()).expect("it can be listed").count(), 1, "nothing beside it");
}

#[test]
fn another_programs_database_is_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.db");
    let connection = Connection::open(&path).expect("it can be made");
    connection.execute_batch("CREATE TABLE users (name TEXT)").expect("SQL");
    drop(connection);
    let before = fs::read(&path).expect("it is there");
    let said = refused(&named(&path, "job"), FailureReason::NotALockFile);
    assert!(said.contains("another program's database"), "{said}");
    assert_eq!(fs::read(&path).expect("it is there"), before, "not a byte has changed");
}

#[test]
fn two_programs_with_different_forms_refuse_cleanly() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("locks.db");
    drop(named(&path, "job").acquire().expect("it is free"));
    Connection::open(&path).expect("it is one").pragma_update(None, "user_version", 2).expect("a pragma");
    let said = refused(&named(&path, "job"), FailureReason::NotALockFile);
    assert!(said.contains("form 2") && said.contains("form 1"), "it names both: {said}");
    Connection::open(&path).expect("it is one").pragma_update(None, "user_version", 1).expect("a pragma");
    drop(named(&path, "job").acquire().expect("it is as it was"));
}

#[test]
fn a_damaged_database_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("locks.db");
    for number in 0..50 {
        drop(named(&path, format!("job {number}")).acquire().expect("it is free"));
    }
    Connection::open(&path)
        .expect("it is one")
        .pragma_update(None, "journal_mode", "DELETE")
        .expect("a pragma");
    let whole = fs::read(&path).expect("it is there");
    for at in (100..whole.len()).step_by(997) {
        let mut bytes = whole.clone();
        bytes[at..].iter_mut().take(400).for_each(|byte| *byte ^= 0x5a);
        let copy = dir.path().join("damaged.db");
        fs::write(&copy, &bytes).expect("it can be written");
        // It may be a page that is not looked at. What matters is that there is an answer.
        if let Err(error) = named(&copy, "job 7").try_acquire() {
            let said = error.to_string();
            assert!(said.contains("damaged.db"), "it says which: {said}");
        }
        #[expect(clippy::disallowed_methods, reason = "the test made it")]
        for name in ["damaged.db", "damaged.db-wal", "damaged.db-shm", "damaged.db-journal"] {
            let _ = fs::remove_file(dir.path().join(name));
        }
    }
}

#[test]
fn what_is_no_file_is_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let directory = dir.path().join("directory");
    fs::create_dir(&directory).expect("it can be made");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).expect("it can be made");
    for path in [&directory, &link] {
        let said = refused(&named(path, "job"), FailureReason::NotALockFile);
        assert!(said.contains("left as it is"), "{said}");
    }
    assert!(fs::symlink_metadata(dir.path().join("nowhere")).is_err(), "no link is followed");
}

/// Acquires one lock after the other until the disk is full.
fn fill(args: &[&str]) {
    let path = std::path::Path::new(args[0]).join("locks.db");
    let full = (0..20_000).find_map(|number| {
        let lock = named(&path, format!("{number} {}", "and a long name ".repeat(20)));
        lock.try_acquire().map(drop).err()
    });
    common::say(full.expect("a hundred pages are full by now"));
    // A lock that was there before can be looked at all the same.
    common::say(named(&path, "0").is_locked().is_ok());
}

#[test]
fn a_full_disk_is_said_to_be_full() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().to_str().expect("a plain path");
    let child = Child::command("fill", [text]);
    // A filesystem of its own, which nobody else sees.
    let mut command = Command::new("unshare");
    command.args([
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs -o size=400k none \"$1\" && shift && exec \"$@\"",
        "sh",
        text,
    ]);
    command.arg(child.get_program()).args(child.get_args());
    command.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = Child::spawn(command);
    let said = child.line();
    assert!(said.contains("no space left") && said.contains("locks.db"), "it says what and where: {said}");
    assert_eq!(child.line(), "true", "what is there can be read");
}

#[test]
fn a_filesystem_that_is_not_known_to_be_local_is_refused() {
    // Nobody shares this one either; but it is none of those that are known.
    let said = refused(&named("/dev/pts/locks.db", "job"), FailureReason::Unsupported);
    assert!(said.contains("network filesystem"), "it says why: {said}");
    assert!(said.contains("on_network"), "and what to do: {said}");
}

#[test]
fn a_place_that_may_not_be_written_is_said_to_be_so() {
    if rustix::process::geteuid().is_root() {
        // Nothing is forbidden to this user; what can't be written is in `/proc`.
        let error = named("/proc/locks.db", "job").try_acquire().expect_err("nobody can make it");
        assert!(matches!(error, LockError::LockFailed(_)), "{error:?}");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).expect("it is ours");
    let error = named(dir.path().join("locks.db"), "job").try_acquire().expect_err("it may not be made");
    assert!(matches!(error, LockError::LockFailed(_)), "{error:?}");
}
