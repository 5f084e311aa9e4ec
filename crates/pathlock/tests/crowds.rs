//! A thousand futures: few threads, little memory, and their order.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

mod common;
#[path = "futures/poller.rs"]
mod poller;

use common::{Child, Place, alone, everywhere, hear, lock_of, say, until};
use poller::Poller;

#[test]
fn child() {
    common::play(&[("hold", common::hold), ("hold many", hold_many), ("herd", herd)]);
}

const MANY: usize = 1_000;
/// How many threads sit in the kernel's queues at most, and the one that waits.
const MOST_THREADS: usize = 64 + 1;

/// The library's threads in this process.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.map(|task| {
        // A thread may end while it is looked at.
        fs::read_to_string(task.expect("an entry").path().join("comm")).unwrap_or_default()
    });
    names.filter(|name| name.starts_with("pathlock-")).count()
}

/// What this process has in memory, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_thousand_futures_of_one_lock_are_served_as_they_came_by_a_handful_of_threads() {
    let _alone = alone();
    for place in everywhere() {
        let holder = place.holder();
        let lock = place.lock();
        until("earlier waits are over", || threads() == 0);
        let before = memory();
        let mut futures: Vec<Poller> = (0..MANY).map(|_| Poller::new(lock.acquire_async())).collect();
        for future in &mut futures {
            assert!(future.poll().is_none(), "{place}: it is held");
        }
        holder.end();
        let mut most = 0;
        for mut future in futures {
            // If another had been served first, this would not end: nobody has released that one.
            let guard = future.finish().expect("its turn comes");
            most = most.max(threads());
            guard.release().expect("it is ours");
        }
        let grown = memory().saturating_sub(before);
        // Two, as a rule; one whose turn has come may not have laid down its work when the next needs one.
        assert!(most <= 8, "{place}: {most} threads for one lock");
        assert!(grown < 16 * 1024, "{place}: {grown} KiB for {MANY} futures");
    }
}

#[test]
fn futures_of_many_locks_are_waited_for_by_a_bounded_number_of_threads() {
    let _alone = alone();
    for place in everywhere() {
        until("earlier waits are over", || threads() == 0);
        let count = 200;
        let directory = place.directory().to_str().expect("a plain path").to_owned();
        let mut holder = Child::start("hold many", [place.scheme.to_owned(), directory, count.to_string()]);
        assert_eq!(holder.line(), "held", "{place}: nobody else has them");
        let path = |number: usize| place.join(number.to_string());
        let mut futures: Vec<Poller> = (0..count)
            .map(|number| Poller::new(lock_of(place.scheme, path(number)).acquire_async()))
            .collect();
        for future in &mut futures {
            assert!(future.poll().is_none(), "{place}: it is held");
        }
        until("all are looked at", || threads() > 0);
        holder.kill();
        for mut future in futures {
            let guard = future.finish().expect("its owner is dead");
            let threads = threads();
            let most = if place.scheme == "symlink" { 1 } else { MOST_THREADS };
            assert!(threads <= most, "{place}: {threads} threads");
            drop(guard);
        }
    }
}

fn hold_many(args: &[&str]) {
    let count: usize = args[2].parse().expect("a number");
    let path = |number: usize| Path::new(args[1]).join(number.to_string());
    let guards: Vec<_> =
        (0..count).map(|number| lock_of(args[0], path(number)).acquire().expect("it is free")).collect();
    say("held");
    hear();
    drop(guards);
}

#[test]
fn the_thread_ends_when_nobody_waits() {
    let _alone = alone();
    let place = Place::new("link");
    drop(pollster::block_on(place.lock().acquire_async()).expect("it is free"));
    until("the thread has ended", || threads() == 0);
    drop(pollster::block_on(place.lock().acquire_async()).expect("another is started"));
}

#[test]
fn futures_and_threads_of_many_processes_exclude_one_another() {
    let _alone = alone();
    for place in everywhere() {
        let count = place.join("count");
        fs::write(&count, "0").expect("it can be written");
        let herd: Vec<Child> = (0..4).map(|_| Child::start("herd", place.args())).collect();
        herd.into_iter().for_each(Child::end);
        let total = fs::read_to_string(&count).expect("it is there");
        assert_eq!(total, (4 * 4 * 25).to_string(), "{place}: an increment was lost");
    }
}

/// Adds to a number in a file, by three tasks and one thread.
fn herd(args: &[&str]) {
    let lock = lock_of(args[0], args[1]);
    let count = Path::new(args[1]).with_file_name("count");
    let add = move || {
        let text = fs::read_to_string(&count).expect("it is there");
        let number: u32 = text.parse().expect("a whole number: nobody else is writing");
        fs::write(&count, (number + 1).to_string()).expect("it can be written");
    };
    let thread = std::thread::spawn({
        let (lock, add) = (lock.clone(), add.clone());
        move || {
            for _ in 0..25 {
                let _guard = lock.acquire().expect("it comes free");
                add();
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("threads");
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let (lock, add) = (lock.clone(), add.clone());
            tasks.spawn(async move {
                for _ in 0..25 {
                    let _guard = lock.acquire_async().await.expect("it comes free");
                    add();
                }
            });
        }
        tasks.join_all().await;
    });
    thread.join().expect("it adds");
}
