//! Readers and writers, and looking at a lock from outside: who has it, who waits, when it is free.
#![cfg(target_os = "linux")]

use std::fs;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::thread;

use pathlock::{AnyLockFile, FailureReason, LockError, Mode, State, locks_below};
use rustix::process::Signal;

mod common;

use common::{Child, PATIENCE, Place, everywhere, is_busy, lock_of, places, remove, until, within};

const SHARED: [&str; 3] = ["mkdir", "flock", "ofd"];
const NOT_SHARED: [&str; 3] = ["link", "symlink", "pid"];

#[test]
fn child() {
    common::play(&[("hold", common::hold), ("read", read), ("wait", wait)]);
}

fn read(args: &[&str]) {
    let guard = lock_of(args[0], args[1]).shared().acquire().expect("it can be read");
    common::say("reads");
    common::hear();
    guard.release().expect("it was ours");
}

fn wait(args: &[&str]) {
    common::say("comes");
    let _guard = lock_of(args[0], args[1]).acquire().expect("it comes free");
    common::say("got it");
}

fn reader(place: &Place) -> Child {
    let mut reader = Child::start("read", place.args());
    assert_eq!(reader.line(), "reads", "{place}: a reader is let in");
    reader
}

#[test]
fn readers_are_in_together_and_a_writer_is_alone() {
    for place in places(&SHARED) {
        let guard = place.lock().shared().try_acquire().expect("nobody is there");
        assert_eq!(guard.mode(), Mode::Shared, "{place}");
        let mut other = reader(&place);
        assert!(is_busy(&place.lock().try_acquire()), "{place}: a writer among readers");
        other.tell("go");
        other.end();
        assert!(is_busy(&place.lock().try_acquire()), "{place}: one reader is left");
        guard.release().expect("it is ours");
        let writer = place.lock().try_acquire().expect("the readers are gone");
        assert!(is_busy(&place.lock().shared().try_acquire()), "{place}: a reader beside a writer");
        writer.release().expect("it is ours");
    }
}

#[test]
fn no_writer_meets_anybody() {
    for place in places(&SHARED) {
        // The auditor's own count: a writer stands for -1000.
        let inside = AtomicI64::new(0);
        let (met, most) = (AtomicU64::new(0), AtomicI64::new(0));
        thread::scope(|scope| {
            for number in 0..8 {
                let (place, inside, met, most) = (&place, &inside, &met, &most);
                scope.spawn(move || {
                    for turn in 0..60 {
                        let writes = (number + turn) % 3 == 0;
                        let lock = if writes { place.lock() } else { place.lock().shared() };
                        let guard = lock.acquire().expect("its turn comes");
                        let weight = if writes { -1000 } else { 1 };
                        let now = inside.fetch_add(weight, SeqCst) + weight;
                        met.fetch_add(u64::from(now < 0 && now != -1000), SeqCst);
                        most.fetch_max(now, SeqCst);
                        common::work();
                        inside.fetch_sub(weight, SeqCst);
                        guard.release().expect("it is ours");
                    }
                });
            }
        });
        assert_eq!(met.into_inner(), 0, "{place}: a writer met somebody");
        assert!(most.into_inner() > 1, "{place}: readers were never in together");
        common::assert_free(&place.lock());
    }
}

#[test]
fn neither_readers_nor_writers_starve() {
    const TURNS: usize = 50;
    for place in places(&SHARED) {
        for many in [Mode::Shared, Mode::Exclusive] {
            let lock = |mode| match mode {
                Mode::Shared => place.lock().shared(),
                Mode::Exclusive => place.lock(),
            };
            let (done, turns) = (AtomicBool::new(false), AtomicU64::new(0));
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        while !done.load(SeqCst) {
                            let _guard = lock(many).acquire().expect("its turn comes");
                            turns.fetch_add(1, SeqCst);
                            // Readers overlap: there is hardly a moment without one.
                            (0..50).for_each(|_| thread::yield_now());
                        }
                    });
                }
                let one = if many == Mode::Shared { Mode::Exclusive } else { Mode::Shared };
                let served = (0..TURNS).take_while(|_| lock(one).acquire_within(PATIENCE).is_ok()).count();
                done.store(true, SeqCst);
                assert_eq!(served, TURNS, "{place}: {one:?} starves among {many:?}");
            });
            println!("{place}: {TURNS} turns of one, and {turns:?} of four that are {many:?}");
        }
    }
}

#[test]
fn a_writer_gets_in_among_eight_rolling_readers() {
    const READERS: usize = 8;
    const TURNS: usize = 40;
    for place in places(&SHARED) {
        let done = AtomicBool::new(false);
        let inside = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..READERS {
                scope.spawn(|| {
                    let lock = place.lock().shared();
                    while !done.load(SeqCst) {
                        let guard = lock.acquire().expect("its turn comes");
                        inside.fetch_add(1, SeqCst);
                        common::work();
                        inside.fetch_sub(1, SeqCst);
                        guard.release().expect("it is ours");
                    }
                });
            }
            until("readers overlap", || inside.load(SeqCst) > 2);
            let mut waits: Vec<std::time::Duration> = (0..TURNS)
                .map(|_| {
                    let began = std::time::Instant::now();
                    let guard = place.lock().acquire_within(PATIENCE).expect("readers make room");
                    assert_eq!(inside.load(SeqCst), 0, "{place}: it is alone");
                    let waited = began.elapsed();
                    guard.release().expect("it is ours");
                    waited
                })
                .collect();
            done.store(true, SeqCst);
            waits.sort();
            println!(
                "{place}: a writer among {READERS} readers waited {:?}, {:?} at most",
                waits[TURNS / 2],
                waits[TURNS - 1]
            );
        });
    }
}

#[test]
fn schemes_without_shared_locks_say_which_have_them() {
    for place in places(&NOT_SHARED) {
        let error = place.lock().shared().try_acquire().expect_err("it can't be shared");
        assert!(error.to_string().contains("flock or ofd"), "{place}: {error}");
        let LockError::LockFailed(failure) = error else { panic!("{place}: {error}") };
        assert_eq!(failure.reason(), FailureReason::Unsupported, "{place}");
        assert_eq!(place.names(), [""; 0], "{place}");
    }
}

#[test]
fn a_reader_of_a_kernel_lock_writes_nothing_and_is_not_taken_for_a_dead_writer() {
    for place in places(&["flock", "ofd"]) {
        place.holder().kill();
        let record = fs::read(place.lock_file()).expect("it stays");
        let guard = place.lock().shared().try_acquire().expect("the writer is dead");
        let status = place.lock().status().expect("it can be looked at");
        assert_eq!((status.state(), status.owner()), (State::Held, None), "{place}: {status:?}");
        assert_eq!(fs::read(place.lock_file()).expect("it is there"), record, "{place}");
        guard.release().expect("it is ours");
        assert_eq!(place.lock().status().expect("it can be looked at").state(), State::Stale, "{place}");
    }
}

#[test]
fn a_reader_that_is_killed_or_waits_in_vain_leaves_nothing() {
    for place in places(&SHARED) {
        let reader = reader(&place);
        let in_vain = place.lock().acquire_within(std::time::Duration::from_millis(20));
        assert!(is_busy(&in_vain), "{place}");
        reader.kill();
        common::assert_free(&place.lock());
        let holder = place.holder();
        assert!(
            is_busy(&place.lock().shared().acquire_within(std::time::Duration::from_millis(20))),
            "{place}"
        );
        holder.kill();
        common::assert_free(&place.lock().shared());
    }
}

#[test]
fn the_kernel_shows_who_holds_and_who_waits() {
    for place in places(&["link", "mkdir", "pid", "flock", "ofd"]) {
        let mut holder = place.holder();
        let mut waiter = Child::start("wait", place.args());
        assert_eq!(waiter.line(), "comes");
        until("the waiter is seen", || {
            let shown = place.lock().contenders().expect("it can be looked at");
            let pids = |list: &[pathlock::Contender]| list.iter().map(|one| one.pid()).collect::<Vec<_>>();
            assert_eq!(pids(shown.holders()), [holder.pid()], "{place}");
            pids(shown.waiters()) == [waiter.pid()]
        });
        holder.tell("go");
        assert_eq!(waiter.line(), "got it", "{place}");
        waiter.end();
        holder.end();
    }
    for place in places(&SHARED) {
        let (one, other) = (reader(&place), reader(&place));
        let shown = place.lock().contenders().expect("it can be looked at");
        let mut pids = [one.pid(), other.pid()];
        pids.sort_unstable();
        assert_eq!(shown.holders().iter().map(pathlock::Contender::pid).collect::<Vec<_>>(), pids, "{place}");
        one.kill();
        other.kill();
    }
}

#[test]
fn a_lock_that_comes_free_is_seen_and_not_taken() {
    for place in everywhere() {
        for killed in [false, true] {
            let mut holder = place.holder();
            let lock = place.lock();
            assert!(is_busy(&lock.wait_free(std::time::Duration::from_millis(20))), "{place}");
            let begun = std::sync::Arc::new(Barrier::new(2));
            let told = std::sync::Arc::clone(&begun);
            let first = AtomicBool::new(true);
            let waits = lock.on_wait(move |_| {
                if first.swap(false, SeqCst) {
                    told.wait();
                }
            });
            let waiting =
                thread::spawn(move || within("a lock comes free", move || waits.wait_free(PATIENCE)));
            begun.wait();
            if killed {
                holder.signal(Signal::KILL);
            } else {
                holder.tell("go");
            }
            waiting.join().expect("no panic").expect("it came free");
            assert!(!place.lock().is_locked().expect("it can be looked at"), "{place}: it was taken");
            if killed {
                holder.kill()
            } else {
                holder.end()
            }
            common::assert_free(&place.lock());
        }
    }
}

#[test]
fn every_lock_below_a_directory_is_found_with_its_scheme() {
    let top = tempfile::tempdir().expect("a temporary directory");
    let deep = top.path().join("a/b");
    fs::create_dir_all(&deep).expect("it can be made");
    for (name, text) in
        [("poetry.lock", "# versions"), ("Cargo.lock", "version = 4\n"), ("notes.txt", "4711")]
    {
        fs::write(deep.join(name), text).expect("it can be written");
    }
    std::os::unix::fs::symlink("nowhere", deep.join("dangling.lock")).expect("it can be made");
    let guards: Vec<_> = pathlock::SCHEME_NAMES
        .iter()
        .map(|scheme| {
            let name = if *scheme == "pid" { "pid.pid".to_owned() } else { (*scheme).to_owned() };
            lock_of(scheme, deep.join(name)).try_acquire().expect("it is free")
        })
        .collect();
    let mut found: Vec<(String, String)> = locks_below(top.path())
        .expect("it can be listed")
        .map(|lock: AnyLockFile| {
            assert_eq!(lock.status().expect("it is one").state(), State::Held, "{lock:?}");
            let name = lock.lock_file().file_name().expect("it has one").to_string_lossy().into_owned();
            (name, pathlock::Scheme::name(lock.scheme()).to_owned())
        })
        .collect();
    found.sort();
    let expected = [
        ("flock.lock", "flock"),
        ("link.lock", "link"),
        ("mkdir.lock", "mkdir"),
        ("ofd.lock", "ofd"),
        ("pid.pid", "pid"),
        ("symlink.lock", "symlink"),
    ];
    assert_eq!(found, expected.map(|(name, scheme)| (name.to_owned(), scheme.to_owned())));
    drop(guards);
    remove(deep.join("dangling.lock"));
    assert!(locks_below(top.path().join("missing")).is_err());
}
