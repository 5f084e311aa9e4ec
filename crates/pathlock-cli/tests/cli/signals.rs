//! Signals: passed on to the command, and the end of a wait.

use rustix::process::Signal;

use crate::world::{Running, WAITING_SHELL, World};

const SIGNALS: [(&str, Signal, i32); 6] = [
    ("TERM", Signal::TERM, 15),
    ("INT", Signal::INT, 2),
    ("HUP", Signal::HUP, 1),
    ("QUIT", Signal::QUIT, 3),
    ("USR1", Signal::USR1, 10),
    ("USR2", Signal::USR2, 12),
];

#[test]
fn signals_are_passed_on_to_the_command() {
    let world = World::new();
    for (name, signal, _) in SIGNALS {
        let line = format!("{WAITING_SHELL} trap 'echo got; exit 9' {name}; echo ready; wait");
        let mut running = Running::start(world.pathlock(["run", "job", "--", "sh", "-c", &line]));
        assert_eq!(running.read_line(), "ready");
        running.signal(signal);
        assert_eq!(running.read_line(), "got", "{name} did not arrive");
        assert_eq!(running.end().code, 9, "{name}: the exit code is the command's");
    }
}

#[test]
fn a_command_that_a_passed_on_signal_kills_frees_the_lock() {
    let world = World::new();
    let mut running = world.hold(&["job"]);
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code(), Some(143), "128 and the number of TERM");
    assert_eq!(world.code(&["run", "-n", "job", "--", "true"]), 0, "the lock was left");
}

#[test]
fn the_lock_is_held_until_the_command_has_ended_not_until_it_was_signalled() {
    let world = World::new();
    let line = format!("{WAITING_SHELL} trap 'echo stopping' TERM; echo ready; wait; wait; exit 5");
    let mut running = Running::start(world.pathlock(["run", "job", "--", "sh", "-c", &line]));
    assert_eq!(running.read_line(), "ready");
    running.signal(Signal::TERM);
    assert_eq!(running.read_line(), "stopping");
    assert_eq!(world.code(&["status", "job"]), 1, "the command still runs");
    assert_eq!(running.end().code, 5);
    assert_eq!(world.code(&["status", "job"]), 0, "the command has ended");
}

#[test]
fn a_signal_ends_the_wait_and_leaves_nothing() {
    for scheme in ["link", "symlink", "mkdir", "pid", "flock", "ofd"] {
        let world = World::new();
        let holder = world.hold(&["--scheme", scheme, "job"]);
        let before = world.files();
        for (name, signal, number) in SIGNALS {
            let args = ["run", "--scheme", scheme, "job", "--", "echo", "ran"];
            let mut waiter = Running::start(world.pathlock(args));
            assert!(waiter.read_error_line().contains("waiting for"), "{scheme}");
            waiter.signal(signal);
            let finished = waiter.end();
            assert_eq!((finished.code, finished.stdout.as_str()), (128 + number, ""), "{scheme} {name}");
            assert!(finished.stderr.contains(&format!("SIG{name}")), "{scheme} {name}: {}", finished.stderr);
            assert_eq!(world.files(), before, "{scheme} {name}: something was left or taken");
        }
        assert_eq!(world.code(&["status", "--scheme", scheme, "job"]), 1, "{scheme}: the holder still holds");
        assert_eq!(holder.end().code, 0, "{scheme}: the holder noticed nothing");
        assert_eq!(
            world.code(&["run", "-n", "--scheme", scheme, "job", "--", "true"]),
            0,
            "{scheme} is free"
        );
    }
}

#[test]
fn a_signal_at_any_moment_is_never_lost() {
    let world = World::new();
    // Wherever TERM meets it (waiting, in between, in the command), the run ends at once by it,
    // and the command that would last until the end of its stdin does not outlive it.
    for _ in 0..50 {
        let holder = world.hold(&["job"]);
        let mut waiter = Running::start(world.pathlock(["run", "job", "--", "sh", "-c", "echo $$; read x"]));
        waiter.read_error_line();
        let released = std::thread::spawn(move || holder.end().code);
        waiter.signal(Signal::TERM);
        assert_eq!(waiter.wait().code(), Some(143), "TERM ends it");
        assert_eq!(released.join().expect("it does not panic"), 0);
        let left = std::fs::read_to_string(world.path("job.lock")).unwrap_or_default();
        assert_eq!(world.files(), [""; 0], "something was left: {left}");
    }
}
