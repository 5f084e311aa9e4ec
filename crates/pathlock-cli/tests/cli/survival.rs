//! What survives `kill -9`: a lock is held exactly as long as the command lives.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::world::{INHERITED, Running, World};

/// A command that nobody here is the parent of.
pub(crate) struct Orphan {
    pub(crate) pid: Pid,
    fd: OwnedFd,
}

impl Orphan {
    /// The process whose pid is in `line`.
    pub(crate) fn named_in(line: &str) -> Orphan {
        let pid = Pid::from_raw(line.parse().expect("a pid")).expect("not zero");
        Orphan { pid, fd: pidfd_open(pid, PidfdFlags::empty()).expect("it lives") }
    }

    /// Waits until it is gone, and with it all that it had open.
    pub(crate) fn wait(&self) {
        poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], None).expect("poll works");
    }
}

/// A run whose command is one process that lasts until its stdin is closed.
pub(crate) fn hold(world: &World, scheme: &str) -> (Running, Orphan) {
    let command = ["run", "--scheme", scheme, "job", "--", "sh", "-c", "echo $$; exec cat"];
    let mut running = Running::start(world.pathlock(command));
    let command = Orphan::named_in(&running.read_line());
    // What comes back has been read by `cat`: the process is no longer the shell.
    running.write("cat\n");
    assert_eq!(running.read_line(), "cat");
    (running, command)
}

#[test]
fn killing_pathlock_does_not_free_the_lock_under_a_live_command() {
    for scheme in INHERITED {
        let world = World::new();
        let (mut running, command) = hold(&world, scheme);
        running.signal(Signal::KILL);
        running.wait();

        let busy = world.run(&["run", "-n", "--scheme", scheme, "job", "--", "echo", "ran"]);
        assert_eq!(
            (busy.code, busy.stdout.as_str()),
            (75, ""),
            "{scheme}: the command lives: {}",
            busy.stderr
        );
        assert_eq!(world.code(&["status", "--scheme", scheme, "job"]), 1, "{scheme}: it counts as held");
        assert_eq!(world.code(&["break", "--scheme", scheme, "job"]), 75, "{scheme}: it is not broken");

        let next = ["run", "--scheme", scheme, "job", "--", "echo", "next"];
        let mut waiter = Running::start(world.pathlock(next));
        assert!(waiter.read_error_line().contains("waiting for"), "{scheme}");
        running.close_stdin();
        command.wait();
        let finished = waiter.end();
        assert_eq!((finished.code, finished.stdout.as_str()), (0, "next\n"), "{scheme}: {}", finished.stderr);
    }
}

#[test]
fn a_lock_without_a_file_to_inherit_takes_its_command_along() {
    let world = World::new();
    let (mut running, command) = hold(&world, "symlink");
    running.signal(Signal::KILL);
    running.wait();
    command.wait();
    assert_eq!(world.code(&["run", "-n", "--scheme", "symlink", "job", "--", "true"]), 0);
}

#[test]
fn killing_both_leaves_a_lock_that_the_next_one_takes_over() {
    for scheme in INHERITED {
        let world = World::new();
        let (mut running, command) = hold(&world, scheme);
        running.signal(Signal::KILL);
        running.wait();
        kill_process(command.pid, Signal::KILL).expect("it lives");
        command.wait();

        let status = world.run(&["status", "--scheme", scheme, "job"]);
        assert_eq!(status.code, 0, "{scheme}: it can be taken: {}{}", status.stdout, status.stderr);
        let next = world.run(&["run", "-n", "--scheme", scheme, "job", "--", "true"]);
        assert_eq!(next.code, 0, "{scheme}: {}", next.stderr);
    }
}

#[test]
fn a_stale_lock_is_shown_as_stale_and_broken_without_force() {
    for scheme in ["link", "symlink", "mkdir"] {
        let world = World::new();
        let (mut running, command) = hold(&world, scheme);
        running.signal(Signal::KILL);
        running.wait();
        // The command of a symlink lock may be gone by now: it is killed with pathlock.
        let _ = kill_process(command.pid, Signal::KILL);
        command.wait();

        let status = world.run(&["status", "--scheme", scheme, "job"]);
        assert!(status.stdout.contains(": stale"), "{scheme}: {}", status.stdout);
        assert!(status.stdout.contains(&format!("pid {}", running.pid())), "{scheme}: {}", status.stdout);
        let broken = world.run(&["break", "--scheme", scheme, "job"]);
        assert_eq!(broken.code, 0, "{scheme}: {}", broken.stderr);
        assert!(!world.files().contains(&"job.lock".to_owned()), "{scheme}: {:?}", world.files());
    }
}
