//! `--max-run` and `--kill-after`: commands that do not end by themselves. Their stdin stays open here,
//! so that nothing else ends them.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::world::{Running, World};

const STUBBORN: [&str; 4] = ["--", "sh", "-c", "trap '' TERM; echo ready; cat >/dev/null"];

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let world = World::new();
    let began = Instant::now();
    let run = world.pathlock(["run", "--max-run", "0.2", "job", "--", "sh", "-c", "exec cat"]);
    let ended = Running::start(run).end_by_itself();
    assert_eq!(ended.code, 124, "{}", ended.stderr);
    assert!(began.elapsed() >= Duration::from_millis(200), "it was ended too early");
    for word in ["exec cat", "longer than 0.2 s"] {
        assert!(ended.stderr.contains(word), "no word of `{word}`: {}", ended.stderr);
    }
    assert_eq!(world.files(), [""; 0], "the lock was left");
}

#[test]
fn what_the_command_has_started_is_ended_with_it() {
    let world = World::new();
    // The shell ends at once by TERM; the child in its background has only its group's.
    let line = "exec 3<&0; cat <&3 & echo ready; wait";
    let run = world.pathlock(["run", "--max-run", "0.2", "job", "--", "sh", "-c", line]);
    // Its pipes are closed when all are gone.
    let ended = Running::start(run).end_by_itself();
    assert_eq!((ended.code, ended.stdout.as_str()), (124, "ready\n"), "{}", ended.stderr);
}

#[test]
fn a_command_may_use_term_to_clean_up() {
    let world = World::new();
    let line = format!("{} trap 'echo cleaned; exit 3' TERM; wait", crate::world::WAITING_SHELL);
    let run = world.pathlock(["run", "--max-run", "0.2", "job", "--", "sh", "-c", &line]);
    let ended = Running::start(run).end_by_itself();
    assert_eq!(ended.code, 124, "that it took too long counts more: {}", ended.stderr);
    assert!(ended.stdout == "cleaned\n" || ended.stdout.is_empty(), "{}", ended.stdout);
}

#[test]
fn a_command_that_ignores_term_is_killed() {
    let world = World::new();
    let run = ["run", "--max-run", "0.2", "--kill-after", "0.1", "job"];
    let ended = Running::start(world.pathlock([&run[..], &STUBBORN].concat())).end_by_itself();
    assert_eq!(ended.code, 124, "{}", ended.stderr);
    assert_eq!(world.files(), [""; 0], "the lock was left");
}

#[test]
fn a_term_that_is_passed_on_is_followed_by_kill() {
    let world = World::new();
    let run = ["run", "--kill-after", "0.1", "job"];
    let mut running = Running::start(world.pathlock([&run[..], &STUBBORN].concat()));
    assert_eq!(running.read_line(), "ready");
    let began = Instant::now();
    running.signal(Signal::TERM);
    let ended = running.end_by_itself();
    assert_eq!(ended.code, 137, "{}", ended.stderr);
    assert!(began.elapsed() >= Duration::from_millis(100), "it had no time to end by itself");
    assert_eq!(world.files(), [""; 0], "the lock was left");
}

#[test]
fn kill_after_does_nothing_before_a_term() {
    let world = World::new();
    let run = ["run", "--kill-after", "1ms", "job"];
    let mut running = Running::start(world.pathlock([&run[..], &STUBBORN].concat()));
    assert_eq!(running.read_line(), "ready");
    running.signal(Signal::USR1);
    // USR1 ends the shell and its child; KILL would be 137.
    assert_eq!(running.end_by_itself().code, 138);
}

#[test]
fn a_command_that_ends_in_time_is_left_alone() {
    let world = World::new();
    let run = ["run", "--max-run", "1h", "--kill-after", "1h", "job", "--", "sh", "-c", "echo ran; exit 3"];
    let ended = world.run(&run);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (3, "ran\n", ""));
}

#[test]
fn the_lock_is_held_until_a_stubborn_command_is_dead() {
    let world = World::new();
    let run = ["run", "--max-run", "50ms", "job"];
    let mut running = Running::start(world.pathlock([&run[..], &STUBBORN].concat()));
    assert_eq!(running.read_line(), "ready");
    let next = world.run(&["run", "-w", "0.2", "job", "--", "echo", "ran"]);
    assert_eq!((next.code, next.stdout.as_str()), (75, ""), "it runs on without --kill-after");
    assert_eq!(running.end().code, 124, "its stdin is closed");
}

#[test]
fn what_the_command_leaves_in_its_group_is_killed_with_kill_after() {
    let world = World::new();
    // The child in the background ignores TERM; the shell does not, and ends.
    let line = "exec 3<&0; (trap '' TERM; echo ready; exec cat <&3) & wait";
    let run = world.pathlock(["run", "--kill-after", "1h", "job", "--", "sh", "-c", line]);
    let mut running = Running::start(run);
    assert_eq!(running.read_line(), "ready");
    running.signal(Signal::TERM);
    // Its pipes are closed when all are gone.
    assert_eq!(running.end_by_itself().code, 143);
}
