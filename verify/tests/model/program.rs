//! What a program of ours can do next.

use super::kernel::{Call, Courtesy, FILES_EACH, Parker, Text};
use super::rules::{Bounds, Rules};
use super::state::{After, Leave, Pc, Probe, State, Verdict, files_of};
use super::steps::Steps;

impl Steps<'_> {
    pub(super) fn program(&mut self, index: usize, bounds: &Bounds, rules: &Rules) {
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
                    s.settle(index, rules);
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

            Pc::Read => self.must("reads the record", |s| {
                let (verdict, owner) = match s.kernel.read(file) {
                    _ if !rules.reads_record => (Verdict::Free, None),
                    Text::Owner(owner) if from.lives(owner) => (Verdict::Held, Some(owner)),
                    Text::Owner(_) | Text::Mark => (Verdict::Free, None),
                    Text::Empty => (Verdict::Held, None),
                };
                s.programs[index].seen = owner;
                if rules.identity && rules.identity_last {
                    s.programs[index].pc = Pc::Names(verdict);
                } else {
                    s.decide(index, verdict);
                }
            }),
            Pc::Names(verdict) => self.must("compares path and inode", |s| {
                if s.kernel.is_named(file) {
                    s.decide(index, verdict);
                } else {
                    s.programs[index].seen = None;
                    s.programs[index].pc = leave(Leave::Say, After::Open);
                }
            }),
            Pc::Write => self.must("writes its record", |s| {
                s.kernel.write(file, Text::Owner(own));
                if bounds.breaks > 0 && rules.adopter_looks {
                    s.programs[index].pc = Pc::Confirm;
                } else {
                    s.adopted(index, file);
                }
            }),
            Pc::Confirm if from.kernel.is_breaking(file) => {
                let after = if me.waits { After::Open } else { After::End };
                self.may("waits for a breaker no longer", to(Pc::Undo(after)));
            }
            Pc::Confirm if rules.identity_again => self.must("sees no breaker", to(Pc::ConfirmName)),
            Pc::Confirm => self.must("sees no breaker", |s| s.adopted(index, file)),
            Pc::ConfirmName => self.must("compares path and inode again", |s| {
                if s.kernel.is_named(file) {
                    s.adopted(index, file);
                } else {
                    s.programs[index].pc = Pc::Undo(After::Open);
                }
            }),
            Pc::Undo(after) => self.must("puts a mark back", |s| {
                s.kernel.write(file, Text::Mark);
                s.programs[index].pc = leave(Leave::Say, after);
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
            Pc::Withdraw => self.must("withdraws", |s| {
                s.kernel.files[file].announced = false;
                s.hold(index);
            }),
            Pc::Leave { at, after, guarded } => self.must(at.does(), |s| {
                if let Some(at) = s.leave(file, at, rules) {
                    s.programs[index].pc = Pc::Leave { at, after, guarded };
                } else if s.kernel.files[file].announced {
                    // `settle` has let go, and it was in the queue.
                    s.programs[index].pc = leave(Leave::Withdraw, after);
                } else {
                    if s.kernel.files[file].call == Call::Absent {
                        s.kernel.close(file);
                    }
                    s.go_on(index, after);
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
                    self.may("is cancelled", |s| {
                        s.timeouts -= 1;
                        s.end(index);
                    });
                }
            }

            Pc::Hold => {
                if me.lost {
                    self.must("opens the path", |s| {
                        s.kernel.files[file].inode = s.kernel.name;
                        match s.kernel.name {
                            Some(_) => s.programs[index].pc = Pc::SayByName,
                            None => s.end(index),
                        }
                    });
                } else {
                    self.must("says that it leaves", |s| {
                        s.kernel.files[file].leaving = rules.says_it_leaves && s.may_be_broken();
                        s.programs[index].pc =
                            if rules.breaker_first { Pc::LookForNext } else { Pc::CheckName(false) };
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
            Pc::LookForNext => {
                let then = |mark| match (rules.breaker_first, mark) {
                    (true, mark) => Pc::CheckName(mark),
                    (false, true) => Pc::Mark,
                    (false, false) => Pc::Remove,
                };
                if from.kernel.is_breaking(file) {
                    self.must("sees a breaker", to(then(true)));
                } else if from.kernel.is_announced(file) {
                    self.must("sees an announcement", to(then(true)));
                    self.may("sees an announcement, after passing on for long", to(then(false)));
                } else {
                    self.must("sees no announcement", to(then(false)));
                }
            }
            Pc::CheckName(mark) => self.must("compares path and inode", |s| {
                s.programs[index].pc = if s.kernel.is_named(file) { Pc::CheckText(mark) } else { Pc::Disown };
            }),
            Pc::CheckText(mark) => self.must("reads the record", |s| {
                s.programs[index].pc = match (s.kernel.read(file) == Text::Owner(own), mark) {
                    (false, _) => Pc::Disown,
                    (true, _) if !rules.breaker_first => Pc::LookForNext,
                    (true, true) => Pc::Mark,
                    (true, false) => Pc::Remove,
                };
            }),
            Pc::Mark => self.must("writes the mark", |s| {
                s.kernel.write(file, Text::Mark);
                s.kernel.files[file].leaving = false;
                s.programs[index].pc = leave(Leave::Say, After::End);
            }),
            Pc::Disown => self.must("writes a mark over a record of its own", |s| {
                if s.kernel.read(file) == Text::Owner(own) {
                    s.kernel.write(file, Text::Mark);
                }
                s.programs[index].pc = Pc::Unlock;
            }),
            Pc::Remove => self.must("removes the name", |s| {
                s.remove_name(file);
                s.programs[index].pc = Pc::Unlock;
            }),
            Pc::Unlock => self.must("unlocks", |s| {
                s.kernel.close(file);
                s.end(index);
            }),

            Pc::SayByName => self.must("says that it leaves", |s| {
                s.kernel.files[file].leaving = rules.says_it_leaves && s.may_be_broken();
                s.programs[index].pc = Pc::LookByName;
            }),
            Pc::LookByName => self.must("looks for a breaker", |s| {
                let breaking = s.kernel.is_breaking(file);
                s.kernel.files[file].leaving &= !breaking;
                s.programs[index].pc = if breaking { Pc::WaitByName } else { Pc::CheckNameByName };
            }),
            Pc::WaitByName if matches!(from.probe, Probe::Break(_)) => {}
            Pc::WaitByName => self.must("has waited for the breaker", to(Pc::SayByName)),
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
            self.must("hears that its turn has come", |s| {
                s.kernel.files[file].call = Call::Absent;
                s.settle(index, rules);
            });
        }
        let parker = from.kernel.files[file].parker;
        let has_mutex = matches!(parker, Parker::Courteous(Courtesy::Look | Courtesy::Unlock, _));
        if from.timeouts == 0 || has_mutex {
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
