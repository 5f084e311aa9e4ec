//! What a fork does to a lock.

use std::sync::Arc;
use std::time::Duration;

use crate::sys::testing::fork;
use crate::{LockError, SCHEME_NAMES, Scheme, State, UnlockError, any::AnyLockFile, scheme_named};

fn each_scheme(test: impl Fn(&dyn Fn() -> AnyLockFile, &str)) {
    for name in SCHEME_NAMES {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("job");
        let scheme: Arc<dyn Scheme> = scheme_named(name).expect("it is a scheme");
        test(&|| AnyLockFile::with_scheme(&path, Arc::clone(&scheme)), name);
    }
}

#[test]
fn f1_a_forked_child_does_not_acquire_what_its_parent_holds() {
    each_scheme(|lock, name| {
        let guard = lock().acquire().expect("it is free");
        let child = |_: &_| {
            matches!(lock().try_acquire(), Err(LockError::AlreadyLocked(_))) && !lock().i_am_locking()
        };
        assert!(fork(child, || true), "{name}: the child is kept out");
        guard.release().expect("the parent still holds it");
    });
}

#[test]
fn f1b_a_forked_child_does_not_free_its_parents_lock() {
    for explicitly in [false, true] {
        each_scheme(|lock, name| {
            let mut guard = Some(lock().acquire().expect("it is free"));
            let in_parent = guard.as_mut().map(|guard| guard.lock_file().to_owned()).expect("it is there");
            let cell = std::cell::RefCell::new(guard);
            let content = fork(
                |_| {
                    let guard = cell.borrow_mut().take().expect("the child has a copy");
                    if explicitly {
                        return matches!(guard.release(), Err(UnlockError::NotMyLock(_)));
                    }
                    drop(guard);
                    true
                },
                || true,
            );
            assert!(content, "{name}: the child's guard does nothing");
            assert!(lock().is_locked().expect("it can be looked at"), "{name}: the parent still holds it");
            assert!(in_parent.symlink_metadata().is_ok(), "{name}: the lock file is there");
            cell.into_inner().expect("the parent has its own").release().expect("the parent releases it");
        });
    }
}

#[test]
fn a_child_can_adopt_what_its_parent_has_acquired() {
    for closes_everything in [false, true] {
        each_scheme(|lock, name| {
            let cell = std::cell::RefCell::new(Some(lock().acquire().expect("it is free")));
            let content = fork(
                |baby| {
                    let mut guard = cell.borrow_mut().take().expect("the child has a copy");
                    if closes_everything {
                        baby.close_everything();
                    }
                    guard.adopt().expect("the child can adopt it");
                    assert!(guard.is_valid() && lock().i_am_locking(), "the child holds it");
                    assert_eq!(guard.owner().pid(), std::process::id());
                    baby.ready();
                    guard.release().is_ok()
                },
                || {
                    let guard = cell.borrow_mut().take().expect("the parent has its own");
                    let parent_lost_it = !guard.is_valid();
                    guard.forget();
                    let held = matches!(lock().try_acquire(), Err(LockError::AlreadyLocked(_)));
                    let childs = lock()
                        .owner()
                        .expect("it can be looked at")
                        .is_some_and(|o| o.pid() != std::process::id());
                    parent_lost_it && held && childs
                },
            );
            assert!(content, "{name}, closing everything: {closes_everything}");
            assert_eq!(
                lock().status().expect("it can be looked at").state(),
                State::Free,
                "{name}: released"
            );
            drop(lock().try_acquire().expect("it is free again"));
        });
    }
}

#[test]
fn a_reader_that_a_child_has_adopted_keeps_writers_out() {
    for closes_everything in [false, true] {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let lock = || crate::MkdirLockFile::new(dir.path().join("job"));
        let cell = std::cell::RefCell::new(Some(lock().shared().acquire().expect("it is free")));
        let content = fork(
            |baby| {
                let mut guard = cell.borrow_mut().take().expect("the child has a copy");
                if closes_everything {
                    baby.close_everything();
                }
                guard.adopt().expect("the child can adopt it");
                assert!(guard.is_valid(), "the child holds it");
                baby.ready();
                guard.release().is_ok()
            },
            || {
                let guard = cell.borrow_mut().take().expect("the parent has its own");
                let parent_lost_it = !guard.is_valid();
                guard.forget();
                let held = matches!(lock().try_acquire(), Err(LockError::AlreadyLocked(_)));
                let shared = lock().shared().try_acquire().is_ok_and(|guard| guard.release().is_ok());
                let still = matches!(lock().try_acquire(), Err(LockError::AlreadyLocked(_)));
                parent_lost_it && held && shared && still
            },
        );
        assert!(content, "closing everything: {closes_everything}");
        assert!(!lock().lock_file().exists(), "the last reader has removed the directory");
        drop(lock().try_acquire().expect("it is free again"));
    }
}

#[test]
fn a_parent_that_drops_what_its_child_has_adopted_frees_nothing() {
    each_scheme(|lock, name| {
        let cell = std::cell::RefCell::new(Some(lock().acquire().expect("it is free")));
        let content = fork(
            |baby| {
                let mut guard = cell.borrow_mut().take().expect("the child has a copy");
                guard.adopt().expect("the child can adopt it");
                baby.ready();
                guard.release().is_ok()
            },
            || {
                let guard = cell.borrow_mut().take().expect("the parent has its own");
                matches!(guard.release(), Err(UnlockError::NotMyLock(_)))
                    && matches!(lock().try_acquire(), Err(LockError::AlreadyLocked(_)))
            },
        );
        assert!(content, "{name}: the child's lock is safe from its parent's guard");
    });
}

#[test]
fn a_holder_that_has_closed_all_its_files_is_not_robbed() {
    each_scheme(|lock, name| {
        let content = fork(
            |baby| {
                let guard = lock().acquire().expect("it is free");
                baby.close_everything();
                baby.ready();
                guard.is_valid() && guard.release().is_ok()
            },
            || {
                let timed_out = lock().acquire_within(Duration::from_millis(30));
                matches!(timed_out, Err(LockError::LockTimeout(_)))
                    && lock().status().expect("it can be looked at").state() == State::Held
            },
        );
        assert!(content, "{name}: alive, though its kernel lock is gone");
        drop(lock().try_acquire().expect("it was released"));
    });
}

#[test]
fn a_holder_that_had_closed_all_its_files_and_died_is_recovered() {
    each_scheme(|lock, name| {
        let content = fork(
            |baby| {
                std::mem::forget(lock().acquire().expect("it is free"));
                baby.close_everything();
                baby.ready();
                true
            },
            || lock().is_locked().expect("it can be looked at"),
        );
        assert!(content, "{name}: held until it died");
        drop(lock().try_acquire().expect("it is taken over at once"));
    });
}

#[test]
fn the_waits_of_a_forked_child_are_its_own() {
    each_scheme(|lock, name| {
        let guard = lock().acquire().expect("it is free");
        let waits = || {
            let lock = lock();
            std::thread::spawn(move || lock.acquire_within(Duration::from_millis(20)))
                .join()
                .is_ok_and(|result| matches!(result, Err(LockError::LockTimeout(_))))
        };
        assert!(waits(), "{name}: the parent's threads and watches are in use");
        assert!(fork(|_| waits(), waits), "{name}: the child has its own");
        guard.release().expect("it is held");
    });
}

#[test]
fn a_lock_that_was_let_go_is_forgotten() {
    each_scheme(|lock, name| {
        let key = lock().order().expect("its directory is there");
        let guard = lock().acquire().expect("it is free");
        assert!(crate::registry::has(&key), "{name}: a lock that is held is known");
        guard.release().expect("it is ours");
        assert!(!crate::registry::has(&key), "{name}: by a release");
        drop(lock().acquire().expect("it is free"));
        assert!(!crate::registry::has(&key), "{name}: by a drop");
    });
}
