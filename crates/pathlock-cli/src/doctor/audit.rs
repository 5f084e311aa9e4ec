//! The auditor: who is inside, by the order of the lines in the pipe. [`super`] says why that is proof.

use std::collections::BTreeSet;

use super::event::{Event, Kind};

/// What the events have shown so far.
#[derive(Debug, Default)]
pub(super) struct Audit {
    inside: Vec<u32>,
    waiting: BTreeSet<u32>,
    entered: BTreeSet<u32>,
    /// The one inside that lets go only when it is told to.
    staying: Option<u32>,
    /// Those who were killed inside, and when.
    killed: Vec<(u32, u64)>,
    left: Option<Departure>,
    last_entry: u64,
    turns: usize,
    hand_overs: Vec<u64>,
    overlap: Option<(u32, u32)>,
    failure: Option<String>,
}

/// A worker that has let go, until another enters.
#[derive(Debug)]
struct Departure {
    worker: u32,
    at: u64,
    /// Those whose wait had begun before: only they were woken.
    waiting: BTreeSet<u32>,
}

impl Audit {
    /// Takes the next line of the pipe into account.
    pub(super) fn hear(&mut self, event: &Event) {
        let worker = event.worker;
        match event.kind {
            Kind::Wait => {
                self.waiting.insert(worker);
            }
            Kind::Enter | Kind::Stay => self.enter(event),
            Kind::Leave => {
                self.is_out(worker);
                self.left = Some(Departure { worker, at: event.at, waiting: self.waiting.clone() });
            }
            Kind::Fail => {
                self.is_out(worker);
                self.failure.get_or_insert_with(|| event.text.clone());
            }
        }
    }

    fn enter(&mut self, event: &Event) {
        let worker = event.worker;
        let alive = self.inside.iter().copied().find(|other| *other != worker);
        let killed = self.killed.iter().find(|(_, killed)| event.at < *killed).map(|(other, _)| *other);
        if let Some(other) = alive.or(killed) {
            self.overlap.get_or_insert((other, worker));
        }
        self.waiting.remove(&worker);
        self.entered.insert(worker);
        self.inside.push(worker);
        self.turns += 1;
        self.last_entry = event.at;
        // A race has hand-overs too, but who has just let go takes part in it: where waits are by
        // backoff it wins, and the time says nothing of those who waited.
        if let Some(left) = self.left.take()
            && event.kind == Kind::Stay
            && left.worker != worker
            && left.waiting.contains(&worker)
        {
            self.hand_overs.push(event.at.saturating_sub(left.at));
        }
        if event.kind == Kind::Stay {
            self.staying = Some(worker);
        }
    }

    fn is_out(&mut self, worker: u32) {
        self.inside.retain(|other| *other != worker);
        self.waiting.remove(&worker);
        self.staying = self.staying.filter(|other| *other != worker);
    }

    /// `worker` is about to be killed; `at` is a moment before.
    pub(super) fn kill(&mut self, worker: u32, at: u64) {
        if self.inside.contains(&worker) {
            self.killed.push((worker, at));
        }
        self.is_out(worker);
    }

    /// `worker` has died by other hands, nobody knows when: nothing can be held against it.
    pub(super) fn lose(&mut self, worker: u32) {
        self.is_out(worker);
        self.failure.get_or_insert_with(|| "one of the processes that tried it was killed".to_owned());
    }

    /// Those who have entered and not left.
    pub(super) fn inside(&self) -> &[u32] {
        &self.inside
    }

    /// The one that keeps the lock until it is told to let go.
    pub(super) fn staying(&self) -> Option<u32> {
        self.staying
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many different workers have had the lock.
    pub(super) fn entered(&self) -> usize {
        self.entered.len()
    }

    /// How often the lock was acquired.
    pub(super) fn turns(&self) -> usize {
        self.turns
    }

    /// When it was last acquired, on the clock of the events.
    pub(super) fn last_entry(&self) -> u64 {
        self.last_entry
    }

    /// Two that held the lock at once, the first such.
    pub(super) fn overlap(&self) -> Option<(u32, u32)> {
        self.overlap
    }

    /// What the first worker that failed has said.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Whether there is nothing more to find out.
    pub(super) fn is_settled(&self) -> bool {
        self.overlap.is_some() || self.failure.is_some()
    }

    /// The nanoseconds from `leave` to the `stay` of one that was waiting, the median.
    pub(super) fn hand_over(&self) -> Option<u64> {
        let mut times = self.hand_overs.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests;
