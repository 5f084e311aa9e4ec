//! Watching files and processes: what a wait without a queue of the kernel's sleeps on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Slept, Wait, backoff, step_aside};
use crate::error::Obstacle;
use crate::liveness::{self, Evidence};
use crate::status::{State, Status};
use crate::sys::{self, Exit, Source, WatchId, Watches};

/// More processes than this that hold one lock are not watched one by one.
pub(super) const MOST_EXITS: usize = 32;

/// The watch of one wait: one directory at a time.
#[derive(Debug, Default)]
pub(super) struct Watching {
    watch: Option<Watch>,
}

#[derive(Debug)]
pub(super) struct Watch {
    watches: Watches,
    id: WatchId,
    directory: PathBuf,
    writes: bool,
}

/// Whether there is a watch.
#[derive(Debug)]
pub(super) enum Begun<'a> {
    /// It has begun before the last try: there is reason to sleep.
    Before(&'a Watch),
    /// It has begun by now. Nothing can be missed from here on: try again before sleeping.
    Now,
    /// Nothing can be watched there: wait with a backoff.
    No,
}

impl Watching {
    pub(super) fn begun(&mut self, directory: &Path, writes: bool) -> Result<Begun<'_>, Obstacle> {
        let is_it = |watch: &Watch| watch.directory == directory && watch.writes == writes;
        if self.watch.as_ref().is_some_and(is_it) {
            return Ok(self.watch.as_ref().map_or(Begun::No, Begun::Before));
        }
        self.end();
        let Some(watches) = Watches::new() else { return Ok(Begun::No) };
        let Some(id) = watches.add(directory, writes)? else { return Ok(Begun::No) };
        self.watch = Some(Watch { watches, id, directory: directory.to_owned(), writes });
        Ok(Begun::Now)
    }

    pub(super) fn end(&mut self) {
        self.watch = None;
    }
}

impl Watch {
    pub(super) fn source(&self) -> Source<'_> {
        self.watches.source()
    }

    /// Reads what has happened: whether any of it `concerns` the caller.
    fn saw(&self, concerns: impl Fn(&OsStr) -> bool) -> bool {
        let mut seen = false;
        self.watches.read(|id, name| seen |= id.is_none_or(|id| id == self.id) && name.is_none_or(&concerns));
        seen
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watches.remove(self.id);
    }
}

/// The ends of those who hold a lock.
#[derive(Debug)]
pub(super) enum Exits {
    /// To wait for.
    Ahead(Vec<Exit>),
    /// One has died since it was judged: there is nothing to wait for.
    Over,
}

impl Exits {
    /// Of those who are known to live now: the pid of another is not its pid.
    pub(super) fn of(status: &Status) -> Exits {
        let mut ahead = Vec::new();
        for owner in status.holders().filter(|owner| owner.pid != sys::process_id()).take(MOST_EXITS) {
            let exit = Exit::of(owner.pid).unwrap_or(None);
            match liveness::judge(owner) {
                Evidence::Runs => ahead.extend(exit),
                Evidence::Gone | Evidence::Reused if status.state() == State::Held => return Exits::Over,
                _ => {}
            }
        }
        Exits::Ahead(ahead)
    }
}

/// Sleeps until a file that concerns the lock has changed, a holder has died, or it is time to look
/// again: after about `most`. Whether something has told.
pub(super) fn watch_for(
    wait: &Wait<'_>,
    watch: &Watch,
    status: &Status,
    most: Duration,
    concerns: impl Fn(&OsStr) -> bool,
) -> Result<bool, Obstacle> {
    let exits = match Exits::of(status) {
        Exits::Ahead(exits) => exits,
        Exits::Over => {
            step_aside(u32::MAX);
            return Ok(true);
        }
    };
    let mut sources = vec![watch.source()];
    sources.extend(exits.iter().map(Exit::source));
    sleep_on(wait, watch, &sources, most, concerns)
}

/// Sleeps until one of `sources` is ready, or it is time to look again. The first is `watch`. Whether one is.
pub(super) fn sleep_on(
    wait: &Wait<'_>,
    watch: &Watch,
    sources: &[Source<'_>],
    most: Duration,
    concerns: impl Fn(&OsStr) -> bool,
) -> Result<bool, Obstacle> {
    loop {
        match wait.sleep(sources, backoff::jittered(most))? {
            // The watch alone, and nothing about this lock: somebody else's file in the directory.
            Slept::Ready(which) if which == [0] && !watch.saw(&concerns) => {}
            Slept::Ready(_) => return Ok(true),
            Slept::Recheck | Slept::TimedOut => return Ok(false),
        }
    }
}
