//! The baton, step by step: each step is one system call of `pathlock::scheme::baton` or of
//! `pathlock::wait::park`, and anything may happen between two.

use super::kernel::{Call, FILES_EACH, Kernel, OURS, PROBE, Parker, Text};

/// What the protocol says. A rule that is `false` is broken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// `let_go` looks for announcements once more after it has unlocked.
    pub(crate) second_look: bool,
    /// `settle` reads the record before it writes its own.
    pub(crate) reads_record: bool,
    /// `settle` compares path and inode after the queue.
    pub(crate) identity: bool,
    /// `leave` removes only with the `flock` in hand.
    pub(crate) lock_to_remove: bool,
    /// A waiter and its parker never leave at once.
    pub(crate) mutex: bool,
    /// `settle` compares path and inode again, once it knows that the owner is dead.
    pub(crate) identity_of_the_dead: bool,
    /// A parker whose call has been taken over makes sure that it has what `flock` gave it.
    pub(crate) confirms_turn: bool,
    /// Who leaves, and finds the `flock` taken and a mark, tries again.
    pub(crate) waits_out_mark: bool,
}

/// How much happens at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    pub(crate) programs: u8,
    /// Acquisitions of each program.
    pub(crate) acquisitions: u8,
    /// Whether they may also be tries that don't wait.
    pub(crate) tries: bool,
    /// Acquisitions of the other program, which knows the name only.
    pub(crate) others: u8,
    pub(crate) probes: u8,
    pub(crate) crashes: u8,
    /// Waits that end by time, by being cancelled, or by a look at another inode.
    pub(crate) timeouts: u8,
    /// Holders whose files are all closed, as daemons do.
    pub(crate) losses: u8,
    /// Whether programs end, and their parkers with them.
    pub(crate) exits: bool,
}

/// A place in `leave` and in `let_go`, which begins at `Names`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Leave {
    Withdraw,
    Try,
    /// Whether a mark is there, which whoever has the `flock` may be about to leave.
    Peek,
    Names,
    Read,
    Look,
    Remove,
    /// And whether to look again afterwards.
    Unlock(bool),
    LookAgain,
    TryAgain,
}

/// What comes after having left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum After {
    Open,
    Watch,
    /// Waits for the call that is made with this file, of those of the program.
    Wait(u8),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pc {
    Rest,
    // attempt
    Open,
    Look,
    Try,
    Create,
    // settle
    Names,
    Read,
    NamesAgain,
    Write,
    // queue
    Join,
    TakeOver,
    Wait,
    Leave {
        at: Leave,
        after: After,
        guarded: bool,
    },
    // wait for a change
    Watch,
    Sleep,
    // release
    Hold,
    CheckText,
    LookForNext,
    Mark,
    Remove,
    Unlock,
    // release by name
    CheckNameByName,
    CheckTextByName,
    RemoveByName,
    /// Its files are closed, and its pid is still there.
    Dying,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Program {
    pc: Pc,
    /// Which of its files it works with.
    file: u8,
    /// How often it may still begin.
    left: u8,
    waits: bool,
    expired: bool,
    lost: bool,
    watches: bool,
    /// The watch has seen the name go.
    event: bool,
    /// The owner whose death it would be told of.
    seen: Option<u8>,
}

const RESTING: Program = Program {
    pc: Pc::Rest,
    file: 0,
    left: 0,
    waits: false,
    expired: false,
    lost: false,
    watches: false,
    event: false,
    seen: None,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Probe {
    Rest,
    Share,
    Unshare,
    Read,
    Look,
    Leave(Leave),
}

/// What must never be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// Two believe that they hold the lock.
    TwoHolders,
    /// A holder's name or record is not there: the next may come in.
    HeldWithoutName,
    /// A name was removed by one whose it was not.
    OthersNameRemoved,
    /// All is quiet, and a name is left that another program takes for a lock.
    NameLeft,
    /// All is quiet, and a contender of ours could not have the lock.
    Unrecoverable,
    /// Somebody waits, and nothing that must happen will wake it.
    WaitsForEver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) kernel: Kernel,
    programs: [Program; OURS],
    other_holds: bool,
    probe: Probe,
    others: u8,
    probes: u8,
    crashes: u8,
    timeouts: u8,
    losses: u8,
    crashed: bool,
    foul: bool,
}

/// Whether a step must come in the end, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Will {
    Must,
    May,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) who: Who,
    pub(crate) does: &'static str,
    pub(crate) will: Will,
    pub(crate) to: State,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    Program(usize),
    Parker(usize),
    Other,
    Probe,
}

impl State {
    pub(crate) fn first(bounds: &Bounds) -> State {
        let program = |index| {
            let left = if index < bounds.programs { bounds.acquisitions } else { 0 };
            Program { left, ..RESTING }
        };
        State {
            kernel: Kernel::new(),
            programs: [program(0), program(1), program(2)],
            other_holds: false,
            probe: Probe::Rest,
            others: bounds.others,
            probes: bounds.probes,
            crashes: bounds.crashes,
            timeouts: bounds.timeouts,
            losses: bounds.losses,
            crashed: false,
            foul: false,
        }
    }

    /// Everything that can happen next.
    pub(crate) fn steps(&self, bounds: &Bounds, rules: &Rules) -> Vec<Step> {
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

    /// What is wrong in this state, whatever comes next.
    pub(crate) fn fault(&self) -> Option<Fault> {
        if self.foul {
            return Some(Fault::OthersNameRemoved);
        }
        let holders = (0..).zip(&self.programs).filter(|(_, program)| program.believes());
        if holders.clone().count() + usize::from(self.other_holds) > 1 {
            return Some(Fault::TwoHolders);
        }
        let text = self.kernel.name.map(|name| self.kernel.inodes[usize::from(name)].text);
        let robbed = holders.map(|(index, _)| Text::Owner(index)).any(|own| text != Some(own));
        (robbed || self.other_holds && text != Some(Text::Empty)).then_some(Fault::HeldWithoutName)
    }

    /// What is wrong in this state if nothing has to happen any more.
    pub(crate) fn fault_at_rest(&self) -> Option<Fault> {
        let rests = |program: &Program| matches!(program.pc, Pc::Rest | Pc::Dead);
        if !self.programs.iter().all(rests) || self.kernel.files.iter().any(|file| file.inode.is_some()) {
            return Some(Fault::WaitsForEver);
        }
        let name = self.kernel.inodes[usize::from(self.kernel.name?)];
        let adoptable = match name.text {
            Text::Empty => false,
            Text::Mark => true,
            Text::Owner(owner) => !self.lives(owner),
        };
        if name.flock.is_some() || !adoptable {
            return Some(Fault::Unrecoverable);
        }
        (!self.crashed).then_some(Fault::NameLeft)
    }

    fn lives(&self, program: u8) -> bool {
        self.programs[usize::from(program)].pc != Pc::Dead
    }

    /// A program whose file is `file` removes the name.
    fn remove_name(&mut self, file: usize) {
        self.foul |= self.kernel.name.is_some() && !self.kernel.is_named(file);
        self.kernel.name = None;
        for program in &mut self.programs {
            program.event |= program.watches;
        }
    }

    /// One step of `leave` or `let_go`; `None` when it is done.
    fn leave(&mut self, file: usize, at: Leave, rules: &Rules) -> Option<Leave> {
        let kernel = &mut self.kernel;
        match at {
            Leave::Withdraw => {
                kernel.files[file].announced = false;
                Some(Leave::Try)
            }
            Leave::Try if !rules.lock_to_remove => Some(Leave::Names),
            Leave::Try | Leave::TryAgain if kernel.lock_try(file) => Some(Leave::Names),
            Leave::Try => rules.waits_out_mark.then_some(Leave::Peek),
            Leave::TryAgain => None,
            Leave::Peek => (kernel.is_named(file) && kernel.read(file) == Text::Mark).then_some(Leave::Try),
            Leave::Names if kernel.is_named(file) => Some(Leave::Read),
            Leave::Read if kernel.read(file) == Text::Mark => Some(Leave::Look),
            Leave::Names | Leave::Read => Some(Leave::Unlock(false)),
            Leave::Look if kernel.is_announced(file) => Some(Leave::Unlock(true)),
            Leave::Look => Some(Leave::Remove),
            Leave::Remove => {
                self.remove_name(file);
                Some(Leave::Unlock(false))
            }
            Leave::Unlock(look) => {
                kernel.unlock(file);
                (look && rules.second_look).then_some(Leave::LookAgain)
            }
            Leave::LookAgain => (!kernel.is_announced(file)).then_some(Leave::TryAgain),
        }
    }

    /// Ends an acquisition, or one that has come to nothing.
    fn end(&mut self, index: usize) {
        let program = &mut self.programs[index];
        *program = Program { left: program.left, ..RESTING };
    }

    /// Goes on after a place that was left.
    fn go_on(&mut self, index: usize, after: After) {
        let unused = files_of(index).position(|file| self.kernel.files[file].inode.is_none());
        let program = &mut self.programs[index];
        match after {
            After::Open => {
                let unused = unused.and_then(|file| u8::try_from(file).ok());
                program.file = unused.expect("a program has files enough for its time-outs");
                program.pc = Pc::Open;
            }
            After::Watch if program.waits && !program.expired => {
                program.pc = if program.watches { Pc::Sleep } else { Pc::Watch };
            }
            After::Wait(file) => {
                program.file = file;
                program.pc = Pc::Wait;
            }
            After::Watch | After::End => self.end(index),
        }
    }

    /// A call for the same queue that the program has abandoned.
    fn abandoned(&self, index: usize, file: usize) -> Option<usize> {
        let files = &self.kernel.files;
        let same = |&other: &usize| files[other].inode == files[file].inode;
        files_of(index).filter(same).find(|&other| files[other].call == Call::Abandoned)
    }

    /// Has a parker call `flock`, or goes for one that does.
    fn park(&mut self, index: usize, file: usize) {
        if self.abandoned(index, file).is_some() {
            self.programs[index].pc = Pc::TakeOver;
        } else {
            self.kernel.files[file].call = Call::Waiting;
            self.kernel.files[file].parker = Parker::Runs;
            self.programs[index].pc = Pc::Wait;
        }
    }

    /// Gives a call up, under its mutex: what follows is the waiter's `leave`.
    fn abandon(&mut self, index: usize, after: After) {
        let program = &mut self.programs[index];
        program.pc = Pc::Leave { at: Leave::Withdraw, after, guarded: true };
        self.kernel.files[index * FILES_EACH + usize::from(program.file)].call = Call::Abandoned;
        self.timeouts -= 1;
    }

    /// Closes all files of a program that is about to be gone.
    fn die(&mut self, index: usize) {
        files_of(index).for_each(|file| self.kernel.close(file));
        self.end(index);
        self.programs[index].left = 0;
        self.programs[index].pc = Pc::Dying;
    }
}

fn files_of(program: usize) -> std::ops::Range<usize> {
    program * FILES_EACH..(program + 1) * FILES_EACH
}

impl Program {
    /// From the write of its record, or the link, until it writes the mark or removes the name.
    fn believes(&self) -> bool {
        use Pc::{
            CheckNameByName, CheckText, CheckTextByName, Hold, LookForNext, Mark, Remove, RemoveByName,
        };
        let by_file = matches!(self.pc, Hold | CheckText | LookForNext | Mark | Remove);
        by_file || matches!(self.pc, CheckNameByName | CheckTextByName | RemoveByName)
    }
}

struct Steps<'a> {
    from: &'a State,
    who: Who,
    steps: Vec<Step>,
}

impl Steps<'_> {
    fn add(&mut self, will: Will, does: &'static str, change: impl FnOnce(&mut State)) {
        let mut to = *self.from;
        change(&mut to);
        self.steps.push(Step { who: self.who, does, will, to });
    }

    fn must(&mut self, does: &'static str, change: impl FnOnce(&mut State)) {
        self.add(Will::Must, does, change);
    }

    fn may(&mut self, does: &'static str, change: impl FnOnce(&mut State)) {
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
            Probe::Rest if from.probes > 0 && from.kernel.name.is_some() => self.may("opens the path", |s| {
                s.probes -= 1;
                s.kernel.files[PROBE].inode = s.kernel.name;
                s.probe = Probe::Share;
            }),
            Probe::Rest => {}
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
            Probe::Look => self.must("looks for announcements", |s| match s.kernel.is_announced(PROBE) {
                true => done(s),
                false => s.probe = Probe::Leave(Leave::TryAgain),
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
            Parker::Runs => self.must("runs in flock", |s| s.kernel.lock_wait(file)),
            // The waiter has the mutex.
            Parker::Back if guarded && rules.mutex => {}
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

    fn program(&mut self, index: usize, bounds: &Bounds, rules: &Rules) {
        let from = self.from;
        let me = &from.programs[index];
        let own = u8::try_from(index).expect("there are few programs");
        let file = index * FILES_EACH + usize::from(me.file);
        let to = |pc: Pc| move |s: &mut State| s.programs[index].pc = pc;
        let leave = |at, after| Pc::Leave { at, after, guarded: false };

        if from.crashes > 0 && !matches!(me.pc, Pc::Dying | Pc::Dead) {
            self.may("is killed", |s| {
                s.die(index);
                s.crashes -= 1;
                s.crashed = true;
            });
        }
        match me.pc {
            Pc::Rest => {
                let begin = |waits| {
                    move |s: &mut State| {
                        s.programs[index].left -= 1;
                        s.programs[index].waits = waits;
                        s.go_on(index, After::Open);
                        s.open(index);
                    }
                };
                if me.left > 0 {
                    self.may("wants the lock, and opens the path", begin(true));
                }
                if me.left > 0 && bounds.tries {
                    self.may("tries for the lock, and opens the path", begin(false));
                }
                if bounds.exits {
                    self.may("exits", |s| s.die(index));
                }
            }

            Pc::Open => self.must("opens the path", |s| s.open(index)),
            Pc::Look => self.must("looks for announcements", |s| {
                s.programs[index].pc = if s.kernel.is_announced(file) { Pc::Join } else { Pc::Try };
            }),
            Pc::Try => self.must("tries the flock", |s| {
                if s.kernel.lock_try(file) {
                    s.programs[index].pc = Pc::Names;
                } else if s.programs[index].waits {
                    s.programs[index].pc = Pc::Join;
                } else {
                    s.kernel.close(file);
                    s.end(index);
                }
            }),
            Pc::Create => self.must("links its draft", |s| match s.kernel.create(Text::Owner(own)) {
                Some(inode) => {
                    s.kernel.files[file].inode = Some(inode);
                    s.kernel.lock_try(file);
                    s.hold(index);
                }
                None => s.programs[index].pc = Pc::Open,
            }),

            Pc::Names | Pc::NamesAgain => self.must("compares path and inode", |s| {
                s.programs[index].pc = match (s.kernel.is_named(file), me.pc) {
                    (false, _) => leave(Leave::Names, After::Open),
                    (true, Pc::Names) => Pc::Read,
                    (true, _) => Pc::Write,
                };
            }),
            Pc::Read => self.must("reads the record", |s| {
                let mut stay = |owner| {
                    s.programs[index].seen = owner;
                    leave(Leave::Names, After::Watch)
                };
                let pc = match s.kernel.read(file) {
                    _ if !rules.reads_record => Pc::Write,
                    Text::Mark => Pc::Write,
                    Text::Owner(owner) if from.lives(owner) => stay(Some(owner)),
                    Text::Owner(_) if rules.identity_of_the_dead => Pc::NamesAgain,
                    Text::Owner(_) => Pc::Write,
                    Text::Empty => stay(None),
                };
                s.programs[index].pc = pc;
            }),
            Pc::Write => self.must("writes its record", |s| {
                s.kernel.write(file, Text::Owner(own));
                s.hold(index);
            }),

            Pc::Join => self.must("announces itself", |s| {
                s.kernel.files[file].announced = true;
                let program = &mut s.programs[index];
                (program.watches, program.event, program.seen) = (false, false, None);
                if program.expired {
                    program.pc = leave(Leave::Withdraw, After::End);
                } else {
                    s.park(index, file);
                }
            }),
            Pc::TakeOver => match from.abandoned(index, file) {
                // The parker has the mutex.
                Some(call) if matches!(from.kernel.files[call].parker, Parker::Leaving(_)) => {}
                Some(call) => self.must("takes its abandoned call over, and announces itself there", |s| {
                    s.kernel.files[call].call = Call::Waiting;
                    s.kernel.files[call].announced = true;
                    let call = u8::try_from(call - index * FILES_EACH).expect("there are few files");
                    s.programs[index].pc = leave(Leave::Withdraw, After::Wait(call));
                }),
                None => self.must("finds its abandoned call over", |s| s.park(index, file)),
            },
            Pc::Wait => self.wait(index, file, rules),
            Pc::Leave { at, after, guarded } => self.must(at.does(), |s| {
                // Its own parker may have the lock, for it.
                let stays = matches!(after, After::Wait(_));
                let rules = Rules { waits_out_mark: rules.waits_out_mark && !stays, ..*rules };
                match s.leave(file, at, &rules) {
                    Some(at) => s.programs[index].pc = Pc::Leave { at, after, guarded },
                    None => {
                        if s.kernel.files[file].call == Call::Absent {
                            s.kernel.close(file);
                        }
                        s.go_on(index, after);
                    }
                }
            }),

            Pc::Watch => self.must("begins to watch", |s| {
                s.programs[index].watches = true;
                s.programs[index].seen = None;
                s.go_on(index, After::Open);
            }),
            Pc::Sleep => {
                let wake = |s: &mut State| {
                    s.programs[index].event = false;
                    s.programs[index].seen = None;
                    s.go_on(index, After::Open);
                };
                if me.event || me.seen.is_some_and(|owner| !from.lives(owner)) {
                    self.must("sees a change", wake);
                }
                if from.timeouts > 0 {
                    self.may("times out", |s| {
                        s.timeouts -= 1;
                        s.programs[index].expired = true;
                        wake(s);
                    });
                }
            }

            Pc::Hold => {
                if me.lost {
                    self.must("opens the path", |s| {
                        s.kernel.files[file].inode = s.kernel.name;
                        match s.kernel.name {
                            Some(_) => s.programs[index].pc = Pc::CheckNameByName,
                            None => s.end(index),
                        }
                    });
                } else {
                    self.must("compares path and inode", |s| {
                        s.programs[index].pc =
                            if s.kernel.is_named(file) { Pc::CheckText } else { Pc::Unlock };
                    });
                }
                let only = files_of(index).all(|f| f == file || from.kernel.files[f].inode.is_none());
                if from.losses > 0 && !me.lost && only {
                    self.may("has all its files closed", |s| {
                        s.losses -= 1;
                        s.kernel.close(file);
                        s.programs[index].lost = true;
                    });
                }
            }
            Pc::CheckText => self.must("reads the record", |s| {
                let ours = s.kernel.read(file) == Text::Owner(own);
                s.programs[index].pc = if ours { Pc::LookForNext } else { Pc::Unlock };
            }),
            Pc::LookForNext => {
                if from.kernel.is_announced(file) {
                    self.must("sees an announcement", to(Pc::Mark));
                    self.may("sees an announcement, after passing on for long", to(Pc::Remove));
                } else {
                    self.must("sees no announcement", to(Pc::Remove));
                }
            }
            Pc::Mark => self.must("writes the mark", |s| {
                s.kernel.write(file, Text::Mark);
                s.programs[index].pc = leave(Leave::Names, After::End);
            }),
            Pc::Remove => self.must("removes the name", |s| {
                s.remove_name(file);
                s.programs[index].pc = Pc::Unlock;
            }),
            Pc::Unlock => self.must("unlocks", |s| {
                s.kernel.close(file);
                s.end(index);
            }),

            Pc::CheckNameByName => self.must("compares path and inode", |s| {
                if s.kernel.is_named(file) {
                    s.programs[index].pc = Pc::CheckTextByName;
                } else {
                    s.kernel.close(file);
                    s.end(index);
                }
            }),
            Pc::CheckTextByName => self.must("reads the record", |s| {
                if s.kernel.read(file) == Text::Owner(own) {
                    s.programs[index].pc = Pc::RemoveByName;
                } else {
                    s.kernel.close(file);
                    s.end(index);
                }
            }),
            Pc::RemoveByName => self.must("removes the name", |s| {
                s.remove_name(file);
                s.kernel.close(file);
                s.end(index);
            }),

            Pc::Dying => self.must("is gone", |s| s.programs[index].pc = Pc::Dead),
            Pc::Dead => {}
        }
    }

    /// The loop of `park::wait`.
    fn wait(&mut self, index: usize, file: usize, rules: &Rules) {
        let from = self.from;
        let come = from.kernel.files[file].call == Call::Come;
        if come {
            self.must("withdraws, now that its turn has come", |s| {
                s.kernel.files[file].call = Call::Absent;
                s.kernel.files[file].announced = false;
                s.programs[index].pc = if rules.identity { Pc::Names } else { Pc::Read };
            });
        }
        if from.timeouts == 0 {
            return;
        }
        if come {
            self.may("is cancelled, though its turn has come", |s| {
                s.kernel.files[file].call = Call::Absent;
                s.programs[index].pc = Pc::Leave { at: Leave::Withdraw, after: After::End, guarded: false };
                s.timeouts -= 1;
            });
            return;
        }
        self.may("times out", |s| {
            s.programs[index].expired = true;
            s.abandon(index, After::Open);
        });
        self.may("is cancelled", |s| s.abandon(index, After::End));
        if !from.kernel.is_named(file) {
            self.may("looks, and finds another lock", |s| s.abandon(index, After::Open));
        }
    }
}

impl State {
    fn open(&mut self, index: usize) {
        let program = &mut self.programs[index];
        let file = index * FILES_EACH + usize::from(program.file);
        self.kernel.files[file].inode = self.kernel.name;
        let there = if program.waits { Pc::Look } else { Pc::Try };
        program.pc = if self.kernel.name.is_some() { there } else { Pc::Create };
    }

    /// The lock is this program's.
    fn hold(&mut self, index: usize) {
        let program = &mut self.programs[index];
        *program = Program { pc: Pc::Hold, left: program.left, file: program.file, ..RESTING };
    }
}

impl Leave {
    fn does(self) -> &'static str {
        match self {
            Leave::Withdraw => "withdraws",
            Leave::Try => "tries the flock",
            Leave::Peek => "looks for a mark, though another has the flock",
            Leave::Names => "compares path and inode",
            Leave::Read => "reads the record",
            Leave::Look => "looks for announcements",
            Leave::Remove => "removes the name",
            Leave::Unlock(_) => "unlocks",
            Leave::LookAgain => "looks for announcements again",
            Leave::TryAgain => "tries the flock again",
        }
    }
}
