//! `pathlock wait`: until a lock is free, without taking it.

use std::time::{Duration, Instant};

use crate::world::{Running, World};

const SCHEMES: [&str; 6] = ["link", "symlink", "mkdir", "pid", "flock", "ofd"];

/// `pathlock wait` once it waits.
fn waiting(world: &World, args: &[&str]) -> Running {
    let mut waiter = Running::start(world.pathlock([&["wait"], args].concat()));
    let line = waiter.read_error_line();
    assert!(line.starts_with("pathlock: waiting for "), "{args:?}: {line}");
    waiter
}

#[test]
fn it_ends_when_the_lock_is_released() {
    for scheme in SCHEMES {
        let world = World::new();
        let holder = world.hold(&["--scheme", scheme, "job"]);
        let waiter = waiting(&world, &["--scheme", scheme, "job"]);
        assert_eq!(holder.end().code, 0, "{scheme}");
        let left = world.files();
        let waited = waiter.end();
        assert_eq!((waited.code, waited.stdout.as_str()), (0, ""), "{scheme}: {}", waited.stderr);
        assert!(waited.stderr.contains("is free after"), "{scheme}: {}", waited.stderr);
        assert_eq!(world.files(), left, "{scheme}: it made or removed something");
        assert_eq!(world.code(&["status", "--scheme", scheme, "job"]), 0, "{scheme}: it took the lock");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn it_ends_when_the_holder_and_its_command_are_killed() {
    use rustix::process::{Signal, kill_process};
    for scheme in SCHEMES {
        let world = World::new();
        let (mut running, command) = crate::survival::hold(&world, scheme);
        let waiter = waiting(&world, &["--scheme", scheme, "job"]);
        running.signal(Signal::KILL);
        running.wait();
        // The command of a symlink lock may be gone by now: it is killed with pathlock.
        let _ = kill_process(command.pid, Signal::KILL);
        command.wait();
        let waited = waiter.end();
        assert_eq!(waited.code, 0, "{scheme}: {}", waited.stderr);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn it_goes_on_while_the_command_of_a_killed_holder_lives() {
    for scheme in crate::world::INHERITED {
        let world = World::new();
        let (mut running, command) = crate::survival::hold(&world, scheme);
        running.signal(rustix::process::Signal::KILL);
        running.wait();
        assert_eq!(world.code(&["wait", "-n", "--scheme", scheme, "job"]), 75, "{scheme}: it is held");
        let waiter = waiting(&world, &["--scheme", scheme, "job"]);
        running.close_stdin();
        command.wait();
        let waited = waiter.end();
        assert_eq!(waited.code, 0, "{scheme}: {}", waited.stderr);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn it_ends_when_another_program_lets_go() {
    let world = World::new();
    for mode in ["-x", "-s"] {
        let holder = world.hold_by_flock(&[mode], "file");
        let waiter = waiting(&world, &["--scheme", "flock", "--at", "file"]);
        assert_eq!(holder.end().code, 0, "{mode}");
        assert_eq!(waiter.end().code, 0, "{mode}");
    }
}

#[test]
fn it_waits_for_readers_too() {
    for scheme in ["flock", "ofd"] {
        let world = World::new();
        let holder = world.hold(&["-s", "--scheme", scheme, "job"]);
        let waiter = waiting(&world, &["--scheme", scheme, "job"]);
        assert_eq!(holder.end().code, 0, "{scheme}");
        assert_eq!(waiter.end().code, 0, "{scheme}");
    }
}

#[test]
fn the_time_to_wait_has_an_end() {
    for scheme in SCHEMES {
        let world = World::new();
        let holder = world.hold(&["--scheme", scheme, "job"]);
        let files = world.files();
        for (option, least) in [("-n", 0), ("-w0", 0), ("-w.2", 200)] {
            let began = Instant::now();
            let busy = world.run(&["wait", option, "--scheme", scheme, "job"]);
            let waited = began.elapsed();
            assert_eq!((busy.code, busy.stdout.as_str()), (75, ""), "{scheme} {option}: {}", busy.stderr);
            assert!(busy.stderr.contains(&format!("pid {}", holder.pid())), "{scheme}: {}", busy.stderr);
            assert!(waited >= Duration::from_millis(least), "{scheme} {option}: too early: {waited:?}");
            assert!(waited < Duration::from_secs(30), "{scheme} {option}: too late: {waited:?}");
        }
        let chosen = ["wait", "-n", "-E", "9", "--scheme", scheme, "job"];
        assert_eq!(world.code(&chosen), 9, "{scheme}: the code can be chosen");
        assert_eq!(world.files(), files, "{scheme}: it made or removed something");
        assert_eq!(holder.end().code, 0, "{scheme}: the holder noticed nothing");
    }
}

#[test]
fn a_free_lock_is_not_waited_for_and_nothing_is_made() {
    let world = World::new();
    for scheme in SCHEMES {
        let free = world.run(&["wait", "-n", "--scheme", scheme, "job"]);
        assert_eq!((free.code, free.stdout.as_str(), free.stderr.as_str()), (0, "", ""), "{scheme}");
    }
    assert_eq!(world.files(), [""; 0], "something was made");
}

#[test]
fn quiet_says_nothing() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let waiter = Running::start(world.pathlock(["wait", "-q", "job"]));
    assert_eq!(holder.end().code, 0);
    let waited = waiter.end();
    assert_eq!((waited.code, waited.stderr.as_str()), (0, ""));
}

#[test]
fn a_signal_ends_it_as_it_ends_any_program() {
    use std::os::unix::process::ExitStatusExt;
    let world = World::new();
    let holder = world.hold(&["job"]);
    let mut waiter = waiting(&world, &["job"]);
    waiter.signal(rustix::process::Signal::TERM);
    assert_eq!(waiter.wait().signal(), Some(15));
    assert_eq!(holder.end().code, 0);
}

#[test]
fn it_is_refused_under_the_lock_itself() {
    for scheme in SCHEMES {
        let world = World::new();
        let program = env!("CARGO_BIN_EXE_pathlock");
        let nested = ["run", "--scheme", scheme, "job", "--", program, "wait", "--scheme", scheme, "job"];
        let ran = world.run(&nested);
        assert_eq!(ran.code, 75, "{scheme}: {}", ran.stderr);
        assert!(ran.stderr.contains("waiting would never end"), "{scheme}: {}", ran.stderr);
    }
}
