//! What a future does on any executor is what `acquire` does in a thread.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use pathlock::{CancelToken, FailureReason, LockError, Ownership, Reentry, Timeout};

use super::common::{PATIENCE, Place, assert_free, everywhere, is_busy, places};
use super::poller::Poller;

/// As `tokio::main` has it.
fn tokio(threads: usize) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(threads).enable_time().build().expect("threads can be made")
}

#[test]
fn a_lock_is_acquired_on_the_smallest_executor_in_every_scheme() {
    for place in everywhere() {
        let guard = pollster::block_on(place.lock().acquire_async()).expect("it is free");
        assert!(is_busy(&place.lock().try_acquire()), "{place}: the guard holds");
        assert_eq!(guard.owner().pid(), std::process::id(), "{place}: this process holds it");
        guard.release().expect("it is ours");
        let kept = place.lock().acquire().expect("it was released");
        kept.release().expect("it is ours");
    }
}

#[test]
fn nothing_happens_before_the_first_poll() {
    let place = Place::new("link");
    let future = place.lock().acquire_async();
    assert_eq!(place.names(), Vec::<String>::new(), "a future that is not awaited does nothing");
    drop(future);
    assert_free(&place.lock());
}

#[test]
fn tasks_of_tokio_exclude_one_another_in_every_scheme() {
    for place in everywhere() {
        let inside = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let done = tokio(4).block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let (lock, inside) = (place.lock(), inside.clone());
                tasks.spawn(async move {
                    for _ in 0..25 {
                        let guard = lock.acquire_async().await.expect("it comes free");
                        let others = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        assert_eq!(others, 0, "another task is inside");
                        tokio::task::yield_now().await;
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        guard.release().expect("it is ours");
                    }
                });
            }
            tasks.join_all().await.len()
        });
        assert_eq!(done, 8, "{place}: all tasks came to their end");
        assert!(!place.names().iter().any(|name| name.contains(".pathlock")), "{place}: {:?}", place.names());
    }
}

#[test]
fn a_future_is_woken_by_a_release_and_by_the_death_of_the_holder() {
    for place in everywhere() {
        for killed in [false, true] {
            let mut holder = place.holder();
            let mut waiter = Poller::new(place.lock().acquire_async());
            assert!(waiter.poll().is_none(), "{place}: it is held");
            if killed {
                holder.kill();
            } else {
                holder.tell("go");
                assert_eq!(holder.line(), "released", "{place}");
                holder.end();
            }
            let guard = waiter.finish().expect("it has come free");
            guard.release().expect("it is ours");
        }
    }
}

#[test]
fn timeouts_are_those_of_acquire() {
    for place in everywhere() {
        let holder = place.holder();
        let now = pollster::block_on(place.lock().acquire_async_within(Timeout::NoWait));
        assert!(matches!(now, Err(LockError::AlreadyLocked(_))), "{place}: {now:?}");
        let began = Instant::now();
        let timeout = Duration::from_millis(30);
        match pollster::block_on(place.lock().acquire_async_within(timeout)) {
            Err(LockError::LockTimeout(contention)) => {
                assert!(began.elapsed() >= timeout, "{place}: never early");
                assert_eq!(
                    contention.owner().map(pathlock::Owner::pid),
                    Some(holder.pid()),
                    "{place}: it says who"
                );
            }
            other => panic!("{place}: {other:?}"),
        }
        holder.end();
        assert_free(&place.lock());
    }
}

#[test]
fn the_timeout_runs_from_the_first_poll() {
    let place = Place::new("link");
    let future = place.lock().acquire_async_within(Duration::from_nanos(1));
    // Whatever time has passed since the call, the lock is free, and there is one try.
    drop(pollster::block_on(future).expect("it is free"));
}

#[test]
fn a_token_ends_the_waits_of_futures() {
    for place in everywhere() {
        let holder = place.holder();
        let token = CancelToken::new().expect("a descriptor");
        let lock = place.lock().cancel_token(token.clone());
        let mut waiters = [lock.acquire_async(), lock.acquire_async()].map(Poller::new);
        for waiter in &mut waiters {
            assert!(waiter.poll().is_none(), "{place}: it is held");
        }
        token.cancel();
        for waiter in &mut waiters {
            match waiter.finish() {
                Err(LockError::LockFailed(failure)) => {
                    assert_eq!(failure.reason(), FailureReason::Cancelled, "{place}");
                }
                other => panic!("{place}: {other:?}"),
            }
        }
        holder.end();
        assert_free(&place.lock());
    }
}

#[test]
fn tokios_own_timeout_drops_a_future_that_waits() {
    for place in everywhere() {
        let holder = place.holder();
        tokio(1).block_on(async {
            let waiting = place.lock().acquire_async();
            let late = tokio::time::timeout(Duration::from_millis(20), waiting).await;
            assert!(late.is_err(), "{place}: it is held for longer");
        });
        holder.end();
        assert_free(&place.lock());
    }
}

#[test]
fn readers_come_in_together_and_after_them_a_writer() {
    for place in places(&["flock", "ofd"]) {
        let holder = place.holder();
        let readers = [(); 3].map(|()| Poller::new(place.lock().shared().acquire_async()));
        let mut readers = readers.map(|mut reader| {
            assert!(reader.poll().is_none(), "{place}: a writer is there");
            reader
        });
        holder.end();
        let guards = readers.each_mut().map(|reader| reader.finish().expect("readers share"));
        let mut writer = Poller::new(place.lock().acquire_async());
        assert!(writer.poll().is_none(), "{place}: readers are there");
        for guard in guards {
            guard.release().expect("it is ours");
        }
        drop(writer.finish().expect("the readers have left"));
    }
}

#[test]
fn what_the_callers_own_code_panics_with_comes_out_where_it_is_awaited() {
    let place = Place::new("link");
    let holder = place.holder();
    let lock = place.lock().on_wait(|_| panic!("the caller's own"));
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| pollster::block_on(lock.acquire_async())));
    let payload = result.expect_err("it panics as it does in a thread");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"the caller's own"));
    // The thread that waits for the others lives on.
    let mut other = Poller::new(place.lock().acquire_async());
    assert!(other.poll().is_none(), "it is held");
    holder.end();
    drop(other.finish().expect("it has come free"));
}

#[test]
fn whoever_waits_is_told_for_whom() {
    let place = Place::new("link");
    let holder = place.holder();
    let (told, hears) = std::sync::mpsc::channel();
    let lock = place.lock().on_wait(move |event| {
        let _ = told.send(event.owner.map(pathlock::Owner::pid));
    });
    let mut waiters = [lock.acquire_async(), lock.acquire_async()].map(Poller::new);
    for waiter in &mut waiters {
        assert!(waiter.poll().is_none(), "it is held");
        let pid = hears.recv_timeout(PATIENCE).expect("the first and the second of the line are told");
        assert_eq!(pid, Some(holder.pid()), "it names the holder");
    }
    holder.end();
    for mut waiter in waiters {
        drop(waiter.finish().expect("it has come free"));
    }
}

#[test]
fn a_process_may_enter_its_own_lock_again_if_it_is_told_so() {
    let place = Place::new("mkdir");
    let lock = place.lock().ownership(Ownership::Process).reentry(Reentry::Count);
    let outer = pollster::block_on(lock.acquire_async()).expect("it is free");
    assert!(lock.i_am_locking(), "the process holds it");
    let inner = pollster::block_on(lock.acquire_async()).expect("it enters again");
    outer.release().expect("one of two");
    assert!(is_busy(&place.lock().try_acquire()), "the other holds on");
    inner.release().expect("the last");
    assert_free(&place.lock());
}

#[test]
fn what_can_never_be_acquired_is_said_at_once() {
    let place = Place::new("link");
    let nowhere = super::common::lock_of("link", place.join("there is no such directory/file"));
    let result = pollster::block_on(nowhere.acquire_async());
    assert!(matches!(&result, Err(LockError::LockFailed(_))), "{result:?}");
    let result = pollster::block_on(place.lock().shared().acquire_async());
    match result {
        Err(LockError::LockFailed(failure)) => assert_eq!(failure.reason(), FailureReason::Unsupported),
        other => panic!("links can't be shared: {other:?}"),
    }
}
