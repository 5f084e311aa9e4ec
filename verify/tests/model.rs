//! The baton, as a model of which every state is looked at: see `pathlock::scheme::baton`.
//!
//! # What is modelled
//!
//! - The name, inodes with their records and marks, announcements, and `flock(2)` with its queue as
//!   Linux keeps it: one waiter is woken, is handed nothing, and may find that another was faster.
//! - Up to three programs of ours that attempt, create, queue, claim, hold and release, each system
//!   call a step; also tries that don't wait, and the wait for a change.
//! - A wait in a parker thread that shares the waiter's open file: courtesy, time-out and
//!   cancellation at any point, the abandoned call and what the thread does with its turn, and the
//!   next wait that takes the call over.
//! - Programs that are killed at any step: first their files are closed, and later their pid is
//!   gone. Programs that end, and their parkers with them. Holders that have all their files
//!   closed, and release by name.
//! - pylockfile's program, which knows the name only; one that asks for the status; and one that breaks the
//!   lock it has looked at, and is killed meanwhile.
//!
//! # What is not
//!
//! Errors of system calls; a break of another program's lock; forked children and passed-on descriptors; shared
//! owners; other filesystems than local ones, other systems' queues; files that may not be written;
//! what a wait is delayed by (a look every few seconds repairs what should not have to be);
//! fairness; programs of several threads besides the parkers. Courtesy is modelled once and not
//! eight times; who waits a mark out does so for as long as it takes, and not for a few looks:
//! hence the test of one that doesn't.
//!
//! # What is checked
//!
//! [`Fault`] names it. A state is *at rest* when nothing has to happen any more: there nobody may
//! wait, and the name must be gone, or free for the next of ours if somebody was killed. From every
//! state a state at rest must be reached by steps that must come; time-outs are none of these.
//!
//! # What it has found
//!
//! Three rules were missing in the crate when this was first written, and are in it since:
//! [`Rules::confirms_turn`], [`Rules::identity_last`] and [`Rules::waits_out_mark`]. So was one that came with
//! the breaks: an owner without files, which met a breaker, left a mark that a contender had just missed;
//! now it waits for the breaker, and removes its name. With them nothing is found. That the model would find something is shown by breaking each rule in turn.
//!
//! The small bounds take seconds. The large ones take some minutes, and gigabytes:
//! `cargo test --release -p verify --test model -- --ignored --nocapture`.

#![forbid(unsafe_code)]

mod model {
    mod breaker;
    mod kernel;
    mod program;
    pub(crate) mod rules;
    pub(crate) mod search;
    mod state;
    mod steps;
}

use model::rules::{Bounds, Fault, Rules};
use model::search::search;

const PROTOCOL: Rules = Rules {
    second_look: true,
    reads_record: true,
    identity: true,
    identity_last: true,
    lock_to_remove: true,
    mutex: true,
    confirms_turn: true,
    waits_out_mark: true,
    says_it_leaves: true,
    breaker_first: true,
    breaker_waits: true,
    adopter_looks: true,
    identity_again: true,
};

/// Two programs that acquire once, and nothing goes wrong.
const TWO: Bounds = Bounds {
    programs: 2,
    acquisitions: 1,
    tries: false,
    others: 1,
    probes: 0,
    breaks: 0,
    crashes: 0,
    timeouts: 0,
    losses: 0,
    exits: false,
};
const THREE: Bounds = Bounds { programs: 3, ..TWO };
const TWICE: Bounds = Bounds { acquisitions: 2, ..TWO };
const TIMED: Bounds = Bounds { timeouts: 1, ..TWO };
const BROKEN: Bounds = Bounds { breaks: 1, others: 0, ..TWO };

fn holds(bounds: Bounds) {
    holds_by(PROTOCOL, bounds);
}

fn holds_by(rules: Rules, bounds: Bounds) {
    let report = search(&bounds, &rules);
    println!("{} states, {} steps: {bounds:?}", report.states, report.steps);
    if let Some(found) = report.found {
        panic!("the protocol has a hole within {bounds:?}:\n{found}");
    }
}

fn fails(rules: Rules, bounds: Bounds) -> Fault {
    let report = search(&bounds, &rules);
    let found = report.found.expect("a broken protocol is found to be broken");
    println!("{} states, then {found}", report.states);
    found.fault
}

#[test]
fn two_programs_are_killed_time_out_and_lose_their_files() {
    holds(Bounds { tries: true, crashes: 1, timeouts: 1, losses: 1, ..TWO });
}

#[test]
fn two_programs_come_again_while_their_last_wait_is_still_parked() {
    holds(Bounds { others: 0, exits: true, timeouts: 1, ..TWICE });
}

#[test]
fn two_programs_lose_their_files_and_end() {
    holds(Bounds { crashes: 1, losses: 2, exits: true, ..TWICE });
}

#[test]
fn three_programs_are_killed() {
    holds(Bounds { crashes: 1, ..THREE });
}

#[test]
fn who_does_not_wait_a_mark_out_leaves_none_unless_it_ends() {
    let rules = Rules { waits_out_mark: false, ..PROTOCOL };
    holds_by(rules, Bounds { tries: true, crashes: 1, timeouts: 1, losses: 1, ..TWO });
    holds_by(rules, Bounds { others: 0, timeouts: 1, ..TWICE });
}

#[test]
fn somebody_asks_for_the_status_meanwhile() {
    holds(Bounds { probes: 1, timeouts: 1, exits: true, others: 0, ..TWO });
    holds(Bounds { probes: 1, crashes: 1, tries: true, ..TWO });
}

#[test]
fn somebody_breaks_the_lock_meanwhile() {
    holds(Bounds { crashes: 1, tries: true, ..BROKEN });
    holds(Bounds { losses: 1, exits: true, ..BROKEN });
    holds(Bounds { acquisitions: 2, ..BROKEN });
}

#[test]
#[ignore = "millions of states: for a release build"]
fn large_two_programs_with_everything_that_goes_wrong() {
    holds(Bounds { crashes: 1, timeouts: 1, losses: 1, ..TWICE });
    holds(Bounds { others: 0, timeouts: 2, exits: true, ..TWICE });
    holds(Bounds { probes: 1, crashes: 1, timeouts: 1, losses: 1, tries: true, ..TWO });
}

#[test]
#[ignore = "millions of states: for a release build"]
fn large_somebody_breaks_the_lock_meanwhile() {
    holds(Bounds { acquisitions: 2, losses: 1, exits: true, ..BROKEN });
    holds(Bounds { others: 1, timeouts: 1, ..BROKEN });
    holds(Bounds { breaks: 2, crashes: 1, ..BROKEN });
    holds(Bounds { programs: 3, ..BROKEN });
}

#[test]
#[ignore = "millions of states: for a release build"]
fn large_three_programs_come_twice() {
    holds(Bounds { acquisitions: 2, crashes: 1, ..THREE });
}

#[test]
#[ignore = "millions of states: for a release build"]
fn large_three_programs_are_killed_and_time_out() {
    holds(Bounds { crashes: 1, timeouts: 1, ..THREE });
}

#[test]
#[ignore = "millions of states: for a release build"]
fn large_three_programs_time_out_and_end() {
    holds(Bounds { timeouts: 1, exits: true, ..THREE });
}

#[test]
fn without_the_second_look_a_mark_is_left() {
    // A waiter that waits the mark out would see to it too; but it can't wait for ever.
    let rules = Rules { second_look: false, waits_out_mark: false, ..PROTOCOL };
    assert_eq!(fails(rules, TIMED), Fault::NameLeft, "nobody sees to a mark whose heir has timed out");
}

#[test]
fn without_reading_the_record_a_lock_of_pylockfile_is_taken_over() {
    let rules = Rules { reads_record: false, ..PROTOCOL };
    assert_eq!(fails(rules, TWO), Fault::TwoHolders, "its inode has no flock");
}

#[test]
fn without_reading_the_record_a_lock_is_taken_from_one_that_has_closed_its_files() {
    let rules = Rules { reads_record: false, ..PROTOCOL };
    let bounds = Bounds { others: 0, losses: 1, ..TWO };
    assert_eq!(fails(rules, bounds), Fault::TwoHolders, "its record alone holds the lock");
}

#[test]
fn without_comparing_path_and_inode_a_lock_has_no_name() {
    let rules = Rules { identity: false, ..PROTOCOL };
    let bounds = Bounds { timeouts: 1, ..TWICE };
    assert_eq!(fails(rules, bounds), Fault::HeldWithoutName, "the mark was removed meanwhile");
}

#[test]
fn removing_without_the_flock_in_hand_removes_anothers_name() {
    let rules = Rules { lock_to_remove: false, ..PROTOCOL };
    assert_eq!(fails(rules, TIMED), Fault::OthersNameRemoved, "the name has changed since it was looked at");
}

#[test]
fn a_waiter_and_its_parker_that_leave_at_once_remove_anothers_name() {
    let rules = Rules { mutex: false, ..PROTOCOL };
    assert_eq!(fails(rules, TIMED), Fault::OthersNameRemoved, "the one unlocks what the other acts on");
}

#[test]
fn a_call_that_is_taken_over_may_come_without_the_flock() {
    let rules = Rules { confirms_turn: false, ..PROTOCOL };
    let bounds = Bounds { others: 0, timeouts: 1, ..TWICE };
    assert_eq!(fails(rules, bounds), Fault::TwoHolders, "the waiter that left has unlocked their file");
}

#[test]
fn one_that_has_closed_its_files_releases_and_ends_while_its_record_is_read() {
    let rules = Rules { identity_last: false, ..PROTOCOL };
    let bounds = Bounds { losses: 1, exits: true, ..TWO };
    assert_eq!(fails(rules, bounds), Fault::HeldWithoutName, "it has removed the name before it died");
}

#[test]
fn a_program_that_times_out_and_ends_may_take_its_turn_with_it() {
    let rules = Rules { waits_out_mark: false, ..PROTOCOL };
    let bounds = Bounds { exits: true, ..TIMED };
    assert_eq!(fails(rules, bounds), Fault::NameLeft, "its parker has got the flock, and no time to leave");
}

/// Both come twice, and one lock is broken.
const BROKEN_TWICE: Bounds = Bounds { acquisitions: 2, ..BROKEN };
/// One is killed, and the next adopts what is broken meanwhile.
const BROKEN_AND_KILLED: Bounds = Bounds { crashes: 1, ..BROKEN };

#[test]
fn who_removes_its_name_without_a_word_meets_a_breaker() {
    let rules = Rules { says_it_leaves: false, ..PROTOCOL };
    let found = fails(rules, BROKEN_TWICE);
    assert_eq!(found, Fault::OthersNameRemoved, "the name has gone and come between look and removal");
}

#[test]
fn a_breaker_that_does_not_wait_for_who_leaves_removes_the_next_name() {
    let rules = Rules { breaker_waits: false, ..PROTOCOL };
    let found = fails(rules, BROKEN_TWICE);
    assert_eq!(found, Fault::OthersNameRemoved, "the name has gone and come between look and removal");
}

#[test]
fn who_looks_for_a_breaker_after_the_name_misses_one_that_is_through() {
    let rules = Rules { breaker_first: false, ..PROTOCOL };
    let found = fails(rules, BROKEN_TWICE);
    assert_eq!(found, Fault::OthersNameRemoved, "the breaker came between the two looks");
}

#[test]
fn who_adopts_without_a_look_for_a_breaker_holds_what_is_being_broken() {
    let rules = Rules { adopter_looks: false, ..PROTOCOL };
    let found = fails(rules, BROKEN_AND_KILLED);
    assert_eq!(found, Fault::HeldWithoutName, "the breaker has read the dead owner's record");
}

#[test]
fn who_adopts_without_another_look_at_the_name_holds_what_was_broken() {
    let rules = Rules { identity_again: false, ..PROTOCOL };
    let found = fails(rules, BROKEN_AND_KILLED);
    assert_eq!(found, Fault::HeldWithoutName, "the break was over before the look for a breaker");
}
