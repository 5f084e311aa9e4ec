//! Where everybody is, what they do to that, and what is wrong with it.

use super::breaker::Break;
use super::kernel::{Call, Courtesy, FILES_EACH, Kernel, OURS, Parker, Text};
use super::rules::{Bounds, Fault, Rules};

/// How often a parker gives way at most: the crate's are 8, and each is like the other.
const COURTESY: u8 = 1;

/// A place in `leave` and in `let_go`, which begins at `Say`. What is kept is whether somebody would see
/// to a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Leave {
    Withdraw,
    Try,
    // `regain`, while another has the `flock`
    PeekForNext,
    Peek,
    TryAgain,
    Say,
    Look,
    Read(bool),
    Names(bool),
    Remove,
    /// And whether to look again afterwards.
    Unsay(bool),
    Unlock(bool),
    LookAgain,
    /// As one does who has only asked for the status.
    TryOnce,
}

/// What comes after having left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum After {
    Open,
    Watch,
    /// Waits for the call that is made with this file, of those of the program.
    Wait(u8),
    End,
}

/// What the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Verdict {
    /// Nothing yet.
    Unread,
    Free,
    Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pc {
    Rest,
    // attempt
    Open,
    Look,
    Try,
    Create,
    // settle
    Read,
    Names(Verdict),
    Write,
    Confirm,
    ConfirmName,
    Undo(After),
    // queue
    Join,
    TakeOver,
    Wait,
    /// With the lock.
    Withdraw,
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
    /// What is kept from here on is whether to leave a mark.
    LookForNext,
    CheckName(bool),
    CheckText(bool),
    Mark,
    Remove,
    Disown,
    Unlock,
    // release by name
    SayByName,
    LookByName,
    WaitByName,
    CheckNameByName,
    CheckTextByName,
    RemoveByName,
    /// Its files are closed, and its pid is still there.
    Dying,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Program {
    pub(super) pc: Pc,
    /// Which of its files it works with.
    pub(super) file: u8,
    /// How often it may still begin.
    pub(super) left: u8,
    pub(super) waits: bool,
    pub(super) expired: bool,
    pub(super) lost: bool,
    /// Somebody has broken the lock that it holds, as it looked at it.
    pub(super) broken: bool,
    pub(super) watches: bool,
    /// The watch has seen the name go.
    pub(super) event: bool,
    /// The owner whose death it would be told of.
    pub(super) seen: Option<u8>,
}

const RESTING: Program = Program {
    pc: Pc::Rest,
    file: 0,
    left: 0,
    waits: false,
    expired: false,
    lost: false,
    broken: false,
    watches: false,
    event: false,
    seen: None,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Probe {
    Rest,
    Share,
    Unshare,
    Read,
    Look,
    Leave(Leave),
    Break(Break),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) kernel: Kernel,
    pub(super) programs: [Program; OURS],
    pub(super) other_holds: bool,
    pub(super) probe: Probe,
    pub(super) others: u8,
    pub(super) probes: u8,
    pub(super) breaks: u8,
    pub(super) crashes: u8,
    pub(super) timeouts: u8,
    pub(super) losses: u8,
    pub(super) crashed: bool,
    pub(super) foul: bool,
}

impl State {
    pub(super) fn first(bounds: &Bounds) -> State {
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
            breaks: bounds.breaks,
            crashes: bounds.crashes,
            timeouts: bounds.timeouts,
            losses: bounds.losses,
            crashed: false,
            foul: false,
        }
    }

    /// What is wrong in this state, whatever comes next.
    pub(super) fn fault(&self) -> Option<Fault> {
        if self.foul {
            return Some(Fault::OthersNameRemoved);
        }
        let holds = |program: &Program| program.believes() && !program.broken;
        let holders = (0..).zip(&self.programs).filter(|(_, program)| holds(program));
        if holders.clone().count() + usize::from(self.other_holds) > 1 {
            return Some(Fault::TwoHolders);
        }
        let text = self.kernel.name.map(|name| self.kernel.inodes[usize::from(name)].text);
        let robbed = holders.map(|(index, _)| Text::Owner(index)).any(|own| text != Some(own));
        (robbed || self.other_holds && text != Some(Text::Empty)).then_some(Fault::HeldWithoutName)
    }

    /// What is wrong in this state if nothing has to happen any more.
    pub(super) fn fault_at_rest(&self) -> Option<Fault> {
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

    pub(super) fn lives(&self, program: u8) -> bool {
        self.programs[usize::from(program)].pc != Pc::Dead
    }

    /// A program whose file is `file` removes the name.
    pub(super) fn remove_name(&mut self, file: usize) {
        self.foul |= self.kernel.name.is_some() && !self.kernel.is_named(file);
        self.kernel.name = None;
        for program in &mut self.programs {
            program.event |= program.watches;
        }
    }

    /// One step of `leave` or `let_go`; `None` when it is done.
    pub(super) fn leave(&mut self, file: usize, at: Leave, rules: &Rules) -> Option<Leave> {
        let breakers = self.may_be_broken();
        let kernel = &mut self.kernel;
        match at {
            Leave::Withdraw => {
                kernel.files[file].announced = false;
                Some(Leave::Try)
            }
            Leave::Try if !rules.lock_to_remove => Some(Leave::Say),
            Leave::Try | Leave::TryAgain | Leave::TryOnce if kernel.lock_try(file) => Some(Leave::Say),
            Leave::Try | Leave::TryAgain => rules.waits_out_mark.then_some(Leave::PeekForNext),
            Leave::TryOnce => None,
            Leave::PeekForNext => (!kernel.is_watched(file)).then_some(Leave::Peek),
            Leave::Peek => {
                let marked = kernel.is_named(file) && kernel.read(file) == Text::Mark;
                marked.then_some(Leave::TryAgain)
            }
            Leave::Say => {
                kernel.files[file].leaving = rules.says_it_leaves && breakers;
                Some(Leave::Look)
            }
            Leave::Look => Some(Leave::Read(kernel.is_watched(file))),
            Leave::Read(watched) if kernel.read(file) == Text::Mark => Some(Leave::Names(watched)),
            Leave::Names(watched) if kernel.is_named(file) => {
                Some(if watched { Leave::Unsay(true) } else { Leave::Remove })
            }
            Leave::Read(_) | Leave::Names(_) => Some(Leave::Unsay(false)),
            Leave::Remove => {
                self.remove_name(file);
                Some(Leave::Unsay(false))
            }
            Leave::Unsay(look) => {
                kernel.files[file].leaving = false;
                Some(Leave::Unlock(look))
            }
            Leave::Unlock(look) => {
                kernel.unlock(file);
                (look && rules.second_look).then_some(Leave::LookAgain)
            }
            Leave::LookAgain => (!kernel.is_watched(file)).then_some(Leave::TryAgain),
        }
    }

    /// One step of the courtesy of a parker that is about to call `flock`.
    pub(super) fn give_way(&mut self, file: usize, at: Courtesy, left: u8) -> Parker {
        let kernel = &mut self.kernel;
        match at {
            Courtesy::Try if left == 0 || kernel.files[file].call != Call::Waiting => Parker::Runs,
            Courtesy::Try if kernel.lock_try(file) => Parker::Courteous(Courtesy::Look, left),
            Courtesy::Look if kernel.is_announced(file) => Parker::Courteous(Courtesy::Unlock, left),
            Courtesy::Try | Courtesy::Look => Parker::Runs,
            Courtesy::Unlock => {
                kernel.unlock(file);
                Parker::Courteous(Courtesy::Try, left - 1)
            }
        }
    }

    /// Ends an acquisition, or one that has come to nothing.
    pub(super) fn end(&mut self, index: usize) {
        let program = &mut self.programs[index];
        *program = Program { left: program.left, ..RESTING };
    }

    /// Goes on after a place that was left.
    pub(super) fn go_on(&mut self, index: usize, after: After) {
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
    pub(super) fn abandoned(&self, index: usize, file: usize) -> Option<usize> {
        let files = &self.kernel.files;
        let same = |&other: &usize| files[other].inode == files[file].inode;
        files_of(index).filter(same).find(|&other| files[other].call == Call::Abandoned)
    }

    /// Has a parker call `flock`, or goes for one that does.
    pub(super) fn park(&mut self, index: usize, file: usize) {
        if self.abandoned(index, file).is_some() {
            self.programs[index].pc = Pc::TakeOver;
        } else {
            self.kernel.files[file].call = Call::Waiting;
            self.kernel.files[file].parker = Parker::Courteous(Courtesy::Try, COURTESY);
            self.programs[index].pc = Pc::Wait;
        }
    }

    /// Gives a call up, under its mutex: what follows is the waiter's `leave`.
    pub(super) fn abandon(&mut self, index: usize, after: After) {
        let program = &mut self.programs[index];
        program.pc = Pc::Leave { at: Leave::Withdraw, after, guarded: true };
        self.kernel.files[index * FILES_EACH + usize::from(program.file)].call = Call::Abandoned;
        self.timeouts -= 1;
    }

    /// Closes all files of a program that is about to be gone.
    pub(super) fn die(&mut self, index: usize) {
        files_of(index).for_each(|file| self.kernel.close(file));
        self.end(index);
        self.programs[index].left = 0;
        self.programs[index].pc = Pc::Dying;
    }
}

pub(super) fn files_of(program: usize) -> std::ops::Range<usize> {
    program * FILES_EACH..(program + 1) * FILES_EACH
}

impl Program {
    /// From the write of its record, or the link, until it writes the mark or removes the name.
    pub(super) fn believes(&self) -> bool {
        use Pc::{
            CheckName, CheckNameByName, CheckText, CheckTextByName, Hold, LookByName, LookForNext, Mark,
            Remove, RemoveByName, SayByName, WaitByName, Withdraw,
        };
        let by_file =
            matches!(self.pc, Withdraw | Hold | LookForNext | CheckName(_) | CheckText(_) | Mark | Remove);
        let looks_by_name = matches!(self.pc, SayByName | LookByName | WaitByName | CheckNameByName);
        by_file || looks_by_name || matches!(self.pc, CheckTextByName | RemoveByName)
    }
}

impl State {
    /// Looks what has the name.
    pub(super) fn open(&mut self, index: usize) {
        let program = &mut self.programs[index];
        let file = index * FILES_EACH + usize::from(program.file);
        self.kernel.files[file].inode = self.kernel.name;
        let there = if program.waits { Pc::Look } else { Pc::Try };
        program.pc = if self.kernel.name.is_some() { there } else { Pc::Create };
    }

    /// Begins to decide, with the `flock` in hand.
    pub(super) fn settle(&mut self, index: usize, rules: &Rules) {
        let names_first = rules.identity && !rules.identity_last;
        self.programs[index].pc = if names_first { Pc::Names(Verdict::Unread) } else { Pc::Read };
    }

    /// Goes on by what the record says.
    pub(super) fn decide(&mut self, index: usize, verdict: Verdict) {
        self.programs[index].pc = match verdict {
            Verdict::Unread => Pc::Read,
            Verdict::Free => Pc::Write,
            Verdict::Held => Pc::Leave { at: Leave::Say, after: After::Watch, guarded: false },
        };
    }

    /// What it has adopted is this program's.
    pub(super) fn adopted(&mut self, index: usize, file: usize) {
        if self.kernel.files[file].announced {
            self.programs[index].pc = Pc::Withdraw;
        } else {
            self.hold(index);
        }
    }

    /// The lock is this program's.
    pub(super) fn hold(&mut self, index: usize) {
        let program = &mut self.programs[index];
        let Program { left, file, broken, .. } = *program;
        *program = Program { pc: Pc::Hold, left, file, broken, ..RESTING };
    }
}

impl Leave {
    pub(super) fn does(self) -> &'static str {
        match self {
            Leave::Withdraw => "withdraws",
            Leave::Try => "tries the flock",
            Leave::PeekForNext => "looks for announcements, as another has the flock",
            Leave::Peek => "looks for a mark, as another has the flock",
            Leave::TryOnce => "tries the flock, once",
            Leave::Say => "says that it leaves",
            Leave::Look => "looks for announcements and breakers",
            Leave::Read(_) => "reads the record",
            Leave::Names(_) => "compares path and inode",
            Leave::Remove => "removes the name",
            Leave::Unsay(_) => "says no more that it leaves",
            Leave::Unlock(_) => "unlocks",
            Leave::LookAgain => "looks for announcements again",
            Leave::TryAgain => "tries the flock again",
        }
    }
}
