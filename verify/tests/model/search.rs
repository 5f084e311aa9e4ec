//! Every state that can be reached, nearest first: the first fault found has the shortest trace.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::rules::{Bounds, Fault, Rules};
use super::state::State;
use super::steps::Will;

/// What a search has come to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    pub(crate) found: Option<Found>,
}

#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) fault: Fault,
    trace: Vec<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}, after {} steps:", self.fault, self.trace.len())?;
        self.trace.iter().enumerate().try_for_each(|(at, step)| writeln!(f, "{:3}. {step}", at + 1))
    }
}

/// Goes through all states within `bounds` of the protocol that has these `rules`.
pub(crate) fn search(bounds: &Bounds, rules: &Rules) -> Report {
    let mut seen = Seen::new(State::first(bounds));
    // The steps that must come, backwards: to, from.
    let mut must = Vec::new();
    let mut rests = Vec::new();
    let mut count = 0;
    let mut at = 0;
    while at < seen.states.len() {
        let steps = seen.states[at].steps(bounds, rules);
        count += steps.len();
        let rest = steps.iter().all(|step| step.will == Will::May);
        if rest && let Some(fault) = seen.states[at].fault_at_rest() {
            return seen.report(bounds, rules, count, Some((fault, at)));
        }
        if rest {
            rests.push(at);
        }
        for step in steps {
            let (next, new) = seen.insert(step.to, at);
            if new && let Some(fault) = step.to.fault() {
                return seen.report(bounds, rules, count, Some((fault, next)));
            }
            if step.will == Will::Must {
                must.push((index(next), index(at)));
            }
        }
        at += 1;
    }
    let fault = first_restless(seen.states.len(), must, rests).map(|at| (Fault::WaitsForEver, at));
    seen.report(bounds, rules, count, fault)
}

/// The first state from which the steps that must come never lead to rest: somebody waits there
/// for ever, though others may go on.
fn first_restless(states: usize, mut must: Vec<(u32, u32)>, mut rests: Vec<usize>) -> Option<usize> {
    must.sort_unstable();
    let mut comes_to_rest = vec![false; states];
    for &at in &rests {
        comes_to_rest[at] = true;
    }
    while let Some(at) = rests.pop() {
        let first = must.partition_point(|&(to, _)| to < index(at));
        for &(_, from) in must[first..].iter().take_while(|&&(to, _)| to == index(at)) {
            let from = from as usize;
            if !std::mem::replace(&mut comes_to_rest[from], true) {
                rests.push(from);
            }
        }
    }
    comes_to_rest.iter().position(|&rests| !rests)
}

/// The states in the order in which they were found, each with the one it was reached from; and
/// where they are, by hash, in a table that is at most half full.
struct Seen {
    states: Vec<State>,
    from: Vec<u32>,
    table: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

impl Seen {
    fn new(first: State) -> Seen {
        let mut seen = Seen { states: Vec::new(), from: Vec::new(), table: vec![EMPTY; 1 << 12] };
        seen.insert(first, 0);
        seen
    }

    /// Where the state is, and whether it is new.
    fn insert(&mut self, state: State, from: usize) -> (usize, bool) {
        let place = self.place(&state);
        if self.table[place] != EMPTY {
            return (self.table[place] as usize, false);
        }
        let at = self.states.len();
        self.table[place] = index(at);
        self.states.push(state);
        self.from.push(index(from));
        if self.table.len() < 2 * self.states.len() {
            self.table = vec![EMPTY; 2 * self.table.len()];
            for at in 0..self.states.len() {
                let place = self.place(&self.states[at]);
                self.table[place] = index(at);
            }
        }
        (at, true)
    }

    /// Where the state is in the table, or goes.
    fn place(&self, state: &State) -> usize {
        let mut mix = Mix(0);
        state.hash(&mut mix);
        let mask = self.table.len() - 1;
        let mut place = (mix.finish() >> 20) as usize & mask;
        while self.table[place] != EMPTY && self.states[self.table[place] as usize] != *state {
            place = (place + 1) & mask;
        }
        place
    }

    fn report(self, bounds: &Bounds, rules: &Rules, steps: usize, found: Option<(Fault, usize)>) -> Report {
        let found = found.map(|(fault, at)| Found { fault, trace: self.trace(bounds, rules, at) });
        Report { states: self.states.len(), steps, found }
    }

    /// What has happened up to a state.
    fn trace(&self, bounds: &Bounds, rules: &Rules, mut at: usize) -> Vec<String> {
        let mut trace = Vec::new();
        while at != 0 {
            let from = self.from[at] as usize;
            let steps = self.states[from].steps(bounds, rules);
            let step = steps.into_iter().find(|step| step.to == self.states[at]);
            trace.extend(step.map(|step| format!("{} {}", step.who, step.does)));
            at = from;
        }
        trace.reverse();
        trace
    }
}

/// A quick hash of what are all small numbers: multiply and rotate, as rustc's own.
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ self.0.rotate_right(29)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u8(byte));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("the states are fewer than 2^32")
}
