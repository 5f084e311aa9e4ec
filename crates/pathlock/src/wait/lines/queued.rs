//! One line of futures: what its first waits for.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Outside;
use crate::lease;
use crate::lock::{Line, Pending};
use crate::scheme::{Attempt, Busy, Place, Queue, Waiter, go_on};
use crate::status::{State, Status};
use crate::sys::{Exit, WatchId};
use crate::wait::backoff::{self, Backoff};
use crate::wait::park::{self, Parked, Turn};
use crate::wait::watch::Exits;
use crate::wait::{Ended, RECHECK};

/// With more threads than this in queues, further lines watch, or try again with a backoff.
const MOST_THREADS: usize = 64;
/// With more ends of processes than this to wait for, the re-check finds the others.
const MOST_EXITS: usize = 256;
/// How soon one looks again at what is about to happen.
const SOON: Duration = Duration::from_millis(1);

/// One line.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) line: Line,
    pub(super) waiting: VecDeque<Pending>,
    pub(super) stage: Stage,
    pub(super) watch: Option<WatchId>,
    backoff: Backoff,
    /// What the last look has shown.
    seen: Status,
}

#[derive(Debug)]
pub(super) enum Stage {
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
pub(super) enum Step {
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

impl Queued {
    pub(super) fn new(first: &Pending) -> Queued {
        Queued {
            line: first.line(),
            waiting: VecDeque::new(),
            stage: Stage::Due(Step::Attempt),
            watch: None,
            backoff: Backoff::new(),
            seen: Status::new(State::Held, None, "others of this process are to have it first"),
        }
    }

    pub(super) fn is_due(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Due(Step::Attempt));
        self.stage = stage.due(true);
    }

    pub(super) fn exits(&self) -> usize {
        match &self.stage {
            Stage::Asleep { exits, .. } => exits.len(),
            Stage::Due(_) | Stage::Parked(..) => 0,
        }
    }

    pub(super) fn concerns(&self, name: &OsStr) -> bool {
        match (&self.stage, self.waiting.front()) {
            (Stage::Asleep { place: Some(place), .. }, _) => place.concerns(name),
            (_, Some(first)) => first.scheme().concerns(first.site(), name),
            (_, None) => false,
        }
    }

    /// When there is something to do at the latest.
    pub(super) fn until(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Due(_) => Some(Instant::now()),
            Stage::Parked(_, until) | Stage::Asleep { until, .. } => Some(*until),
        };
        let ends = self.waiting.iter().filter_map(|pending| pending.deadline().end());
        stage.into_iter().chain(ends).min()
    }

    /// Lets those go who may not wait any longer.
    pub(super) fn drop_ended(&mut self) {
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
    pub(super) fn wake(&mut self, now: Instant) {
        let stage = std::mem::replace(&mut self.stage, Stage::Due(Step::Attempt));
        self.stage = match stage {
            Stage::Parked(parked, _) if parked.has_come() => match parked.end() {
                Turn::Come(queue) => Stage::Due(Step::Claim(queue)),
                // Nothing was asked for: who is first when the turn has come is not known before.
                Turn::LookAgain | Turn::Claimed(_) => Stage::Due(Step::Attempt),
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
    pub(super) fn go_on(&mut self, outside: &mut Outside<'_>) {
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
                return match Parked::begin(place.0, outside.event, None) {
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
    pub(super) fn tell_last(&mut self) {
        let Some(mut last) = self.waiting.pop_back() else { return };
        match guarded(|| last.tell(&self.seen)) {
            Ok(()) => self.waiting.push_back(last),
            Err(payload) => last.panicked(payload),
        }
    }
}
