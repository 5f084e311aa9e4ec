//! A break by a person's order: `pathlock::scheme::baton::remove`.
//!
//! Its owner is a person's victim, and goes on: what it believes is no fault from then on. What anybody else
//! believes is.

use super::kernel::{PROBE, Text};
use super::rules::Rules;
use super::state::{Probe, State};
use super::steps::Steps;

/// A place in a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Break {
    Say,
    Wait,
    Read,
    Names,
    Remove,
    /// And whether it has removed the name.
    Unsay(bool),
    /// It looks at the lock again, for a mark that was left to it.
    Open,
}

impl State {
    /// Whether there is a breaker, or may be one: what is done for breakers alone is left out otherwise.
    pub(super) fn may_be_broken(&self) -> bool {
        self.breaks > 0 || matches!(self.probe, Probe::Break(_))
    }

    /// A breaker removes the name. Who holds the lock that it has looked at is a person's victim.
    pub(super) fn break_name(&mut self) {
        if self.kernel.fresh
            && let Text::Owner(owner) = self.kernel.read(PROBE)
        {
            let program = &mut self.programs[usize::from(owner)];
            program.broken = program.believes();
        }
        self.remove_name(PROBE);
    }
}

impl Steps<'_> {
    /// Breaks the lock that it has looked at: `baton::remove_ours`.
    pub(super) fn breaker(&mut self, at: Break, rules: &Rules) {
        let from = self.from;
        let to = |at: Break| move |s: &mut State| s.probe = Probe::Break(at);
        match at {
            Break::Say => self.must("says that it breaks the lock", |s| {
                s.kernel.files[PROBE].breaking = true;
                s.probe = Probe::Break(if rules.breaker_waits { Break::Wait } else { Break::Read });
            }),
            Break::Wait if from.kernel.is_leaving(PROBE) => {
                self.may("waits no longer for who leaves", to(Break::Unsay(false)));
            }
            Break::Wait => self.must("sees nobody leave", to(Break::Read)),
            Break::Read => self.must("reads the record", |s| {
                s.probe = Probe::Break(if s.kernel.fresh { Break::Names } else { Break::Unsay(false) });
            }),
            Break::Names => self.must("compares path and inode", |s| {
                let named = s.kernel.is_named(PROBE);
                s.probe = Probe::Break(if named { Break::Remove } else { Break::Unsay(false) });
            }),
            Break::Remove => self.must("breaks the lock", |s| {
                s.break_name();
                s.probe = Probe::Break(Break::Unsay(true));
            }),
            Break::Unsay(removed) => self.must("says no more that it breaks", |s| {
                s.kernel.close(PROBE);
                s.kernel.fresh = false;
                s.probe = if removed { Probe::Rest } else { Probe::Break(Break::Open) };
            }),
            Break::Open => self.must("looks at the lock again", |s| {
                s.kernel.files[PROBE].inode = s.kernel.name;
                s.probe = if s.kernel.name.is_some() { Probe::Share } else { Probe::Rest };
            }),
        }
    }
}
