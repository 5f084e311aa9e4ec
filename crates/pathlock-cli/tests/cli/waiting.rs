//! `pathlock run` when the lock is held: giving up, waiting, and what is said about it.

use std::time::{Duration, Instant};

use crate::world::{Running, World};

#[test]
fn a_busy_lock_names_its_holder_and_exits_75() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    for args in [&["-n"][..], &["-w", "0"], &["-w", "50ms"]] {
        let busy = world.run(&[&["run"], args, &["job", "--", "echo", "ran"]].concat());
        assert_eq!((busy.code, busy.stdout.as_str()), (75, ""), "{args:?}: {}", busy.stderr);
        for word in ["pathlock: ", "job", &format!("pid {}", holder.pid()), "cat >/dev/null", " since "] {
            assert!(busy.stderr.contains(word), "{args:?}: no word of `{word}`: {}", busy.stderr);
        }
    }
    assert_eq!(holder.end().code, 0);
}

#[test]
fn the_code_for_busy_can_be_chosen() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    for code in [0, 42, 255] {
        let chosen = code.to_string();
        assert_eq!(world.code(&["run", "-n", "-E", &chosen, "job", "--", "false"]), code);
        assert_eq!(world.code(&["run", "-w", "0.05", "-E", &chosen, "job", "--", "false"]), code);
    }
    assert_eq!(holder.end().code, 0);
    assert_eq!(world.code(&["run", "-n", "-E", "42", "job", "--", "sh", "-c", "exit 3"]), 3, "it was free");
}

#[test]
fn a_timeout_is_not_early() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    for (text, milliseconds) in [("0.25", 250), ("300ms", 300)] {
        let began = Instant::now();
        let busy = world.run(&["run", "-w", text, "job", "--", "true"]);
        let waited = began.elapsed();
        assert_eq!(busy.code, 75, "{}", busy.stderr);
        assert!(waited >= Duration::from_millis(milliseconds), "-w {text} ended after {waited:?}");
    }
    assert_eq!(holder.end().code, 0);
}

#[test]
fn a_wait_is_told_when_it_begins_and_when_it_ends() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let mut waiter = Running::start(world.pathlock(["run", "-w", "1h", "job", "--", "echo", "ran"]));
    let begun = waiter.read_error_line();
    for word in
        ["pathlock: waiting for ", "job", &format!("held by pid {}", holder.pid()), ", for at most 3600 s"]
    {
        assert!(begun.contains(word), "no word of `{word}`: {begun}");
    }
    assert_eq!(holder.end().code, 0);
    let finished = waiter.end();
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "ran\n"), "{}", finished.stderr);
    assert!(finished.stderr.starts_with("pathlock: got "), "{}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 1, "one line at the end: {}", finished.stderr);
}

#[test]
fn quiet_silences_the_wait_but_not_the_errors() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let busy = world.run(&["run", "-q", "-w", "50ms", "job", "--", "true"]);
    assert_eq!(busy.code, 75, "{}", busy.stderr);
    assert_eq!(busy.stderr.lines().count(), 1, "the error and nothing else: {}", busy.stderr);
    let waiter = Running::start(world.pathlock(["run", "-q", "job", "--", "true"]));
    assert_eq!(holder.end().code, 0);
    let finished = waiter.end();
    assert_eq!((finished.code, finished.stderr.as_str()), (0, ""));
}

#[test]
fn many_waiters_all_get_their_turn() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    // Each one would see another in its place: two can't make the same directory.
    let turn = "mkdir inside && rmdir inside";
    let mut waiters: Vec<Running> =
        (0..8).map(|_| Running::start(world.pathlock(["run", "job", "--", "sh", "-c", turn]))).collect();
    for waiter in &mut waiters {
        waiter.read_error_line();
    }
    assert_eq!(holder.end().code, 0);
    for waiter in waiters {
        let finished = waiter.end();
        assert_eq!(finished.code, 0, "{}", finished.stderr);
    }
    assert_eq!(world.files(), [""; 0], "something was left");
}
