//! What can happen next: each step is one system call of `pathlock::scheme::baton` or of
//! `pathlock::wait::park`, with what its thread does by itself before the next. Anything may happen
//! between two steps.

use std::fmt;

use super::breaker::Break;
use super::kernel::{Call, Courtesy, FILES_EACH, PROBE, Parker, Text};
use super::rules::{Bounds, Rules};
use super::state::{Leave, Pc, Probe, State, files_of};

/// Whether a step must come in the end, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Will {
    Must,
    May,
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) who: Who,
    pub(super) does: &'static str,
    pub(super) will: Will,
    pub(super) to: State,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Program(usize),
    Parker(usize),
    Other,
    Probe,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Program(index) => write!(f, "program {index}"),
            Who::Parker(index) => write!(f, "the parker of program {index}"),
            Who::Other => write!(f, "pylockfile"),
            Who::Probe => write!(f, "the one that looks or breaks"),
        }
    }
}

impl State {
    /// Everything that can happen next.
    pub(super) fn steps(&self, bounds: &Bounds, rules: &Rules) -> Vec<Step> {
        let mut steps = Steps { from: self, who: Who::Other, steps: Vec::with_capacity(8) };
        steps.other();
        steps.who = Who::Probe;
        steps.probe(rules);
        for index in 0..usize::from(bounds.programs) {
            steps.who = Who::Program(index);
            steps.program(index, bounds, rules);
            for file in files_of(index) {
                steps.who = Who::Parker(index);
                steps.parker(index, file, rules);
            }
        }
        for step in &mut steps.steps {
            step.to.kernel.renumber();
        }
        steps.steps
    }
}

pub(super) struct Steps<'a> {
    pub(super) from: &'a State,
    who: Who,
    steps: Vec<Step>,
}

impl Steps<'_> {
    fn add(&mut self, will: Will, does: &'static str, change: impl FnOnce(&mut State)) {
        let mut to = *self.from;
        change(&mut to);
        self.steps.push(Step { who: self.who, does, will, to });
    }

    /// What comes in the end, unless something else does.
    pub(super) fn must(&mut self, does: &'static str, change: impl FnOnce(&mut State)) {
        self.add(Will::Must, does, change);
    }

    /// What may come or not.
    pub(super) fn may(&mut self, does: &'static str, change: impl FnOnce(&mut State)) {
        self.add(Will::May, does, change);
    }

    /// The other program: pylockfile's link, which nobody's `flock` is on.
    fn other(&mut self) {
        let from = self.from;
        if from.other_holds {
            self.must("removes its name", |s| {
                s.other_holds = false;
                s.kernel.name = None;
                s.programs.iter_mut().for_each(|program| program.event |= program.watches);
            });
        } else if from.others > 0 && from.kernel.name.is_none() {
            self.may("links its own file", |s| {
                s.others -= 1;
                s.other_holds = s.kernel.create(Text::Empty).is_some();
            });
        }
    }

    /// Asks for the status: `baton::status`.
    fn probe(&mut self, rules: &Rules) {
        let from = self.from;
        if from.crashes > 0 && from.probe != Probe::Rest {
            self.may("is killed", |s| {
                s.kernel.close(PROBE);
                s.kernel.fresh = false;
                s.probe = Probe::Rest;
                s.crashes -= 1;
                s.crashed = true;
            });
        }
        let done = |s: &mut State| {
            s.kernel.close(PROBE);
            s.probe = Probe::Rest;
        };
        match from.probe {
            Probe::Rest => {
                if from.probes > 0 && from.kernel.name.is_some() {
                    self.may("opens the path", |s| {
                        s.probes -= 1;
                        s.kernel.files[PROBE].inode = s.kernel.name;
                        s.probe = Probe::Share;
                    });
                }
                // Another program's lock is broken in another way.
                let ours = |name: u8| from.kernel.inodes[usize::from(name)].text != Text::Empty;
                if from.breaks > 0 && from.kernel.name.is_some_and(ours) {
                    self.may("looks at the lock, and will break it", |s| {
                        s.breaks -= 1;
                        s.kernel.files[PROBE].inode = s.kernel.name;
                        s.kernel.fresh = true;
                        s.probe = Probe::Break(Break::Say);
                    });
                }
            }
            Probe::Break(at) => self.breaker(at, rules),
            Probe::Share => self.must("tries the flock, shared", |s| match s.kernel.lock_try(PROBE) {
                true => s.probe = Probe::Unshare,
                false => done(s),
            }),
            Probe::Unshare => self.must("unlocks", |s| {
                s.kernel.unlock(PROBE);
                s.probe = Probe::Read;
            }),
            Probe::Read => self.must("reads the record", |s| match s.kernel.read(PROBE) {
                Text::Mark => s.probe = Probe::Look,
                _ => done(s),
            }),
            Probe::Look => self.must("looks for announcements", |s| match s.kernel.is_watched(PROBE) {
                true => done(s),
                false => s.probe = Probe::Leave(Leave::TryOnce),
            }),
            Probe::Leave(at) => self.must(at.does(), |s| match s.leave(PROBE, at, rules) {
                Some(next) => s.probe = Probe::Leave(next),
                None => done(s),
            }),
        }
    }

    /// A thread of `park.rs`, in `make`.
    fn parker(&mut self, index: usize, file: usize, rules: &Rules) {
        let from = self.from;
        let open = &from.kernel.files[file];
        let program = &from.programs[index];
        let guarded = matches!(program.pc, Pc::Leave { guarded: true, .. })
            && index * FILES_EACH + usize::from(program.file) == file;
        match open.parker {
            Parker::Absent | Parker::First | Parker::Behind(_) => {}
            // The waiter has the mutex.
            Parker::Courteous(Courtesy::Try, _) | Parker::Back if guarded && rules.mutex => {}
            Parker::Courteous(at, left) => self.must("gives way", |s| {
                s.kernel.files[file].parker = s.give_way(file, at, left);
            }),
            Parker::Runs => self.must("runs in flock", |s| s.kernel.lock_wait(file)),
            Parker::Back if open.call == Call::Waiting => self.must("tells that the turn has come", |s| {
                if rules.confirms_turn && !s.kernel.lock_try(file) {
                    s.kernel.files[file].parker = Parker::Runs;
                } else {
                    s.kernel.files[file].parker = Parker::Absent;
                    s.kernel.files[file].call = Call::Come;
                }
            }),
            Parker::Back => self.must("finds its call abandoned, and withdraws", |s| {
                s.kernel.files[file].announced = false;
                s.kernel.files[file].parker = Parker::Leaving(Leave::Try);
            }),
            Parker::Leaving(at) => self.must(at.does(), |s| match s.leave(file, at, rules) {
                Some(next) => s.kernel.files[file].parker = Parker::Leaving(next),
                // Only where the mutex is broken: the waiter still uses it.
                None if guarded => {
                    s.kernel.files[file].parker = Parker::Absent;
                    s.kernel.files[file].call = Call::Absent;
                }
                None => s.kernel.close(file),
            }),
        }
    }
}
