//! Waiting: it ends when the lock is free, when the time is up, when it is told to, and costs nothing meanwhile.
//!
//! What is measured is printed (`cargo test --test waits -- --nocapture`). A bound on a time is a bound on the best
//! of several batches: other programs may run.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod ends;
mod quiet;
mod wakes;

#[test]
fn child() {
    common::play(&[
        ("hold", common::hold),
        ("hold again and again", wakes::hold_again_and_again),
        ("hold bare flock", wakes::hold_bare_flock),
        ("wait and say how it ends", ends::wait_and_say_how_it_ends),
        ("wait by the clock", ends::wait_by_the_clock),
        ("count switches", quiet::count_switches),
        ("time out again and again", quiet::time_out_again_and_again),
    ]);
}
