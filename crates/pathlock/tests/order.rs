//! Who is next: those who wait are served in the order in which they came, and one wake-up is enough for each.
//!
//! What is measured is printed (`cargo test --test order -- --nocapture`), beside nothing but `flock(2)`.
#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

mod common;
use common::{
    Child, PATIENCE, Place, alone, hear, lock_of, now, places, queued, remove, say, switches, until, work,
};

/// The schemes whose waiters sit in a queue of the kernel and are handed the lock in it.
const QUEUES: [&str; 4] = ["link", "mkdir", "flock", "ofd"];

#[test]
fn child() {
    common::play(&[("take turns", take_turns), ("take bare turns", take_bare_turns), ("queue", queue)]);
}

/// Takes turns until the second moment that the parent names; says how many of them were after the first, when all
/// the others had begun too. In each turn nobody else may be inside: then the file `audit` could not be made.
fn turns<T>(audit: &str, mut enter: impl FnMut() -> T) {
    say("ready");
    let moments = hear().expect("when to begin and to end");
    let nanoseconds = |text: &str| Duration::from_nanos(text.parse().expect("a number"));
    let (begin, end) = moments.split_once(' ').map(|(a, b)| (nanoseconds(a), nanoseconds(b))).expect("two");
    let mut count = 0_u64;
    while now() < end {
        let inside = enter();
        File::create_new(audit).expect("nobody else is inside");
        work();
        remove(audit);
        drop(inside);
        count += u64::from(now() >= begin);
    }
    say(count);
}

/// The role `take turns`: arguments scheme, path, the file to audit with.
fn take_turns(args: &[&str]) {
    let lock = lock_of(args[0], args[1]);
    turns(args[2], || lock.acquire_within(PATIENCE).expect("its turn comes"));
}

/// The role `take bare turns`: the same with nothing but the system call.
fn take_bare_turns(args: &[&str]) {
    turns(args[2], || {
        let file = File::create(args[1]).expect("it can be made");
        flock(&file, FlockOperation::LockExclusive).expect("its turn comes");
        file
    });
}

/// The turns that each of eight processes gets, the fewest first.
fn compete(role: &str, place: &Place) -> Vec<u64> {
    let audit = place.join("audit").to_str().expect("a plain path").to_owned();
    let args = [&place.args()[..], &[audit]].concat();
    let mut children: Vec<_> = (0..8).map(|_| Child::start(role, args.clone())).collect();
    for child in &mut children {
        assert_eq!(child.line(), "ready", "{place}: all begin together");
    }
    let begin = now() + Duration::from_millis(400);
    let end = begin + Duration::from_secs(2);
    let moments = format!("{} {}", begin.as_nanos(), end.as_nanos());
    children.iter_mut().for_each(|child| child.tell(&moments));
    let mut counts: Vec<u64> =
        children.iter_mut().map(|child| child.line().parse().expect("a number")).collect();
    children.into_iter().for_each(Child::end);
    counts.sort_unstable();
    counts
}

fn ratio(counts: &[u64]) -> f64 {
    counts[0] as f64 / counts[counts.len() - 1] as f64
}

#[test]
fn of_eight_processes_the_least_served_gets_four_fifths_of_the_most_served() {
    let _alone = alone();
    let bare = compete("take bare turns", &Place::new("flock"));
    println!("bare flock: {bare:?}, ratio {:.2}", ratio(&bare));
    for place in places(&QUEUES) {
        // On a machine that is busy with other things some of the eight don't run for a while, and then the others
        // get more. One attempt is enough on one that is not.
        let fair = (0..10).any(|_| {
            let counts = compete("take turns", &place);
            println!(
                "{place}: {counts:?}, ratio {:.2}, {} turns",
                ratio(&counts),
                counts.iter().sum::<u64>()
            );
            ratio(&counts) >= 0.8
        });
        assert!(fair, "{place}: ten times the least served got less than four fifths of the most served");
    }
}

/// The role `queue`: arguments scheme, path, a file to append to, what to append. When it hears a line it waits its
/// turn, and appends; then it says how often its threads had gone to sleep when it had the lock.
fn queue(args: &[&str]) {
    let lock = lock_of(args[0], args[1]);
    say("ready");
    hear();
    let guard = lock.acquire_within(PATIENCE).expect("its turn comes");
    let slept = switches(std::process::id());
    let mut file = OpenOptions::new().append(true).open(args[2]).expect("the parent has made it");
    writeln!(file, "{}", args[3]).expect("it can be written");
    guard.release().expect("it is ours");
    say(slept);
}

const WAITERS: usize = 200;
/// How long a name is handed on before it is given up.
const A_NAMES_LIFE: Duration = Duration::from_secs(1);

/// What 200 waiters have met.
#[derive(Debug)]
struct Served {
    /// How many places from its own each was served.
    moved: Vec<usize>,
    /// How often the two threads of each, woken once by the hand-over, went to sleep again before they had the lock.
    slept_again: Vec<u64>,
    took: Duration,
}

impl Served {
    fn most_moved(&self) -> usize {
        self.moved.iter().copied().max().expect("there are some")
    }

    fn mean_sleeps(&self) -> f64 {
        self.slept_again.iter().sum::<u64>() as f64 / WAITERS as f64
    }
}

/// Has 200 processes queue one after another behind a holder that lets go once they are all there, and has held the
/// lock for `hold` at least.
fn serve(place: &Place, hold: Duration) -> Served {
    let order = place.join("order");
    File::create(&order).expect("it can be made");
    let start = |number: usize| {
        let more = [order.to_str().expect("a plain path").to_owned(), number.to_string()];
        Child::start("queue", [&place.args()[..], &more].concat())
    };
    let mut waiters: Vec<Child> = (0..WAITERS).map(start).collect();
    waiters.iter_mut().for_each(|waiter| assert_eq!(waiter.line(), "ready", "{place}: it has begun"));
    let (guard, began) = (place.lock().acquire().expect("it is free"), now());
    for (number, waiter) in waiters.iter_mut().enumerate() {
        waiter.tell("join");
        until("it is in the queue", || queued(&place.lock_file()) > number);
    }
    let before: Vec<u64> = waiters.iter().map(|waiter| switches(waiter.pid())).collect();
    until("it has held the lock for long", || now() - began >= hold);
    let released = now();
    guard.release().expect("it is ours");
    let after = waiters.iter_mut().map(|waiter| waiter.line().parse::<u64>().expect("a number"));
    let slept_again = after.zip(before).map(|(after, before)| after.saturating_sub(before)).collect();
    let took = now() - released;
    waiters.into_iter().for_each(Child::end);

    let text = fs::read_to_string(&order).expect("they have appended to it");
    let numbers = text.lines().map(|line| line.parse::<usize>().expect("a number"));
    let moved: Vec<usize> = numbers.enumerate().map(|(served, came)| served.abs_diff(came)).collect();
    assert_eq!(moved.len(), WAITERS, "{place}: each is served once");
    let served = Served { moved, slept_again, took };
    println!(
        "{place}: {:?} for all; slept again {:.2} times each; {} out of order, by at most {}",
        served.took,
        served.mean_sleeps(),
        served.moved.iter().filter(|&&by| by > 0).count(),
        served.most_moved()
    );
    served
}

#[test]
fn two_hundred_waiters_are_served_once_each_in_the_order_they_came() {
    let _alone = alone();
    for place in places(&QUEUES) {
        // A second after it was first handed on, a name is given up for the sake of other programs; then those who
        // wait start again. Two hundred hand-overs take that long on a busy machine only.
        let hold = Duration::from_millis(1_200);
        let served =
            std::iter::repeat_with(|| serve(&place, hold)).take(5).find(|served| served.took < A_NAMES_LIFE);
        let served = served.expect("one of five rounds is over in a second");
        assert!(served.most_moved() <= 1, "{place}: beyond its neighbours: {served:?}");
        assert!(served.mean_sleeps() <= 2.0, "{place}: woken more than once for one hand-over: {served:?}");
    }
}
