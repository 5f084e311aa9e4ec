//! Locks in a database: who holds them, who waits, and what is left of the dead.
#![cfg(target_os = "linux")]

use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use pathlock::{CancelToken, LockError, Mode, Owner, Recovery, State, UnlockError};
use pathlock_sqlite::{SqliteLockFile, history, named, open};

#[path = "../../pathlock/tests/common/mod.rs"]
mod common;

use common::{Child, PATIENCE, Place, hear, is_busy, places, say};

#[test]
fn child() {
    common::play(&[("hold", hold), ("wait", wait), ("patient", patient)]);
}

fn hold(args: &[&str]) {
    let lock = named(args[0], args[1]);
    let lock = if args.get(2) == Some(&"shared") { lock.shared() } else { lock };
    let guard = lock.acquire().expect("its turn comes");
    say(guard.token().expect("a database counts"));
    hear();
    guard.release().expect("it was ours");
    say("released");
    hear();
}

fn wait(args: &[&str]) {
    let lock = named(args[0], args[1]).on_wait(|_| say("waits"));
    let guard = lock.acquire().expect("its turn comes");
    say(format_args!("has it {}", guard.token().expect("a database counts")));
    hear();
}

fn patient(args: &[&str]) {
    let before = common::switches(std::process::id());
    let late = named(args[0], args[1]).acquire_within(Duration::from_millis(1_500));
    assert!(is_busy(&late), "it is held");
    say(common::switches(std::process::id()) - before);
}

fn database(place: &Place) -> String {
    place.join("locks.db").to_str().expect("a plain path").to_owned()
}

fn lock(place: &Place) -> SqliteLockFile {
    named(database(place), "job")
}

fn holder(place: &Place) -> Child {
    let mut child = Child::start("hold", [database(place), "job".to_owned()]);
    child.line();
    child
}

/// A child that waits by now.
fn waiter(place: &Place) -> Child {
    let mut child = Child::start("wait", [database(place), "job".to_owned()]);
    assert_eq!(child.line(), "waits");
    child
}

/// Whether a waiter gets the lock; until then it may say that it waits for another.
fn gets_it(waiter: &mut Child) -> bool {
    std::iter::from_fn(|| waiter.next_line()).any(|line| line.starts_with("has it"))
}

fn everywhere() -> Vec<Place> {
    places(&["link"])
}

#[test]
fn names_are_locks_of_their_own() {
    for place in everywhere() {
        let one = lock(&place).acquire().expect("it is free");
        let other = named(database(&place), "other").acquire().expect("that is another lock");
        let refused = thread::spawn({
            let lock = lock(&place);
            move || lock.try_acquire()
        });
        match refused.join().expect("no panic") {
            Err(LockError::AlreadyLocked(held)) => {
                assert_eq!(held.owner().map(Owner::pid), Some(std::process::id()), "{place}: it says who");
                assert_eq!(
                    held.path().to_str(),
                    Some(&*format!("{}#job", database(&place))),
                    "{place}: and what"
                );
            }
            other => panic!("{place}: {other:?}"),
        }
        assert!(one.is_valid() && other.is_valid(), "{place}");
        one.release().expect("it is ours");
        other.release().expect("it is ours");
        assert_eq!(lock(&place).status().expect("it can be looked at").state(), State::Free, "{place}");
    }
}

#[test]
fn a_path_alone_has_its_database_beside_it() {
    let place = Place::new("link");
    let guard = SqliteLockFile::new(place.path()).acquire().expect("it is free");
    assert_eq!(guard.lock_file(), place.join("res.lock.db"));
    assert!(
        is_busy(
            &thread::spawn({
                let lock = open(place.path());
                move || lock.try_acquire()
            })
            .join()
            .expect("no panic")
        ),
        "both name one lock"
    );
}

#[test]
fn a_look_makes_no_database() {
    let place = Place::new("link");
    assert_eq!(lock(&place).status().expect("it can be looked at").state(), State::Free);
    assert!(!lock(&place).break_lock().expect("there is nothing to break"));
    assert!(history(&lock(&place)).expect("it is empty").is_empty());
    assert_eq!(place.names(), [""; 0], "nothing was made");
}

#[test]
fn whoever_opens_a_database_while_another_makes_it_takes_it_for_what_it_is() {
    for place in everywhere() {
        for round in 0..60 {
            let database = place.join(format!("locks-{round}.db"));
            let start = Barrier::new(8);
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let lock = named(&database, "job");
                        start.wait();
                        drop(lock.acquire().expect("a database that is being made is one of locks"));
                    });
                }
            });
        }
    }
}

#[test]
fn readers_are_in_together_a_writer_is_alone_and_nobody_overtakes() {
    for place in everywhere() {
        let reader = lock(&place).shared().acquire().expect("it is free");
        let second = lock(&place).shared().try_acquire().expect("readers share");
        let mut writer = waiter(&place);
        // A reader that comes now stands behind the writer.
        assert!(is_busy(&lock(&place).shared().try_acquire()), "{place}: it would overtake the writer");
        let status = lock(&place).status().expect("it can be looked at");
        assert_eq!(status.holders().count(), 2, "{place}: both readers are shown");
        let waiting: Vec<u32> = status.waiters().iter().map(Owner::pid).collect();
        assert_eq!(waiting, [writer.pid()], "{place}: and who waits");
        reader.release().expect("it is ours");
        second.release().expect("it is ours");
        assert!(gets_it(&mut writer), "{place}: its turn comes");
        writer.end();
    }
}

#[test]
fn a_waiter_is_woken_by_a_release_and_by_a_death() {
    for place in everywhere() {
        for killed in [false, true] {
            let mut holder = holder(&place);
            let mut waiter = waiter(&place);
            if killed {
                holder.kill();
            } else {
                holder.tell("go");
                assert_eq!(holder.line(), "released");
                holder.end();
            }
            assert!(gets_it(&mut waiter), "{place}: its turn comes");
            waiter.end();
        }
    }
}

#[test]
fn a_heir_that_dies_before_it_knows_passes_the_lock_on() {
    for place in everywhere() {
        let mut holder = holder(&place);
        let heir = waiter(&place);
        let mut next = waiter(&place);
        heir.signal(rustix::process::Signal::STOP);
        holder.tell("go");
        assert_eq!(holder.line(), "released");
        let status = lock(&place).status().expect("it can be looked at");
        assert_eq!(status.owner().map(Owner::pid), Some(heir.pid()), "{place}: it has the lock, and sleeps");
        heir.kill();
        assert!(gets_it(&mut next), "{place}: the next has it");
        next.end();
        holder.end();
    }
}

#[test]
fn a_wait_that_ends_leaves_no_row() {
    for place in everywhere() {
        let holder = holder(&place);
        assert!(is_busy(&lock(&place).acquire_within(Duration::from_millis(20))), "{place}: in time");
        let token = CancelToken::new().expect("a descriptor");
        let (waits, is_waiting) = mpsc::channel();
        let cancelled = lock(&place).cancel_token(token.clone()).on_wait(move |_| {
            let _ = waits.send(());
        });
        let thread = thread::spawn(move || cancelled.acquire());
        is_waiting.recv_timeout(PATIENCE).expect("it waits");
        token.cancel();
        assert!(thread.join().expect("no panic").is_err(), "{place}: cancelled");
        let future = lock(&place).acquire_async_within(Duration::from_millis(20));
        assert!(is_busy(&pollster::block_on(future)), "{place}: a future");
        waiter(&place).kill();
        holder.end();
        let guard = lock(&place).acquire_within(PATIENCE).expect("nobody is ahead");
        assert!(lock(&place).status().expect("it can be looked at").waiters().is_empty(), "{place}");
        drop(guard);
    }
}

#[test]
fn whoever_waits_sleeps() {
    for place in everywhere() {
        let holder = holder(&place);
        let mut patients = [(); 2].map(|()| Child::start("patient", [database(&place), "job".to_owned()]));
        for patient in &mut patients {
            let woken: u64 = patient.line().parse().expect("a number");
            assert!(woken < 40, "{place}: woken {woken} times in a second and a half");
        }
        holder.end();
    }
}

#[test]
fn tokens_grow_and_the_past_is_remembered_within_bounds() {
    for place in everywhere() {
        let mut last = 0;
        for _ in 0..120 {
            let guard = lock(&place).acquire().expect("it is free");
            let token = guard.token().expect("a database counts");
            assert!(token > last, "{place}: {token} after {last}");
            last = token;
            guard.release().expect("it is ours");
        }
        let reader = lock(&place).shared().acquire().expect("it is free");
        assert_eq!(reader.token(), Some(last), "{place}: a reader has that of the last writer");
        reader.release().expect("it is ours");
        holder(&place).kill();
        drop(lock(&place).acquire().expect("its owner is dead"));
        let past = history(&lock(&place)).expect("it is remembered");
        assert_eq!(past.len(), 100, "{place}: the last hundred");
        let how: Vec<&str> = past.iter().take(3).map(pathlock_sqlite::Past::how).collect();
        assert_eq!(how, ["released", "died", "released"], "{place}");
        assert_eq!(past[2].mode(), Mode::Shared, "{place}");
        assert!(past[0].token() > past[1].token(), "{place}");
    }
}

#[test]
fn another_boot_begins_with_greater_tokens_and_its_dead_hold_nothing() {
    for place in everywhere() {
        let guard = lock(&place).acquire().expect("it is free");
        let token = guard.token().expect("a database counts");
        guard.forget();
        // As if the machine had been started anew, and the last transactions had been lost.
        let connection = rusqlite::Connection::open(database(&place)).expect("it is a database");
        connection
            .execute_batch("UPDATE boots SET id = 'another'; UPDATE locks SET token = 0;")
            .expect("SQL");
        let sql = "SELECT record FROM holders";
        let record: Vec<u8> = connection.query_row(sql, [], |row| row.get(0)).expect("there is one");
        let boot = Owner::of_this_thread().boot_id().expect("Linux").to_owned();
        let other = String::from_utf8(record).expect("text").replace(&boot, &"0".repeat(boot.len()));
        connection.execute("UPDATE holders SET record = ?1", [other.into_bytes()]).expect("SQL");
        drop(connection);
        let next = named(database(&place), "job").acquire_within(PATIENCE).expect("that kernel is gone");
        assert!(next.token().expect("a database counts") > token, "{place}: whatever was lost, tokens grow");
    }
}

#[test]
fn a_command_that_is_too_long_for_its_record_keeps_nobody_from_its_lock() {
    for place in everywhere() {
        let guard = lock(&place).command("word ".repeat(300)).acquire().expect("it is free");
        assert!(guard.is_valid(), "{place}: what was cut is not what counts");
        guard.release().expect("it is ours");
    }
}

#[test]
fn a_break_removes_whom_it_has_seen_and_a_stale_lock_stays_if_told_so() {
    for place in everywhere() {
        let seen = {
            let first = lock(&place).acquire().expect("it is free");
            let seen = lock(&place).status().expect("it can be looked at");
            first.release().expect("it is ours");
            seen
        };
        let second = lock(&place).acquire().expect("it is free");
        assert!(!lock(&place).break_if(&seen).expect("it can be tried"), "{place}: that was another's");
        assert!(lock(&place).break_lock().expect("it can be broken"), "{place}: a person's order");
        assert!(!second.is_valid(), "{place}: it is told");
        assert!(matches!(second.release(), Err(UnlockError::NotLocked(_))), "{place}: and told again");

        holder(&place).kill();
        assert_eq!(lock(&place).status().expect("it can be looked at").state(), State::Stale, "{place}");
        let never = lock(&place).recovery(Recovery::Never).try_acquire();
        assert!(is_busy(&never), "{place}: {never:?}");
        drop(lock(&place).try_acquire().expect("its owner is dead"));
    }
}

#[test]
fn a_reader_becomes_the_writer_and_a_reader_again() {
    for place in everywhere() {
        let mut guard = lock(&place).shared().acquire().expect("it is free");
        let token = guard.token();
        let other = lock(&place).shared().try_acquire().expect("readers share");
        assert!(matches!(guard.try_upgrade(), Err(LockError::AlreadyLocked(_))), "{place}: another reads");
        other.release().expect("it is ours");
        guard.try_upgrade().expect("it is alone");
        assert!(guard.token() > token, "{place}: a writer has a token of its own");
        assert!(is_busy(&lock(&place).shared().try_acquire()), "{place}: it is alone");
        guard.downgrade().expect("a writer can always become a reader");
        lock(&place).shared().try_acquire().expect("readers share").release().expect("it is ours");
        guard.release().expect("it is ours");
    }
}
