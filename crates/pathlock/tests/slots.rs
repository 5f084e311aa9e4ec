//! Slots: at most so many hold one lock at once.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pathlock::{AnyLockFile, FailureReason, Guard, LockError, Mode};

mod common;

use common::{Child, Place, is_busy, lock_of, places, switches};

const SLOTS: [&str; 3] = ["mkdir", "flock", "ofd"];

#[test]
fn child() {
    common::play(&[("hold", common::hold), ("slot", slot), ("heir", heir), ("patient", patient)]);
}

fn slot(args: &[&str]) {
    let guard = lock_of(args[0], args[1])
        .slots(args[2].parse().expect("a number"))
        .acquire()
        .expect("its turn comes");
    common::say(guard.slot().expect("it has a slot"));
    common::hear();
    guard.release().expect("it was ours");
    common::say("released");
    common::hear();
}

/// Starts a command that outlives it, and that inherits the slot.
fn heir(args: &[&str]) {
    let guard = lock_of(args[0], args[1]).slots(1).acquire().expect("it is free");
    let mut command = std::process::Command::new("sleep");
    guard.share_with(command.arg("600")).expect("it can be inherited");
    let mut sleeper = command.spawn().expect("it can be started");
    common::say(sleeper.id());
    common::hear();
    sleeper.wait().expect("it ends");
}

fn holder(place: &Place, count: u16) -> (Child, u32) {
    let [scheme, path] = place.args();
    let mut child = Child::start("slot", [scheme, path, count.to_string()]);
    let slot = child.line().parse().expect("a number");
    (child, slot)
}

/// One that waits, and says so.
fn waiter(lock: AnyLockFile) -> (thread::JoinHandle<Result<Guard, LockError>>, u64) {
    let (waits, is_waiting) = mpsc::channel();
    let lock = lock.on_wait(move |_| {
        let _ = waits.send(common::tid());
    });
    let thread = thread::spawn(move || lock.acquire_within(common::PATIENCE));
    let tid = is_waiting.recv().expect("it has to wait");
    common::until_asleep(std::process::id(), tid);
    (thread, tid)
}

#[test]
fn as_many_hold_it_as_there_are_slots_and_each_has_its_own() {
    for place in places(&SLOTS) {
        let lock = place.lock().slots(3);
        let guards: Vec<Guard> = (0..3).map(|_| lock.try_acquire().expect("there is a slot")).collect();
        let numbers: BTreeSet<Option<u32>> = guards.iter().map(Guard::slot).collect();
        assert_eq!(numbers, BTreeSet::from([Some(0), Some(1), Some(2)]), "{place}");
        let refused = lock.try_acquire();
        assert!(is_busy(&refused), "{place}: {refused:?}");
        let text = refused.expect_err("it is busy").to_string();
        assert!(text.contains("all 3 slots are taken"), "{place}: it says so: {text}");
        assert_eq!(lock.status().expect("it can be looked at").slots_taken(), 3, "{place}");
        let mut guards = guards.into_iter();
        let freed = guards.next().expect("there are three");
        let number = freed.slot();
        freed.release().expect("it is ours");
        assert_eq!(lock.try_acquire().expect("one is free").slot(), number, "{place}: that one");
        for guard in guards {
            guard.release().expect("it is ours");
        }
        common::assert_free(&place.lock());
    }
}

#[test]
fn a_writer_is_alone_and_readers_take_no_slot() {
    for place in places(&SLOTS) {
        let slot = place.lock().slots(1).try_acquire().expect("it is free");
        assert_eq!(slot.mode(), Mode::Shared, "{place}");
        assert!(is_busy(&place.lock().try_acquire()), "{place}: a writer beside a slot");
        let reader = place.lock().shared().try_acquire().expect("readers share");
        assert_eq!(reader.slot(), None, "{place}");
        slot.release().expect("it is ours");
        reader.release().expect("it is ours");
        let writer = place.lock().try_acquire().expect("it is free");
        assert!(is_busy(&place.lock().slots(1).try_acquire()), "{place}: a slot beside a writer");
        writer.release().expect("it is ours");
    }
}

#[test]
fn a_slot_that_comes_free_wakes_a_waiter_by_release_and_by_death() {
    for place in places(&SLOTS) {
        for killed in [false, true] {
            let (mut one, _) = holder(&place, 2);
            let (other, _) = holder(&place, 2);
            let (waiter, _) = waiter(place.lock().slots(2));
            if killed {
                one.signal(rustix::process::Signal::KILL);
            } else {
                one.tell("go");
                assert_eq!(one.line(), "released", "{place}");
            }
            // The re-check comes after two seconds at least.
            let guard = waiter.join().expect("no panic").expect("a slot comes free");
            guard.release().expect("it is ours");
            other.end();
            drop(one);
            common::assert_free(&place.lock());
        }
    }
}

/// Waits in vain, and says how often it was woken.
fn patient(args: &[&str]) {
    let lock = lock_of(args[0], args[1]).slots(1);
    let before = switches(std::process::id());
    let late = lock.acquire_within(Duration::from_millis(1_500));
    assert!(is_busy(&late), "it is held: {late:?}");
    common::say(switches(std::process::id()) - before);
}

#[test]
fn whoever_waits_for_a_slot_sleeps() {
    for place in places(&SLOTS) {
        let (holder, _) = holder(&place, 1);
        let mut patients = [(); 2].map(|()| Child::start("patient", place.args()));
        for patient in &mut patients {
            let woken: u64 = patient.line().parse().expect("a number");
            assert!(woken < 30, "{place}: woken {woken} times in a second and a half");
        }
        holder.end();
    }
}

fn token() -> pathlock::CancelToken {
    pathlock::CancelToken::new().expect("a descriptor")
}

#[test]
fn a_wait_that_ends_leaves_nothing() {
    for place in places(&SLOTS) {
        let (holder, _) = holder(&place, 1);
        let late = place.lock().slots(1).acquire_within(Duration::from_millis(20));
        assert!(is_busy(&late), "{place}: {late:?}");
        let cancelled = token();
        let (thread, _) = waiter(place.lock().slots(1).cancel_token(cancelled.clone()));
        cancelled.cancel();
        assert!(thread.join().expect("no panic").is_err(), "{place}");
        let dropped = pollster::block_on(async {
            let late = place.lock().slots(1).acquire_async_within(Duration::from_millis(20));
            late.await
        });
        assert!(is_busy(&dropped), "{place}: {dropped:?}");
        holder.end();
        common::assert_free(&place.lock());
    }
}

#[test]
fn futures_wait_for_slots() {
    for place in places(&SLOTS) {
        let (mut child, _) = holder(&place, 1);
        let lock = place.lock().slots(1);
        let waiting = thread::spawn(move || pollster::block_on(lock.acquire_async()));
        child.tell("go");
        assert_eq!(child.line(), "released", "{place}");
        let guard = waiting.join().expect("no panic").expect("the slot is free");
        assert_eq!(guard.slot(), Some(0), "{place}");
    }
}

#[test]
fn a_command_that_inherits_a_slot_keeps_it() {
    for place in places(&SLOTS) {
        let mut wrapper = Child::start("heir", place.args());
        let heir: i32 = wrapper.line().parse().expect("a pid");
        wrapper.signal(rustix::process::Signal::KILL);
        let in_vain = place.lock().slots(1).acquire_within(Duration::from_millis(30));
        assert!(is_busy(&in_vain), "{place}: the command runs on: {in_vain:?}");
        let pid = rustix::process::Pid::from_raw(heir).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
        let guard = place.lock().slots(1).acquire_within(common::PATIENCE).expect("nobody has it any more");
        guard.release().expect("it is ours");
    }
}

#[test]
fn a_thread_may_have_several_slots_and_read_twice() {
    for place in places(&SLOTS) {
        let lock = place.lock().slots(2);
        let first = lock.acquire().expect("it is free");
        let second = lock.acquire().expect("there is a second one, and it need not be waited for");
        assert_ne!(first.slot(), second.slot(), "{place}");
        assert!(is_busy(&lock.acquire_within(Duration::from_millis(20))), "{place}: there is no third");
        drop((first, second));

        let reading = place.lock().shared().acquire().expect("it is free");
        drop(place.lock().shared().acquire().expect("it may read twice"));
        match place.lock().acquire() {
            Err(LockError::LockFailed(failure)) => assert_eq!(failure.reason(), FailureReason::WouldDeadlock),
            other => panic!("{place}: a reader that waits to write waits for itself: {other:?}"),
        }
        drop(reading);
    }
}

#[test]
fn what_has_no_slots_says_so() {
    for place in places(&["link", "symlink", "pid"]) {
        let error = place.lock().slots(2).try_acquire().expect_err("it has none");
        assert!(error.to_string().contains("no slots: use mkdir, flock or ofd"), "{place}: {error}");
    }
    let none = Place::new("flock").lock().slots(0).try_acquire();
    match none {
        Err(LockError::LockFailed(failure)) => assert_eq!(failure.reason(), FailureReason::Unsupported),
        other => panic!("nobody could ever have it: {other:?}"),
    }
}
