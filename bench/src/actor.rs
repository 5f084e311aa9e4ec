//! One contender as a process: reads what to do from its input, a line each, and answers with a line.
//!
//! | line | does | answers |
//! |---|---|---|
//! | `turn NS` | takes a turn, and works for so long inside | when it came in, and when it began to release |
//! | `hold` | acquires | `held`; after another line it releases, and answers when it began to |
//! | `wait` | takes a turn | processor time in ns and context switches of the wait |
//! | `loop MS NS THREADS` | takes turns for so long, in so many threads, and works inside | turns and longest wait in ns, for each thread |
//! | `crowd KIND N` | lets so many threads, or futures, take a turn | first `started`, then when the last began to release |
//! | `many N` | holds so many locks at once | time in ns, memory in KiB, open files, threads |
//!
//! Times are those of the monotonic clock in nanoseconds, which all processes share.

use std::fs;
use std::io::{BufRead, Lines, StdinLock, Write};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use crate::contender::{self, Error};
use crate::scale::Size;

pub(crate) fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Works for so many nanoseconds.
fn work(nanoseconds: u64) {
    let end = now() + nanoseconds;
    while now() < end {
        std::hint::spin_loop();
    }
}

pub(crate) fn run(lock: &str, path: &Path) -> Result<(), Error> {
    let mut lines = std::io::stdin().lock().lines();
    let mut turn = contender::open(lock, path)?;
    answer("ready");
    while let Some(line) = lines.next() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["turn", nanoseconds] => {
                let nanoseconds = nanoseconds.parse()?;
                let (mut came_in, mut began) = (0, 0);
                turn(&mut || {
                    came_in = now();
                    work(nanoseconds);
                    began = now();
                })?;
                answer(&format!("{came_in} {began}"));
            }
            ["hold"] => answer(&hold(&mut turn, &mut lines)?.to_string()),
            ["wait"] => {
                let before = Spent::by_now()?;
                let mut spent = Err(Error::from("it never came in"));
                turn(&mut || spent = Spent::by_now())?;
                let spent = spent?;
                let (time, switches) =
                    (spent.nanoseconds - before.nanoseconds, spent.switches - before.switches);
                answer(&format!("{time} {switches}"));
            }
            ["loop", milliseconds, nanoseconds, threads] => {
                let turns =
                    take_turns(lock, path, milliseconds.parse()?, nanoseconds.parse()?, threads.parse()?)?;
                let words: Vec<String> =
                    turns.iter().map(|(turns, longest)| format!("{turns} {longest}")).collect();
                answer(&words.join(" "));
            }
            ["crowd", "threads", count] => answer(&threads(lock, path, count.parse()?)?.to_string()),
            ["crowd", "futures", count] => answer(&futures(lock, path, count.parse()?)?.to_string()),
            ["many", count] => answer(&many(lock, path, count.parse()?)?),
            _ => return Err(format!("`{line}` is not understood").into()),
        }
    }
    Ok(())
}

fn answer(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever asked may be gone.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn hold(turn: &mut contender::Turn, lines: &mut Lines<StdinLock<'_>>) -> Result<u64, Error> {
    let mut began = 0;
    turn(&mut || {
        answer("held");
        let _ = lines.next();
        began = now();
    })?;
    Ok(began)
}

/// What all threads of this process have spent.
struct Spent {
    nanoseconds: u64,
    switches: u64,
}

impl Spent {
    fn by_now() -> Result<Spent, Error> {
        let mut spent = Spent { nanoseconds: 0, switches: 0 };
        for task in fs::read_dir("/proc/self/task")? {
            let task = task?.path();
            let first = |text: String| text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
            spent.nanoseconds += first(fs::read_to_string(task.join("schedstat"))?).unwrap_or_default();
            let status = fs::read_to_string(task.join("status"))?;
            let switches = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
            spent.switches += switches.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>();
        }
        Ok(spent)
    }
}

/// Turns and longest wait of each thread.
fn take_turns(
    lock: &str,
    path: &Path,
    milliseconds: u64,
    nanoseconds: u64,
    threads: usize,
) -> Result<Vec<(u64, u64)>, Error> {
    let end = now() + milliseconds * 1_000_000;
    let one = || -> Result<(u64, u64), Error> {
        let mut turn = contender::open(lock, path)?;
        let (mut turns, mut longest) = (0, 0);
        loop {
            let asked = now();
            if asked >= end {
                return Ok((turns, longest));
            }
            let mut waited = 0;
            turn(&mut || {
                waited = now() - asked;
                work(nanoseconds);
            })?;
            turns += 1;
            longest = longest.max(waited);
        }
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().map_err(|_| Error::from("a thread has panicked"))?).collect()
    })
}

/// When the last of so many threads began to release.
fn threads(lock: &str, path: &Path, count: usize) -> Result<u64, Error> {
    let started = Barrier::new(count + 1);
    let one = || -> Result<u64, Error> {
        let mut turn = contender::open(lock, path)?;
        let mut began = 0;
        started.wait();
        turn(&mut || began = now())?;
        Ok(began)
    };
    thread::scope(|scope| {
        let builder = || thread::Builder::new().stack_size(64 * 1024);
        let all: Result<Vec<_>, _> = (0..count).map(|_| builder().spawn_scoped(scope, one)).collect();
        let all = all?;
        started.wait();
        answer("started");
        let ends = all.into_iter().map(|one| one.join().map_err(|_| Error::from("a thread has panicked"))?);
        ends.collect::<Result<Vec<u64>, Error>>().map(|ends| ends.into_iter().max().unwrap_or_default())
    })
}

/// When the last of so many futures, all polled by one thread, began to release.
fn futures(lock: &str, path: &Path, count: usize) -> Result<u64, Error> {
    use futures_util::stream::{FuturesUnordered, StreamExt};

    let lock = contender::handle(lock.strip_prefix("pathlock ").unwrap_or(lock), path);
    let mut all: FuturesUnordered<_> = (0..count)
        .map(|_| {
            let lock = lock.clone();
            async move {
                let guard = lock.acquire_async().await?;
                let began = now();
                guard.release()?;
                Ok::<u64, Error>(began)
            }
        })
        .collect();
    let mut last = 0;
    let mut told = false;
    pollster::block_on(std::future::poll_fn(|context| {
        loop {
            match all.poll_next_unpin(context) {
                std::task::Poll::Ready(Some(Ok(began))) => last = last.max(began),
                std::task::Poll::Ready(Some(Err(error))) => return std::task::Poll::Ready(Err(error)),
                std::task::Poll::Ready(None) => return std::task::Poll::Ready(Ok(())),
                std::task::Poll::Pending => {
                    // Now all of them have been polled once.
                    if !std::mem::replace(&mut told, true) {
                        answer("started");
                    }
                    return std::task::Poll::Pending;
                }
            }
        }
    }))?;
    Ok(last)
}

/// What it takes to hold so many locks at once, in one directory.
fn many(lock: &str, path: &Path, count: usize) -> Result<String, Error> {
    let scheme = lock.strip_prefix("pathlock ").ok_or("only Pathlock's are held by the thousand")?;
    let at = |number: usize| -> PathBuf { path.join(number.to_string()) };
    fs::create_dir_all(path)?;
    let began = now();
    let guards: Result<Vec<_>, _> =
        (0..count).map(|number| contender::handle(scheme, &at(number)).acquire()).collect();
    let guards = guards?;
    let time = now() - began;
    let Size { memory_kib, files, threads } = Size::of("self", "VmRSS:")?;
    let text = format!("{time} {memory_kib} {files} {threads}");
    drop(guards);
    Ok(text)
}
