//! How soon a waiter has the lock after its holder has let go, or has been killed.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use crate::common::{
    Child, PATIENCE, Place, alone, everywhere, hear, lock_of, median, now, queued, say, tid, until,
    until_asleep,
};

const BATCHES: usize = 3;
const A_BATCH: usize = 15;
/// A poll would take longer, were it only every ten milliseconds.
const SOON: Duration = Duration::from_millis(5);

/// The role `hold again and again`: acquires on one line, releases on the next and says when that was.
pub(crate) fn hold_again_and_again(args: &[&str]) {
    let lock = lock_of(args[0], args[1]);
    while hear().is_some() {
        let guard = lock.acquire_within(PATIENCE).expect("its turn comes");
        say("held");
        hear();
        let began = now();
        guard.release().expect("it is ours");
        say(began.as_nanos());
    }
}

/// The role `hold bare flock`: the same with nothing but the system call.
pub(crate) fn hold_bare_flock(args: &[&str]) {
    let file = File::create(args[0]).expect("it can be made");
    while hear().is_some() {
        flock(&file, FlockOperation::LockExclusive).expect("its turn comes");
        say("held");
        hear();
        let began = now();
        flock(&file, FlockOperation::Unlock).expect("it is ours");
        say(began.as_nanos());
    }
}

/// Has a thread wait, and lets go once it sleeps: the time from then until it has the lock.
///
/// `wait` is told where to report when it begins to wait, and returns when it had the lock; `let_go` says when.
fn measure(
    file: Option<&Path>,
    wait: impl FnOnce(mpsc::Sender<()>) -> Duration + Send,
    let_go: impl FnOnce() -> Duration,
) -> Duration {
    thread::scope(|scope| {
        let (begins, begun) = mpsc::channel();
        let (who, is_who) = mpsc::channel();
        let waiter = scope.spawn(move || {
            who.send(tid()).expect("we are listened to");
            wait(begins)
        });
        begun.recv().expect("it waits");
        if let Some(file) = file {
            until("it is in the kernel's queue", || queued(file) > 0);
        }
        until_asleep(std::process::id(), is_who.recv().expect("it has told"));
        let began = let_go();
        waiter.join().expect("no panic").saturating_sub(began)
    })
}

fn wait_for(place: &Place) -> impl FnOnce(mpsc::Sender<()>) -> Duration + Send {
    let lock = place.lock();
    move |begins| {
        let lock = lock.on_wait(move |_| {
            let _ = begins.send(());
        });
        let guard = lock.acquire_within(PATIENCE).expect("its turn comes");
        let had = now();
        guard.release().expect("it is ours");
        had
    }
}

fn wait_for_bare(path: &Path) -> impl FnOnce(mpsc::Sender<()>) -> Duration + Send {
    let file = File::create(path).expect("it can be made");
    move |begins| {
        begins.send(()).expect("we are listened to");
        flock(&file, FlockOperation::LockExclusive).expect("its turn comes");
        now()
    }
}

/// The medians of some batches, the best first.
fn medians(mut one: impl FnMut() -> Duration) -> Vec<Duration> {
    let mut medians: Vec<_> =
        (0..BATCHES).map(|_| median(std::iter::repeat_with(&mut one).take(A_BATCH).collect())).collect();
    medians.sort();
    medians
}

/// The file in whose queue the kernel shows those who wait; links are watched instead.
fn queue(place: &Place) -> Option<std::path::PathBuf> {
    (place.scheme != "symlink").then(|| place.lock_file())
}

/// One turn of a child that holds again and again, and of one who waits for it.
fn cycle(
    holder: &mut Child,
    file: Option<&Path>,
    wait: impl FnOnce(mpsc::Sender<()>) -> Duration + Send,
) -> Duration {
    holder.tell("acquire");
    assert_eq!(holder.line(), "held", "it is free");
    measure(file, wait, || {
        holder.tell("release");
        nanoseconds(&holder.line())
    })
}

fn nanoseconds(line: &str) -> Duration {
    Duration::from_nanos(line.parse().expect("a number of nanoseconds"))
}

#[test]
fn a_waiter_has_the_lock_milliseconds_after_its_release() {
    let _alone = alone();
    for place in everywhere() {
        let mut holder = Child::start("hold again and again", place.args());
        let file = queue(&place);
        let times = medians(|| cycle(&mut holder, file.as_deref(), wait_for(&place)));
        holder.end();

        let bare = place.join("bare");
        let mut holder = Child::start("hold bare flock", [bare.to_str().expect("a plain path")]);
        let floor = medians(|| cycle(&mut holder, Some(&bare), wait_for_bare(&bare)));
        holder.end();
        println!("{place}: release to acquired {times:?}, bare flock {floor:?}");
        assert!(times[0] < SOON, "{place}: it takes {times:?}, and bare flock {floor:?}");
    }
}

#[test]
fn a_waiter_has_the_lock_milliseconds_after_its_holder_was_killed() {
    let _alone = alone();
    let kill = |holder: Child| {
        let began = now();
        holder.signal(Signal::KILL);
        drop(holder);
        began
    };
    for place in everywhere() {
        let file = queue(&place);
        let times = medians(|| {
            let holder = place.holder();
            measure(file.as_deref(), wait_for(&place), || kill(holder))
        });
        let bare = place.join("bare");
        let floor = medians(|| {
            let mut holder = Child::start("hold bare flock", [bare.to_str().expect("a plain path")]);
            holder.tell("acquire");
            assert_eq!(holder.line(), "held", "it is free");
            measure(Some(&bare), wait_for_bare(&bare), || kill(holder))
        });
        println!("{place}: kill -9 to acquired {times:?}, bare flock {floor:?}");
        assert!(times[0] < SOON, "{place}: it takes {times:?}, and bare flock {floor:?}");
    }
}
