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

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::Ended;
use crate::cancel::CancelToken;
use crate::error::Obstacle;
use crate::lock::Pending;
use crate::sys::{self, Event, Exit, WatchId, Watches, Woken};

mod queued;

use queued::{Queued, Stage};

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
