//! What the command inherits, and `-o`.

use rustix::process::Signal;

use crate::survival::Orphan;
use crate::world::{Finished, INHERITED, Running, World};

/// The number of files named like the lock that the command has open.
const COUNT_OPEN: [&str; 4] = ["--", "sh", "-c", "ls -l /proc/$$/fd | grep -c 'job\\|/#'; exit 0"];

#[test]
fn the_command_inherits_the_lock_and_with_close_it_does_not() {
    for scheme in INHERITED {
        let world = World::new();
        let lock = ["run", "--scheme", scheme, "job"];
        let open = world.run(&[&lock[..], &COUNT_OPEN].concat());
        assert_ne!(open.stdout, "0\n", "{scheme}: it is not inherited");
        for option in ["-o", "--close"] {
            let closed = world.run(&[&lock[..], &[option], &COUNT_OPEN].concat());
            assert_eq!((closed.code, closed.stdout.as_str()), (0, "0\n"), "{scheme}: {}", closed.stderr);
        }
    }
}

#[test]
fn with_close_killing_pathlock_kills_the_command_and_frees_the_lock() {
    for scheme in INHERITED {
        let world = World::new();
        let args = ["run", "-o", "--scheme", scheme, "job", "--", "sh", "-c", "echo $$; exec cat"];
        let mut running = Running::start(world.pathlock(args));
        let command = Orphan::named_in(&running.read_line());
        running.signal(Signal::KILL);
        running.wait();
        // It ends though its stdin is open.
        command.wait();
        let next = world.run(&["run", "-n", "--scheme", scheme, "job", "--", "true"]);
        assert_eq!(next.code, 0, "{scheme}: {}", next.stderr);
    }
}

#[test]
fn several_locks_are_all_inherited() {
    let world = World::new();
    let args = ["run", "a", "b", "--", "sh", "-c", "echo $$; exec cat"];
    let mut running = Running::start(world.pathlock(args));
    let command = Orphan::named_in(&running.read_line());
    running.signal(Signal::KILL);
    running.wait();
    for path in ["a", "b"] {
        assert_eq!(world.code(&["run", "-n", path, "--", "true"]), 75, "{path}: the command lives");
    }
    running.close_stdin();
    command.wait();
    assert_eq!(world.code(&["run", "-n", "a", "b", "--", "true"]), 0);
}

#[test]
fn the_line_of_c_is_run_by_the_shell_of_the_environment() {
    let world = World::new();
    let line = |shell: Option<&str>| {
        let mut command = world.pathlock(["run", "job", "-c", "echo $0 $((1 + 1))"]);
        match shell {
            Some(shell) => command.env("SHELL", shell),
            None => command.env_remove("SHELL"),
        };
        Finished::of(command).stdout
    };
    assert_eq!(line(Some("/bin/echo")), "-c echo $0 $((1 + 1))\n", "it is $SHELL -c LINE");
    assert_eq!(line(Some("/bin/sh")), "/bin/sh 2\n");
    assert_eq!(line(None), "/bin/sh 2\n", "the shell that every system has");
    assert_eq!(line(Some("")), "/bin/sh 2\n", "an empty variable is none");
}

#[test]
fn a_shell_that_is_not_there_is_named() {
    let world = World::new();
    let mut command = world.pathlock(["run", "job", "-c", "true"]);
    command.env("SHELL", "/no/such/shell");
    let failed = Finished::of(command);
    assert_eq!(failed.code, 127, "{}", failed.stderr);
    assert!(failed.stderr.contains("/no/such/shell"), "{}", failed.stderr);
}
