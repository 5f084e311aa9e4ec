//! The lines in which futures wait: one for each lock and mode.
//!
//! # Invariants
//!
//! - *The first of a line acts for all of it*: it alone has a place in the kernel's queue, or a watch. So a
//!   thousand futures of one lock take one thread or none, and they are served as they came. What
//!   the line waits in does not change when its first gives up: the next has the place.
//! - *No wake-up is lost*, as in `wait`: a watch begins before the try that precedes a sleep.
//! - *Whoever leaves leaves nothing*: a line that has become empty gives up its place, its watch and its
//!   parker; and what has been won for a future that is gone is released by [`Pending`].
//!
//! All of it belongs to one thread.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::{self, Backoff};
use super::park::{self, Parked, Turn};
use super::watch::Exits;
use super::{Ended, RECHECK};
use crate::cancel::CancelToken;
use crate::error::Obstacle;
use crate::lease;
use crate::lock::{Line, Pending};
use crate::scheme::{Attempt, Busy, Place, Queue, Waiter, go_on};
use crate::status::{State, Status};
use crate::sys::{self, Event, Exit, WatchId, Watches, Woken};

/// With more threads than this in queues, further lines watch, or try again with a backoff.
const MOST_THREADS: usize = 64;
/// With more ends of processes than this to wait for, the re-check finds the others.
const MOST_EXITS: usize = 256;
/// How soon one looks again at what is about to happen.
const SOON: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Lines<'a> {
    lines: Vec<Queued>,
    outside: Outside<'a>,
}

/// What the lines share.
#[derive(Debug)]
struct Outside<'a> {
    event: &'a Arc<Event>,
    watches: Option<Watches>,
    /// How many lines have each of the watches.
    watched: HashMap<WatchId, usize>,
    /// How many ends of processes are waited for.
    exits: usize,
}

/// One line.
#[derive(Debug)]
struct Queued {
    line: Line,
    waiting: VecDeque<Pending>,
    stage: Stage,
    watch: Option<WatchId>,
    backoff: Backoff,
    /// What the last look has shown.
    seen: Status,
}

#[derive(Debug)]
enum Stage {
    /// There is something to do.
    Due(Step),
    /// A thread sits in the kernel's queue; from time to time the caller is told for whom.
    Parked(Parked, Instant),
    Asleep {
        place: Option<Box<dyn Place>>,
        exits: Vec<Exit>,
        until: Instant,
    },
}

#[derive(Debug)]
enum Step {
    Attempt,
    Claim(Arc<dyn Queue>),
    /// Whether something has told.
    Look(Box<dyn Place>, bool),
}

impl Stage {
    /// It is time to look again, or something has told.
    fn due(self, told: bool) -> Stage {
        match self {
            Stage::Asleep { place: Some(place), .. } => Stage::Due(Step::Look(place, told)),
            Stage::Asleep { place: None, .. } => Stage::Due(Step::Attempt),
            Stage::Due(_) | Stage::Parked(..) => self,
        }
    }
}

/// What the caller's own code does, and whether it panics.
fn guarded<T>(call: impl FnOnce() -> T) -> std::thread::Result<T> {
    catch_unwind(AssertUnwindSafe(call))
}

impl<'a> Lines<'a> {
    pub(super) fn new(event: &'a Arc<Event>) -> Lines<'a> {
        Lines {
            lines: Vec::new(),
            outside: Outside { event, watches: None, watched: HashMap::new(), exits: 0 },
        }
    }

    pub(super) fn are_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Puts it at the end of its line. One that does not wait is in no line.
    pub(super) fn enter(&mut self, pending: Pending) {
        if !pending.deadline().waits() {
            let mut alone = Queued::new(&pending);
            alone.waiting.push_back(pending);
            alone.go_on(&mut self.outside);
            return;
        }
        let line = pending.line();
        let at = self.lines.iter().position(|queued| queued.line == line).unwrap_or_else(|| {
            self.lines.push(Queued::new(&pending));
            self.lines.len() - 1
        });
        if let Some(queued) = self.lines.get_mut(at) {
            queued.waiting.push_back(pending);
            if queued.waiting.len() > 1 {
                queued.tell_last();
            }
        }
    }

    /// Does what there is to do, in all lines.
    pub(super) fn go_on(&mut self) {
        let now = Instant::now();
        self.outside.exits = self.lines.iter().map(Queued::exits).sum();
        for queued in &mut self.lines {
            queued.waiting.retain(Pending::is_awaited);
            queued.wake(now);
            queued.go_on(&mut self.outside);
            // Not before: whoever has come with little time has one try.
            queued.drop_ended();
        }
        for emptied in self.lines.extract_if(.., |queued| queued.waiting.is_empty()) {
            self.outside.unwatch(emptied.watch);
        }
    }

    /// Ends all waits.
    pub(super) fn fail(&mut self, why: impl Fn() -> Obstacle) {
        for queued in self.lines.drain(..) {
            self.outside.unwatch(queued.watch);
            for pending in queued.waiting {
                pending.lost(Ended::Failed(why()));
            }
        }
    }

    /// Sleeps until there is something to do.
    pub(super) fn sleep(&mut self) -> io::Result<()> {
        let mut sources = vec![self.outside.event.source()];
        sources.extend(self.outside.watches.as_ref().map(Watches::source));
        let first_exit = sources.len();
        let mut sleepers = Vec::new();
        for (at, queued) in self.lines.iter().enumerate() {
            if let Stage::Asleep { exits, .. } = &queued.stage {
                sources.extend(exits.iter().map(Exit::source));
                sleepers.extend(exits.iter().map(|_| at));
            }
        }
        // Many futures have one token: it is enough to look at it once for each line.
        for queued in &self.lines {
            let mut last = None;
            for token in queued.waiting.iter().filter_map(Pending::cancel) {
                if !last.is_some_and(|last: &CancelToken| last.is_same(token)) {
                    sources.push(token.source());
                }
                last = Some(token);
            }
        }
        let until = self.lines.iter().filter_map(Queued::until).min();
        let time = until.map(|until| until.saturating_duration_since(Instant::now()));
        let Woken::Ready(ready) = sys::poll(&sources, time)? else { return Ok(()) };
        let ended = ready.iter().filter_map(|index| sleepers.get(index.checked_sub(first_exit)?).copied());
        for at in ended.collect::<Vec<_>>() {
            if let Some(queued) = self.lines.get_mut(at) {
                queued.is_due();
            }
        }
        self.read_watches();
        Ok(())
    }

    fn read_watches(&mut self) {
        let Some(watches) = &self.outside.watches else { return };
        let lines = &mut self.lines;
        watches.read(|id, name| {
            for queued in lines.iter_mut().filter(|queued| queued.watch.is_some()) {
                if id.is_none() || queued.watch == id && name.is_none_or(|name| queued.concerns(name)) {
                    queued.is_due();
                }
            }
        });
    }
}

impl Queued {
    fn new(first: &Pending) -> Queued {
        Queued {
            line: first.line(),
            waiting: VecDeque::new(),
            stage: Stage::Due(Step::Attempt),
            watch: None,
            backoff: Backoff::new(),
            seen: Status::new(State::Held, None, "others of this process are to have it first"),
        }
    }

    fn is_due(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Due(Step::Attempt));
        self.stage = stage.due(true);
    }

    fn exits(&self) -> usize {
        match &self.stage {
            Stage::Asleep { exits, .. } => exits.len(),
            Stage::Due(_) | Stage::Parked(..) => 0,
        }
    }

    fn concerns(&self, name: &OsStr) -> bool {
        match (&self.stage, self.waiting.front()) {
            (Stage::Asleep { place: Some(place), .. }, _) => place.concerns(name),
            (_, Some(first)) => first.scheme().concerns(first.site(), name),
            (_, None) => false,
        }
    }

    /// When there is something to do at the latest.
    fn until(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Due(_) => Some(Instant::now()),
            Stage::Parked(_, until) | Stage::Asleep { until, .. } => Some(*until),
        };
        let ends = self.waiting.iter().filter_map(|pending| pending.deadline().end());
        stage.into_iter().chain(ends).min()
    }

    /// Lets those go who may not wait any longer.
    fn drop_ended(&mut self) {
        for pending in std::mem::take(&mut self.waiting) {
            match pending.ended() {
                Some(obstacle) => pending.lost(Ended::Failed(obstacle)),
                None if pending.deadline().has_passed() => {
                    pending.lost(Ended::Busy(Box::new(self.seen.clone())));
                }
                None => self.waiting.push_back(pending),
            }
        }
    }

    /// Looks whether what is waited for has come.
    fn wake(&mut self, now: Instant) {
        let stage = std::mem::replace(&mut self.stage, Stage::Due(Step::Attempt));
        self.stage = match stage {
            Stage::Parked(parked, _) if parked.has_come() => match parked.end() {
                Turn::Come(queue) => Stage::Due(Step::Claim(queue)),
                Turn::LookAgain => Stage::Due(Step::Attempt),
                Turn::CannotPark => self.pause(None),
            },
            Stage::Parked(parked, until) if until <= now => {
                if let Some(status) = parked.look() {
                    self.tell(&status);
                    self.seen = status;
                }
                Stage::Parked(parked, now + backoff::jittered(RECHECK))
            }
            Stage::Asleep { until, .. } if until <= now => stage.due(false),
            stage => stage,
        };
    }

    fn pause(&mut self, place: Option<Box<dyn Place>>) -> Stage {
        Stage::Asleep { place, exits: Vec::new(), until: Instant::now() + self.backoff.next() }
    }

    /// Goes on until there is something to wait for, or nobody who waits.
    fn go_on(&mut self, outside: &mut Outside<'_>) {
        while matches!(self.stage, Stage::Due(_))
            && let Some(first) = self.waiting.front()
        {
            let Stage::Due(step) = std::mem::replace(&mut self.stage, Stage::Due(Step::Attempt)) else {
                return;
            };
            let waits = first.deadline().waits() && park::busy_threads() < MOST_THREADS;
            let tried = guarded(|| {
                let request = first.request(waits);
                match step {
                    Step::Attempt => first.scheme().attempt(&request),
                    Step::Claim(queue) => match queue.claim(&request)? {
                        Some(attempt) => Ok(attempt),
                        None => first.scheme().attempt(&request),
                    },
                    Step::Look(place, told) => place.look(&request, told),
                }
                .and_then(|attempt| go_on(attempt, &request))
                .and_then(|attempt| lease::go_on(first.scheme(), attempt, &request))
            });
            match tried {
                Ok(Ok(Attempt::Busy(Busy { status, waiter }))) => {
                    let goes_on = first.deadline().waits() && !first.deadline().has_passed();
                    self.seen = status;
                    if goes_on {
                        let status = self.seen.clone();
                        self.tell(&status);
                        self.stage = self.wait_in(waiter, outside);
                        continue;
                    }
                    if let Waiter::Queue(place) = waiter {
                        place.0.leave();
                    }
                    let seen = Box::new(self.seen.clone());
                    self.with_first(|first| first.lost(Ended::Busy(seen)));
                }
                Ok(Ok(Attempt::Held(hold))) => {
                    self.backoff = Backoff::new();
                    self.with_first(|first| first.won(hold));
                }
                Ok(Err(obstacle)) => self.with_first(|first| first.lost(Ended::Failed(obstacle))),
                Err(payload) => self.with_first(|first| first.panicked(payload)),
            }
        }
    }

    fn with_first(&mut self, end: impl FnOnce(Pending)) {
        if let Some(first) = self.waiting.pop_front() {
            end(first);
        }
    }

    fn wait_in(&mut self, waiter: Waiter, outside: &mut Outside<'_>) -> Stage {
        let (place, directory, writes) = match waiter {
            Waiter::Queue(place) => {
                return match Parked::begin(place.0, outside.event) {
                    Some(parked) => Stage::Parked(parked, Instant::now() + backoff::jittered(RECHECK)),
                    None => self.pause(None),
                };
            }
            Waiter::Backoff => return self.pause(None),
            Waiter::Change => {
                (None, self.waiting.front().map(|first| first.site().directory().to_owned()), false)
            }
            Waiter::Place(place) => {
                let directory = place.directory().to_owned();
                (Some(place), Some(directory), true)
            }
        };
        let Some(directory) = directory else { return Stage::Due(Step::Attempt) };
        let id = outside.watch(&directory, writes);
        if id.is_none() {
            outside.unwatch(self.watch.take());
            return self.pause(place);
        }
        let before = std::mem::replace(&mut self.watch, id);
        outside.unwatch(before);
        let known = before == id;
        let exits = match Exits::of(&self.seen) {
            _ if !known => {
                return Stage::Asleep { place, exits: Vec::new(), until: Instant::now() }.due(false);
            }
            Exits::Over => return Stage::Asleep { place, exits: Vec::new(), until: Instant::now() + SOON },
            Exits::Ahead(exits) if outside.exits + exits.len() <= MOST_EXITS => exits,
            Exits::Ahead(_) => Vec::new(),
        };
        outside.exits += exits.len();
        let most = place.as_ref().and_then(|place| place.again_in()).unwrap_or(RECHECK);
        Stage::Asleep { place, exits, until: Instant::now() + backoff::jittered(most) }
    }

    /// Tells all who wait what has been seen. One whose own code panics has the panic for an outcome.
    fn tell(&mut self, status: &Status) {
        for mut pending in std::mem::take(&mut self.waiting) {
            match guarded(|| pending.tell(status)) {
                Ok(()) => self.waiting.push_back(pending),
                Err(payload) => pending.panicked(payload),
            }
        }
    }

    /// Tells the last of the line.
    fn tell_last(&mut self) {
        let Some(mut last) = self.waiting.pop_back() else { return };
        match guarded(|| last.tell(&self.seen)) {
            Ok(()) => self.waiting.push_back(last),
            Err(payload) => last.panicked(payload),
        }
    }
}

impl Outside<'_> {
    fn watch(&mut self, directory: &Path, writes: bool) -> Option<WatchId> {
        if self.watches.is_none() {
            self.watches = Watches::new();
        }
        // That the directory is gone, the next try says better.
        let id = self.watches.as_ref()?.add(directory, writes).ok().flatten()?;
        *self.watched.entry(id).or_default() += 1;
        Some(id)
    }

    fn unwatch(&mut self, id: Option<WatchId>) {
        let Some(id) = id else { return };
        let Some(lines) = self.watched.get_mut(&id) else { return };
        *lines -= 1;
        if *lines == 0 {
            self.watched.remove(&id);
            if let Some(watches) = &self.watches {
                watches.remove(id);
            }
        }
    }
}
