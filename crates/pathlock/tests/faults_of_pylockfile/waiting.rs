//! Wrong waiting.

use std::thread;
use std::time::{Duration, Instant};

use pathlock::{LockError, Reentry, Timeout};

use crate::common::{everywhere, is_busy, median, places};

#[test]
fn c5_a_negative_timeout_does_not_wait() {
    for place in everywhere() {
        let holder = place.holder();
        for seconds in [-1.0, -0.0, 0.0, -1e300, f64::NEG_INFINITY, f64::NAN] {
            let result = place.lock().acquire_within(Timeout::from_secs_f64(seconds));
            assert!(matches!(result, Err(LockError::AlreadyLocked(_))), "{place}, {seconds}: {result:?}");
        }
        holder.end();
    }
}

#[test]
fn c7_a_wait_of_hours_ends_as_soon_as_the_lock_is_free() {
    for place in everywhere() {
        let mut holder = place.holder();
        let (waiting, is_waiting) = std::sync::mpsc::channel();
        let lock = place.lock().on_wait(move |_| {
            let _ = waiting.send(());
        });
        let waiter = thread::spawn(move || {
            (lock.acquire_within(Duration::from_secs(36_000)).map(drop), Instant::now())
        });
        is_waiting.recv().expect("it waits");
        holder.tell("release");
        assert_eq!(holder.line(), "released", "{place}: the holder lets go");
        let released = Instant::now();
        let (acquired, at) = waiter.join().expect("no panic");
        acquired.expect("it was released");
        let late = at.saturating_duration_since(released);
        assert!(late < Duration::from_secs(2), "{place}: no period of polling is to be seen: {late:?}");
        holder.end();
    }
}

#[test]
fn c42_a_timeout_of_zero_answers_at_once() {
    for place in everywhere() {
        let holder = place.holder();
        let times = (0..41).map(|_| {
            let began = Instant::now();
            assert!(is_busy(&place.lock().acquire_within(Duration::ZERO)), "{place}: it is held");
            began.elapsed()
        });
        let time = median(times.collect());
        assert!(time < Duration::from_millis(20), "{place}: it took {time:?}");
        holder.end();
    }
}

#[test]
fn p8_a_pid_lock_without_a_timeout_waits_as_all_others_do() {
    for place in places(&["pid"]) {
        let holder = place.holder();
        let (waiting, is_waiting) = std::sync::mpsc::channel();
        let lock = place.lock().on_wait(move |_| {
            let _ = waiting.send(());
        });
        let waiter = thread::spawn(move || lock.acquire().map(drop));
        is_waiting.recv().expect("it waits, and does not answer that it is locked");
        holder.end();
        waiter.join().expect("no panic").expect("its turn has come");
    }
}

#[test]
fn p8b_every_scheme_can_be_entered_again_and_none_is_by_default() {
    for place in everywhere() {
        let guard = place.lock().reentry(Reentry::Count).acquire().expect("it is free");
        assert!(place.lock().try_acquire().is_err(), "{place}: not by default");
        drop(place.lock().reentry(Reentry::Count).try_acquire().expect("when it is asked for"));
        guard.release().expect("it is held all the time");
    }
}

#[test]
fn x44_the_timeout_of_a_handle_can_be_overridden_with_for_ever() {
    for place in everywhere() {
        let holder = place.holder();
        let (waiting, is_waiting) = std::sync::mpsc::channel();
        let lock = place.lock().timeout(Duration::from_millis(5)).on_wait(move |event| {
            let _ = waiting.send(event.deadline);
        });
        assert!(is_busy(&lock.acquire()), "{place}: its own timeout counts");
        assert!(is_waiting.try_iter().all(|deadline| deadline.is_some()), "{place}: until a deadline");
        let waiter = thread::spawn(move || lock.acquire_within(Timeout::Never).map(drop));
        assert!(is_waiting.recv().expect("it waits").is_none(), "{place}: without a deadline this time");
        holder.end();
        waiter.join().expect("no panic").expect("its turn has come");
    }
}
