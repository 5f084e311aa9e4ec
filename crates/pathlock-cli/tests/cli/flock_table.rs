//! `pathlock` beside flock(1): the same options, the same outcome.
//!
//! Each line of a table is run by both, on a lock that is free, that flock(1) holds, and that
//! flock(1) holds among readers. What must agree is the exit code (with `-E 7`, as the two have
//! different codes of their own for a lock that is busy), whether the command ran, whether the lock
//! is held afterwards, and what is in the file.

use std::fs;
use std::process::Command;

use crate::world::{Finished, Running, World};

const TEXT: &str = "Dear Sir,\n";

/// Who holds the lock: nobody, a writer, a reader.
const HOLDERS: [Option<&str>; 3] = [None, Some("-x"), Some("-s")];

/// Options of `flock FILE COMMAND`.
const RUN: &[&[&str]] = &[
    &["-n"],
    &["--nonblock"],
    &["--nb"],
    &["-w", "0.05"],
    &["-w", "0"],
    &["--wait", "0.05"],
    &["--timeout", "0.05"],
    &["-n", "-x"],
    &["-n", "-e"],
    &["-n", "--exclusive"],
    &["-n", "-s"],
    &["-n", "--shared"],
    &["-s", "-w", "0.05"],
    &["-s", "-w", "0"],
    &["-n", "-o"],
    &["-n", "--close"],
    &["-ns"],
    &["-xw.05"],
    &["-E", "9", "-n"],
    &["--conflict-exit-code", "9", "-n"],
];

/// What a shell does with its descriptor 9, one call after the other.
const FD: &[&[&str]] = &[
    &["-n 9"],
    &["-w 0.05 9"],
    &["-w 0 9"],
    &["-n -x 9"],
    &["-n -e 9"],
    &["-n -s 9"],
    &["-s -w 0.05 9"],
    &["-n 9", "-u 9"],
    &["-n 9", "--unlock 9", "-n 9"],
    &["-u 9"],
    &["-n 9", "-n 9"],
    &["-n 9", "-n -s 9"],
    &["-n -s 9", "-n -x 9"],
    &["-n -s 9", "-w 0.05 -x 9", "-u 9"],
];

fn world() -> World {
    let world = World::new();
    fs::write(world.path("file"), TEXT).expect("it can be written");
    world
}

fn hold(world: &World, holder: Option<&str>) -> Option<Running> {
    holder.map(|mode| world.hold_by_flock(&[mode], "file"))
}

/// The exit code, what the command printed, what is in the file, and whether the lock is held when
/// the holder has gone.
fn outcome(make: impl Fn(&World) -> Command, holder: Option<&str>) -> (i32, String, String, bool) {
    let world = world();
    let holder = hold(&world, holder);
    let Finished { code, stdout, .. } = Finished::of(make(&world));
    holder.map(Running::end);
    let text = fs::read_to_string(world.path("file")).expect("it is there");
    (code, stdout, text, world.is_flocked(&[], "file"))
}

fn theirs<'a>(options: &[&'a str], words: &[&'a str]) -> Vec<&'a str> {
    [options, &["file"], words].concat()
}

fn ours<'a>(options: &[&'a str], words: &[&'a str]) -> Vec<&'a str> {
    let dashes: &[&str] = if words[0] == "-c" { &[] } else { &["--"] };
    [&["run", "--scheme", "flock", "--at"], options, &["file"], dashes, words].concat()
}

/// Both do the same with these arguments, whoever holds the lock.
fn agree(options: &[&str], words: &[&str]) {
    let (theirs, ours) = (theirs(options, words), ours(options, words));
    for holder in HOLDERS {
        let expected = outcome(|world| world.flock(&theirs), holder);
        let actual = outcome(|world| world.pathlock(&ours), holder);
        assert_eq!(actual, expected, "{options:?} {words:?} while it is held {holder:?}");
    }
}

#[test]
fn run_takes_the_options_of_flock_and_does_the_same() {
    for options in RUN {
        let code: &[&str] = if options.contains(&"9") { &[] } else { &["-E", "7"] };
        agree(&[code, options].concat(), &["sh", "-c", "echo ran"]);
    }
}

#[test]
fn the_commands_own_end_is_passed_on_as_by_flock() {
    for words in [
        &["sh", "-c", "exit 0"][..],
        &["sh", "-c", "exit 3"],
        &["sh", "-c", "exit 75"],
        &["sh", "-c", "kill -KILL $$"],
        &["sh", "-c", "kill -TERM $$"],
        &["-c", "echo ran; exit 4"],
        &["-c", "echo \"$0\"; kill -INT $$"],
        &["printf", "<%s>", "a b", "", "-n", "--help"],
        &["cat", "file"],
        &["sh", "-c", "echo more >>file"],
    ] {
        agree(&["-n", "-E", "7"], words);
    }
}

#[test]
fn fd_takes_the_options_of_flock_and_does_the_same() {
    for opening in [">>", "<", "<>"] {
        for steps in FD {
            for holder in HOLDERS {
                let [expected, actual] = ["flock", "\"$PATHLOCK\" fd"].map(|tool| {
                    let world = world();
                    let holder = hold(&world, holder);
                    let script = fd_script(tool, opening, steps);
                    let Finished { code, stdout, .. } = Finished::of(world.shell(&script));
                    holder.map(Running::end);
                    let text = fs::read_to_string(world.path("file")).expect("it is there");
                    (code, stdout, text, world.is_flocked(&[], "file"))
                });
                assert_eq!(actual, expected, "9{opening} {steps:?} while it is held {holder:?}");
            }
        }
    }
}

/// After each step: its exit code, and the lock that the shell has then.
fn fd_script(tool: &str, opening: &str, steps: &[&str]) -> String {
    let mut script = format!("exec 9{opening}file\n");
    for step in steps {
        let code = if step.starts_with("-u") || step.starts_with("--u") { "" } else { "-E 7" };
        script.push_str(&format!("{tool} {code} {step}; echo $?\n"));
        script.push_str("grep -o 'FLOCK .*\\(READ\\|WRITE\\)' /proc/$$/fdinfo/9\n");
    }
    script.push_str("exit 0\n");
    script
}

#[test]
fn a_busy_lock_is_75_here_and_1_there() {
    let world = world();
    let holder = world.hold_by_flock(&[], "file");
    for options in [&["-n"][..], &["-w", "0.05"]] {
        let theirs = Finished::of(world.flock(theirs(options, &["echo", "ran"])));
        let ours = world.run(&ours(options, &["echo", "ran"]));
        assert_eq!((theirs.code, ours.code), (1, 75), "{options:?}");
        assert_eq!((theirs.stdout.as_str(), ours.stdout.as_str()), ("", ""), "{options:?}");
    }
    assert_eq!(holder.end().code, 0);
}

#[test]
fn a_command_that_is_not_found_is_127_here_and_69_there() {
    let world = world();
    let theirs = Finished::of(world.flock(theirs(&["-n"], &["no-such-command"])));
    let ours = world.run(&ours(&["-n"], &["no-such-command"]));
    assert_eq!((theirs.code, ours.code), (69, 127));
    assert!(!world.is_flocked(&[], "file"), "neither leaves the lock");
}

#[test]
fn what_the_command_leaves_behind_keeps_the_lock_there_and_not_here() {
    let leave = ["sh", "-c", "exec 8<&0; cat <&8 >/dev/null 2>&1 &"];
    let world = world();
    for (options, kept) in [(&["-n"][..], true), (&["-n", "-o"], false)] {
        let theirs = (world.flock(theirs(options, &leave)), kept);
        let ours = (world.pathlock(ours(options, &leave)), false);
        for (command, kept) in [theirs, ours] {
            let mut running = Running::start(command);
            assert_eq!(running.wait().code(), Some(0));
            assert_eq!(world.is_flocked(&[], "file"), kept, "{options:?}");
            assert_eq!(running.end().code, 0);
            // What was left ends now, and nobody has its exit to wait for but who waits for the lock.
            assert_eq!(Finished::of(world.flock(["file", "true"])).code, 0);
        }
    }
}

#[test]
fn each_waits_for_the_other() {
    let world = world();
    let holder = world.hold_by_flock(&[], "file");
    let mut waiter = Running::start(world.pathlock(ours(&[], &["echo", "ran"])));
    assert!(waiter.read_error_line().contains("waiting for"));
    assert_eq!(holder.end().code, 0);
    assert_eq!(waiter.end().stdout, "ran\n");

    let holder = world.hold(&["--scheme", "flock", "--at", "file"]);
    let waiter = Running::start(world.flock(["file", "echo", "ran"]));
    crate::world::until_waited_for(&world.path("file"));
    assert_eq!(holder.end().code, 0);
    assert_eq!(waiter.end().stdout, "ran\n");
}
